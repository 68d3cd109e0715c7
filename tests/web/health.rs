//! Health checks: on the wire through a whole drain, and with checks that hang.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use waterwheel::http::testing::TestClient;
use waterwheel::http::web::health::Health;
use waterwheel::http::{Handler, Method, Request, Responded, Result, Server, StatusCode, shared};
use waterwheel::runtime::time::{Instant, pause, sleep};
use waterwheel::runtime::{block_on, join, spawn};

use crate::support::programs::Owned;

async fn hello(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "hello\n", ()).await
}

/// Sends one request on a connection of its own. Returns the status, and the rest of the answer.
fn ask(address: SocketAddr, method: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    Ok((status.unwrap_or(0), answer))
}

/// Starts `examples/deploy`. Returns its process and its address.
fn start_unready_for(seconds: &str) -> (Owned, SocketAddr) {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/deploy");
    assert!(program.exists(), "first: cargo build --example deploy");
    let mut command = Command::new(program);
    command.arg("127.0.0.1:0").env("UNREADY_SECONDS", seconds);
    let mut example = Owned(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(example.0.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    // The rest is read, because the example writes an access log.
    thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    let (_, address) = line.trim_end().split_once("://").unwrap();
    (example, address.parse().unwrap())
}

#[test]
fn a_balancer_sees_503_from_sigterm_on_while_requests_still_succeed() {
    let (mut example, address) = start_unready_for("3");
    for path in ["/readyz", "/healthz", "/"] {
        assert_eq!(ask(address, "GET", path).unwrap().0, 200, "{path}");
    }
    kill_process(Pid::from_child(&example.0), Signal::TERM).unwrap();
    let start = std::time::Instant::now();
    while ask(address, "GET", "/readyz").unwrap().0 == 200 {
        assert!(start.elapsed() < Duration::from_secs(1));
    }
    // The rest of the three seconds is for a slow machine.
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs(1) {
        let (status, answer) = ask(address, "GET", "/readyz").unwrap();
        assert!(
            status == 503 && answer.ends_with("\r\n\r\nstopping\n"),
            "{answer}"
        );
        let (status, answer) = ask(address, "HEAD", "/readyz").unwrap();
        assert!(status == 503 && answer.ends_with("\r\n\r\n"), "{answer}");
        assert_eq!(ask(address, "GET", "/healthz").unwrap().0, 200);
        for method in ["GET", "POST"] {
            let (status, answer) = ask(address, method, "/").unwrap();
            assert!(status == 200 && answer.contains("answered by"), "{answer}");
        }
        rounds += 1;
    }
    assert!(rounds > 0);
    assert!(example.0.wait().unwrap().success());
    assert!(start.elapsed() >= Duration::from_secs(3));
    assert!(ask(address, "GET", "/healthz").is_err());
}

/// Sends one request to a handler in memory. Returns the status and the body.
async fn status_of(handler: &(impl Handler + Clone), method: Method, path: &str) -> (u16, String) {
    let mut client = TestClient::new(handler.clone());
    let answer = client.request(&method, path, &[], b"").await;
    assert_eq!(
        answer.headers.contains_key("cache-control"),
        answer.text() != "hello\n"
    );
    (answer.status.as_u16(), answer.text())
}

#[test]
fn get_and_head_of_the_two_paths_are_answered_and_all_else_is_the_handlers() {
    block_on(async {
        let server = Server::builder().without_listener();
        let handler = shared(Health::new(server.stopper()).around(hello));
        for (method, path, body) in [
            (Method::GET, "/healthz", "ok\n"),
            (Method::GET, "/readyz", "ok\n"),
            (Method::GET, "/readyz?verbose", "ok\n"),
            (Method::HEAD, "/healthz", ""),
            (Method::HEAD, "/readyz", ""),
            (Method::POST, "/readyz", "hello\n"),
            (Method::GET, "/readyz/", "hello\n"),
            (Method::GET, "/Healthz", "hello\n"),
        ] {
            let seen = status_of(&handler, method.clone(), path).await;
            assert_eq!(seen, (200, body.to_owned()), "{method} {path}");
        }
    });
}

#[test]
fn a_check_that_hangs_or_comes_late_fails_in_its_time_and_blocks_no_other_request() {
    block_on(async {
        pause();
        let server = Server::builder().without_listener();
        let health = Health::new(server.stopper())
            .check("quick", Duration::from_secs(1), async || true)
            .check("late", Duration::from_secs(1), async || {
                sleep(Duration::from_millis(1500)).await;
                true
            })
            .check("never asked", Duration::from_secs(1), async || {
                panic!("the answer is known before")
            });
        let handler = shared(health.around(hello));
        let start = Instant::now();
        let readiness = status_of(&handler, Method::GET, "/readyz");
        let others = async {
            assert_eq!(status_of(&handler, Method::GET, "/healthz").await.0, 200);
            assert_eq!(status_of(&handler, Method::GET, "/").await.0, 200);
            assert!(start.elapsed() < Duration::from_millis(900));
        };
        let (seen, ()) = join(readiness, others).await;
        assert_eq!(seen, (503, "late\n".to_owned()));
        assert!(start.elapsed() < Duration::from_millis(1200));
        let hangs = Health::new(server.stopper()).check(
            "database",
            Duration::from_secs(2),
            std::future::pending,
        );
        let handler = shared(hangs.around(hello));
        let start = Instant::now();
        let seen = status_of(&handler, Method::GET, "/readyz").await;
        assert_eq!(seen, (503, "database\n".to_owned()));
        assert!(start.elapsed() < Duration::from_millis(2200));
    });
}

#[test]
fn a_check_that_panics_fails_with_its_name() {
    block_on(async {
        let server = Server::builder().without_listener();
        let health =
            Health::new(server.stopper()).check("cache", Duration::from_secs(1), async || {
                panic!("on purpose")
            });
        let handler = shared(health.around(hello));
        let seen = status_of(&handler, Method::GET, "/readyz").await;
        assert_eq!(seen, (503, "cache\n".to_owned()));
        assert_eq!(status_of(&handler, Method::GET, "/healthz").await.0, 200);
    });
}

#[test]
fn a_server_that_is_shut_down_without_its_stopper_is_not_ready_either() {
    block_on(async {
        let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
        let ending = server.clone();
        let asks = Rc::new(std::cell::Cell::new(0));
        let count = asks.clone();
        let health =
            Health::new(server.stopper()).check("load", Duration::from_secs(1), async move || {
                count.set(count.get() + 1);
                true
            });
        let handler = shared(health.around(hello));
        let mut client = TestClient::of(&server, handler.clone());
        assert_eq!(client.get("/readyz").await.status, StatusCode::OK);
        let end = spawn(async move { ending.shutdown(Duration::from_secs(5)).await });
        sleep(Duration::from_millis(20)).await;
        let mut other = TestClient::of(&server, handler);
        let answer = other.get("/readyz").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (503, "stopping\n")
        );
        // A server that ends asks no database.
        assert_eq!(asks.get(), 1);
        drop((client, other));
        end.await.unwrap();
    });
}
