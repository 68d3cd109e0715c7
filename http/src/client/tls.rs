//! TLS of the client's side, over another transport.
//!
//! # How it works
//!
//! ```text
//!   poll_read  ◄── rustls ◄── records that the transport below has
//!   poll_write ──► rustls ──► records wait there, up to 64 KiB
//!   poll_flush, poll_end, and a read that must wait: rustls ──► the transport below
//! ```
//!
//! # Invariants
//!
//! - Always: an end of the stream below without a `close_notify` is an error (RFC 8446, 6.1).
//! - Never: the state of rustls is borrowed during a call of the transport below.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, Error};

use super::error::{RequestError, RequestErrorKind};
use crate::transport::io::Io;

/// Bytes of one read of the transport below: a whole record (RFC 8446, 5.2).
const READ_BYTES: usize = 16 * 1024 + 256;

/// Records that are held back before a write has to send some.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// A TLS connection to a server.
pub(super) struct ClientTls {
    io: Box<dyn Io>,
    tls: RefCell<ClientConnection>,
    /// Records that rustls has made, of which `sent` bytes have left.
    output: RefCell<(Vec<u8>, usize)>,
    /// The first error of a read or of TLS. It is final.
    fault: RefCell<Option<(ErrorKind, String)>>,
    /// The first error of a write. Reads go on, because the server may have answered before it closed.
    write_fault: Cell<Option<ErrorKind>>,
    has_ended: Cell<bool>,
    /// A read has sent records, and their flush has to wait.
    is_flush_due: Cell<bool>,
    /// The task that waits to write. A read that sends leaves it registered below.
    writer: Cell<Option<Waker>>,
    /// Received records, of which so many bytes have gone to rustls.
    input: RefCell<(Vec<u8>, usize)>,
}

/// Does the handshake with the server `host`.
pub(super) async fn handshake(
    config: &Arc<ClientConfig>,
    host: &str,
    io: Box<dyn Io>,
) -> Result<ClientTls, RequestError> {
    let failed = |error: io::Error| {
        let detail = remedy(&error);
        RequestError::of(RequestErrorKind::Tls, error).detailed(detail)
    };
    // The name of the URI, and not of an address that it resolves to, is the one that the certificate must have.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(name.to_owned())
        .map_err(|error| RequestError::of(RequestErrorKind::Tls, error))?;
    let tls = ClientConnection::new(config.clone(), name)
        .map_err(|error| RequestError::of(RequestErrorKind::Tls, error))?;
    let stream = ClientTls {
        io,
        tls: RefCell::new(tls),
        output: RefCell::default(),
        fault: RefCell::default(),
        write_fault: Cell::new(None),
        has_ended: Cell::new(false),
        is_flush_due: Cell::new(false),
        writer: Cell::new(None),
        input: RefCell::default(),
    };
    let shake = |cx: &mut Context<'_>| {
        let shaken = stream.poll_handshake(cx);
        if let Poll::Ready(Err(_)) = shaken {
            stream.send_without_waiting(cx); // the alert
        }
        shaken
    };
    poll_fn(shake).await.map_err(failed)?;
    let tls = stream.tls.borrow();
    // A server that chooses another protocol would answer in frames.
    if tls
        .alpn_protocol()
        .is_some_and(|chosen| chosen != b"http/1.1")
    {
        let text = "the server has chosen another protocol than http/1.1";
        return Err(RequestError::with(RequestErrorKind::Tls, text));
    }
    drop(tls);
    Ok(stream)
}

/// Returns the remedy of the two faults that certificates of one's own have most often, or an empty text.
fn remedy(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|error| error.downcast_ref());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "no root certificate of ClientBuilder::tls has issued the server's"
        }
        // This error has no variant of its own in rustls.
        Some(Error::InvalidCertificate(CertificateError::Other(error)))
            if format!("{error:?}").contains("CaUsedAsEndEntity") =>
        {
            "the server's certificate is one of an authority; make it with basicConstraints=CA:FALSE"
        }
        _ => "",
    }
}

