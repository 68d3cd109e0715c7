//! One request on its way through the proxy.
//!
//! # How it works
//!
//! ```text
//!  client ──body──► upload ──► server       both directions at the same time,
//!  client ◄──────── relay ◄─── server       so that an answer may come before the end of the body
//! ```

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Buf;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, StatusCode};
use waterwheel_runtime::io::copy_bidirectional;
use waterwheel_runtime::time::timeout;
use waterwheel_runtime::{Notify, race, spawn};

use super::fields::{self, Via};
use super::link::{LinkFailure, LinkReader, PassedHead, write_all};
use super::places::Places;
use super::upstreams::{TakenLink, Upstream, Upstreams};
use crate::client::Client;
use crate::client::lease::Lease;
use crate::error::{Error, Result};
use crate::exchange::body::Body;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::headers::white_space::members;
use crate::proto::body_rest::BodyRest;
use crate::proto::chunked::{push_chunk, push_last_chunk, remove_never_trailers};
use crate::proto::framing::ContentFraming;
use crate::shared::reasons;
use crate::transport::io::Io;
use crate::web::gateway::{self, Watch};

/// A request as the server receives it.
pub(super) struct PassedRequest<'a> {
    pub(super) client: &'a Client,
    pub(super) upstreams: &'a Upstreams,
    /// The path and the query, behind the base of the server.
    pub(super) target: &'a str,
    pub(super) fields: HeaderMap,
    /// The value of Host, or `None` for that of the server.
    pub(super) host: Option<&'a str>,
    /// The protocol to which the connection may change.
    pub(super) upgrade: Option<&'a str>,
    pub(super) via: Option<&'a Via>,
    pub(super) places: Places<'a>,
    pub(super) time_limit: Duration,
    /// True if the client waits for 100 (Continue) before it sends its body.
    pub(super) awaits_continue: bool,
}

/// How long the client's body waits for the server's 100 (Continue). Some servers never send it (RFC 9110, 10.1.1).
const CONTINUE_DURATION_MAX: Duration = Duration::from_secs(1);

/// The most interim answers before a final one.
const INTERIM_MAX: u32 = 32;

/// The room for the usual head. The allocator keeps freed blocks of this size at hand, and not much larger ones.
const HEAD_BYTES: usize = 768;

/// The number of times that a request is sent again.
const REPEATS_MAX: u32 = 1;

/// Passes a request on, and its answer back.
pub(super) async fn pass(
    mut request: Request<'_>,
    outgoing: PassedRequest<'_>,
) -> Result<Responded> {
    let mut repeats = 0;
    loop {
        let left = async {
            request.disconnected().await;
            Err(gateway::client_has_left())
        };
        let taken = race(outgoing.upstreams.take(outgoing.client, repeats > 0), left).await?;
        let TakenLink {
            upstream,
            mut lease,
            is_reused,
        } = taken;
        // The server may have worked on a request that it has not answered. So only one that may be repeated is
        // (RFC 9110, 9.2.2). A body is gone by then.
        let may_repeat = is_reused
            && repeats < REPEATS_MAX
            && request.method().is_idempotent()
            && request.body().left() == Some(0);
        match attempt(request, &outgoing, &upstream, &mut lease, may_repeat).await? {
            Attempt::Answered {
                responded,
                is_reusable,
                idle,
            } => {
                if is_reusable {
                    lease.give_back(idle);
                }
                return Ok(responded);
            }
            Attempt::Switched(request, head) => {
                return switch(request, head, outgoing, lease).await;
            }
            Attempt::Repeat(same) => (request, repeats) = (same, repeats + 1),
        }
    }
}

