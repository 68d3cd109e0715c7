//! The ways to answer a request: whole, piece by piece, by passing the stream on, or not at all.

use std::pin::Pin;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, StatusCode, Version};

use crate::buffers::AnswerState;
use crate::error::{ClientError, InvalidAnswer, Refusal, Result};
use crate::exchange::answer_body::{AnswerBody, spend_on_coding};
use crate::exchange::answer_coder::{self, BodyEncoder, CoderOfRequest};
use crate::exchange::body::drain;
use crate::exchange::handle::{COPIED_MAX, Exchange};
use crate::exchange::handler::Responded;
use crate::headers::AnswerHeaders;
use crate::proto::framing::digits;
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

/// Queues a whole answer that does not [repeat](Exchange::repeat) the last one. Leaves a large body to [`send`].
#[inline]
pub(crate) fn queue(
    exchange: Exchange<'_>,
    status: StatusCode,
    body: &[u8],
    headers: &impl AnswerHeaders,
) -> Result<(Responded, Unsent)> {
    let decided = exchange.queue_head(status, Some(body.len() as u64), headers)?;
    // The Content-Length is that of the body all the same, if the method was HEAD (RFC 9110, 8.6).
    let body = if decided.framing.sends_body() {
        body
    } else {
        &[]
    };
    let responded = Responded::new(status, body.len() as u64);
    // A copy of a large body costs more than the second system call that it saves.
    if body.len() > COPIED_MAX {
        exchange.set_answer(AnswerState::Streaming);
        return Ok((responded, Unsent::Body));
    }
    exchange.set_answer(AnswerState::Complete);
    exchange.queue_with(|queue| queue.extend_from_slice(body));
    let unsent = if exchange.has_much_queued() {
        Unsent::Queued
    } else {
        Unsent::Nothing
    };
    Ok((responded, unsent))
}

/// Sends the rest of an answer.
pub(crate) async fn send(exchange: Exchange<'_>, unsent: Unsent, body: &[u8]) -> Result<()> {
    match unsent {
        Unsent::Nothing => {}
        Unsent::Queued => exchange.flush().await?,
        Unsent::Body => {
            // The state stays `Streaming` until the last byte is written. If the future is dropped before, the
            // connection is cut.
            exchange.write_through(body).await?;
            exchange.set_answer(AnswerState::Complete);
        }
    }
    Ok(())
}

pub(crate) async fn start<'c>(
    exchange: Exchange<'c>,
    status: StatusCode,
    headers: &impl AnswerHeaders,
) -> Result<AnswerBody<'c>> {
    if may_be_coded(exchange)
        && let Some(prepared) = prepare(exchange, status, None, headers)
    {
        return Box::pin(start_prepared(exchange, status, prepared)).await;
    }
    let framing = exchange.queue_head(status, None, headers)?.framing;
    exchange.set_answer(AnswerState::Streaming);
    // The head leaves with the first pieces, unless many bytes are queued before it.
    exchange.back_pressure().await?;
    Ok(AnswerBody::new(exchange, status, framing))
}

/// An answer that the request's coder has seen.
struct Prepared {
    fields: HeaderMap,
    /// `None` if the body is sent as it is.
    encoder: Option<Box<dyn BodyEncoder>>,
    /// The length of the body before its coding, if it is known.
    length: Option<u64>,
}

/// Returns true if the request may have a coder. Most requests have no extensions at all.
#[inline]
pub(crate) fn may_be_coded(exchange: Exchange<'_>) -> bool {
    !exchange.extensions().is_empty()
}

/// Lets the request's coder look at an answer. Returns `None` if there is no coder. Also returns `None` if a field
/// cannot be sent, so that the usual way reports that.
#[inline(never)]
fn prepare(
    exchange: Exchange<'_>,
    status: StatusCode,
    length: Option<u64>,
    headers: &impl AnswerHeaders,
) -> Option<Prepared> {
    let coder = exchange.extensions().get::<CoderOfRequest>()?;
    let mut fields = answer_coder::map_of(headers)?;
    let mut announced = None;
    for value in fields.get_all(CONTENT_LENGTH) {
        let bytes = digits(value.as_bytes())?;
        // A second length, or one that is not that of the body: the usual way reports it.
        if announced.is_some() || length.is_some_and(|length| length != bytes) {
            return None;
        }
        announced = Some(bytes);
    }
    let length = length.or(announced);
    let encoder = coder.0.begin(status, length, &mut fields);
    if encoder.is_some() {
        fields.remove(CONTENT_LENGTH);
    }
    Some(Prepared {
        fields,
        encoder,
        length,
    })
}

