//! The ways to answer a request: whole, piece by piece, by passing the stream on, or not at all.

use http::{Method, StatusCode, Version};

use crate::buffers::state::AnswerState;
use crate::error::{ClientError, InvalidAnswer, Refusal, Result};
use crate::exchange::answer_body::AnswerBody;
use crate::exchange::body::drain;
use crate::exchange::link::{COPIED_MAX, Link};
use crate::exchange::responded::Responded;
use crate::headers::AnswerHeaders;
use crate::transport::upgrade::{self, Upgrade};

/// The part of a whole answer that is left after it has been queued.
pub(crate) enum Unsent {
    /// All of it is queued, and leaves with the other queued bytes.
    Nothing,
    /// All of it is queued, and many bytes are queued. They are sent before more are queued.
    Queued,
    /// The body is sent from the handler's memory.
    Body,
}

/// Queues a whole answer that does not [repeat](Link::repeat) the last one. Leaves a large body to [`send`].
#[inline]
pub(crate) fn queue(
    link: Link<'_>,
    status: StatusCode,
    body: &[u8],
    headers: &impl AnswerHeaders,
) -> Result<(Responded, Unsent)> {
    let decided = link.queue_head(status, Some(body.len() as u64), headers)?;
    let body = if decided.framing.sends_body() {
        body
    } else {
        &[]
    };
    let responded = Responded::new(status, body.len() as u64);
    // A copy of a large body costs more than the second system call that it saves.
    if body.len() > COPIED_MAX {
        link.work.exchange.answer.set(AnswerState::Streaming);
        return Ok((responded, Unsent::Body));
    }
    link.work.exchange.answer.set(AnswerState::Complete);
    let output = &mut *link.work.exchange.output.borrow_mut();
    output.bytes.extend_from_slice(body);
    let unsent = if output.has_much() {
        Unsent::Queued
    } else {
        Unsent::Nothing
    };
    Ok((responded, unsent))
}

/// Sends the rest of an answer.
pub(crate) async fn send(link: Link<'_>, unsent: Unsent, body: &[u8]) -> Result<()> {
    match unsent {
        Unsent::Nothing => {}
        Unsent::Queued => link.flush().await?,
        Unsent::Body => {
            link.write_through(body).await?;
            link.work.exchange.answer.set(AnswerState::Complete);
        }
    }
    Ok(())
}

pub(crate) async fn start<'c>(
    link: Link<'c>,
    status: StatusCode,
    headers: &impl AnswerHeaders,
) -> Result<AnswerBody<'c>> {
    let framing = link.queue_head(status, None, headers)?.framing;
    link.work.exchange.answer.set(AnswerState::Streaming);
    link.back_pressure().await?;
    Ok(AnswerBody::new(link, status, framing))
}

/// Queues an interim answer, unless the client uses HTTP/1.0, which has no interim answers.
pub(crate) fn inform(
    link: Link<'_>,
    status: StatusCode,
    headers: &impl AnswerHeaders,
) -> Result<()> {
    // 100 is the server's own, at the first read of the body. 101 is final for HTTP, and `upgrade` sends it.
    if !matches!(status.as_u16(), 102..=199) {
        return Err(InvalidAnswer::Status.into());
    }
    if link.work.head.version() == Version::HTTP_11 {
        link.queue_bare(status, headers)?;
    }
    Ok(())
}

/// Changes to a protocol that the client has offered.
pub(crate) async fn upgrade(
    link: Link<'_>,
    behind: &[u8],
    protocol: &str,
    headers: &impl AnswerHeaders,
) -> Result<(Responded, Upgrade)> {
    // The body comes first: the byte after it belongs to the other protocol (RFC 9110, 7.8).
    if !drain(link, behind).await {
        return Err(Refusal::BodyTooLarge.into());
    }
    let headers = Upgrading { protocol, headers };
    link.queue_bare(StatusCode::SWITCHING_PROTOCOLS, &headers)?;
    Ok(promise(link, StatusCode::SWITCHING_PROTOCOLS))
}

/// Answers CONNECT, and makes the connection a tunnel.
pub(crate) fn tunnel(link: Link<'_>, headers: &impl AnswerHeaders) -> Result<(Responded, Upgrade)> {
    if *link.work.head.method() != Method::CONNECT {
        let other = "only CONNECT becomes a tunnel";
        let blame = ClientError::new(StatusCode::METHOD_NOT_ALLOWED, other);
        return Err(blame.with_header("allow", "CONNECT").into()); // RFC 9110, 15.5.6
    }
    // The fields have no Content-Length: what follows is the tunnel (RFC 9110, 9.3.6).
    link.queue_bare(StatusCode::OK, headers)?;
    Ok(promise(link, StatusCode::OK))
}

fn promise(link: Link<'_>, status: StatusCode) -> (Responded, Upgrade) {
    // The connection keeps its half until the answer has left. Then the stream follows, or the drop reports
    // failure.
    let (promise, upgrade) = upgrade::promise();
    link.work.exchange.promise.set(Some(promise));
    link.work.exchange.answer.set(AnswerState::HandsOver);
    (Responded::new(status, 0), upgrade)
}

/// The Upgrade field, followed by the handler's fields.
struct Upgrading<'a, H> {
    protocol: &'a str,
    headers: &'a H,
}

impl<H: AnswerHeaders> AnswerHeaders for Upgrading<'_, H> {
    fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(b"upgrade", self.protocol.as_bytes())?;
        self.headers.try_for_each(visit)
    }
}

pub(crate) fn abort(link: Link<'_>) -> Responded {
    link.work.exchange.answer.set(AnswerState::Aborted);
    Responded::ABORTED
}
