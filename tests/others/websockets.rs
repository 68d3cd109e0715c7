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

use crate::support::programs::{Owned, python_with, run, start_example, tool};

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

#[test]
fn node_talks_to_it() {
    let Some(node) = tool("node") else {
        return;
    };
    for choice in [&[][..], &["--compress", "anew"], &["--compress", "across"]] {
        let (_server, address) = start(choice);
        let mut command = Command::new(&node);
        command.args([
            "--experimental-websocket",
            &script("client.mjs"),
            &address.to_string(),
        ]);
        run(&mut command).expect_success();
    }
}

#[test]
fn the_websockets_of_python_talk_to_it() {
    let Some(python) = python_with("websockets") else {
        return;
    };
    for choice in [&[][..], &["--compress", "anew"], &["--compress", "across"]] {
        let (_server, address) = start(choice);
        let mut command = Command::new(&python);
        command.args([script("client.py"), address.to_string()]);
        run(&mut command).expect_success();
    }
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