/// The result of sending a request once.
enum Attempt<'c> {
    Answered {
        responded: Responded,
        is_reusable: bool,
        /// How many seconds the server keeps the connection, if it has announced that.
        idle: Option<u64>,
    },
    /// The server changes to another protocol.
    Switched(Request<'c>, PassedHead),
    /// The server has closed an idle connection while the request was on its way.
    Repeat(Request<'c>),
}

async fn attempt<'c>(
    request: Request<'c>,
    outgoing: &PassedRequest<'_>,
    upstream: &Upstream,
    lease: &mut Lease,
    may_repeat: bool,
) -> Result<Attempt<'c>> {
    let (server, limit) = (&*upstream.name, outgoing.time_limit);
    let (io, input) = lease.parts();
    let bytes = outgoing.head(&request, &upstream.base, &upstream.host);
    let transfer = Transfer::new(limit);
    let mut upload = pin!(upload(
        io,
        &bytes,
        request.body(),
        &transfer,
        outgoing.awaits_continue
    ));
    // One timer for both waits.
    let late = async {
        transfer.watch.expired().await;
        Err::<Infallible, _>(gateway::late(format!("{server} makes no progress")))
    };
    let mut late = pin!(late);
    let mut reader = LinkReader {
        io,
        input,
        watch: &transfer.watch,
    };
    let head = {
        let answer = read_head(&request, &mut reader, outgoing, &transfer.agreed);
        let beside = async {
            match race(upload.as_mut(), late.as_mut()).await {
                Ok(never) => match never {},
                Err(error) => Err(Ended::Error(error)),
            }
        };
        race(answer, beside).biased().await
    };
    let head = match head {
        Ok(head) => outgoing.places.map(head, upstream),
        Err(Ended::Failure(LinkFailure::Closed)) if may_repeat => {
            return Ok(Attempt::Repeat(request));
        }
        Err(Ended::Failure(failure)) => return Err(failure.into_error(server)),
        Err(Ended::Error(error)) => return Err(error),
    };
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        complete(upload, &transfer, server).await?;
        return Ok(Attempt::Switched(request, head));
    }
    let (persists, idle) = (head.persists, head.idle_seconds);
    let relay = relay(request, head, &mut reader, outgoing.via, server);
    let beside = async {
        match race(upload.as_mut(), late.as_mut()).await {
            Ok(never) => match never {},
            Err(error) => Err(error),
        }
    };
    let responded = race(relay, beside).biased().await?;
    let is_reusable = persists && transfer.is_uploaded.get() && input.is_empty();
    Ok(Attempt::Answered {
        responded,
        is_reusable,
        idle,
    })
}

/// The end of the wait for a head.
enum Ended {
    Failure(LinkFailure),
    Error(Error),
}