/// Answers with a whole body that the request's coder sees. Returns `None` if there is no coder.
#[inline(never)]
pub(crate) fn respond_coded<'a>(
    exchange: Exchange<'a>,
    status: StatusCode,
    body: &'a [u8],
    headers: &impl AnswerHeaders,
) -> Option<Pin<Box<dyn Future<Output = Result<Responded>> + 'a>>> {
    let prepared = prepare(exchange, status, Some(body.len() as u64), headers)?;
    Some(Box::pin(respond_prepared(exchange, status, body, prepared)))
}

/// A longer body is coded piece by piece, so that other tasks run meanwhile. Its answer has no Content-Length.
const CODED_WHOLE_MAX: usize = 64 * 1024;

async fn respond_prepared(
    exchange: Exchange<'_>,
    status: StatusCode,
    body: &[u8],
    mut prepared: Prepared,
) -> Result<Responded> {
    let mut coded = Vec::new();
    let body = match &mut prepared.encoder {
        None => body,
        Some(_) if body.len() > CODED_WHOLE_MAX => {
            let mut answer = start_prepared(exchange, status, prepared).await?;
            answer.write(body).await?;
            return answer.finish().await;
        }
        Some(encoder) => {
            // A pipeline of such answers must not keep other tasks waiting.
            spend_on_coding(body.len()).await;
            encoder.encode(body, &mut coded)?;
            encoder.finish(&mut coded)?;
            &coded
        }
    };
    let (responded, unsent) = queue(exchange, status, body, &prepared.fields)?;
    send(exchange, unsent, body).await?;
    Ok(responded)
}

async fn start_prepared(
    exchange: Exchange<'_>,
    status: StatusCode,
    prepared: Prepared,
) -> Result<AnswerBody<'_>> {
    let framing = exchange.queue_head(status, None, &prepared.fields)?.framing;
    exchange.set_answer(AnswerState::Streaming);
    exchange.back_pressure().await?;
    let body = AnswerBody::new(exchange, status, framing);
    Ok(match prepared.encoder {
        Some(encoder) => body.coded(encoder, prepared.length),
        None => body,
    })
}

/// Queues an interim answer, unless the client uses HTTP/1.0, which has no interim answers.
pub(crate) fn inform(
    exchange: Exchange<'_>,
    status: StatusCode,
    headers: &impl AnswerHeaders,
) -> Result<()> {
    // 100 is the server's own, at the first read of the body. 101 is final for HTTP, and `upgrade` sends it.
    if !matches!(status.as_u16(), 102..=199) {
        return Err(InvalidAnswer::Status.into());
    }
    if exchange.head().version() == Version::HTTP_11 {
        exchange.queue_bare(status, headers)?;
    }
    Ok(())
}

/// Changes to a protocol that the client has offered.
pub(crate) async fn upgrade(
    exchange: Exchange<'_>,
    protocol: &str,
    headers: &impl AnswerHeaders,
) -> Result<(Responded, Upgrade)> {
    // The body comes first: the byte after it belongs to the other protocol (RFC 9110, 7.8).
    if !drain(exchange).await {
        return Err(Refusal::BodyTooLarge.into());
    }
    let headers = Upgrading { protocol, headers };
    exchange.queue_bare(StatusCode::SWITCHING_PROTOCOLS, &headers)?;
    Ok(promise(exchange, StatusCode::SWITCHING_PROTOCOLS))
}

/// Answers CONNECT, and makes the connection a tunnel.
pub(crate) fn tunnel(
    exchange: Exchange<'_>,
    headers: &impl AnswerHeaders,
) -> Result<(Responded, Upgrade)> {
    if *exchange.head().method() != Method::CONNECT {
        let other = "only CONNECT becomes a tunnel";
        let blame = ClientError::new(StatusCode::METHOD_NOT_ALLOWED, other);
        return Err(blame.with_header("allow", "CONNECT").into()); // RFC 9110, 15.5.6
    }
    // The fields have no Content-Length: what follows is the tunnel (RFC 9110, 9.3.6).
    exchange.queue_bare(StatusCode::OK, headers)?;
    Ok(promise(exchange, StatusCode::OK))
}

fn promise(exchange: Exchange<'_>, status: StatusCode) -> (Responded, Upgrade) {
    // The connection keeps its half until the answer has left. Then the stream follows, or the drop reports
    // failure.
    let (promise, upgrade) = upgrade::promise();
    exchange.set_promise(promise);
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

pub(crate) fn abort(exchange: Exchange<'_>) -> Responded {
    exchange.set_answer(AnswerState::Aborted);
    Responded::ABORTED
}
