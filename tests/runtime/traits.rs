//! Claims about the traits of other crates: hyper's, tokio's, futures-task's, and the standard `Instant`.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use crate::support::runtime::{run, tcp_pair, unix_with_std};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Executor, Timer};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use waterwheel::runtime::hyper_rt::{HyperIo, RuntimeTimer};
use waterwheel::runtime::net::{Connected, Stream};
use waterwheel::runtime::time::{self, Instant, sleep};
use waterwheel::runtime::tokio_io::{FromTokio, ToTokio};
use waterwheel::runtime::{JoinHandle, LocalSpawner, join, spawn, yield_now};

/// Serves a connection with hyper. The state is an `Rc`, so nothing of it is `Send`.
fn serve<T>(stream: T, seen: Rc<RefCell<Vec<String>>>) -> JoinHandle<hyper::Result<()>>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            seen.borrow_mut().push(request.uri().path().to_owned());
            sleep(Duration::from_millis(1)).await;
            let body = read(request.into_body()).await;
            Ok::<_, Infallible>(Response::new(format!("{} bytes", body.len())))
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(RuntimeTimer)
        .header_read_timeout(Duration::from_secs(30));
    spawn(builder.serve_connection(stream, service))
}

/// Reads a whole body.
async fn read(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.unwrap().into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes
}

/// Sends two requests with hyper, the second one with a body of a megabyte.
async fn ask<T>(stream: T)
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let connection = spawn(connection);
    for (path, body, answer) in [
        ("/a", String::new(), "0 bytes"),
        ("/b", "x".repeat(1 << 20), "1048576 bytes"),
    ] {
        let request = Request::post(path).header("host", "x").body(body).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(read(response.into_body()).await, answer.as_bytes());
    }
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[test]
fn hyper_serves_and_asks_over_our_streams_with_state_that_is_not_send() {
    run(async {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (client, server) = tcp_pair().await;
        let task = serve(server, seen.clone());
        ask(client).await;
        task.await.unwrap().unwrap();
        let (client, server) = std::os::unix::net::UnixStream::pair().unwrap();
        let from_std = |stream| waterwheel::runtime::net::UnixStream::from_std(stream).unwrap();
        let task = serve(HyperIo::new(from_std(server)), seen.clone());
        ask(from_std(client)).await;
        task.await.unwrap().unwrap();
        assert_eq!(*seen.borrow(), ["/a", "/b", "/a", "/b"]);
    });
}

/// An hour of hyper's timeout takes no time, and it comes when it is due.
#[test]
fn hypers_timeout_for_heads_follows_the_paused_clock() {
    run(async {
        time::pause();
        let (mut client, server) = tcp_pair().await;
        let task = serve(server, Rc::default());
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let start = Instant::now();
        let error = task.await.unwrap().unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(start.elapsed().as_secs(), 30);
    });
}

#[test]
fn hyper_resets_a_sleep_of_ours_in_place_and_replaces_another_one() {
    run(async {
        time::pause();
        let mut sleep = RuntimeTimer.sleep(Duration::from_secs(10));
        let first: *const _ = &raw const *sleep;
        let later = RuntimeTimer.now() + Duration::from_secs(20);
        RuntimeTimer.reset(&mut sleep, later);
        assert!(std::ptr::addr_eq(first, &raw const *sleep));
        let start = Instant::now();
        sleep.await;
        assert_eq!(start.elapsed().as_secs(), 20);
        RuntimeTimer
            .sleep_until(RuntimeTimer.now() + Duration::from_secs(5))
            .await;
        assert_eq!(start.elapsed().as_secs(), 25);
    });
}

#[test]
fn a_spawner_runs_futures_that_are_not_send() {
    run(async {
        let count = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let count = count.clone();
            LocalSpawner.execute(async move { count.set(count.get() + 1) });
        }
        yield_now().await;
        assert_eq!(count.get(), 3);
    });
}

#[test]
fn wrappers_between_the_families_of_traits_stack_and_lose_no_byte() {
    run(async {
        async fn echo<S: Connected + Unpin>(ours: Stream<S>) -> io::Result<()> {
            // Twice: to tokio's traits, and back.
            let mut stream = FromTokio::new(ToTokio::new(ours));
            let mut received = vec![0; 300_000];
            stream.read_exact(&mut received).await?;
            stream.write_all(&received).await?;
            stream.close().await
        }
        let (client, server) = tcp_pair().await;
        let task = spawn(echo(server));
        let (mut reading, mut writing) = client.into_split();
        let sent: Vec<u8> = (0..300_000_u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        let write = async { writing.write_all(&sent).await };
        let mut received = Vec::new();
        let (sent_all, read) = join(write, reading.read_to_end(&mut received)).await;
        sent_all.unwrap();
        read.unwrap();
        assert!(received == sent);
        task.await.unwrap().unwrap();
        let (ours, _peer) = unix_with_std();
        assert!(ToTokio::new(ours).get_ref().try_read(&mut [0; 4]).is_err());
    });
}

#[test]
fn instants_convert_to_the_standard_ones_and_back() {
    let now = Instant::now();
    assert_eq!(Instant::from(std::time::Instant::from(now)), now);
    let std = std::time::Instant::now();
    assert_eq!(std::time::Instant::from(Instant::from(std)), std);
    let later = now + Duration::from_secs(7);
    let between = std::time::Instant::from(later) - std::time::Instant::from(now);
    assert_eq!(between, Duration::from_secs(7));
    assert!(std::time::Instant::from(Instant::FAR_FUTURE) > std + Duration::from_secs(1 << 31));
    if let Some(before) = std.checked_sub(Duration::from_secs(3600)) {
        assert!(Instant::from(before) <= now);
    }
}
