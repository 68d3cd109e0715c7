//! What hyper makes of the same bytes.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::oracle::differential::{Message, Verdict};

/// Reads the first request in `bytes`, behind which the connection ends.
pub(crate) fn read(bytes: &[u8]) -> Verdict {
    let seen = RefCell::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        seen.borrow_mut().get_or_insert_with(|| message(&request));
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let served = http1::Builder::new()
        .keep_alive(false)
        .header_read_timeout(None)
        .serve_connection(Wire(bytes), service);
    let result = futures_lite::future::block_on(served);
    match (seen.take(), result) {
        (Some(message), _) => Verdict::Accepted(Box::new(message)),
        (None, Err(error)) if !error.is_incomplete_message() => Verdict::Refused(error.to_string()),
        (None, _) => Verdict::Incomplete,
    }
}

fn message(request: &Request<Incoming>) -> Message {
    let uri = request.uri();
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Message {
        method: request.method().clone(),
        version: request.version(),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        authority: uri.authority().map(ToString::to_string),
        fields: fields.collect(),
        length: request.body().size_hint().exact(),
    }
    .in_order()
}

/// A connection on which everything has come, and whose other end takes everything.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let (piece, rest) = self.0.split_at(self.0.len().min(buffer.remaining()));
        buffer.put_slice(piece);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