impl ClientTls {
    fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx, 0))?;
            ready!(self.io.poll_flush(cx)).map_err(|error| self.fail_writing(error))?;
            let tls = self.tls.borrow();
            // The last message of ours has to leave, because the server waits for it.
            if !tls.is_handshaking() && !tls.wants_write() {
                return Poll::Ready(Ok(()));
            }
            let wants_read = tls.wants_read();
            drop(tls);
            if wants_read && ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(self.fail(ErrorKind::UnexpectedEof.into())));
            }
        }
    }

    /// Keeps the first error.
    fn fail(&self, error: io::Error) -> io::Error {
        let fault = || (error.kind(), error.to_string());
        self.fault.borrow_mut().get_or_insert_with(fault);
        error
    }

    /// Keeps the first error of a write.
    fn fail_writing(&self, error: io::Error) -> io::Error {
        let first = self.write_fault.get().unwrap_or(error.kind());
        self.write_fault.set(Some(first));
        error
    }

    fn check_writing(&self) -> io::Result<()> {
        self.check()?;
        self.write_fault
            .get()
            .map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn check(&self) -> io::Result<()> {
        match &*self.fault.borrow() {
            Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            None => Ok(()),
        }
    }

    /// Passes received records on to rustls, and reads more if all are used. Returns 0 at the end.
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let (mut space, mut used) = self.input.take();
        if used == space.len() {
            space.resize(READ_BYTES, 0);
            let read = self.io.poll_read(cx, &mut space);
            match read {
                Poll::Ready(Ok(count)) if count > 0 => space.truncate(count),
                // An idle connection keeps no buffer.
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(0)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.fail(error))),
                Poll::Pending => return Poll::Pending,
            }
            used = 0;
        }
        // Once, and not until all is used: rustls refuses more while it has plain bytes that were not read.
        let taken = {
            let tls = &mut *self.tls.borrow_mut();
            tls.read_tls(&mut &space[used..]).and_then(|count| {
                let processed = tls.process_new_packets();
                processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
                Ok(count)
            })
        };
        if let Ok(count) = taken {
            used += count;
        }
        self.input.replace((space, used));
        Poll::Ready(taken.map_err(|error| self.fail(error)))
    }

    /// Sends records until at most `rest` bytes are left.
    fn poll_send(&self, cx: &mut Context<'_>, rest: usize) -> Poll<io::Result<()>> {
        loop {
            // Taken out, because the transport below may wake a foreign waker, which may call this again.
            let (mut output, mut sent) = self.output.take();
            let mut tls = self.tls.borrow_mut();
            while tls.wants_write() {
                // A vector accepts all bytes.
                _ = tls.write_tls(&mut output);
            }
            drop(tls);
            if output.len() - sent <= rest {
                if output.len() == sent {
                    output.clear();
                    sent = 0;
                }
                self.output.replace((output, sent));
                return Poll::Ready(Ok(()));
            }
            let written = self.io.poll_write_one(cx, &output[sent..]);
            if let Poll::Ready(Ok(count)) = written {
                sent += count;
            }
            self.output.replace((output, sent));
            match ready!(written) {
                Ok(0) => {
                    return Poll::Ready(Err(self.fail_writing(ErrorKind::WriteZero.into())));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(self.fail_writing(error))),
            }
        }
    }

    /// Sends the records that rustls has made by itself, as far as the transport accepts them now.
    fn send_without_waiting(&self, cx: &mut Context<'_>) {
        let has_output = self.tls.borrow().wants_write() || self.held_bytes() > 0;
        if !has_output && !self.is_flush_due.get() {
            return;
        }
        // A task that waits to write stays registered below. It sends all records when it is woken.
        let writer = self.writer.take();
        let waker = writer.as_ref().unwrap_or_else(|| cx.waker()).clone();
        let cx = &mut Context::from_waker(&waker);
        self.is_flush_due.set(true);
        // An error is kept, so the next call returns it.
        if self.poll_send(cx, 0).is_pending() || self.poll_flush_below(cx).is_pending() {
            self.writer.set(writer);
        } else {
            // Ready, so the transport below may have forgotten the waker.
            writer.into_iter().for_each(Waker::wake);
        }
    }

    fn poll_flush_below(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.io.poll_flush(cx));
        self.is_flush_due.set(false);
        Poll::Ready(flushed.map_err(|error| self.fail_writing(error)))
    }

    /// Does what `poll` does, and stores the waker if it must wait.
    fn as_writer<V>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<V>>,
    ) -> Poll<io::Result<V>> {
        let poll = poll(cx);
        let writer = poll.is_pending().then(|| cx.waker().clone());
        drop(self.writer.replace(writer));
        poll
    }
}

impl Io for ClientTls {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            self.check()?;
            let read = self.tls.borrow_mut().reader().read(buffer);
            match read {
                // 0 after a `close_notify`.
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
            let received = self.poll_receive(cx);
            if received.is_pending() || matches!(received, Poll::Ready(Err(_))) {
                self.send_without_waiting(cx);
            }
            if ready!(received)? == 0 {
                let text = "the server has ended the stream without a close_notify";
                let error = io::Error::new(ErrorKind::UnexpectedEof, text);
                return Poll::Ready(Err(self.fail(error)));
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.as_writer(cx, |cx| {
            self.check_writing()?;
            if self.has_ended.get() {
                return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
            }
            // Half is room for the records of one write of rustls.
            ready!(self.poll_send(cx, HELD_BYTES_MAX / 2))?;
            let written = self.tls.borrow_mut().writer().write_vectored(slices);
            Poll::Ready(written.map_err(|error| self.fail(error)))
        })
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_writer(cx, |cx| {
            self.check_writing()?;
            ready!(self.poll_send(cx, 0))?;
            self.poll_flush_below(cx)
        })
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_writer(cx, |cx| {
            self.check_writing()?;
            // Once: a second one would be a record behind the end.
            if !self.has_ended.replace(true) {
                self.tls.borrow_mut().send_close_notify();
            }
            ready!(self.poll_send(cx, 0))?;
            self.io
                .poll_end(cx)
                .map_err(|error| self.fail_writing(error))
        })
    }

    fn held_bytes(&self) -> usize {
        let output = self.output.borrow();
        output.0.len() - output.1 + self.io.held_bytes()
    }

    fn reset_on_drop(&self) {
        self.io.reset_on_drop();
    }

    fn has_input(&self) -> bool {
        let input = self.input.borrow();
        self.fault.borrow().is_none() && (input.1 < input.0.len() || self.io.has_input())
    }

    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_closed(cx)
    }

