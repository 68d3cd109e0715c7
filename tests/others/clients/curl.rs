//! The answers that curl receives, with each proxy between it and the server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::front::{BODY_BYTES_MAX, Front, Via, folder};
use crate::support::programs::run;

const BIG_BYTES: usize = 8 * 1024 * 1024;
/// A length far above the buffers on the way, so that the body cannot be sent before the answer.
const HUGE_BYTES: u64 = 1 << 30;

pub(crate) const GETS: &[fn(&Curl)] = &[
    Curl::sees_what_it_asked_for,
    Curl::sees_a_head_without_its_body,
    Curl::sees_all_of_it,
    Curl::sees_a_range,
    Curl::stays_connected,
    Curl::is_cut_off_in_http_1_0,
];

pub(crate) const UPLOADS: &[fn(&Curl)] = &[
    Curl::uploads_with_a_size,
    Curl::uploads_in_chunks,
    Curl::uploads_after_100_continue,
];

pub(crate) const REFUSALS: &[fn(&Curl)] = &[
    Curl::sees_the_refusal_of_what_it_is_still_sending,
    Curl::sees_the_refusal_of_what_it_asked_to_send,
];

pub(crate) const SHARES: &[fn(&Curl)] =
    &[Curl::shares_one_upstream_connection_with_those_before_it];

pub(crate) struct Curl {
    program: PathBuf,
    front: Front,
    body: PathBuf,
    huge: PathBuf,
}

impl Curl {
    pub(crate) fn new(program: PathBuf, front: Front) -> Self {
        let folder = folder(&format!("curl-{}", front.address.port()));
        let (body, huge) = (folder.join("body"), folder.join("huge"));
        fs::write(&body, "b".repeat(BODY_BYTES_MAX)).unwrap();
        // The file is sparse, and needs no space on the disk.
        File::create(&huge).unwrap().set_len(HUGE_BYTES).unwrap();
        Self {
            program,
            front,
            body,
            huge,
        }
    }

    /// Returns heads and bodies in their order, for the given targets.
    fn ask(&self, arguments: &[&str], targets: &[&str]) -> String {
        self.ask_with(arguments, targets, Stdio::null())
    }

    fn ask_with(&self, arguments: &[&str], targets: &[&str], stdin: Stdio) -> String {
        let mut command = Command::new(&self.program);
        command.args(["--disable", "--noproxy", "*", "--max-time", "20"]);
        command.args(["--silent", "--show-error", "--include"]);
        command.args(arguments);
        command.args(targets.iter().map(|target| self.front.url(target)));
        run(command.stdin(stdin)).expect_success()
    }

    /// Sends the file in chunks.
    fn upload_chunked(&self, file: &Path) -> String {
        let stdin = File::open(file).unwrap();
        let arguments = ["-X", "POST", "-T", "-", "-H", "Expect:"];
        self.ask_with(&arguments, &["/chunked"], stdin.into())
    }

    /// Sends the file with its Content-Length, and with `expect` in an Expect field.
    fn upload_sized(&self, file: &Path, expect: &str, arguments: &[&str]) -> String {
        let file = file.to_str().unwrap();
        // The timeout for a 100 is longer than the test, so the body is sent only after a 100.
        let expect = ["-H", expect, "--expect100-timeout", "20"];
        let upload = ["-X", "POST", "-T", file];
        self.ask(&[&upload, &expect, arguments].concat(), &["/sized"])
    }

    fn sees_what_it_asked_for(&self) {
        let answer = self.ask(&[], &["/a?b=c"]);
        assert_eq!(statuses(&answer), [200], "{answer}");
        assert_eq!(values(&answer, "x-method"), ["GET"]);
        assert_eq!(values(&answer, "x-target"), ["/a?b=c"]);
        assert_eq!(values(&answer, "x-framing"), ["none"]);
    }

    fn sees_a_head_without_its_body(&self) {
        let answer = self.ask(&["--head"], &["/big"]);
        assert_eq!(statuses(&answer), [200], "{answer}");
        assert_eq!(values(&answer, "content-length"), [BIG_BYTES.to_string()]);
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }

