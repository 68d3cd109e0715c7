//! Connections that are used again, and those that must not be.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::client::{Client, RequestErrorKind};
use waterwheel::http::testing::{MemoryStream, Torture};
use waterwheel::http::tls::TlsAcceptor;
use waterwheel::http::{Limits, Method};
use waterwheel::runtime::time::{self, sleep, timeout};
use waterwheel::runtime::{spawn, yield_now};

use crate::scripted::{Far, answering, run, run_paused, through, to};
use crate::support::seeds::{SOME, dice, dropped_after, under_seeds};
use crate::support::tls::configs;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwater";
const URI: &str = "http://mill/";

/// Answers requests without bodies until the client closes.
async fn keep_answering(mut far: Far, answer: &str) {
    while !far.head().await.is_empty() {
        far.send(answer).await;
    }
}

#[test]
fn a_request_that_cannot_be_sent_costs_no_idle_connection() {
    run(async {
        let (client, connections) = answering(OK);
        let response = client.get(URI).send().await.unwrap();
        response.bytes().await.unwrap();
        let error = client.get("http://mill/{a}").send().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Request);
        assert_eq!(client.idle_connections(), 1);
        assert_eq!(connections.count(), 1);
    });
}

#[test]
fn a_connection_is_used_again_only_behind_a_clean_end() {
    // The answer to the first request, and the connections after a second one.
    let rows: &[(&str, usize)] = &[
        (OK, 1),
        ("HTTP/1.1 204 No Content\r\n\r\n", 1),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 1),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            1,
        ),
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\na",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\na",
            2,
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", 2),
        // A byte behind the answer belongs to no request (RFC 9112, 6.3).
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", 2),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 1\r\n\r\na", 2),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 1\r\n\r\na", 2),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
            2,
        ),
    ];
    for (answer, expected) in rows {
        run(async {
            let (client, connections) = answering(answer);
            for _ in 0..2 {
                let response = client.get(URI).send().await.unwrap();
                response.bytes().await.unwrap();
            }
            assert_eq!(connections.count(), *expected, "{answer:?}");
        });
    }
}

#[test]
fn a_byte_or_an_end_that_arrives_while_idle_closes_the_connection() {
    for late in ["HTTP/1.1 408 Request Timeout\r\n\r\n", ""] {
        run(async {
            let (client, connections) = to(Client::builder(), move |_, mut far| async move {
                far.head().await;
                far.send(OK).await;
                yield_now().await;
                if !late.is_empty() {
                    far.send(late).await;
                    far.until_closed().await;
                }
            });
            for _ in 0..2 {
                let response = client.post(URI).send().await.unwrap();
                assert_eq!(response.text().await.unwrap(), "water");
                for _ in 0..10 {
                    yield_now().await;
                }
            }
            assert_eq!(connections.count(), 2, "{late:?}");
        });
    }
}

/// The server answers the first request of its first connection, reads the second one, and closes without an answer.
fn racing() -> (Client, crate::scripted::Connections) {
    to(Client::builder(), |number, mut far| async move {
        far.head().await;
        far.send(OK).await;
        far.head().await;
        if number > 0 {
            far.send(OK).await;
            keep_answering(far, OK).await;
        }
    })
}

#[test]
fn a_request_that_meets_the_servers_close_is_sent_again_only_where_it_is_safe() {
    // RFC 9110, 9.2.2: the method, whether its body is a stream, and whether it is sent again.
    let rows = [
        (Method::GET, false, true),
        (Method::HEAD, false, true),
        (Method::PUT, false, true),
        (Method::DELETE, false, true),
        (Method::POST, false, false),
        (Method::PATCH, false, false),
        (Method::PUT, true, false),
    ];
    for (method, is_stream, expected) in rows {
        run(async {
            let (client, connections) = racing();
            client.get(URI).send().await.unwrap().bytes().await.unwrap();
            let request = client.request(method.clone(), URI);
            let request = if is_stream {
                request.body_reader(&b""[..], None)
            } else {
                request
            };
            let sent = request.send().await;
            let outcome = sent.map(|response| response.status().as_u16());
            let outcome = outcome.map_err(|error| error.kind());
            if expected {
                assert_eq!((outcome, connections.count()), (Ok(200), 2), "{method}");
            } else {
                let closed = Err(RequestErrorKind::Closed);
                assert_eq!((outcome, connections.count()), (closed, 1), "{method}");
            }
        });
    }
}