    fn poll_read_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_read_closed(cx)
    }
}

#[cfg(all(test, feature = "tls"))]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::rc::Rc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use rustls::RootCertStore;
    use rustls::crypto::ring;
    use waterwheel_runtime::{block_on, join, yield_now};

    use super::*;
    use crate::testing::MemoryStream;
    use crate::tls::{TlsAcceptor, TlsConfig};

    /// A transport that has no room or takes all bytes. A write or a flush that is ready forgets the waker of one that
    /// has waited, as the contract allows.
    struct Narrow {
        inner: MemoryStream,
        is_full: Rc<Cell<bool>>,
        is_flushing: Rc<Cell<bool>>,
    }

    impl Io for Narrow {
        fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            Io::poll_read(&self.inner, cx, buffer)
        }

        fn poll_write(
            &self,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            if self.is_full.get() {
                return Poll::Pending;
            }
            Io::poll_write(&self.inner, cx, slices)
        }

        fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.is_flushing.get() {
                return Poll::Pending;
            }
            Poll::Ready(Ok(()))
        }

        fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Io::poll_end(&self.inner, cx)
        }

        fn has_input(&self) -> bool {
            self.inner.has_input()
        }

        fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
            Io::poll_closed(&self.inner, cx)
        }
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_server_that_is_not_trusted_learns_why() {
        // RFC 8446, 6.2
        let made = rcgen::generate_simple_self_signed(["mill.example".to_owned()]).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let server = TlsConfig::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
        let acceptor = TlsAcceptor::new(server.unwrap());
        block_on(async {
            let (near, far) = MemoryStream::pair();
            let config = Arc::new(config);
            let shake = async {
                handshake(&config, "mill.example", Box::new(near))
                    .await
                    .err()
            };
            let (accepted, refused) = join(acceptor.accept(far), shake).await;
            assert_eq!(refused.unwrap().kind(), RequestErrorKind::Tls);
            let error = accepted.err().unwrap().to_string();
            assert!(error.contains("UnknownCA"), "{error}");
        });
    }

    #[test]
    fn a_read_that_sends_all_records_wakes_the_task_that_waits_to_write() {
        let made = rcgen::generate_simple_self_signed(["mill.example".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = TlsConfig::from_pem(made.cert.pem(), made.signing_key.serialize_pem());
        let acceptor = TlsAcceptor::new(server.unwrap());
        block_on(async {
            let (near, far) = MemoryStream::pair();
            let (is_full, is_flushing) = (Rc::default(), Rc::default());
            let narrow = Narrow {
                inner: near,
                is_full: Rc::clone(&is_full),
                is_flushing: Rc::clone(&is_flushing),
            };
            let config = Arc::new(config);
            let shake = handshake(&config, "mill.example", Box::new(narrow));
            let (_far, near) = join(acceptor.accept(far), shake).await;
            let Ok(near) = near else {
                panic!("no handshake")
            };
            // The tickets of the server.
            let read = |cx: &mut Context<'_>| near.poll_read(cx, &mut [0; 8]);
            assert!(read(&mut Context::from_waker(Waker::noop())).is_pending());
            yield_now().await;
            for flush_waits in [false, true] {
                let wakes = Arc::new(Wakes::default());
                let of_writer = Waker::from(wakes.clone());
                let writer = &mut Context::from_waker(&of_writer);
                assert!(
                    near.poll_write(writer, &[IoSlice::new(b"grain")])
                        .is_ready()
                );
                is_full.set(true);
                assert!(near.poll_flush(writer).is_pending());
                // Each read tries again, and the one that sends and flushes all wakes the writer.
                let steps = [(true, false), (false, flush_waits), (false, false)];
                for (has_no_room, has_to_wait) in steps {
                    is_full.set(has_no_room);
                    is_flushing.set(has_to_wait);
                    assert!(read(&mut Context::from_waker(Waker::noop())).is_pending());
                    let is_woken = wakes.0.load(Ordering::Relaxed) > 0;
                    assert_eq!(is_woken, !has_no_room && !has_to_wait);
                }
                assert!(near.poll_flush(writer).is_ready());
            }
        });
    }
}
