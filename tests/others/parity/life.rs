//! The life of a server, by the features of rouille, mini-async-http, `micro_http_async` and the Rust Book.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;
use waterwheel::http::web::middleware::{OwnedRequest, blocking_on};
use waterwheel::http::{Request, Responded, Result, Server, ServerThread, StatusCode};
use waterwheel::runtime::{
    Runtime, ThreadPool, block_on, descriptors, join, spawn, spawn_blocking, time::sleep,
    time::timeout,
};

use super::process::Process;
use super::served::{answered, get, read_answer, say, within};
use crate::support::process::alone;
use crate::support::server::{Client, DEADLINE, without_dates};
use crate::support::system::raise_limit;

/// `/sleep` waits. `/compute` blocks its thread.
async fn handler(request: Request<'_>) -> Result<Responded> {
    match request.path() {
        "/sleep" => sleep(Duration::from_millis(200)).await,
        "/compute" => {
            let computed = spawn_blocking(|| thread::sleep(Duration::from_millis(200)));
            computed.await?;
        }
        _ => {}
    }
    request.respond(StatusCode::OK, "here", ()).await
}

fn running() -> ServerThread {
    Server::builder()
        .stoppable("127.0.0.1:0", || handler)
        .unwrap()
}

fn client(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    Client { stream }
}

fn ask(client: &mut Client, path: &str) -> String {
    client.send(get(path));
    read_answer(client).1
}

#[test]
fn r_01_a_server_listens_as_soon_as_it_exists() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let early = TcpStream::connect(server.local_address());
    assert!(early.is_ok());
    let second = Server::bind(server.local_address()).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::AddrInUse);
}

#[test]
fn r_03_a_pool_of_two_runs_two_handlers_at_once_and_no_third() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let pool = Arc::new(ThreadPool::new(2));
    let seen = most.clone();
    let server = Server::builder().stoppable("127.0.0.1:0", move || {
        blocking_on(pool, move |_: &OwnedRequest| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            "here"
        })
    });
    let server = server.unwrap();
    let mut clients: Vec<_> = (0..10).map(|_| client(server.local_address())).collect();
    clients.iter_mut().for_each(|client| client.send(get("/")));
    for client in &mut clients {
        assert_eq!(read_answer(client).1, "here");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[test]
fn r_04_port_zero_is_replaced_by_a_free_port() {
    assert_ne!(running().local_address().port(), 0);
}

#[test]
fn r_05_serve_returns_when_the_server_is_closed() {
    within(Server::builder(), async |server| {
        let closing = async {
            sleep(Duration::from_millis(20)).await;
            server.close();
        };
        let (ended, ()) = join(server.serve(say), closing).await;
        ended.unwrap();
    });
}

#[test]
fn r_06_poll_returns_at_once_without_work() {
    let runtime = Runtime::new().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address();
    runtime
        .spawn(async move { server.serve(handler).await })
        .detach();
    runtime.poll();
    let start = Instant::now();
    assert!(!runtime.poll());
    assert!(start.elapsed() < Duration::from_millis(20));
    let mut client = client(address);
    client.send(get("/"));
    let asked = Instant::now();
    while client.stream.peek_now() == 0 && asked.elapsed() < DEADLINE {
        runtime.poll();
    }
    assert_eq!(read_answer(&mut client).1, "here");
}

/// Returns the number of bytes that have arrived, without a wait.
trait PeekNow {
    fn peek_now(&self) -> usize;
}

impl PeekNow for TcpStream {
    fn peek_now(&self) -> usize {
        self.set_nonblocking(true).unwrap();
        let there = self.peek(&mut [0; 64]).unwrap_or(0);
        self.set_nonblocking(false).unwrap();
        there
    }
}

/// Sends requests again and again, with pauses far shorter than any wait below.
fn steady(address: SocketAddr, over: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let over = over.clone();
    thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let Ok(mut stream) = TcpStream::connect(address) else {
                continue;
            };
            while stream.write_all(get("/").as_bytes()).is_ok()
                && matches!(stream.read(&mut [0; 512]), Ok(1..))
                && !over.load(Ordering::Relaxed)
            {}
        }
    })
}

