//! The WebSockets of other projects, against the `websocket` example, which returns each message.
//!
//! kosoku runs the cases of the Autobahn testsuite. A test of a program that is not installed is skipped. Cargo builds
//! the example for a run of all tests. Before `--test others` alone, build it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, client};

use crate::browser::folder;
use crate::support::programs::{Owned, python_with, run, start_example, tool};
use crate::support::tls::Authority;

fn start(arguments: &[&str]) -> (Owned, SocketAddr) {
    start_example("websocket", &[&["127.0.0.1:0"], arguments].concat())
}

fn script(name: &str) -> String {
    format!(
        "{}/tests/others/websockets/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// Runs the sections of the Autobahn testsuite whose cases begin with one of these, and returns the number of cases.
fn autobahn(name: &str, server: &[&str], sections: &[&str]) -> Option<usize> {
    let kosoku = tool("kosoku")?;
    let (_server, address) = start(server);
    let reports = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("autobahn")
        .join(name);
    drop(fs::remove_dir_all(&reports));
    let mut command = Command::new(kosoku);
    command.arg("-o").arg(&reports).arg(address.to_string());
    for section in sections {
        command.args(["-i", section]);
    }
    run(&mut command).expect_success();
    let mut cases = 0;
    for entry in fs::read_dir(reports).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let case: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let Some(behavior) = case["behavior"].as_str() else {
            continue;
        };
        // "NON-STRICT" is no failure for the suite, but it is one here.
        let passed = ["OK", "INFORMATIONAL"];
        assert!(passed.contains(&behavior), "{}: {behavior}", path.display());
        let close = case["behaviorClose"].as_str().unwrap_or_default();
        assert!(passed.contains(&close), "{}: {close}", path.display());
        cases += 1;
    }
    Some(cases)
}

#[test]
fn the_cases_of_autobahn_pass() {
    let sections = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];
    let Some(cases) = autobahn("plain", &[], &sections) else {
        return;
    };
    assert!(cases >= 246, "{cases}");
}

#[test]
fn the_cases_of_autobahn_pass_with_large_and_many_messages() {
    let Some(cases) = autobahn("large", &[], &["9.1.*", "9.2.*", "9.7.*"]) else {
        return;
    };
    assert!(cases >= 12, "{cases}");
}

#[test]
fn the_cases_of_autobahn_pass_with_compression() {
    for choice in ["anew", "across"] {
        // A few of 216, because each has a thousand messages. All of them were run once, and passed.
        let sections = [
            "12.1.4", "12.2.5", "12.3.2", "13.1.4", "13.2.3", "13.4.2", "13.7.4",
        ];
        let Some(cases) = autobahn(choice, &["--compress", choice], &sections) else {
            return;
        };
        assert_eq!(cases, 7);
    }
}

/// Runs a client against `ws:` and `wss:`, with each choice of compression. The client gets a URL, and trusts `root`.
fn talk_to_it(name: &str, client: impl Fn(&str, &Path) -> Command) {
    let folder = folder(name);
    let authority = Authority::new();
    let (certificate, key) = authority.server(&["localhost"]).pem();
    let files = ["cert.pem", "key.pem", "root.pem"].map(|name| folder.join(name));
    for (file, text) in files.iter().zip([certificate, key, authority.root_pem()]) {
        fs::write(file, text).unwrap();
    }
    let secure = [
        "--tls",
        files[0].to_str().unwrap(),
        files[1].to_str().unwrap(),
    ];
    for choice in [&[][..], &["--compress", "anew"], &["--compress", "across"]] {
        let (_server, address) = start(choice);
        run(&mut client(&format!("ws://{address}"), &files[2])).expect_success();
        let (_server, address) = start(&[choice, &secure].concat());
        let url = format!("wss://localhost:{}", address.port());
        run(&mut client(&url, &files[2])).expect_success();
    }
}

#[test]
fn node_talks_to_it_also_over_tls() {
    let Some(node) = tool("node") else {
        return;
    };
    talk_to_it("node-websockets", |url, root| {
        let mut command = Command::new(&node);
        command.env("NODE_EXTRA_CA_CERTS", root);
        command.args(["--experimental-websocket", &script("client.mjs"), url]);
        command
    });
}

#[test]
fn the_websockets_of_python_talk_to_it_also_over_tls() {
    let Some(python) = python_with("websockets") else {
        return;
    };
    talk_to_it("python-websockets", |url, root| {
        let mut command = Command::new(&python);
        command.env("SSL_CERT_FILE", root);
        command.args([script("client.py"), url.to_owned()]);
        command
    });
}

#[test]
fn tungstenite_talks_to_it() {
    let (_server, address) = start(&[]);
    for path in ["/", "/split"] {
        let stream = TcpStream::connect(address).unwrap();
        let config = WebSocketConfig::default()
            .max_message_size(Some(64 << 20))
            .max_frame_size(Some(64 << 20));
        let url = format!("ws://{address}{path}");
        let (mut socket, answer) = client::client_with_config(url, stream, Some(config)).unwrap();
        assert_eq!(answer.status().as_u16(), 101);
        for len in [0, 1, 125, 126, 65_535, 65_536, 5_000_000] {
            let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
            socket.send(Message::binary(bytes.clone())).unwrap();
            assert_eq!(socket.read().unwrap(), Message::binary(bytes));
            socket.send(Message::text("ü".repeat(len / 2))).unwrap();
            assert_eq!(socket.read().unwrap(), Message::text("ü".repeat(len / 2)));
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    }
}