    fn uploads_with_a_size(&self) {
        let answer = self.upload_sized(&self.body, "Expect:", &[]);
        assert_eq!(statuses(&answer), [200]);
        assert_eq!(values(&answer, "x-framing"), ["sized"]);
        assert_echoed(&answer);
    }

    fn uploads_in_chunks(&self) {
        let answer = self.upload_chunked(&self.body);
        assert_eq!(statuses(&answer), [200]);
        assert_eq!(values(&answer, "x-framing"), ["chunked"]);
        assert_echoed(&answer);
    }

    fn uploads_after_100_continue(&self) {
        let answer = self.upload_sized(&self.body, "Expect: 100-continue", &[]);
        assert_eq!(statuses(&answer), [100, 200]);
        assert_echoed(&answer);
    }

    fn sees_the_refusal_of_what_it_is_still_sending(&self) {
        let sent = ["-w", "\nsent: %{size_upload}\n"];
        for answer in [
            self.upload_sized(&self.huge, "Expect:", &sent),
            self.upload_chunked(&self.huge),
        ] {
            assert_eq!(statuses(&answer), [413], "{answer}");
            let sent = values(&answer, "sent");
            let all = HUGE_BYTES.to_string();
            assert!(sent.iter().all(|sent| *sent != all), "{answer}");
        }
    }

    fn sees_the_refusal_of_what_it_asked_to_send(&self) {
        let sent = ["-w", "\nsent: %{size_upload}\n"];
        let answer = self.upload_sized(&self.huge, "Expect: 100-continue", &sent);
        // nginx sends a 100 before it asks the server.
        if self.front.via != Via::Nginx {
            assert_eq!(statuses(&answer), [413], "{answer}");
            assert_eq!(values(&answer, "sent"), ["0"], "{answer}");
        }
        assert_eq!(statuses(&answer).last(), Some(&413), "{answer}");
    }

    fn stays_connected(&self) {
        let counted = ["-w", "\nconnects: %{num_connects}\n"];
        let answers = self.ask(&counted, &["/1", "/2", "/big", "/4"]);
        assert_eq!(statuses(&answers), [200; 4]);
        assert_eq!(values(&answers, "connects"), ["1", "0", "0", "0"]);
    }

    fn is_cut_off_in_http_1_0(&self) {
        let answer = self.ask(&["--http1.0", "-w", "\nend"], &["/old"]);
        assert_eq!(statuses(&answer), [200], "{answer}");
        assert_eq!(values(&answer, "x-target"), ["/old"]);
        assert_eq!(values(&answer, "connection"), ["close"]);
    }

    fn sees_all_of_it(&self) {
        let answer = self.ask(&[], &["/big"]);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.len(), BIG_BYTES);
    }

    fn sees_a_range(&self) {
        let answer = self.ask(&["--range", "10-19"], &["/big"]);
        assert_eq!(statuses(&answer), [206], "{answer}");
        assert_eq!(
            values(&answer, "content-range"),
            [format!("bytes 10-19/{BIG_BYTES}")]
        );
        assert!(answer.ends_with("\r\n\r\nwwwwwwwwww"), "{answer}");
    }

    /// The proxy owns the connections to the server, and uses one for requests of several clients.
    fn shares_one_upstream_connection_with_those_before_it(&self) {
        let mut peers = Vec::new();
        for _ in 0..3 {
            let answers = self.ask(&[], &["/[1-100]"]);
            assert_eq!(statuses(&answers), [200; 100]);
            peers.extend(values(&answers, "x-peer").into_iter().map(str::to_owned));
        }
        peers.dedup();
        assert_eq!(peers.len(), 1, "{peers:?}");
    }
}

fn assert_echoed(answer: &str) {
    let (_, body) = answer.rsplit_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), BODY_BYTES_MAX);
    assert!(body.bytes().all(|byte| byte == b'b'));
}

/// Returns the statuses of all heads, with the interim ones.
fn statuses(answers: &str) -> Vec<u16> {
    let heads = answers.lines().filter(|line| line.starts_with("HTTP/1.1 "));
    heads.map(|line| line[9..12].parse().unwrap()).collect()
}

/// Returns the values of all fields of that name.
fn values<'a>(answers: &'a str, name: &str) -> Vec<&'a str> {
    let fields = answers.lines().filter_map(|line| line.split_once(": "));
    fields
        .filter(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}
