//! Clients of other projects, alone and through proxies of other projects.
//!
//! Each talks to the `echo` example, which returns the bytes that it receives. A test of a program that is not
//! installed is skipped. Cargo builds the example for a run of all tests. Before `--test others` alone, build it.

mod curl;
mod front;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::programs::{python_with, run, tool};
use curl::Curl;
use front::{BODY_BYTES_MAX, Front, Via};

#[test]
fn curl_downloads() {
    curl_claims(Via::Direct, curl::GETS);
}

#[test]
fn curl_uploads() {
    curl_claims(Via::Direct, curl::UPLOADS);
}

#[test]
fn curl_sees_refusals() {
    curl_claims(Via::Direct, curl::REFUSALS);
}

#[test]
fn curl_downloads_through_nginx() {
    curl_claims(Via::Nginx, curl::GETS);
}

#[test]
fn curl_uploads_through_nginx() {
    curl_claims(Via::Nginx, curl::UPLOADS);
}

#[test]
fn curl_sees_refusals_through_nginx() {
    curl_claims(Via::Nginx, curl::REFUSALS);
}

#[test]
fn nginx_uses_its_connection_again() {
    curl_claims(Via::Nginx, curl::SHARES);
}

#[test]
fn curl_downloads_through_haproxy() {
    curl_claims(Via::HAProxy, curl::GETS);
}

#[test]
fn curl_uploads_through_haproxy() {
    curl_claims(Via::HAProxy, curl::UPLOADS);
}

#[test]
fn curl_sees_refusals_through_haproxy() {
    curl_claims(Via::HAProxy, curl::REFUSALS);
}

#[test]
fn haproxy_uses_its_connection_again() {
    curl_claims(Via::HAProxy, curl::SHARES);
}

#[test]
fn wrk_sees_no_error() {
    wrk(Via::Direct);
}

#[test]
fn wrk_sees_no_error_through_nginx() {
    wrk(Via::Nginx);
}

#[test]
fn wrk_sees_no_error_through_haproxy() {
    wrk(Via::HAProxy);
}

#[test]
fn node_fetch_is_served() {
    script(Via::Direct, tool("node"), "fetch.mjs");
}

#[test]
fn node_fetch_is_served_through_nginx() {
    script(Via::Nginx, tool("node"), "fetch.mjs");
}

#[test]
fn node_fetch_is_served_through_haproxy() {
    script(Via::HAProxy, tool("node"), "fetch.mjs");
}

#[test]
fn python_http_client_is_served() {
    script(Via::Direct, python_with("http.client"), "http_client.py");
}

#[test]
fn python_http_client_is_served_through_nginx() {
    script(Via::Nginx, python_with("http.client"), "http_client.py");
}

#[test]
fn python_http_client_is_served_through_haproxy() {
    script(Via::HAProxy, python_with("http.client"), "http_client.py");
}

#[test]
fn python_requests_is_served() {
    script(Via::Direct, python_with("requests"), "requests_client.py");
}

#[test]
fn python_requests_is_served_through_nginx() {
    script(Via::Nginx, python_with("requests"), "requests_client.py");
}

#[test]
fn python_requests_is_served_through_haproxy() {
    script(Via::HAProxy, python_with("requests"), "requests_client.py");
}

fn curl_claims(via: Via, claims: &[fn(&Curl)]) {
    let (Some(program), Some(front)) = (tool("curl"), Front::start(via)) else {
        return;
    };
    let curl = Curl::new(program, front);
    claims.iter().for_each(|claim| claim(&curl));
}

fn wrk(via: Via) {
    let (Some(program), Some(front)) = (tool("wrk"), Front::start(via)) else {
        return;
    };
    let mut command = Command::new(program);
    command.args(["-t1", "-c32", "-d1", &front.url("/")]);
    let report = run(&mut command).expect_success();
    assert!(report.contains("Requests/sec"), "{report}");
    // wrk prints a line about errors only if there were some.
    assert!(!report.contains("Socket errors"), "{report}");
    assert!(!report.contains("Non-2xx"), "{report}");
}

/// Runs a script, which fails by itself. Its arguments are the server's URL, the longest body, and the proxy.
fn script(via: Via, interpreter: Option<PathBuf>, name: &str) {
    let (Some(interpreter), Some(front)) = (interpreter, Front::start(via)) else {
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/others/clients");
    let mut command = Command::new(interpreter);
    command.arg(folder.join(name)).arg(front.url(""));
    command.args([BODY_BYTES_MAX.to_string(), format!("{via:?}")]);
    run(&mut command).expect_success();
}
