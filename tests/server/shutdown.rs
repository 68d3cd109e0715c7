//! The end of a server, and of its clients.

#![allow(clippy::print_stdout, reason = "the measurement is for readers")]
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::alone;
use crate::support::server::{DEADLINE, without_dates};
use crate::support::system::raise_limit;
use waterwheel::http::testing::TestClient;
use waterwheel::http::{Limits, Report, Request, Responded, Result, Server, StatusCode, shared};
use waterwheel::runtime::time::{self, pause, sleep, timeout};
use waterwheel::runtime::{Runtime, block_on, descriptors, join, spawn, spawn_blocking};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const LAST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nhere";
const NOT_NOW: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 33\r\nretry-after: 1\r\n\
    connection: close\r\n\r\nthe server takes no requests now\n";

/// `/hold` takes ten seconds, and `/slow` a tenth of a second. `/block` blocks its thread for a tenth of a
/// second.
async fn handler(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/hold" => sleep(Duration::from_secs(10)).await,
        "/slow" => sleep(Duration::from_millis(100)).await,
        "/block" => thread::sleep(Duration::from_millis(300)),
        _ => {}
    }
    request.respond(StatusCode::OK, "here", ()).await
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Returns a client that has sent a request.
fn asking(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream
}

/// Reads to the end. A reset is an error.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    without_dates(&String::from_utf8(bytes).unwrap())
}

/// Reads one answer whose body is "here".
fn answer(stream: &mut TcpStream) -> String {
    let (mut bytes, mut piece) = (Vec::new(), [0; 512]);
    while !bytes.ends_with(b"here") {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "closed");
        bytes.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_loop_answers_five_hundred_clients_in_the_queue_before_it_ends() {
    alone(|| {
        raise_limit();
        block_on(async {
            let server = Server::bind("127.0.0.1:0").unwrap();
            let address = server.local_address();
            let clients: Vec<_> = (0..500).map(|_| asking(address, "/")).collect();
            let (ended, report) = join(server.serve(handler), server.shutdown(DEADLINE)).await;
            ended.unwrap();
            assert_eq!(
                (report.finished, report.cut, report.turned_away),
                (500, 0, 0)
            );
            for client in clients {
                assert_eq!(rest(client), LAST);
            }
            assert!(TcpStream::connect(address).is_err());
        });
    });
}

#[test]
fn five_hundred_clients_in_the_queue_of_a_server_without_a_loop_receive_503() {
    raise_limit();
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let clients: Vec<_> = (0..500).map(|_| asking(address, "/")).collect();
        // The clients read while the server waits for their end.
        let readers = spawn_blocking(|| clients.into_iter().map(rest).collect::<Vec<_>>());
        let (report, answers) = join(server.shutdown(DEADLINE), readers).await;
        assert_eq!(report.turned_away, 500);
        assert_eq!(report.finished + report.idle + report.cut, 0, "{report}");
        for answer in answers.unwrap() {
            assert_eq!(answer, NOT_NOW);
        }
    });
}

#[test]
fn a_loop_of_the_users_own_empties_the_queue_and_learns_of_the_end() {
    block_on(async {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let clients: Vec<_> = (0..50).map(|_| asking(address, "/")).collect();
        let accept_loop = async {
            loop {
                if !server.should_accept_request() {
                    server.capacity().await;
                } else if let Err(error) = server.accept_request(handler).await
                    && error.is_fatal()
                {
                    break;
                }
            }
        };
        let ((), report) = join(accept_loop, server.shutdown(DEADLINE)).await;
        assert!(server.is_closed());
        assert_eq!(report.finished, 50);
        for client in clients {
            assert_eq!(rest(client), LAST);
        }
    });
}

#[test]
fn requests_are_finished_idle_connections_are_closed_and_the_rest_is_cut() {
    let server = Server::builder();
    let server = server.limits(
        Limits::default().with(|limits| limits.shutdown_duration_max = Duration::from_millis(400)),
    );
    let server = server.stoppable("127.0.0.1:0", || handler).unwrap();
    let address = server.local_address();
    let mut idle = connect(address);
    idle.write_all(GET).unwrap();
    answer(&mut idle);
    let silent = connect(address);
    let slow = asking(address, "/slow");
    let mut held = asking(address, "/hold");
    let mut cut_short = connect(address);
    cut_short.write_all(b"GET / HTTP").unwrap();
    thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    server.stopper().stop();
    assert_eq!(rest(slow), LAST);
    assert_eq!(rest(idle), "");
    assert_eq!(rest(silent), "");
    let report = server.join().unwrap();
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(2),
        "{took:?}"
    );
    let Report {
        finished,
        idle,
        cut,
        turned_away,
        ..
    } = report;
    assert_eq!((finished, idle, cut, turned_away), (1, 2, 2, 0), "{report}");
    assert!(matches!(held.read(&mut [0; 64]), Ok(0) | Err(_)));
}

