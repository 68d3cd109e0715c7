//! Tools for tests of the server: a server on a thread of its own, and a client that sends literal bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use waterwheel::http::{Builder, Handler};
use waterwheel::runtime;

use super::tls;

/// The longest time for one read or write.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A server on a thread of its own. It ends when it is dropped.
pub(crate) struct TestServer {
    pub address: SocketAddr,
    stop: mpsc::Sender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl TestServer {
    /// Starts a server. With `WATERWHEEL_TLS=1`, it serves HTTPS, and a pump carries the clients over TLS.
    pub(crate) fn start<H: Handler>(
        builder: Builder,
        make: impl FnOnce() -> H + Send + 'static,
    ) -> Self {
        if tls::is_wanted() {
            return Self::over_tls(builder, make);
        }
        Self::listen(builder, make)
    }

    /// Starts a server of HTTPS. A pump carries the clients over TLS, so they send and receive plain bytes.
    pub(crate) fn over_tls<H: Handler>(
        builder: Builder,
        make: impl FnOnce() -> H + Send + 'static,
    ) -> Self {
        let (builder, pump) = tls::Pump::under(builder);
        let mut server = Self::listen(builder, make);
        server.address = pump.start(server.address);
        server
    }

    /// Starts a server without TLS, also if the other servers have it.
    pub(crate) fn start_plain<H: Handler>(
        builder: Builder,
        make: impl FnOnce() -> H + Send + 'static,
    ) -> Self {
        Self::listen(builder, make)
    }

    fn listen<H: Handler>(builder: Builder, make: impl FnOnce() -> H + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            runtime::block_on(async move {
                let server = builder.bind("127.0.0.1:0").unwrap();
                sender.send(server.local_address()).unwrap();
                let stop = async {
                    drop(runtime::spawn_blocking(move || stopped.recv()).await);
                    Ok(())
                };
                runtime::race(server.serve(make()), stop).await.unwrap();
            });
        });
        let address = receiver.recv().unwrap();
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Client { stream }
    }

    /// Sends `request` in the given pieces, closes the write half, and reads to the end.
    pub(crate) fn exchange(&self, pieces: &[&[u8]]) -> String {
        let mut client = self.client();
        for piece in pieces {
            // The server may have refused the request and closed.
            if client.stream.write_all(piece).is_err() {
                break;
            }
        }
        drop(client.stream.shutdown(Shutdown::Write));
        without_dates(&client.read_to_end())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

pub(crate) struct Client {
    pub stream: TcpStream,
}

impl Client {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Reads to the end of the connection.
    pub(crate) fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads up to `end`, and `end` itself.
    pub(crate) fn read_until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(end.as_bytes()) {
            let count = self.stream.read(&mut byte).unwrap();
            assert!(
                count > 0,
                "ended after {:?}",
                String::from_utf8_lossy(&bytes)
            );
            bytes.push(byte[0]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Returns the answers without their date fields, which change each second.
pub(crate) fn without_dates(answers: &str) -> String {
    let lines = answers.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}
