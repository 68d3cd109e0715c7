//! Claims about dumps of a runtime with a server: each connection and each handler has a reason.

use std::future::Future;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use waterwheel::http::client::Client;
use waterwheel::http::{Limits, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::inspect::{self, Dump, Explain};
use waterwheel::runtime::time::sleep;
use waterwheel::runtime::{Runtime, join, net, spawn, task};

use crate::support::runtime::within_deadline;

async fn handler(request: Request<'_>) -> Result<Responded> {
    if request.path() == "/slow" {
        sleep(Duration::from_secs(3_600)).await;
    }
    request.respond(StatusCode::OK, "here", ()).await
}

/// Runs a server beside a test, in a runtime that records why its tasks wait.
fn with_server<F: Future<Output = ()>>(test: impl FnOnce(Rc<Server>, SocketAddr) -> F) {
    within_deadline(|| {
        let settings = Explain::default();
        let runtime = Runtime::builder().explain(settings).build().unwrap();
        runtime.block_on(async {
            let limits = Limits::default();
            let server = Server::builder().limits(limits).bind("127.0.0.1:0");
            let server = Rc::new(server.unwrap());
            let address = server.local_address();
            let serving = server.clone();
            spawn(async move { serving.serve(handler).await }).detach();
            test(server, address).await;
        });
    });
}

/// Dumps until a dump has `part` by this check, and returns the dump.
async fn dump_that(part: &str, has_part: impl Fn(&Dump) -> bool) -> Dump {
    let began = Instant::now();
    loop {
        let dump = inspect::dump();
        if has_part(&dump) {
            return dump;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "no {part} in:\n{dump}"
        );
        sleep(Duration::from_millis(1)).await;
    }
}

/// Dumps until the text of a dump has this part, and returns the dump.
async fn dump_with(part: &str) -> Dump {
    dump_that(part, |dump| dump.to_string().contains(part)).await
}

#[test]
fn each_connection_shows_its_phase_and_each_handler_its_request() {
    with_server(async |_, address| {
        let dump = dump_with("accept loop > [accept fd ").await;
        assert!(
            dump.to_string().contains(&format!(" on {address}")),
            "{dump}"
        );
        // A client that has sent nothing, one with a part of a head, one that waits between two requests, and one whose
        // handler waits.
        let connect = || TcpStream::connect(address).unwrap();
        let quiet = connect();
        let mut partial = connect();
        partial.write_all(b"GET / HT").unwrap();
        let mut idle = connect();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut slow = connect();
        slow.write_all(b"GET /slow?key=secret HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let rows = [
            (&quiet, "connection(first request) > read fd "),
            (&partial, "connection(reading head) > read fd "),
            (&idle, "connection(idle) > read fd "),
            (&slow, "connection(handling) > handler(GET /slow) > sleep("),
        ];
        for (client, text) in rows {
            let dump = dump_with(text).await.to_string();
            let line = dump.lines().find(|line| line.contains(text)).unwrap();
            // A connection that reads shows its peer, which is the client.
            let peer = format!(" of {}", client.local_addr().unwrap());
            assert!(line.ends_with(&peer) || line.contains("handler"), "{line}");
        }
        let dump = inspect::dump();
        assert!(!dump.to_string().contains("secret"), "{dump}");
        assert!(dump.findings().is_empty(), "{dump}");
        drop((quiet, partial, idle, slow));
    });
}

/// The tasks that a server and a client have for themselves, each with the name that it has while it waits.
#[test]
fn the_tasks_of_the_library_have_names() {
    with_server(async |_, address| {
        let mut idle = TcpStream::connect(address).unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        dump_with("reaper > sleep(").await;
        let client = Client::new();
        let answer = client.get(format!("http://{address}/")).send().await;
        assert_eq!(answer.unwrap().bytes().await.unwrap(), b"here");
        let dump = dump_with("idle connections > sleep(").await;
        assert!(dump.findings().is_empty(), "{dump}");
        drop((idle, client));
    });
}

#[test]
fn a_handler_behind_others_of_one_write_is_shown_alone() {
    with_server(async |_, address| {
        let mut client = TcpStream::connect(address).unwrap();
        let quick = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let slow = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
        client
            .write_all(format!("{quick}{quick}{quick}{slow}").as_bytes())
            .unwrap();
        let dump = dump_with("(GET /slow) > ").await.to_string();
        let shown = "connection(handling) > handler(GET /slow) > sleep(";
        assert!(dump.contains(shown), "{dump}");
        assert!(!dump.contains("handler(GET /)"), "{dump}");
    });
}

/// Runs a task in which a connection is one part among others, and dumps after these bytes of its client.
fn with_connection_in_a_task<F: Future<Output = ()> + 'static>(
    bytes: &'static str,
    task: impl FnOnce(net::TcpStream, Rc<Server>) -> F + 'static,
    expected: &'static str,
) {
    with_server(async move |server, _| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let named = task::Builder::new().name("own");
        let stream = net::TcpStream::from_std(stream).unwrap();
        named.spawn(task(stream, server)).detach();
        client.write_all(bytes.as_bytes()).unwrap();
        if bytes.ends_with("\r\n\r\n") {
            client.shutdown(Shutdown::Write).unwrap();
        }
        dump_that(expected, |dump| {
            let mut groups = dump.groups().iter();
            let own = groups.find(|group| group.name() == Some("own")).unwrap();
            let chain: Vec<_> = own.tree().iter().map(ToString::to_string).collect();
            chain.len() == 1 && chain[0].starts_with(expected)
        })
        .await;
        drop(client);
    });
}