#[test]
fn a_request_that_crosses_the_close_of_its_idle_connection_is_served() {
    block_on(async {
        let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
        let address = server.local_address();
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(handler).await }
        });
        let client = spawn_blocking(move || {
            let mut client = connect(address);
            client.write_all(GET).unwrap();
            answer(&mut client);
            client
        });
        let mut client = client.await.unwrap();
        let late = spawn_blocking(move || {
            thread::sleep(Duration::from_millis(30));
            client.write_all(GET).unwrap();
            rest(client)
        });
        let (report, late) = join(server.shutdown(DEADLINE), late).await;
        assert_eq!(late.unwrap(), LAST);
        assert_eq!(
            (report.finished, report.idle, report.cut),
            (1, 0, 0),
            "{report}"
        );
        serving.await.unwrap().unwrap();
    });
}

#[test]
fn a_connection_whose_answer_has_promised_more_has_a_moment_for_the_next_request() {
    block_on(async {
        pause();
        let server = Server::builder().without_listener();
        let handler = shared(async |request: Request<'_>| {
            if request.path() != "/long" {
                return handler(request).await;
            }
            // The head leaves before the server ends, and the body after that.
            let ending = request.shutdown_signal();
            let length = [("content-length", "4")];
            let mut body = request.start(StatusCode::OK, length).await?;
            body.write(b"he").await?;
            body.flush().await?;
            ending.wait().await;
            sleep(Duration::from_millis(300)).await;
            body.write(b"re").await?;
            body.finish().await
        });
        let mut next = TestClient::of(&server, handler.clone());
        let mut silent = TestClient::of(&server, handler);
        let clients = async {
            for client in [&mut next, &mut silent] {
                client.send(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
            }
            for client in [&mut next, &mut silent] {
                let answer = client.answer().await;
                assert_eq!(answer.text(), "here");
                assert!(!answer.headers.contains_key("connection"));
            }
            sleep(Duration::from_millis(60)).await;
            next.send(GET).await;
            let last = next.answer().await;
            assert_eq!(last.headers["connection"], "close");
            assert!(silent.read_to_end().await.is_empty());
        };
        let end = async {
            sleep(Duration::from_millis(10)).await;
            server.shutdown(DEADLINE).await
        };
        let start = time::Instant::now();
        let ((), report) = join(clients, end).await;
        // Not the whole grace. A second is for the client that reads its last answer.
        assert!(start.elapsed() < Duration::from_secs(2));
        assert_eq!(
            (report.finished, report.idle, report.cut),
            (2, 0, 0),
            "{report}"
        );
    });
}

#[test]
fn a_request_that_comes_while_the_thread_is_blocked_beyond_the_idle_time_is_served() {
    let limits = Limits::default().with(|limits| {
        limits.idle_duration_max = Duration::from_millis(100);
    });
    block_on(async {
        let server = Server::builder().limits(limits).bind("127.0.0.1:0");
        let server = Rc::new(server.unwrap());
        let address = server.local_address();
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(handler).await }
        });
        let client = spawn_blocking(move || {
            let mut client = asking(address, "/");
            answer(&mut client);
            client
        });
        let mut client = client.await.unwrap();
        thread::sleep(Duration::from_millis(80));
        client.write_all(GET).unwrap();
        thread::sleep(Duration::from_millis(100));
        let late = spawn_blocking(move || answer(&mut client));
        assert!(late.await.unwrap().starts_with("HTTP/1.1 200"));
        serving.abort();
    });
}