#[test]
fn r_07_a_timeout_holds_under_steady_requests() {
    let runtime = Runtime::new().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_address();
    runtime
        .spawn(async move { server.serve(handler).await })
        .detach();
    let over = Arc::default();
    let load = steady(address, &over);
    for _ in 0..5 {
        let start = Instant::now();
        runtime.poll_timeout(Duration::from_millis(50));
        assert!(
            start.elapsed() < Duration::from_millis(150),
            "{:?}",
            start.elapsed()
        );
    }
    over.store(true, Ordering::Relaxed);
    drop(runtime);
    load.join().unwrap();
}

#[test]
fn r_08_a_stop_takes_effect_under_steady_requests() {
    let server = running();
    let over = Arc::default();
    let load = steady(server.local_address(), &over);
    thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    server.stopper().stop();
    server.join().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    over.store(true, Ordering::Relaxed);
    load.join().unwrap();
}

#[test]
fn r_09_join_waits_for_a_slow_request() {
    let server = running();
    let mut slow = client(server.local_address());
    slow.send(get("/sleep"));
    thread::sleep(Duration::from_millis(50));
    server.stopper().stop();
    let report = server.join().unwrap();
    assert_eq!((report.finished, report.cut), (1, 0));
    assert_eq!(read_answer(&mut slow).1, "here");
}

#[test]
fn r_10_a_dropped_server_leaves_no_thread_behind() {
    alone(|| {
        let server = running();
        let (address, stopper) = (server.local_address(), server.stopper());
        let mut idle = client(address);
        ask(&mut idle, "/");
        drop(server);
        stopper.wait();
        assert!(TcpStream::connect(address).is_err());
        assert!(matches!(idle.stream.read(&mut [0]), Ok(0)));
    });
}

