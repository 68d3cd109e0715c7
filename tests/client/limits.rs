//! Time limits under a paused clock, limits on lengths, and bodies that end too early.

use std::time::Duration;

use futures_lite::AsyncReadExt;
use waterwheel::http::Refusal;
use waterwheel::http::client::{Client, ClientBuilder, RequestErrorKind};
use waterwheel::http::testing::{MemoryStream, Torture};
use waterwheel::runtime::time::{Instant, sleep};

use crate::scripted::{Far, answering, run, run_paused, through, to};

const URI: &str = "http://mill/";
const SECOND: Duration = Duration::from_secs(1);

/// Sends a GET with a client whose limits differ, and returns the kind of the error with the whole seconds until it.
async fn fails<F: Future<Output = ()> + 'static>(
    builder: ClientBuilder,
    serve: impl Fn(usize, Far) -> F + 'static,
) -> (RequestErrorKind, u64) {
    let begin = Instant::now();
    let (client, _) = to(builder, serve);
    let failed = async { client.get(URI).send().await?.bytes().await };
    let error = failed.await.unwrap_err();
    assert!(error.is_timeout() && !error.to_string().is_empty());
    assert_eq!(client.idle_connections(), 0);
    (error.kind(), begin.elapsed().as_secs())
}

#[test]
fn each_phase_has_its_time_limit() {
    use RequestErrorKind::{BodyTimeout, ConnectTimeout, HeadTimeout, TotalTimeout};
    run_paused(async {
        // A connection that is never made.
        let never = Client::builder()
            .connector(|_| std::future::pending::<std::io::Result<MemoryStream>>());
        let begin = Instant::now();
        let error = never.clone().build().get(URI).send().await.unwrap_err();
        assert_eq!(
            (error.kind(), begin.elapsed().as_secs()),
            (ConnectTimeout, 10)
        );
        assert!(error.is_connect() && error.is_timeout());
        let begin = Instant::now();
        let request = never.build().get(URI).total_timeout(3 * SECOND);
        let error = request.send().await.unwrap_err();
        assert_eq!((error.kind(), begin.elapsed().as_secs()), (TotalTimeout, 3));

        let defaults = Client::builder;
        let silent = |_, mut far: Far| async move { far.until_closed().await };
        assert_eq!(fails(defaults(), silent).await, (HeadTimeout, 30));
        let short = defaults().head_timeout(2 * SECOND);
        assert_eq!(fails(short, silent).await, (HeadTimeout, 2));
        let total = defaults().total_timeout(Some(7 * SECOND));
        assert_eq!(fails(total, silent).await, (TotalTimeout, 7));

        let half = |_, mut far: Far| async move {
            far.head().await;
            far.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nwater")
                .await;
            far.until_closed().await;
        };
        assert_eq!(fails(defaults(), half).await, (BodyTimeout, 30));
        let total = defaults().total_timeout(Some(40 * SECOND));
        let dribbling = |_, mut far: Far| async move {
            far.head().await;
            far.send("HTTP/1.1 200 OK\r\ncontent-length: 600\r\n\r\n")
                .await;
            for _ in 0..600 {
                far.send("a").await;
                sleep(SECOND).await;
            }
        };
        assert_eq!(fails(total, dribbling).await, (TotalTimeout, 40));
    });
}

#[test]
fn a_slow_body_that_makes_progress_is_read_to_its_end() {
    run_paused(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            for piece in [
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n",
                "a",
                "b",
                "c",
            ] {
                sleep(25 * SECOND).await;
                far.send(piece).await;
            }
        });
        let response = client.get(URI).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "abc");
    });
}

#[test]
fn the_bytes_of_a_head_share_one_time_and_an_interim_answer_begins_it_again() {
    run_paused(async {
        let by_byte = |_, mut far: Far| async move {
            far.head().await;
            for byte in "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".bytes() {
                sleep(SECOND).await;
                far.send([byte]).await;
            }
        };
        let outcome = fails(Client::builder(), by_byte).await;
        assert_eq!(outcome, (RequestErrorKind::HeadTimeout, 30));
        // RFC 2518, 10.1: a server sends 102 so that the client goes on waiting.
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            for _ in 0..10 {
                sleep(20 * SECOND).await;
                far.send("HTTP/1.1 102 Processing\r\n\r\n").await;
            }
            far.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        });
        let response = client.get(URI).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
    });
}