#[test]
fn a_connection_stands_beside_the_other_futures_of_its_task() {
    with_connection_in_a_task(
        "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
        async |stream, server| {
            let connection = server.connection(stream, None).serve(handler);
            join(connection, sleep(Duration::from_secs(3_600))).await;
        },
        "join > [connection(handling) > handler(GET /slow) > sleep(",
    );
}

#[test]
fn a_connection_that_is_over_is_gone_from_its_task() {
    let close = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    with_connection_in_a_task(
        close,
        async |stream, server| {
            // The client has sent its end, so the connection is over within the poll that answers.
            server.connection(stream, None).serve(handler).await;
            sleep(Duration::from_secs(3_600)).await;
        },
        "sleep(",
    );
}

#[test]
fn a_connection_whose_time_is_over_is_gone_from_its_task() {
    with_connection_in_a_task(
        "",
        async |stream, _| {
            let mut limits = Limits::default();
            limits.head_duration_max = Duration::from_millis(50);
            let server = Server::builder()
                .limits(limits)
                .bind("127.0.0.1:0")
                .unwrap();
            server.connection(stream, None).serve(handler).await;
            sleep(Duration::from_secs(3_600)).await;
        },
        "sleep(",
    );
}

#[test]
fn a_connection_that_answers_an_overdue_head_is_shown_once() {
    with_connection_in_a_task(
        "GET / HT",
        async |stream, _| {
            let mut limits = Limits::default();
            limits.head_duration_max = Duration::from_millis(50);
            limits.linger_duration_max = Duration::from_secs(3_600);
            limits.linger_stall_duration_max = Duration::from_secs(3_600);
            let server = Server::builder()
                .limits(limits)
                .bind("127.0.0.1:0")
                .unwrap();
            server.connection(stream, None).serve(handler).await;
        },
        "connection(lingering) > ",
    );
}

#[test]
fn a_shutdown_that_waits_names_the_task_and_the_request() {
    with_server(async |server, address| {
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let dump = dump_with("handler(GET /slow)").await;
        let waits = |dump: &Dump| {
            let findings = dump.findings().iter();
            let mut found = findings.filter(|finding| finding.kind() == "shutdown waits");
            found.next().map(|finding| finding.text().to_owned())
        };
        assert_eq!(waits(&dump), None, "{dump}");
        let ending = server.clone();
        spawn(async move { ending.shutdown(Duration::from_secs(3_600)).await }).detach();
        let dump = dump_with("shutdown waits").await;
        let text = waits(&dump).unwrap();
        assert!(text.contains("waits for 1 connection: task "), "{text}");
        assert!(text.contains(" in handler GET /slow for "), "{text}");
        drop(slow);
    });
}
