//! How a request is answered: whole, piece by piece, with the stream itself, or not at all.

use http::{Method, StatusCode, Version};

use crate::buffers::state::AnswerState;
use crate::error::{ClientError, InvalidAnswer, Refusal, Result};
use crate::exchange::answer_body::AnswerBody;
use crate::exchange::body::drain;
use crate::exchange::link::{COPIED_MAX, Link};
use crate::exchange::responded::Responded;
use crate::headers::AnswerHeaders;
use crate::transport::upgrade::{self, Upgrade};

/// What a whole answer still needs once it is queued.
pub(crate) enum Unsent {
    /// Nothing: it goes out with whatever else is queued.
    Nothing,
    /// Much is queued, and goes out before there is more.
    Queued,
    /// The body is written from where it is.
    Body,
}

/// Queues a whole answer, but for a large body, where it is not [like the last one](Link::repeat).
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

/// Sends what is `unsent` of an answer.
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

/// Queues an interim answer, for a client that knows of such.
pub(crate) fn inform(
    link: Link<'_>,
    status: StatusCode,
    headers: &impl AnswerHeaders,
) -> Result<()> {
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
    // The request comes first, whole; the next byte is the other protocol's (RFC 9110, 7.8).
    if !drain(link, behind).await {
        return Err(Refusal::BodyTooLarge.into());
    }
    let headers = Upgrading { protocol, headers };
    link.queue_bare(StatusCode::SWITCHING_PROTOCOLS, &headers)?;
    Ok(promise(link, StatusCode::SWITCHING_PROTOCOLS))
}

/// Becomes what CONNECT asks for.
pub(crate) fn tunnel(link: Link<'_>, headers: &impl AnswerHeaders) -> Result<(Responded, Upgrade)> {
    if *link.work.head.method() != Method::CONNECT {
        let other = "only CONNECT becomes a tunnel";
        let blame = ClientError::new(StatusCode::METHOD_NOT_ALLOWED, other);
        return Err(blame.with_header("allow", "CONNECT").into()); // RFC 9110, 15.5.6
    }
    link.queue_bare(StatusCode::OK, headers)?;
    Ok(promise(link, StatusCode::OK))
}

fn promise(link: Link<'_>, status: StatusCode) -> (Responded, Upgrade) {
    let (promise, upgrade) = upgrade::promise();
    link.work.exchange.promise.set(Some(promise));
    link.work.exchange.answer.set(AnswerState::HandsOver);
    (Responded::new(status, 0), upgrade)
}

/// The Upgrade field, and the handler's own.
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