#[test]
fn r_11_a_server_is_one_expression() {
    let taken = Server::bind("127.0.0.1:0").unwrap();
    let address = taken.local_address();
    let outcome = block_on(async { Server::bind(address)?.serve(handler).await });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn r_24_a_thousand_idle_connections_need_one_thread() {
    raise_limit();
    within(Server::builder(), async |server| {
        let server = Rc::new(server);
        let address = server.local_address();
        spawn({
            let server = server.clone();
            async move { server.serve(handler).await }
        })
        .detach();
        let clients = spawn_blocking(move || {
            let connect = |_| TcpStream::connect(address).unwrap();
            (0..1000).map(connect).collect::<Vec<_>>()
        });
        let clients = clients.await.unwrap();
        while server.connections() < clients.len() {
            sleep(Duration::from_millis(1)).await;
        }
        // All connections are tasks of this one thread.
        assert_eq!(server.numbers().open, 1000);
    });
}

#[test]
fn r_25_a_lack_of_descriptors_does_not_stop_the_server() {
    let variables = [("PARITY_LIMIT", "32"), ("PARITY_GATE", "off")];
    let mut server = Process::start("parity::nim_gate::child", &variables);
    for _ in 0..2 {
        let mut clients: Vec<_> = (0..60).map(|_| server.client()).collect();
        clients.iter_mut().for_each(|client| client.send(get("/")));
        for client in &mut clients {
            read_answer(client);
        }
    }
    assert!(server.is_alive());
}

#[test]
fn r_26_a_unix_socket_serves_a_get() {
    let path = std::env::temp_dir().join(format!("waterwheel-parity-{}", std::process::id()));
    let server = Server::builder().bind_unix(&path).unwrap();
    let seen = block_on(async {
        let server = Rc::new(server);
        spawn({
            let server = server.clone();
            async move { server.serve(say).await }
        })
        .detach();
        let asked = spawn_blocking({
            let path = path.clone();
            move || {
                let mut stream = UnixStream::connect(path).unwrap();
                stream.write_all(get("/a").as_bytes()).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            }
        });
        let seen = asked.await.unwrap();
        server.close();
        seen
    });
    assert_eq!(without_dates(&seen), answered("GET /a "));
    assert!(!path.exists());
}

#[test]
fn r_27_an_accept_can_wait_for_a_time_or_not_at_all() {
    within(Server::builder(), async |server| {
        // try_recv, recv_timeout: no connection is there.
        assert!(poll_once(Box::pin(server.accept())).await.is_none());
        assert!(
            timeout(Duration::from_millis(20), server.accept())
                .await
                .is_err()
        );
        // recv, and the requests of the connection that it returns.
        let mut sender = client(server.local_address());
        sender.send(get("/a") + &get("/b"));
        sender.stream.shutdown(Shutdown::Write).unwrap();
        let mut connection = server.accept().await.unwrap();
        let mut seen = Vec::new();
        while let Some(request) = connection.next().await.unwrap() {
            seen.push(request.path().to_owned());
            drop(request.respond(StatusCode::OK, "", ()).await.unwrap());
        }
        assert_eq!(seen, ["/a", "/b"]);
        // unblock: a waiting task is woken.
        let closing = async { server.close() };
        let (woken, ()) = join(server.accept(), closing).await;
        assert!(woken.unwrap_err().is_fatal());
    });
}

#[test]
fn t_r19_all_waiting_tasks_are_woken() {
    within(Server::builder(), async |server| {
        let server = Rc::new(server);
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let server = server.clone();
                spawn(async move { server.accept().await.is_err() })
            })
            .collect();
        sleep(Duration::from_millis(20)).await;
        server.close();
        for waiter in waiting {
            assert!(waiter.await.unwrap());
        }
    });
}