#[test]
fn interim_answers_have_an_end() {
    run(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            // Below the limit of a head each, and above it together.
            for _ in 0..2000 {
                far.send("HTTP/1.1 102 Processing\r\n\r\n").await;
            }
            far.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        });
        let error = client.get(URI).send().await.unwrap_err();
        let refused = RequestErrorKind::Refused(Refusal::HeadTooLarge);
        assert_eq!(error.kind(), refused);
        assert_eq!(client.idle_connections(), 0);
    });
}

#[test]
fn the_time_of_a_body_runs_only_while_it_is_awaited() {
    run_paused(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na")
                .await;
            sleep(Duration::from_secs(120)).await;
            far.send("b").await;
        });
        let mut response = client.get(URI).send().await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "a");
        sleep(Duration::from_secs(100)).await;
        assert_eq!(response.chunk().await.unwrap().unwrap(), "b");
        assert!(response.chunk().await.unwrap().is_none());
    });
}

#[test]
fn an_upload_that_moves_holds_the_time_of_the_head_back() {
    run_paused(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.read_until("0\r\n\r\n").await;
            far.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        });
        let (reader, mut writer) = waterwheel::runtime::io::pipe().unwrap();
        waterwheel::runtime::spawn(async move {
            for _ in 0..5 {
                sleep(25 * SECOND).await;
                futures_lite::AsyncWriteExt::write_all(&mut writer, b"a")
                    .await
                    .unwrap();
            }
        })
        .detach();
        let response = client.post(URI).body_reader(reader, None).send().await;
        assert_eq!(response.unwrap().status().as_u16(), 200);
    });
}

#[test]
fn a_body_cut_short_is_an_error_in_each_framing() {
    use RequestErrorKind::{Closed, CutShort};
    // The bytes before the end of the connection, and the result: the body, or the kind of the error.
    let rows: &[(&str, Result<&str, RequestErrorKind>)] = &[
        ("", Err(Closed)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n", Err(CutShort)),
        ("HTTP/1.1 100 Continue\r\n\r\n", Err(CutShort)),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwate",
            Err(CutShort),
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            Err(CutShort),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwate",
            Err(CutShort),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwater\r\n",
            Err(CutShort),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwater\r\n0\r\n",
            Err(CutShort),
        ),
        ("HTTP/1.1 200 OK\r\n\r\nwater", Ok("water")),
        ("HTTP/1.0 200 OK\r\n\r\n", Ok("")),
    ];
    for (bytes, expected) in rows {
        for seed in 0..5 {
            let wrap = move |near| Torture::new(near, seed);
            let outcome = run(async {
                let (client, _) = through(Client::builder(), wrap, move |_, mut far| async move {
                    far.head().await;
                    far.send(bytes).await;
                });
                client.get(URI).send().await?.text().await
            });
            let outcome = outcome.map_err(|error| error.kind());
            assert_eq!(
                outcome.as_deref(),
                expected.as_ref().map(|text| *text),
                "{bytes:?}"
            );
        }
    }
}

#[test]
fn an_answer_with_two_readings_is_refused() {
    let rows: &[(&str, Refusal)] = &[
        ("HTTP/1.1 200 OK\nA: b\r\n\r\n", Refusal::BareLineFeed),
        (
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            Refusal::ObsoleteFold,
        ),
        ("HTTP/2.0 200 OK\r\n\r\n", Refusal::VersionUnsupported),
        ("<html>", Refusal::Version),
        ("HTTP/1.1 abc\r\n\r\n", Refusal::StatusLine),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            Refusal::ContentLengthRepeated,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            Refusal::LengthAndCoding,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            Refusal::CodingUnknown,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            Refusal::ChunkSize,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\nab\r\n",
            Refusal::BareLineFeed,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
            Refusal::ChunkEnd,
        ),
    ];
    for (bytes, refusal) in rows {
        for seed in 0..5 {
            let wrap = move |near| Torture::new(near, seed);
            run(async {
                let (client, _) = through(Client::builder(), wrap, move |_, mut far| async move {
                    far.head().await;
                    far.send(bytes).await;
                    far.until_closed().await;
                });
                let outcome = async { client.get(URI).send().await?.bytes().await };
                let error = outcome.await.unwrap_err();
                assert_eq!(
                    error.kind(),
                    RequestErrorKind::Refused(*refusal),
                    "{bytes:?}"
                );
                assert_eq!(client.idle_connections(), 0);
            });
        }
    }
}

