//! Streams that never end by themselves learn that their server shuts down.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::server::DEADLINE;
use futures_lite::{AsyncReadExt, AsyncWriteExt, stream};
use waterwheel::http::web::events::{Event, Events, Feed};
use waterwheel::http::{Limits, Numbers, Request, Responded, Result, Server, StatusCode, Upgraded};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{block_on, join, race, spawn, spawn_blocking};

const CHAT: &str = "Connection: upgrade\r\nUpgrade: chat\r\n";

/// Sends a request with these fields.
fn asking(address: SocketAddr, path: &str, fields: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").unwrap();
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// An echo that sends a goodbye when the server ends.
async fn polite(mut stream: Upgraded) -> std::io::Result<()> {
    let shutdown = stream.shutdown_signal();
    let mut piece = [0; 64];
    loop {
        let ended = async {
            shutdown.wait().await;
            Ok(0)
        };
        match race(stream.read(&mut piece), ended).await? {
            0 => break,
            count => stream.write_all(&piece[..count]).await?,
        }
    }
    stream.write_all(b"goodbye").await?;
    stream.close().await
}

/// Answers `/feed`, `/always`, `/ticks` and `/wait` without an end, and upgrades all others.
async fn handler(request: Request<'_>, feed: &Feed) -> Result<Responded> {
    let shutdown = request.shutdown_signal();
    match request.path() {
        "/feed" => {
            let events = feed.subscribe();
            Events::start(request).await?.send_all(events).await
        }
        "/always" => {
            let events = stream::repeat(Event::new("x"));
            Events::start(request).await?.send_all(events).await
        }
        "/ticks" => {
            let mut body = request.start(StatusCode::OK, ()).await?;
            let period = Duration::from_millis(10);
            while timeout(period, shutdown.wait()).await.is_err() {
                body.write("tick ").await?;
            }
            body.write("end").await?;
            body.finish().await
        }
        "/wait" => {
            shutdown.wait().await;
            request.respond(StatusCode::OK, "no news", ()).await
        }
        path => {
            let is_rude = path == "/rude";
            let (responded, upgrade) = request.upgrade("chat", ()).await?;
            spawn(async move {
                let mut stream = upgrade.await?;
                if is_rude {
                    let read = stream.read(&mut [0; 1]).await;
                    assert_eq!(
                        read.unwrap_err().kind(),
                        std::io::ErrorKind::ConnectionAborted
                    );
                    return Ok(());
                }
                polite(stream).await
            })
            .detach();
            Ok(responded)
        }
    }
}

#[test]
fn a_server_with_open_feeds_and_upgrades_ends_quickly_and_counts_them() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let feed = Feed::default();
        let clients = spawn_blocking(move || {
            let feeds: Vec<_> = (0..10).map(|_| asking(address, "/feed", "")).collect();
            let others: Vec<_> = ["/always", "/ticks", "/wait"]
                .map(|path| asking(address, path, ""))
                .into();
            let mut upgraded: Vec<_> = (0..5).map(|_| asking(address, "/chat", CHAT)).collect();
            for stream in &mut upgraded {
                stream.write_all(b"hello").unwrap();
            }
            let read = |streams: Vec<TcpStream>| {
                let readers = streams
                    .into_iter()
                    .map(|stream| thread::spawn(move || rest(stream)));
                let readers: Vec<_> = readers.collect();
                let texts = readers.into_iter().map(|reader| reader.join().unwrap());
                texts.collect::<Vec<_>>()
            };
            (read(feeds), read(others), read(upgraded))
        });
        let published = feed.clone();
        let ending = async {
            // A connection is in flight before its handler has subscribed.
            let all = |numbers: Numbers| numbers.in_flight == 13 && numbers.upgraded == 5;
            while published.subscribers() < 10 || !all(server.numbers()) {
                sleep(Duration::from_millis(5)).await;
            }
            published.publish(&Event::new("last"));
            let start = Instant::now();
            let report = server.shutdown(DEADLINE).await;
            assert!(start.elapsed() < Duration::from_secs(3), "{report}");
            report
        };
        let serve = server.serve(async move |request: Request<'_>| handler(request, &feed).await);
        let ((outcome, report), texts) = join(join(serve, ending), clients).await;
        outcome.unwrap();
        assert_eq!(
            report.to_string(),
            "13 connections finished, 5 ended after an upgrade"
        );
        let (feeds, others, upgraded) = texts.unwrap();
        for text in feeds {
            assert!(text.ends_with("data: last\n\n\r\n0\r\n\r\n"), "{text}");
        }
        assert!(others[0].ends_with("\r\n0\r\n\r\n"), "{}", others[0].len());
        assert!(others[1].ends_with("end\r\n0\r\n\r\n"), "{}", others[1]);
        assert!(others[2].ends_with("\r\n\r\nno news"), "{}", others[2]);
        for text in upgraded {
            assert!(text.ends_with("\r\n\r\nhellogoodbye"), "{text}");
        }
    });
}

#[test]
fn a_stream_that_ignores_the_end_is_cut_after_the_grace() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let client = spawn_blocking(move || rest(asking(address, "/rude", CHAT)));
        let ending = async {
            while server.numbers().upgraded < 1 {
                sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(server.connections(), 1, "the stream counts as a connection");
            server.shutdown(Duration::from_millis(300)).await
        };
        let feed = Feed::default();
        let serve = server.serve(async move |request: Request<'_>| handler(request, &feed).await);
        let ((outcome, report), text) = join(join(serve, ending), client).await;
        outcome.unwrap();
        assert_eq!(report.to_string(), "1 connection cut");
        assert_eq!(server.connections(), 0);
        assert!(text.unwrap().starts_with("HTTP/1.1 101 "));
    });
}

#[test]
fn an_upgraded_connection_keeps_its_place_among_those_of_its_peer() {
    block_on(async {
        let builder = Server::builder()
            .limits(Limits::default().with(|limits| limits.connections_per_peer_max = Some(1)));
        let server = builder.bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let client = async {
            let first = spawn_blocking(move || asking(address, "/", CHAT)).await;
            while server.numbers().upgraded < 1 {
                sleep(Duration::from_millis(5)).await;
            }
            let second = spawn_blocking(move || rest(asking(address, "/", ""))).await;
            assert!(second.unwrap().starts_with("HTTP/1.1 429 "));
            drop(first.unwrap());
            while server.connections() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
            let third = spawn_blocking(move || rest(asking(address, "/wait", "")));
            let third = spawn(third);
            while server.numbers().requests < 2 {
                sleep(Duration::from_millis(5)).await;
            }
            join(server.shutdown(DEADLINE), third).await
        };
        let feed = Feed::default();
        let serve = server.serve(async move |request: Request<'_>| handler(request, &feed).await);
        let (ended, outcome) = join(timeout(DEADLINE, client), serve).await;
        let (report, third) = ended.unwrap();
        outcome.unwrap();
        assert_eq!(report.turned_away, 0);
        assert!(third.unwrap().unwrap().starts_with("HTTP/1.1 200 "));
    });
}
