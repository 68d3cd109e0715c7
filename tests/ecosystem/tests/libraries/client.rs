//! Claims about the client of hyper-util, which keeps a pool of connections.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::Uri;
use hyper::body::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::server::conn::auto;
use tower::Service;
use waterwheel::runtime::hyper_rt::RuntimeTimer;
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::time;
use waterwheel::runtime::{LocalSpawner, join_all, race, spawn};

use crate::seeds::drop_at_each_await;
use crate::service::{Mill, post, read};
use crate::support::runtime::run;

/// A stream of ours, for the pool. Only `Connection` is missing.
struct Pooled(TcpStream);

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Pooled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Read::poll_read(Pin::new(&mut self.0), cx, buffer)
    }
}

impl Write for Pooled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Write::poll_write(Pin::new(&mut self.0), cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_shutdown(Pin::new(&mut self.0), cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Write::poll_write_vectored(Pin::new(&mut self.0), cx, slices)
    }
}

/// Connects by name. The pool asks for `Send`, which the future of our `connect` is.
#[derive(Clone)]
struct Connector;

impl Service<Uri> for Connector {
    type Response = Pooled;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Pooled>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        Box::pin(async move {
            let address = target.authority().expect("a whole address").as_str();
            TcpStream::connect(address).await.map(Pooled)
        })
    }
}

/// Runs a test with a client and an address. Returns the number of connections that the server has accepted.
fn count_connections<F: Future<Output = ()>>(
    test: impl FnOnce(Client<Connector, Full<Bytes>>, String) -> F,
    configure: impl FnOnce(&mut Builder) -> &mut Builder,
) -> usize {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_address().unwrap().port();
        let mut builder = Client::builder(LocalSpawner);
        configure(builder.pool_timer(RuntimeTimer));
        let count = Rc::new(Cell::new(0));
        let serve = async {
            let (mill, server) = (Mill::default(), auto::Builder::new(LocalSpawner));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.set(count.get() + 1);
                let connection = server.serve_connection(stream, mill.clone()).into_owned();
                spawn(connection).detach();
            }
        };
        let test = test(
            builder.build(Connector),
            format!("http://localhost:{port}/"),
        );
        race(test, serve).await;
        count.get()
    })
}

async fn ask(client: &Client<Connector, Full<Bytes>>, target: &str, length: usize) {
    let response = client.request(post(target, length)).await.unwrap();
    let answer = read(response.into_body()).await;
    assert_eq!(answer, format!("{length} bytes"));
}

#[test]
fn the_pool_uses_a_connection_again() {
    let connections = count_connections(
        async |client, target| {
            for length in [0, 10, 1 << 20] {
                ask(&client, &target, length).await;
            }
        },
        |builder| builder,
    );
    assert_eq!(connections, 1);
}

#[test]
fn the_pool_drops_a_connection_that_was_idle_for_too_long_by_the_paused_clock() {
    let connections = count_connections(
        async |client, target| {
            time::pause();
            ask(&client, &target, 1).await;
            time::advance(Duration::from_secs(89)).await;
            ask(&client, &target, 1).await;
            time::advance(Duration::from_secs(91)).await;
            ask(&client, &target, 1).await;
        },
        |builder| builder.pool_idle_timeout(Duration::from_secs(90)),
    );
    assert_eq!(connections, 2);
}

#[test]
fn over_h2_the_pool_needs_one_connection_for_many_requests_at_once() {
    let connections = count_connections(
        async |client, target| {
            let all = (0..50).map(|number| ask(&client, &target, number * 1000));
            join_all(all).await;
        },
        |builder| builder.http2_only(true).timer(RuntimeTimer),
    );
    assert_eq!(connections, 1);
}

/// Also the connecting and the reading of the answer can be cut.
#[test]
fn a_request_that_is_dropped_at_any_await_leaves_the_client_whole() {
    for http2_only in [false, true] {
        count_connections(
            async |client, target| {
                let attempt = async || ask(&client, &target, 200_000).await;
                drop_at_each_await(attempt, async || ask(&client, &target, 1).await).await;
            },
            |builder| builder.http2_only(http2_only).timer(RuntimeTimer),
        );
    }
}
