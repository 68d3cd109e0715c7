//! The last second of a server: its report, streams of other protocols, and shutdowns that meet.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::support::process::alone;
use crate::support::server::DEADLINE;
use futures_lite::AsyncWriteExt;
use rustix::process::Signal;
use waterwheel::http::web::events::{Event, Events, Feed};
use waterwheel::http::{Handler, Report, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{block_on, join, signal, spawn, spawn_blocking};

const OFFER: &str = "Host: x\r\nConnection: upgrade\r\nUpgrade: mill\r\n\r\n";

fn asking(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\n{OFFER}").unwrap();
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes)); // a cut connection may be reset
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Serves beside `clients`, who get the server.
fn beside<T>(handler: impl Handler, clients: impl AsyncFn(Rc<Server>) -> T) -> T {
    block_on(async {
        let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
        let both = join(server.serve(handler), clients(server.clone()));
        let (ended, result) = timeout(DEADLINE, both).await.unwrap();
        ended.unwrap();
        result
    })
}

/// Waits for a moment in which the server has handled what the clients have sent.
async fn a_moment() {
    sleep(Duration::from_millis(100)).await;
}

async fn handler(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/hold" => sleep(Duration::from_secs(60)).await,
        "/late" => {
            request.shutdown_signal().wait().await;
            let (responded, upgrade) = request.upgrade("mill", ()).await?;
            spawn(async {
                let mut stream = upgrade.await?;
                stream.shutdown_signal().wait().await;
                stream.write_all(b"goodbye").await?;
                stream.close().await
            })
            .detach();
            return Ok(responded);
        }
        "/flood" => {
            let (responded, upgrade) = request.upgrade("mill", ()).await?;
            spawn(async {
                let mut stream = upgrade.await?;
                loop {
                    stream.write_all(&[b'x'; 16384]).await?;
                }
                #[allow(unreachable_code, reason = "it has the type of the error")]
                std::io::Result::Ok(())
            })
            .detach();
            return Ok(responded);
        }
        "/kept" => {
            let (responded, upgrade) = request.upgrade("mill", ()).await?;
            spawn(async {
                let _kept = upgrade.await?;
                sleep(Duration::from_secs(60)).await;
                std::io::Result::Ok(())
            })
            .detach();
            return Ok(responded);
        }
        _ => {}
    }
    request.respond(StatusCode::OK, "here", ()).await
}

#[test]
fn shutdowns_that_meet_return_one_report() {
    let reports = beside(handler, async |server| {
        let clients = [
            asking(server.local_address(), "/hold"),
            asking(server.local_address(), "/"),
        ];
        a_moment().await;
        let patient = server.shutdown(Duration::from_secs(60));
        let hasty = async {
            a_moment().await;
            server.shutdown(Duration::from_millis(50)).await
        };
        let (first, second) = join(patient, hasty).await;
        drop(clients);
        [first, second, server.report().unwrap()]
    });
    let counts = reports.map(|report| (report.finished + report.idle, report.cut));
    assert_eq!(counts, [(1, 1); 3], "{reports:?}");
    assert_eq!(reports[0], reports[1]);
}

