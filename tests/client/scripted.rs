//! Servers that send literal bytes, over connections in memory.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::Io;
use waterwheel::http::client::{Client, ClientBuilder};
use waterwheel::http::testing::MemoryStream;
use waterwheel::runtime::time::{pause, timeout};
use waterwheel::runtime::{block_on, spawn};

/// The end of each test.
const DEADLINE: Duration = Duration::from_secs(20);

/// Runs a test within its deadline.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let limited = async { timeout(DEADLINE, test).await };
    block_on(limited).expect("the test is not done in time")
}

/// Runs a test under a paused clock, which moves on when all tasks wait.
pub(crate) fn run_paused<T>(test: impl Future<Output = T>) -> T {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let limited = async {
        pause();
        timeout(DAY, test).await
    };
    block_on(limited).expect("the test waits without an end")
}

/// The server's end of a connection.
pub(crate) struct Far(MemoryStream);

impl Far {
    /// Reads bytes until they end with `end`. Returns those so far if the client closes before.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let mut byte = [0];
            match self.0.read(&mut byte).await {
                Ok(1) => read.push(byte[0]),
                _ => break,
            }
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads the head of a request.
    pub(crate) async fn head(&mut self) -> String {
        self.read_until("\r\n\r\n").await
    }

    /// Sends bytes. A client that has closed does not matter.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.0.write_all(bytes.as_ref()).await;
        drop(sent);
    }

    /// Reads until the client has closed.
    pub(crate) async fn until_closed(&mut self) {
        let mut rest = Vec::new();
        let read = self.0.read_to_end(&mut rest).await;
        drop(read);
    }
}

/// Counts the connections of a client.
#[derive(Clone, Default)]
pub(crate) struct Connections(Rc<Cell<usize>>);

impl Connections {
    pub(crate) fn count(&self) -> usize {
        self.0.get()
    }
}

/// Makes a client whose connections end at `serve`, which takes the number of each, from 0. `wrap` makes the client's
/// end of each.
pub(crate) fn through<T: Io, F: Future<Output = ()> + 'static>(
    builder: ClientBuilder,
    wrap: impl Fn(MemoryStream) -> T + 'static,
    serve: impl Fn(usize, Far) -> F + 'static,
) -> (Client, Connections) {
    let connections = Connections::default();
    let count = connections.clone();
    let client = builder
        .connector(move |_| {
            let (near, far) = MemoryStream::pair();
            spawn(serve(count.0.replace(count.0.get() + 1), Far(far))).detach();
            let near = wrap(near);
            async { Ok(near) }
        })
        .build();
    (client, connections)
}

/// Makes a client whose connections end at `serve`.
pub(crate) fn to<F: Future<Output = ()> + 'static>(
    builder: ClientBuilder,
    serve: impl Fn(usize, Far) -> F + 'static,
) -> (Client, Connections) {
    through(builder, |near| near, serve)
}

/// Makes a client whose server answers each request without a body with `answer`, and keeps the connection.
pub(crate) fn answering(answer: impl AsRef<[u8]> + Clone + 'static) -> (Client, Connections) {
    to(Client::builder(), move |_, mut far| {
        let answer = answer.clone();
        async move {
            while far.head().await.ends_with("\r\n\r\n") {
                far.send(&answer).await;
            }
        }
    })
}