/// As many servers of TLS do, this one closes without a `close_notify`.
#[test]
fn a_server_of_tls_that_closes_is_met_by_the_same_rules() {
    const SECURE: &str = "https://localhost/";
    let rows = [
        (Method::GET, Ok(200)),
        (Method::POST, Err(RequestErrorKind::Closed)),
    ];
    for (method, expected) in rows {
        run(async {
            let (server, trusting) = configs();
            let acceptor = Rc::new(TlsAcceptor::new(server));
            let connections = Rc::new(Cell::new(0));
            let count = connections.clone();
            let client = Client::builder().tls(trusting).connector(move |_| {
                let (near, far) = MemoryStream::pair();
                let acceptor = acceptor.clone();
                count.set(count.get() + 1);
                let is_first = count.get() == 1;
                spawn(async move {
                    let mut stream = acceptor.accept(far).await.unwrap();
                    let mut bytes = [0; 1024];
                    for number in 0..2 {
                        let read = stream.read(&mut bytes).await;
                        if is_first && number == 1 || read.is_err() {
                            return;
                        }
                        stream.write_all(OK.as_bytes()).await.unwrap();
                        stream.flush().await.unwrap();
                    }
                })
                .detach();
                async { Ok(near) }
            });
            let client = client.build();
            client
                .get(SECURE)
                .send()
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            let sent = client.request(method.clone(), SECURE).send().await;
            let outcome = sent.map(|response| response.status().as_u16());
            assert_eq!(outcome.map_err(|error| error.kind()), expected, "{method}");
            assert_eq!(connections.get(), if expected.is_ok() { 2 } else { 1 });
        });
    }
}

#[test]
fn a_request_on_a_new_connection_is_sent_once() {
    run(async {
        let (client, connections) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
        });
        let error = client.get(URI).send().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Closed);
        assert_eq!(connections.count(), 1);
    });
}

#[test]
fn a_request_whose_answer_has_begun_is_not_sent_again() {
    run(async {
        let (client, connections) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.send(OK).await;
            far.head().await;
            far.send("H").await;
        });
        client.get(URI).send().await.unwrap().bytes().await.unwrap();
        let error = client.get(URI).send().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::CutShort);
        assert_eq!(connections.count(), 1);
    });
}

#[test]
fn a_retry_is_not_retried() {
    run(async {
        // Each second request of a connection fails, and so does the first one of the second connection.
        let (client, connections) = to(Client::builder(), |number, mut far| async move {
            far.head().await;
            if number == 0 {
                far.send(OK).await;
                far.head().await;
            }
        });
        client.get(URI).send().await.unwrap().bytes().await.unwrap();
        let error = client.get(URI).send().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Closed);
        assert_eq!(connections.count(), 2);
    });
}

#[test]
fn a_dropped_response_closes_its_connection_unless_all_of_it_is_here() {
    run(async {
        // The whole body arrives with the head.
        let (client, connections) = answering(OK);
        client.get(URI).send().await.unwrap().bytes().await.unwrap();
        drop(client.get(URI).send().await.unwrap());
        assert_eq!((client.idle_connections(), connections.count()), (1, 1));
        client.get(URI).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(connections.count(), 1);
    });
    run(async {
        let closed = Rc::new(Cell::new(false));
        let seen = closed.clone();
        let (client, connections) = to(Client::builder(), move |_, mut far| {
            let seen = seen.clone();
            async move {
                far.head().await;
                far.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nwater")
                    .await;
                far.until_closed().await;
                seen.set(true);
            }
        });
        let mut response = client.get(URI).send().await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "water");
        drop(response);
        assert_eq!((client.idle_connections(), connections.count()), (0, 1));
        while !closed.get() {
            yield_now().await;
        }
    });
}

#[test]
fn a_dropped_send_closes_its_connection() {
    run(async {
        let closed = Rc::new(Cell::new(0));
        let seen = closed.clone();
        let (client, _) = to(Client::builder(), move |_, mut far| {
            let seen = seen.clone();
            async move {
                far.head().await;
                far.send("HTTP/1.1 200 OK\r\n").await; // half a head
                far.until_closed().await;
                seen.set(seen.get() + 1);
            }
        });
        for number in 1..4 {
            let sent = timeout(Duration::from_millis(5), client.get(URI).send()).await;
            assert!(sent.is_err());
            assert_eq!(client.idle_connections(), 0);
            while closed.get() < number {
                yield_now().await;
            }
        }
    });
}

/// The request has left as a whole, and its answer comes when the next request waits.
#[test]
fn the_answer_to_a_dropped_send_reaches_no_other_request() {
    for begun in ["", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        run(async {
            let (client, connections) = to(Client::builder(), move |number, mut far| async move {
                far.head().await;
                far.send(OK).await;
                if number == 0 {
                    far.head().await;
                    far.send(begun).await;
                    sleep(Duration::from_millis(20)).await;
                    far.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale")
                        .await;
                }
                far.until_closed().await;
            });
            // A task that closes idle connections is at work from here on.
            client.get(URI).send().await.unwrap().bytes().await.unwrap();
            let sent = timeout(Duration::from_millis(5), client.get(URI).send()).await;
            assert!(sent.is_err());
            assert_eq!(client.idle_connections(), 0);
            let next = client.get(URI).send().await.unwrap();
            assert_eq!(next.text().await.unwrap(), "water", "{begun:?}");
            assert_eq!(connections.count(), 2);
        });
    }
}