#[test]
fn the_longest_grace_ends_with_the_last_request_and_no_grace_cuts_at_once() {
    let report = beside(handler, async |server| {
        let client = asking(server.local_address(), "/");
        a_moment().await;
        let report = server.shutdown(Duration::MAX).await;
        drop(client);
        report
    });
    assert_eq!(report.cut, 0, "{report}");
    let begin = Instant::now();
    let report = beside(handler, async |server| {
        let client = asking(server.local_address(), "/hold");
        a_moment().await;
        let report = server.shutdown(Duration::ZERO).await;
        drop(client);
        report
    });
    assert_eq!((report.cut, report.finished), (1, 0), "{report}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_upgrade_during_the_shutdown_is_told_and_counted_once() {
    let (report, text) = beside(handler, async |server| {
        let client = asking(server.local_address(), "/late");
        a_moment().await;
        let report = server.shutdown(Duration::from_secs(5)).await;
        (report, spawn_blocking(move || rest(client)).await.unwrap())
    });
    assert!(
        text.starts_with("HTTP/1.1 101 ") && text.ends_with("goodbye"),
        "{text}"
    );
    let counts = (report.upgraded, report.finished, report.idle, report.cut);
    assert_eq!(counts, (1, 0, 0, 0), "{report}");
}

#[test]
fn streams_whose_clients_or_tasks_do_not_read_are_cut_and_counted_once() {
    for path in ["/flood", "/kept"] {
        let report = beside(handler, async |server| {
            let client = asking(server.local_address(), path);
            a_moment().await;
            let report = server.shutdown(Duration::from_millis(200)).await;
            drop(client);
            report
        });
        let counts = (report.upgraded, report.finished, report.idle, report.cut);
        assert_eq!(counts, (0, 0, 0, 1), "{path}: {report}");
    }
}

#[test]
fn a_feed_ends_beside_clients_that_have_left_and_clients_that_do_not_read() {
    let feed = Rc::new(Feed::default());
    let watched = feed.clone();
    let handler = async move |request: Request<'_>| {
        let subscription = watched.subscribe();
        Events::start(request).await?.send_all(subscription).await
    };
    let report: Report = beside(handler, async |server| {
        let address = server.local_address();
        let gone = asking(address, "/");
        let silent = asking(address, "/");
        let reads = asking(address, "/");
        let reads = spawn_blocking(move || rest(reads));
        while feed.subscribers() < 3 {
            sleep(Duration::from_millis(5)).await;
        }
        drop(gone);
        for _ in 0..200 {
            feed.publish(&Event::new("x".repeat(100_000)));
            sleep(Duration::from_millis(1)).await;
        }
        let begin = Instant::now();
        let report = server.shutdown(Duration::from_secs(2)).await;
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert!(reads.await.unwrap().ends_with("\r\n0\r\n\r\n"));
        drop(silent);
        report
    });
    assert_eq!(report.finished + report.idle + report.cut, 2, "{report}");
    assert!(report.cut <= 1, "{report}");
}

#[test]
fn a_stopper_ends_a_loop_of_the_users_own_that_waits_for_signals() {
    block_on(async {
        let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
        let stopper = server.stopper();
        let (ending, signals) = (server.clone(), signal::shutdown());
        let ending = spawn(async move { ending.shutdown_on(signals).await });
        let client = asking(server.local_address(), "/");
        let accept_loop = async {
            loop {
                match server.accept_request(handler).await {
                    Err(error) if error.is_closed() => break,
                    accepted => accepted.unwrap(),
                }
            }
            ending.await.unwrap().unwrap()
        };
        let stop = spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(100));
            stopper.stop();
        });
        let both = join(accept_loop, stop);
        let (report, joined) = timeout(DEADLINE, both).await.unwrap();
        joined.unwrap();
        assert_eq!(report.cut, 0, "{report}");
        drop(client);
    });
}

#[test]
fn a_handler_can_stop_its_server_and_one_that_waits_for_the_end_is_cut() {
    let handler = |server: &Rc<Server>| {
        let server = server.clone();
        async move |request: Request<'_>| {
            match request.path() {
                "/stop" => server.stopper().stop(),
                _ => drop(server.shutdown(Duration::from_millis(200)).await), // waits for itself
            }
            request.respond(StatusCode::OK, "stopped", ()).await
        }
    };
    for (path, cut) in [("/stop", 0), ("/wait", 1)] {
        let (report, text) = block_on(async {
            let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
            let client = asking(server.local_address(), path);
            let client = spawn_blocking(move || rest(client));
            let ended = timeout(DEADLINE, server.serve(handler(&server))).await;
            ended.unwrap().unwrap();
            (server.report(), client.await.unwrap())
        });
        let ended_with = report.map(|report| report.cut);
        // The handler that waits is dropped, and its report with it.
        assert!(
            ended_with.is_none_or(|ended| ended == cut),
            "{path}: {ended_with:?}"
        );
        assert_eq!(
            text.ends_with("\r\n\r\nstopped"),
            cut == 0,
            "{path}: {text}"
        );
    }
}

#[test]
fn a_signal_before_the_first_accept_ends_each_server_of_a_process() {
    alone(|| {
        block_on(async {
            let servers = [(); 2].map(|()| Server::bind("127.0.0.1:0").unwrap());
            let [first, second] = [signal::shutdown(), signal::shutdown()];
            raise(Signal::TERM);
            let both = join(
                servers[0].serve_until(handler, first),
                servers[1].serve_until(handler, second),
            );
            let (first, second) = timeout(DEADLINE, both).await.unwrap();
            assert_eq!(first.unwrap(), Report::default());
            assert_eq!(second.unwrap(), Report::default());
        });
    });
}

fn raise(signal: Signal) {
    rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
}