#[test]
fn a_whole_body_has_a_limit_and_a_stream_has_none() {
    const ANSWERS: [&str; 3] = [
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nwheels",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nwhe\r\n3\r\nels\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nwheels",
    ];
    for answer in ANSWERS {
        for (max, expected) in [(6, Ok(6)), (5, Err(RequestErrorKind::BodyTooLarge))] {
            run(async {
                let builder = Client::builder().body_bytes_max(max);
                let (client, _) = to(builder, move |_, mut far| async move {
                    far.head().await;
                    far.send(answer).await;
                });
                let whole = client.get(URI).send().await.unwrap().bytes().await;
                let whole = whole.map(|body| body.len()).map_err(|error| error.kind());
                assert_eq!(whole, expected, "{answer:?}");
                let mut stream = client.get(URI).send().await.unwrap();
                let mut body = String::new();
                stream.read_to_string(&mut body).await.unwrap();
                assert_eq!(body, "wheels");
            });
        }
    }
    // An announced length takes no memory before its bytes come.
    run(async {
        let builder = Client::builder().body_bytes_max(u64::MAX);
        let (client, _) = to(builder, |_, mut far| async move {
            far.head().await;
            far.send("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\na")
                .await;
        });
        let error = client
            .get(URI)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::CutShort);
    });
}

#[test]
fn an_error_says_what_happened_and_where() {
    run(async {
        let (client, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\u{80}");
        let text = async |uri: &str| client.get(uri).send().await.unwrap_err().to_string();
        let refused = "the request cannot be sent: its URI has credentials; send an Authorization field instead";
        assert!(text("http://a:secret@mill/").await.ends_with(refused));
        assert!(!text("http://a:secret@mill/").await.contains("secret"));
        assert!(
            text("mill")
                .await
                .contains("its URI has to begin with http:// or https://")
        );
        assert!(
            text("http://mill /")
                .await
                .contains("its URI is malformed: invalid uri character")
        );
        assert!(
            text("127.0.0.1/no-scheme")
                .await
                .ends_with("its URI is malformed: invalid format; expected http://host:port/path")
        );
        assert!(text("http://mill/{a}^").await.contains("percent-encoded"));
        // RFC 9110, 4.2.1: a host is not empty.
        for host in [":8080", "[]", "[1.2.3.4]", "mill:+80", "mill:65536"] {
            let text = text(&format!("http://{host}/")).await;
            let expected = "its URI has a malformed host or port";
            assert!(
                text.ends_with(expected) || text.ends_with("invalid authority"),
                "{text}"
            );
        }
        // The port has no server. The error names the missing configuration, so it comes before the connection.
        let dead = Client::new().get("https://127.0.0.1:1/").send().await;
        assert!(
            dead.unwrap_err()
                .to_string()
                .ends_with("an https URI needs ClientBuilder::tls")
        );
        let page = || client.get("http://mill/page?token=secret");
        let unsent = page().header("x y", "").send().await.unwrap_err();
        let expected = "GET http://mill/page: the request cannot be sent: ";
        assert!(unsent.to_string().starts_with(expected), "{unsent}");
        assert_eq!(unsent.uri().unwrap(), "http://mill/page?token=secret");
        let response = page().send().await.unwrap();
        let error = response.text().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Content);
        assert!(
            error
                .to_string()
                .starts_with("GET http://mill/page: the body of the answer cannot be decoded: ")
        );
    });
}