#[test]
fn answers_in_the_unready_time_announce_the_end_of_their_connections() {
    let limits = Limits::default().with(|limits| {
        limits.unready_duration = Duration::from_secs(30);
    });
    let server = Server::builder().limits(limits);
    let server = server.stoppable("127.0.0.1:0", || handler).unwrap();
    let address = server.local_address();
    let pool: Vec<_> = (0..3)
        .map(|_| {
            let mut client = asking(address, "/");
            let answer = answer(&mut client);
            assert!(!answer.contains("connection: close"), "{answer}");
            client
        })
        .collect();
    server.stopper().stop();
    let start = Instant::now();
    while !answer(&mut asking(address, "/")).contains("connection: close") {
        assert!(start.elapsed() < DEADLINE); // the server's thread has not seen it yet
    }
    // A proxy empties its pool by this, so that no request of it meets the close of an idle connection.
    for mut client in pool {
        client.write_all(GET).unwrap();
        assert_eq!(rest(client), LAST);
    }
    assert_eq!(rest(asking(address, "/")), LAST);
    server.stopper().cut();
    let Report { idle, cut, .. } = server.join().unwrap();
    assert_eq!((idle, cut), (0, 0));
}

#[test]
fn serve_returns_when_a_shutdown_in_another_task_has_finished_the_requests_under_way() {
    block_on(async {
        let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
        let slow = asking(server.local_address(), "/slow");
        let ending = spawn({
            let server = server.clone();
            async move {
                while server.numbers().in_flight == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
                server.shutdown(DEADLINE).await
            }
        });
        server.serve(handler).await.unwrap();
        assert_eq!(server.connections(), 0);
        assert_eq!(ending.await.unwrap().finished, 1);
        assert_eq!(rest(slow), LAST);
    });
}

#[test]
fn a_cut_ends_the_wait_of_a_shutdown() {
    let server = Server::builder()
        .stoppable("127.0.0.1:0", || handler)
        .unwrap();
    let held = asking(server.local_address(), "/hold");
    thread::sleep(Duration::from_millis(50));
    let stopper = server.stopper();
    stopper.stop();
    thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    stopper.cut();
    let report = server.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(report.cut, 1);
    stopper.wait();
    drop(held);
}

#[test]
fn the_queue_of_one_of_four_workers_is_served_before_it_closes() {
    raise_limit();
    // The kernel may give one worker many of the blocking requests, so half of the time is long enough for all
    // of them.
    let workers = Server::builder().limits(
        Limits::default().with(|limits| limits.shutdown_duration_max = Duration::from_secs(60)),
    );
    let workers = workers.workers(4, "127.0.0.1:0", |server| async move {
        server.serve(handler).await
    });
    let workers = workers.unwrap();
    let address = workers.local_address();
    // All four workers are blocked, so new clients wait in their queues.
    let blocking: Vec<_> = (0..64).map(|_| asking(address, "/block")).collect();
    thread::sleep(Duration::from_millis(50));
    let clients: Vec<_> = (0..500).map(|_| asking(address, "/")).collect();
    let first = workers.stoppers().next().unwrap();
    first.stop();
    for client in clients.into_iter().chain(blocking) {
        let mut client = client;
        answer(&mut client);
    }
    first.wait();
    // The others continue.
    answer(&mut asking(address, "/"));
    workers.stop();
    assert_eq!(workers.join().unwrap().cut, 0);
}

#[test]
fn stopping_under_load_takes_effect_within_fifty_milliseconds() {
    let server = Server::builder()
        .stoppable("127.0.0.1:0", || handler)
        .unwrap();
    let (address, stopper) = (server.local_address(), server.stopper());
    assert!(stopper.ready());
    let (over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let (over, answered) = (over.clone(), answered.clone());
            thread::spawn(move || load(address, &over, &answered))
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    let before = answered.load(Ordering::Relaxed);
    stopper.stop();
    stopper.stop();
    stopper.wait();
    let took = start.elapsed();
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    println!("{before} requests in half a second, then stopped in {took:?}");
    assert_eq!(server.join().unwrap().cut, 0);
    assert!(before > 100, "too few requests: {before}");
    assert!(took < Duration::from_millis(50), "{took:?}");
}

/// Sends requests as fast as possible, 32 at a time, on connections that it opens again when they are closed.
fn load(address: SocketAddr, over: &AtomicBool, served: &AtomicU64) {
    while !over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = TcpStream::connect(address) {
            while let Some(answered) = batch(&mut stream) {
                served.fetch_add(answered, Ordering::Relaxed);
            }
        }
    }
}