impl From<LinkFailure> for Ended {
    fn from(failure: LinkFailure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The state that both directions share.
struct Transfer {
    watch: Watch,
    is_uploaded: Cell<bool>,
    /// Notified when the server wants the body.
    agreed: Notify,
}

impl Transfer {
    fn new(limit: Duration) -> Self {
        Self {
            watch: Watch::new(limit),
            is_uploaded: Cell::new(false),
            agreed: Notify::new(),
        }
    }
}

impl PassedRequest<'_> {
    /// Returns the bytes of the head.
    fn head(&self, request: &Request<'_>, base: &str, host: &str) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        for part in [
            request.method().as_str(),
            " ",
            base,
            self.target,
            " HTTP/1.1\r\n",
        ] {
            head.extend_from_slice(part.as_bytes());
        }
        let mut push = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                head.extend_from_slice(part);
            }
        };
        push("host", self.host.unwrap_or(host).as_bytes());
        for (name, value) in &self.fields {
            push(name.as_str(), value.as_bytes());
        }
        if self.upgrade.is_some() {
            push(CONNECTION.as_str(), b"upgrade");
        } else if self.fields.contains_key(http::header::TE) {
            // TE is about this connection (RFC 9110, 10.1.4).
            push(CONNECTION.as_str(), b"te");
        }
        match request.body().left() {
            None => push(TRANSFER_ENCODING.as_str(), b"chunked"),
            Some(0) if !request.headers().contains(CONTENT_LENGTH.as_str()) => {}
            Some(length) => push(CONTENT_LENGTH.as_str(), length.to_string().as_bytes()),
        }
        if self.awaits_continue {
            push("expect", b"100-continue");
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// Sends a request. On success it never ends, so that it can stand beside the answer.
///
/// # Errors
///
/// Those of reading the client's body. If the server does not take the bytes, its answer decides.
async fn upload(
    io: &dyn Io,
    head: &[u8],
    mut body: Body<'_>,
    transfer: &Transfer,
    awaits_continue: bool,
) -> Result<Infallible> {
    let Transfer { watch, .. } = transfer;
    let is_chunked = body.left().is_none();
    if body.left() == Some(0) {
        if write_all(io, head, watch).await.is_ok() {
            transfer.is_uploaded.set(true);
        }
        return pending().await;
    }
    if write_all(io, head, watch).await.is_err() {
        return pending().await;
    }
    if awaits_continue {
        // Whether the server has agreed or is silent: the body goes on.
        let _agreed = timeout(CONTINUE_DURATION_MAX, transfer.agreed.notified()).await;
    }
    let mut framed = Vec::new();
    while let Some(piece) = watch.without(body.next()).await? {
        let bytes = if is_chunked {
            framed.clear();
            push_chunk(&mut framed, &piece);
            &*framed
        } else {
            &*piece
        };
        if write_all(io, bytes, watch).await.is_err() {
            return pending().await;
        }
    }
    if is_chunked {
        framed.clear();
        push_last_chunk(&mut framed, &harmless(body.trailers().unwrap_or_default()))?;
        if write_all(io, &framed, watch).await.is_err() {
            return pending().await;
        }
    }
    transfer.is_uploaded.set(true);
    pending().await
}

/// Checks that a request has left as a whole. The server reads the bytes of a tunnel behind it.
async fn complete(
    mut upload: Pin<&mut impl Future<Output = Result<Infallible>>>,
    transfer: &Transfer,
    server: &str,
) -> Result<()> {
    // The last bytes may have left in the poll that found the answer.
    if let Poll::Ready(ended) = poll_fn(|cx| Poll::Ready(upload.as_mut().poll(cx))).await {
        match ended? {}
    }
    if transfer.is_uploaded.get() {
        return Ok(());
    }
    let text = format!("{server} changes the protocol within the request");
    Err(gateway::bad(text))
}

/// Returns the trailers without those that no recipient may use (RFC 9110, 6.5.1). Some servers add trailers to the
/// fields, so those about the client and the connection are removed, too.
fn harmless(mut trailers: HeaderMap) -> HeaderMap {
    fields::convert_trailers(&mut trailers);
    remove_never_trailers(&mut trailers);
    trailers
}

/// Reads the final head, and passes interim ones on.
async fn read_head(
    request: &Request<'_>,
    reader: &mut LinkReader<'_>,
    outgoing: &PassedRequest<'_>,
    agreed: &Notify,
) -> Result<PassedHead, Ended> {
    let limits = outgoing.client.limits();
    for number in 0..INTERIM_MAX {
        let left = async {
            request.disconnected().await;
            Err(Ended::Error(gateway::client_has_left()))
        };
        let head = async {
            let head = reader.head(request.method(), limits).await;
            Ok(head.map_err(|failure| match failure {
                // The server has seen the request, so it must not be sent again.
                LinkFailure::Closed if number > 0 => "it has ended after an interim answer".into(),
                failure => failure,
            })?)
        };
        let mut head = race(head, left).await?;
        match head.status {
            // This server sends it to its client itself, when the body is read.
            StatusCode::CONTINUE => agreed.notify_one(),
            StatusCode::SWITCHING_PROTOCOLS => {
                let chosen = head.headers.get_all(UPGRADE).iter();
                let chosen: Vec<_> = chosen.flat_map(|value| members(value.as_bytes())).collect();
                let is_offered = |chosen: &[u8]| {
                    let offered = outgoing.upgrade.map(str::as_bytes);
                    offered.is_some_and(|offered| offered.eq_ignore_ascii_case(chosen))
                };
                return match *chosen {
                    [chosen] if is_offered(chosen) => Ok(head),
                    _ => Err(
                        LinkFailure::from("it changes to a protocol that was not offered").into(),
                    ),
                };
            }
            status if status.is_informational() => {
                fields::convert_answer(&mut head.headers, false);
                head.headers.remove(CONTENT_LENGTH);
                let informed = request.inform(status, &head.headers);
                informed.map_err(|error| gateway::blame("an interim answer", error))?;
            }
            _ => return Ok(head),
        }
    }
    Err(LinkFailure::from("it sends no final answer").into())
}

/// Sends the answer of the server to the client.
async fn relay(
    request: Request<'_>,
    mut head: PassedHead,
    reader: &mut LinkReader<'_>,
    via: Option<&Via>,
    server: &str,
) -> Result<Responded> {
    let has_trailers = head.framing == ContentFraming::Chunked;
    fields::convert_answer(&mut head.headers, has_trailers);
    if let Some(via) = via {
        via.add(&mut head.headers, head.version);
    }
    gateway::remove_needless_length(head.status, &mut head.headers);
    let mut rest = BodyRest::of(head.framing);
    let started = request.start(head.status, head.headers).await;
    let mut answer = started.map_err(|error| gateway::blame(server, error))?;
    let watch = reader.watch;
    loop {
        let left = async {
            answer.disconnected().await;
            Err(gateway::client_has_left())
        };
        let piece = async {
            let piece = reader.piece(&mut rest).await;
            piece.map_err(|failure| failure.into_error(server))
        };
        let length = race(piece, left).await?;
        if length == 0 {
            break;
        }
        watch.without(answer.write(&reader.input[..length])).await?;
        reader.input.advance(length);
    }
    let trailers = harmless(rest.trailers());
    watch.without(answer.finish_with_trailers(trailers)).await
}

/// Changes both connections to another protocol, and lets a task of its own copy the bytes.
async fn switch(
    request: Request<'_>,
    mut head: PassedHead,
    outgoing: PassedRequest<'_>,
    lease: Lease,
) -> Result<Responded> {
    let protocol = outgoing.upgrade.unwrap_or_default();
    fields::convert_answer(&mut head.headers, false);
    head.headers.remove(CONTENT_LENGTH);
    if let Some(via) = outgoing.via {
        via.add(&mut head.headers, head.version);
    }
    let (responded, upgrade) = request.upgrade(protocol, head.headers).await?;
    let tunnel = async move {
        let Ok(client) = upgrade.await else {
            return;
        };
        let server = lease.into_stream();
        // An end of one stream is the end of the write half of the other one. An error of one ends both.
        if let Err(error) = copy_bidirectional(client, server).await {
            tracing::debug!(%error, "a tunnel has ended");
        }
    };
    spawn(reasons::named("tunnel", tunnel)).detach();
    Ok(responded)
}
