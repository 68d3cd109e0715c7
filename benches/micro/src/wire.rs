//! A connection in memory, which has served before.

use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::testing::MemoryStream;
use waterwheel::http::{Connection, Handler, Request, Server, StatusCode, shared};
use waterwheel::runtime::spawn;

use crate::{counted, world};

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";

/// After so many requests of a kind, what the allocator does for one is the same each time.
const EARLIER: usize = 8;

/// Longer than those that are counted.
const EARLIER_ANSWER: &[u8] = &[b'x'; 12 * 1024];

const RECEIVED_BYTES_MAX: usize = 64 * 1024;

/// The client's end.
pub(crate) struct Client(MemoryStream);

impl Client {
    /// Sends bytes that the server reads in one piece.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.0.write_all(bytes.as_ref()).await;
        sent.expect("the server is there");
    }

    /// The bytes that the server has written at once.
    pub(crate) async fn receive(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; RECEIVED_BYTES_MAX];
        let count = self.0.read(&mut bytes).await;
        bytes.truncate(count.expect("the server is there"));
        bytes
    }
}

/// A connection whose requests are pulled.
///
/// It has answered some requests and waits for the next, so that what such a request needs has been
/// allocated.
pub(crate) async fn pulled(earlier: &str) -> (Client, Connection<MemoryStream>) {
    let (near, far) = MemoryStream::pair();
    let server = Server::builder().without_listener();
    let (mut client, mut connection) = (Client(near), server.connection(far, None));
    for _ in 0..EARLIER {
        client.send(earlier).await;
        respond(next(&mut connection).await, EARLIER_ANSWER).await;
        assert!(poll_once(connection.next()).await.is_none());
        client.receive().await;
    }
    (client, connection)
}

/// The next request, which has come.
pub(crate) async fn next(connection: &mut Connection<MemoryStream>) -> Request<'_> {
    let request = connection.next().await;
    request.expect("none is refused").expect("one has come")
}

/// An answer that is not counted.
pub(crate) async fn respond(request: Request<'_>, body: &'static [u8]) {
    let responded = request.respond(StatusCode::OK, body, ()).await;
    drop(responded.expect("the client is there"));
}

/// Counts what a server does about a request, or several in one piece. Its connections share their
/// handler, as those of [`Server::serve`] do.
pub(crate) fn served(handler: impl Handler, bytes: impl AsRef<[u8]>) {
    let handler = shared(handler);
    let runtime = world::runtime();
    let (near, far) = MemoryStream::pair();
    runtime.block_on(async {
        let server = Server::builder().without_listener();
        spawn(server.connection(far, None).serve(handler)).detach();
    });
    let mut client = Client(near);
    for _ in 0..EARLIER {
        runtime.block_on(client.send(&bytes));
        runtime.run_until_idle();
        runtime.block_on(client.receive());
    }
    runtime.block_on(client.send(&bytes));
    counted::call(|| runtime.run_until_idle());
    assert_ok(&runtime.block_on(client.receive()));
}

/// Counts a connection that one request comes on, from its beginning to its end.
pub(crate) fn connected(handler: impl Handler + Copy, bytes: &str) {
    let runtime = world::runtime();
    let server = runtime.block_on(async { Server::builder().without_listener() });
    let connect = || {
        let (near, far) = MemoryStream::pair();
        let mut client = Client(near);
        runtime.block_on(client.send(bytes));
        (client, far)
    };
    let serve = |far| {
        runtime.block_on(async { spawn(server.connection(far, None).serve(handler)).detach() });
        runtime.run_until_idle()
    };
    for _ in 0..EARLIER {
        let (_client, far) = connect();
        serve(far);
    }
    let (mut client, far) = connect();
    let left = counted::call(|| serve(far));
    assert_eq!(left, 0, "it has ended");
    assert_ok(&runtime.block_on(client.receive()));
}

fn assert_ok(answer: &[u8]) {
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
}