/// Sends 32 requests and reads their answers. Returns `None` if the connection ends before.
fn batch(stream: &mut TcpStream) -> Option<u64> {
    stream.write_all(&GET.repeat(32)).ok()?;
    let (mut answers, mut piece) = (Vec::new(), [0; 16 << 10]);
    loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        answers.extend_from_slice(&piece[..count]);
        if answers.windows(4).filter(|four| four == b"here").count() == 32 {
            return Some(32);
        }
    }
}

#[test]
fn poll_with_a_timeout_returns_in_time_under_load() {
    let runtime = Runtime::new().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address();
    runtime
        .spawn(async move { server.serve(handler).await })
        .detach();
    let (over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let client = {
        let (over, answered) = (over.clone(), answered.clone());
        thread::spawn(move || load(address, &over, &answered))
    };
    let mut took: Vec<_> = (0..50)
        .map(|_| {
            let start = Instant::now();
            runtime.poll_timeout(Duration::from_millis(20));
            start.elapsed()
        })
        .collect();
    over.store(true, Ordering::Relaxed);
    drop(runtime);
    client.join().unwrap();
    took.sort_unstable();
    // Other work of the machine may take the thread away now and then.
    assert!(took[45] < Duration::from_millis(25), "{took:?}");
    assert!(answered.load(Ordering::Relaxed) > 1000);
}

#[test]
fn a_thread_that_is_dropped_leaves_nothing_behind() {
    // The descriptors of the whole process count, and other tests open some, too.
    alone(|| {
        block_on(async {
            let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
            let server = Server::builder()
                .stoppable("127.0.0.1:0", || handler)
                .unwrap();
            let address = server.local_address();
            answer(&mut asking(address, "/"));
            let during = (descriptors::open().unwrap(), threads());
            drop(server);
            assert!(TcpStream::connect(address).is_err());
            let after = (descriptors::open().unwrap(), threads());
            assert!(
                after.0 < during.0 && after.1 <= during.1,
                "{during:?}, {after:?}"
            );
        });
    });
}

#[test]
fn a_wrong_address_is_an_error_of_the_call_that_takes_it() {
    let taken = Server::builder()
        .stoppable("127.0.0.1:0", || handler)
        .unwrap();
    let again = Server::builder().stoppable(taken.local_address(), || handler);
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn join_waits_for_requests_in_flight_and_for_no_idle_connection() {
    block_on(async {
        let server = Rc::new(Server::bind("127.0.0.1:0").unwrap());
        let address = server.local_address();
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(handler).await }
        });
        let idle = spawn_blocking(move || {
            let mut idle = asking(address, "/");
            answer(&mut idle);
            idle
        });
        let idle = idle.await.unwrap();
        server.join().await;
        let slow = asking(address, "/slow");
        while server.numbers().in_flight == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        let start = Instant::now();
        timeout(DEADLINE, server.join()).await.unwrap();
        assert!(start.elapsed() > Duration::from_millis(50));
        assert_eq!(server.numbers().open, 2);
        drop((idle, slow));
        serving.abort();
    });
}

#[test]
fn a_stopper_knows_when_its_server_is_ready_and_when_it_has_ended() {
    let ended = Rc::new(Cell::new(false));
    let server = Server::bind("127.0.0.1:0").unwrap();
    let stopper = server.stopper();
    drop(server);
    assert!(!stopper.ready());
    stopper.wait();
    ended.set(true);
    let running = Server::builder()
        .stoppable("127.0.0.1:0", || handler)
        .unwrap();
    assert!(running.stopper().ready());
    assert!(!running.stopper().is_stopping() && !running.is_finished());
}

#[test]
fn silent_new_clients_give_way_to_requests_in_the_queue_of_a_server_that_ends() {
    let limits = Limits::default().with(|limits| {
        limits.connections_max = Some(4);
        limits.shutdown_duration_max = Duration::from_secs(4);
    });
    let server = Server::builder().limits(limits);
    let server = server.stoppable("127.0.0.1:0", || handler).unwrap();
    let address = server.local_address();
    let silent: Vec<_> = (0..4).map(|_| connect(address)).collect();
    thread::sleep(Duration::from_millis(50));
    let waiting: Vec<_> = (0..6).map(|_| asking(address, "/")).collect();
    let start = Instant::now();
    server.stopper().stop();
    for client in waiting {
        assert_eq!(rest(client), LAST);
    }
    let report = server.join().unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let Report { finished, idle, .. } = report;
    assert_eq!((finished, idle), (6, 4), "{report}");
    silent
        .into_iter()
        .for_each(|client| assert_eq!(rest(client), ""));
}
