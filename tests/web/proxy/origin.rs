//! An origin of literal bytes: each connection is served by a function, on a thread of its own.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::support::server::DEADLINE;

pub(super) struct Origin {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Origin {
    /// Serves each connection by a function.
    pub(super) fn serve(serve: impl Fn(Connected) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let serve = Arc::new(serve);
        // It ends with the process: the tests of a house share one.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let serve = serve.clone();
                thread::spawn(move || serve(Connected::of(stream)));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// Answers each request without a body by the same bytes. Returns the heads, too.
    pub(super) fn answering(
        answer: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> (Self, Receiver<String>) {
        let (sender, heads) = mpsc::channel();
        let origin = Self::serve(move |mut client| {
            while let Some(head) = client.head() {
                drop(sender.send(head));
                client.send(&answer);
            }
        });
        (origin, heads)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of connections so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A connection of the proxy.
pub(super) struct Connected {
    pub(super) stream: BufReader<TcpStream>,
}

impl Connected {
    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Reads the next head. Returns `None` at the end of the connection.
    pub(super) fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let count = self.stream.read_until(b'\n', &mut head).unwrap_or(0);
            if count == 0 {
                return None;
            }
        }
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    pub(super) fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads up to `end`, and `end` itself.
    pub(super) fn read_until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end.as_bytes()) {
            bytes.push(self.read_exact(1)[0]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads to the end, or to a reset.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let ended = self.stream.read_to_end(&mut bytes);
        // A timeout is no end.
        assert!(!ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
        bytes
    }

    /// Sends bytes. The proxy may be gone.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        drop(self.stream.get_mut().write_all(bytes.as_ref()));
    }

    /// Closes the write half.
    pub(super) fn end(&mut self) {
        drop(self.stream.get_mut().shutdown(Shutdown::Write));
    }
}

/// Returns the lines of a head in order, without the request line or status line.
pub(super) fn fields(head: &str) -> Vec<&str> {
    let mut fields: Vec<_> = head.trim_end().split("\r\n").skip(1).collect();
    fields.sort_unstable();
    fields
}