#[test]
fn t_r20_an_abstract_unix_socket_is_served() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("waterwheel-parity-{}", std::process::id());
    let listener = waterwheel::runtime::net::UnixListener::bind_abstract(&name).unwrap();
    block_on(async {
        let server = Rc::new(Server::builder().listen_on([listener]).unwrap());
        spawn({
            let server = server.clone();
            async move { server.serve(say).await }
        })
        .detach();
        let asked = spawn_blocking(move || {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
            let mut stream = UnixStream::connect_addr(&address).unwrap();
            stream.write_all(get("/a").as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        assert_eq!(without_dates(&asked.await.unwrap()), answered("GET /a "));
    });
}

#[test]
fn a_01_a_wrong_address_is_an_error() {
    let taken = running();
    let error = Server::builder()
        .workers(2, taken.local_address(), |server| async move {
            server.serve(handler).await
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_02_a_builder_binds_nothing_and_a_bad_address_is_an_error() {
    let builder = Server::builder();
    let error = builder.bind("256.0.0.1:80").unwrap_err();
    assert!(!error.to_string().is_empty());
}

#[test]
fn a_04_serve_returns_after_a_stop() {
    within(Server::builder(), async |server| {
        let stopper = server.stopper();
        let stopping = async {
            sleep(Duration::from_millis(20)).await;
            stopper.stop();
        };
        join(async { server.serve(say).await.unwrap() }, stopping).await;
        assert!(server.is_closed() && server.report().is_some());
    });
}

#[test]
fn a_05_a_stopper_reports_readiness_and_can_stop_repeatedly() {
    let server = running();
    let (first, second) = (server.stopper(), server.stopper());
    assert!(first.ready());
    assert_eq!(ask(&mut client(server.local_address()), "/"), "here");
    first.stop();
    second.stop();
    server.join().unwrap();
    second.stop();
    second.wait();
}

#[test]
fn a_06_a_dropped_server_does_not_listen() {
    alone(|| {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let address = server.local_address();
        let held = descriptors::held();
        assert!(held > 0);
        drop(server);
        assert!(TcpStream::connect(address).is_err());
    });
}

#[test]
fn a_07_shared_state_needs_no_lock() {
    let server = Server::builder().stoppable("127.0.0.1:0", || {
        let count = Cell::new(0);
        async move |request: Request<'_>| {
            let seen = count.replace(count.get() + 1);
            request.respond(StatusCode::OK, seen.to_string(), ()).await
        }
    });
    let server = server.unwrap();
    let count = || ask(&mut client(server.local_address()), "/");
    assert_eq!([count(), count(), count()], ["0", "1", "2"]);
}

#[test]
fn a_08_a_computation_on_the_pool_does_not_delay_others() {
    let server = running();
    let mut computing = client(server.local_address());
    computing.send(get("/compute"));
    thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    assert_eq!(ask(&mut client(server.local_address()), "/"), "here");
    assert!(start.elapsed() < Duration::from_millis(150));
    assert_eq!(read_answer(&mut computing).1, "here");
}

#[test]
fn a_27_a_lack_of_descriptors_does_not_make_the_server_spin() {
    let variables = [("PARITY_LIMIT", "32"), ("PARITY_GATE", "off")];
    let server = Process::start("parity::nim_gate::child", &variables);
    let mut clients: Vec<_> = (0..60).map(|_| server.client()).collect();
    clients
        .iter_mut()
        .for_each(|client| client.send(get("/sleep")));
    thread::sleep(Duration::from_millis(100));
    let before = server.cpu_ticks();
    thread::sleep(Duration::from_millis(500));
    assert!(server.cpu_ticks() - before <= 3);
}

#[test]
fn m_02_two_slow_clients_wait_side_by_side() {
    let server = running();
    let mut slow = [0, 1].map(|_| client(server.local_address()));
    let start = Instant::now();
    slow.iter_mut()
        .for_each(|client| client.send(get("/sleep")));
    slow.iter_mut().for_each(|client| drop(read_answer(client)));
    assert!(
        start.elapsed() < Duration::from_millis(390),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn b_07_after_so_many_requests_those_in_flight_are_finished_and_new_ones_are_refused() {
    alone(|| {
        block_on(async {
            let server = Server::bind("127.0.0.1:0").unwrap();
            let (address, stopper) = (server.local_address(), server.stopper());
            let left = Cell::new(2);
            let counted = async move |request: Request<'_>| {
                left.set(left.get() - 1);
                if left.get() == 0 {
                    stopper.stop();
                }
                handler(request).await
            };
            let clients = spawn_blocking(move || {
                let mut slow = client(address);
                slow.send(get("/sleep"));
                thread::sleep(Duration::from_millis(50));
                let second = ask(&mut client(address), "/");
                thread::sleep(Duration::from_millis(50));
                let third = TcpStream::connect(address)
                    .map(drop)
                    .map_err(|error| error.kind());
                (read_answer(&mut slow).1, second, third)
            });
            let (ended, clients) = join(server.serve(counted), clients).await;
            ended.unwrap();
            let (first, second, third) = clients.unwrap();
            assert_eq!((&*first, &*second), ("here", "here"));
            assert_eq!(third, Err(ErrorKind::ConnectionRefused));
        });
    });
}

#[test]
fn b_09_bytes_that_are_not_text_and_empty_requests_do_no_harm() {
    let server = running();
    drop(client(server.local_address()));
    let mut binary = client(server.local_address());
    binary.send(b"\xff\xfe\xfd / HTTP/1.1\r\n\r\n");
    assert!(
        binary
            .read_to_end()
            .starts_with("HTTP/1.1 400 Bad Request\r\n")
    );
    let silent = client(server.local_address());
    assert_eq!(ask(&mut client(server.local_address()), "/"), "here");
    drop(silent);
}
