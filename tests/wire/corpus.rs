//! The inputs that the fuzzers have kept, replayed with their own oracles. See `fuzz/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

#[allow(
    dead_code,
    unreachable_pub,
    reason = "it belongs to the fuzzers, which use all of it, from another crate"
)]
#[path = "../../fuzz/oracle/mod.rs"]
mod oracle;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// Runs all files of a corpus. The last name before a failure is the file that fails.
fn replay(target: &str, mut run: impl FnMut(&str, &[u8])) {
    let mut files = 0;
    for entry in fs::read_dir(corpus().join(target)).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        run(name, &fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files > 0, "no corpus");
}

#[test]
fn bytes_are_answered_alike_in_any_number_of_pieces() {
    replay("head", |_, bytes| oracle::head::head(bytes));
}

#[test]
fn a_chunked_body_is_decoded_as_by_a_plain_decoder() {
    replay("chunked", |_, bytes| oracle::chunked::chunked(bytes));
}

#[test]
fn the_client_reads_an_answer_alike_in_any_pieces_and_as_httparse_does() {
    replay("answer", |_, bytes| oracle::answer::answer(bytes));
}

#[test]
fn every_script_ends_well() {
    replay("connection", |_, bytes| {
        oracle::connection::connection(bytes);
    });
}

#[test]
fn the_messages_of_a_websocket_are_those_that_tungstenite_reads() {
    replay("websocket", |_, bytes| oracle::websocket::websocket(bytes));
}

/// The record was compared with hyper when it was written. To read it, hyper is not needed.
#[test]
fn heads_are_accepted_and_refused_as_recorded() {
    let record = fs::read_to_string(corpus().join("differential.txt")).unwrap();
    replay("differential", |name, bytes| {
        let line = record.lines().find(|line| line.starts_with(name)).unwrap();
        let ours = line.split('\t').nth(1).unwrap();
        assert_eq!(oracle::differential::ours(bytes).to_string(), ours);
    });
    let explained = fs::read_to_string(corpus().join("../differences.md")).unwrap();
    for line in record.lines() {
        let words = line.split('\t').nth(3).unwrap();
        assert!(words == "-" || explained.contains(words), "{words}");
    }
}
