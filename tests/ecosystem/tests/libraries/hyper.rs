//! Claims about hyper's connections: HTTP/1.1, HTTP/2, and hyper-util's `auto` with a graceful end.

use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use hyper::client::conn::{http1 as client1, http2 as client2};
use hyper::server::conn::{http1, http2};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use waterwheel::runtime::hyper_rt::RuntimeTimer;
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::sync::CancellationToken;
use waterwheel::runtime::task::JoinSet;
use waterwheel::runtime::time::{self, Instant, sleep};
use waterwheel::runtime::{JoinHandle, LocalSpawner, join_all, race, spawn, yield_now};

use crate::seeds::run_in_many_orders;
use crate::service::{Mill, connect, post, read};
use crate::support::process::alone;
use crate::support::runtime::{run, tcp_pair};

fn serve_h1(stream: TcpStream, mill: Mill) -> JoinHandle<hyper::Result<()>> {
    let mut builder = http1::Builder::new();
    builder
        .timer(RuntimeTimer)
        .header_read_timeout(Duration::from_secs(30));
    spawn(builder.serve_connection(stream, mill))
}

fn serve_h2(stream: TcpStream, mill: Mill) -> JoinHandle<hyper::Result<()>> {
    let mut builder = http2::Builder::new(LocalSpawner);
    builder.timer(RuntimeTimer);
    spawn(builder.serve_connection(stream, mill))
}

#[test]
fn h1_keeps_a_connection_for_requests_of_all_sizes() {
    run_in_many_orders(async || {
        let (client, server) = tcp_pair().await;
        let mill = Mill::default();
        let server = serve_h1(server, mill.clone());
        let (mut sender, connection) = client1::handshake(client).await.unwrap();
        let connection = spawn(connection);
        for length in [0, 1, 16 * 1024, 16 * 1024 + 1, 3 << 20] {
            let response = sender.send_request(post("/", length)).await.unwrap();
            let answer = read(response.into_body()).await;
            assert_eq!(answer, format!("{length} bytes"));
        }
        drop(sender);
        connection.await.unwrap().unwrap();
        server.await.unwrap().unwrap();
        assert_eq!(mill.seen.borrow().len(), 5);
    });
}

#[test]
fn h2_runs_a_hundred_requests_at_once_with_state_that_is_not_send() {
    run_in_many_orders(async || {
        let (client, server) = tcp_pair().await;
        let mill = Mill::default();
        let server = serve_h2(server, mill.clone());
        let (sender, connection) = client2::handshake(LocalSpawner, client).await.unwrap();
        let connection = spawn(connection);
        let ask = |number: usize| {
            let mut sender = sender.clone();
            async move {
                // The window of a stream has 64 KiB at first, so these wait for room again and again.
                let length = number * 4096;
                let response = sender.send_request(post("/slow", length)).await.unwrap();
                assert_eq!(read(response.into_body()).await, format!("{length} bytes"));
            }
        };
        let all = join_all((0..100).map(ask));
        let grind = async {
            while mill.slow.get() < 100 {
                yield_now().await;
            }
            mill.ground.notify_all();
            std::future::pending().await
        };
        assert_eq!(race(all, grind).await.len(), 100);
        drop(sender);
        connection.await.unwrap().unwrap();
        server.await.unwrap().unwrap();
    });
}

/// An hour would take no time, and the timeout comes when it is due.
#[test]
fn the_timeout_for_heads_follows_the_paused_clock() {
    run(async {
        time::pause();
        for head in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: "] {
            let (mut client, server) = tcp_pair().await;
            client.write_all(head.as_bytes()).await.unwrap();
            let start = Instant::now();
            let server = serve_h1(server, Mill::default());
            let error = server.await.unwrap().unwrap_err();
            assert!(error.is_timeout(), "{head:?}: {error:?}");
            assert_eq!(start.elapsed(), Duration::from_secs(30), "{head:?}");
        }
    });
}

#[test]
fn auto_has_the_timeout_for_heads_too() {
    run(async {
        time::pause();
        let mut builder = auto::Builder::new(LocalSpawner);
        builder
            .http1()
            .timer(RuntimeTimer)
            .header_read_timeout(Duration::from_secs(30));
        let (mut client, server) = tcp_pair().await;
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let start = Instant::now();
        let ended = builder.serve_connection(server, Mill::default()).await;
        assert!(ended.is_err());
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    });
}