/// Requests that are dropped at any poll, over a transport that waits wherever it may.
#[test]
fn an_answer_reaches_only_its_own_request() {
    under_seeds(SOME, |seed| async move {
        let wrap = move |near| Torture::new(near, seed);
        let (client, _) = through(Client::builder(), wrap, move |number, mut far| async move {
            let mut dice = dice(seed + number as u64);
            loop {
                let head = far.head().await;
                let Some(path) = head.split(' ').nth(1) else {
                    return;
                };
                for _ in 0..dice(4) {
                    yield_now().await;
                }
                if dice(4) == 0 {
                    far.send("HTTP/1.1 103 Early Hints\r\n\r\n").await;
                }
                let length = path.len();
                far.send(format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{path}"
                ))
                .await;
            }
        });
        let mut dice = dice(seed);
        for number in 0..20 {
            let path = format!("/{number}");
            let request = client.get(format!("http://mill{path}"));
            let asked = async { request.send().await?.text().await };
            if let Some(answer) = dropped_after(dice(40), asked).await {
                assert_eq!(answer.unwrap(), path);
            }
        }
    });
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    // The answer's Keep-Alive, and the seconds until the close.
    let rows = [
        ("", 20),
        ("keep-alive: timeout=5\r\n", 4),
        ("keep-alive: timeout=60\r\n", 20),
    ];
    for (field, seconds) in rows {
        run_paused(async {
            let (client, connections) = answering(format!(
                "HTTP/1.1 200 OK\r\n{field}content-length: 0\r\n\r\n"
            ));
            drop(client.get(URI).send().await.unwrap());
            time::advance(Duration::from_millis(seconds * 1000 - 10)).await;
            assert_eq!(client.idle_connections(), 1, "{field}");
            drop(client.get(URI).send().await.unwrap());
            assert_eq!(connections.count(), 1);
            time::advance(Duration::from_millis(seconds * 1000 - 10)).await;
            assert_eq!(client.idle_connections(), 1, "its time begins again");
            time::advance(Duration::from_millis(20)).await;
            sleep(Duration::from_millis(1)).await;
            assert_eq!(client.idle_connections(), 0, "{field}");
            // And the next one is watched again.
            drop(client.get(URI).send().await.unwrap());
            time::advance(Duration::from_secs(seconds + 1)).await;
            sleep(Duration::from_millis(1)).await;
            assert_eq!((client.idle_connections(), connections.count()), (0, 2));
        });
    }
}

#[test]
fn a_short_keep_alive_is_not_used_again() {
    for seconds in [0, 1] {
        run(async {
            let (client, _) = answering(format!(
                "HTTP/1.1 200 OK\r\nkeep-alive: timeout={seconds}\r\ncontent-length: 0\r\n\r\n"
            ));
            drop(client.get(URI).send().await.unwrap());
            assert_eq!(client.idle_connections(), 0);
        });
    }
}

#[test]
fn the_pool_keeps_a_number_of_connections_for_each_host() {
    run(async {
        let builder = Client::builder().idle_per_host_max(2);
        let (client, connections) = to(builder, |_, far| keep_answering(far, OK));
        let mut responses = Vec::new();
        for _ in 0..3 {
            responses.push(client.get(URI).send().await.unwrap());
        }
        for response in responses {
            response.bytes().await.unwrap();
        }
        assert_eq!((client.idle_connections(), connections.count()), (2, 3));
        let other = client.get("http://other/").send().await.unwrap();
        other.bytes().await.unwrap();
        assert_eq!((client.idle_connections(), connections.count()), (3, 4));
        // Hosts compare in any case.
        client
            .get("http://MILL/")
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(connections.count(), 4);
        client.close_idle();
        assert_eq!(client.idle_connections(), 0);
    });
    run(async {
        for builder in [
            Client::builder().idle_per_host_max(0),
            Client::builder().idle_timeout(Duration::ZERO),
        ] {
            let (client, _) = to(builder, |_, far| keep_answering(far, OK));
            client.get(URI).send().await.unwrap().bytes().await.unwrap();
            assert_eq!(client.idle_connections(), 0);
        }
    });
}

#[test]
fn a_clone_shares_the_pool_and_a_client_may_end_first() {
    run(async {
        let (client, connections) = answering(OK);
        client
            .clone()
            .get(URI)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        client.get(URI).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(connections.count(), 1);
        let response = client.get(URI).send().await.unwrap();
        drop(client);
        assert_eq!(response.text().await.unwrap(), "water");
    });
}

#[test]
fn a_response_may_be_dropped_behind_its_runtime() {
    let response = run(async {
        let (client, _) = answering(OK);
        client.get(URI).send().await.unwrap()
    });
    drop(response);
}

#[test]
fn a_limit_on_heads_ends_the_connection() {
    run(async {
        let limits = Limits::DEFAULT.with(|limits| limits.fields_max = 1);
        let builder = Client::builder().limits(limits);
        let (client, connections) = to(builder, |_, far| {
            keep_answering(far, "HTTP/1.1 204 a\r\nA: b\r\nC: d\r\n\r\n")
        });
        for _ in 0..2 {
            let error = client.get(URI).send().await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "GET http://mill/: the answer is malformed or above a limit: too many fields"
            );
        }
        assert_eq!((client.idle_connections(), connections.count()), (0, 2));
    });
}