#[test]
fn the_timeout_for_heads_begins_again_with_each_request() {
    run(async {
        time::pause();
        let (mut client, server) = tcp_pair().await;
        let server = serve_h1(server, Mill::default());
        let mut received = [0; 1024];
        for _ in 0..3 {
            time::advance(Duration::from_secs(29)).await;
            client
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
            let count = client.read(&mut received).await.unwrap();
            assert!(received[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
        }
        let start = Instant::now();
        assert_eq!(client.read(&mut received).await.unwrap(), 0);
        assert_eq!(start.elapsed(), Duration::from_secs(30));
        assert!(server.await.unwrap().unwrap_err().is_timeout());
    });
}

#[test]
fn a_silent_h2_peer_is_given_up_when_its_ping_is_due() {
    run(async {
        time::pause();
        let (client, mut server) = tcp_pair().await;
        let mut builder = client2::Builder::new(LocalSpawner);
        builder
            .timer(RuntimeTimer)
            .keep_alive_interval(Duration::from_secs(40))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true);
        let (sender, connection) = builder.handshake(client).await.unwrap();
        let sender: client2::SendRequest<String> = sender;
        // The peer sends its settings (RFC 9113, 3.4), and no byte after that.
        server
            .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        let start = Instant::now();
        let error = connection.await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(start.elapsed(), Duration::from_secs(45));
        drop(sender);
    });
}

/// Serves both versions until `stop`, then lets hyper-util end the connections.
async fn serve_auto(listener: TcpListener, mill: Mill, stop: CancellationToken) {
    let builder = auto::Builder::new(LocalSpawner);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = builder.serve_connection(stream, mill.clone()).into_owned();
            connections.spawn(graceful.watch(connection));
        }
    };
    assert_eq!(stop.run_until_cancelled(accept).await, None::<()>);
    drop(listener);
    graceful.shutdown().await;
    for ended in connections.join_all().await {
        ended.unwrap();
    }
}

#[test]
fn auto_serves_both_versions_at_one_address_and_ends_after_the_requests_under_way() {
    alone(|| {
        run_in_many_orders(async || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().unwrap();
            let h1 = connect(&listener).await;
            let idle = connect(&listener).await;
            let h2 = connect(&listener).await;
            let (mill, stop) = (Mill::default(), CancellationToken::new());
            let server = spawn(serve_auto(listener, mill.clone(), stop.clone()));

            let (mut h1, connection) = client1::handshake(h1).await.unwrap();
            let h1_connection = spawn(connection);
            let (mut idle, connection) = client1::handshake(idle).await.unwrap();
            let idle_connection = spawn(connection);
            let (mut h2, connection) = client2::handshake(LocalSpawner, h2).await.unwrap();
            let h2_connection = spawn(connection);
            let answer = idle.send_request(post("/", 3)).await.unwrap();
            assert_eq!(read(answer.into_body()).await, "3 bytes");

            let slow1 = spawn(h1.send_request(post("/slow", 1)));
            let slow2 = spawn(h2.send_request(post("/slow", 200_000)));
            while mill.slow.get() < 2 {
                yield_now().await;
            }
            stop.cancel();
            idle_connection.await.unwrap().unwrap(); // the server closes it at once
            assert!(!server.is_finished());
            assert!(TcpStream::connect(address).await.is_err());
            mill.ground.notify_all();
            for (slow, bytes) in [(slow1, 1), (slow2, 200_000)] {
                let answer = slow.await.unwrap().unwrap();
                assert_eq!(read(answer.into_body()).await, format!("{bytes} bytes"));
            }
            server.await.unwrap();
            h1_connection.await.unwrap().unwrap();
            h2_connection.await.unwrap().unwrap();
            drop((h1, idle, h2));
            assert_eq!(Rc::strong_count(&mill.seen), 1); // no connection keeps the state
        });
    });
}

#[test]
fn a_client_that_has_closed_its_write_half_still_gets_its_answer() {
    run_in_many_orders(async || {
        let (mut client, server) = tcp_pair().await;
        let mill = Mill::default();
        let mut builder = http1::Builder::new();
        builder.half_close(true);
        let server = spawn(builder.serve_connection(server, mill.clone()));
        client
            .write_all(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nrye")
            .await
            .unwrap();
        client.close().await.unwrap();
        while mill.slow.get() == 0 {
            yield_now().await;
        }
        // The end of the stream is known before the answer is.
        sleep(Duration::from_millis(1)).await;
        mill.ground.notify_all();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n3 bytes"), "{text}");
        server.await.unwrap().unwrap();
    });
}

#[test]
fn a_client_that_leaves_ends_its_connection_and_its_request() {
    run_in_many_orders(async || {
        let (mut client, server) = tcp_pair().await;
        let mill = Mill::default();
        let server = serve_h1(server, mill.clone());
        client
            .write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        while mill.slow.get() == 0 {
            yield_now().await;
        }
        client.reset_on_drop().unwrap();
        drop(client);
        assert!(server.await.unwrap().is_err());
        assert_eq!(Rc::strong_count(&mill.seen), 1); // the handler's future is gone
    });
}
