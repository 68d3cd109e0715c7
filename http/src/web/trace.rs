//! A span of `tracing` for each request, and W3C Trace Context.
//!
//! # How it works
//!
//! The span is current only while the handler's future is polled. So events of other requests on this thread are
//! never inside it.
//!
//! # Invariants
//!
//! - Never: a trace id, a version or a flag that the client has written in a wrong form.

use std::fmt;
use std::panic::resume_unwind;

use tracing::{Instrument, Span, field, info_span};

use crate::error::Result;
use crate::error::panics::catch_panic;
use crate::exchange::handler::{Handler, Responded};
use crate::exchange::request::Request;
use crate::web::unique::UniqueIds;

/// The place of a request in a trace (W3C Trace Context).
///
/// [`traces`] inserts it into [`Request::extensions`]. Send its text as `traceparent` to other services.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::trace::{TraceContext, traces};
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let show = traces(async |request: Request<'_>| {
///     let context = request.extensions().get::<TraceContext>().expect("`traces` is around");
///     request.respond(StatusCode::OK, context.to_string(), ()).await
/// });
/// let fields = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
/// let asked = async { TestClient::new(show).request(&Method::GET, "/", &fields, b"").await };
/// let sent_on = block_on(asked).text(); // the same trace, with a span of this server
/// assert!(sent_on.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
/// assert!(!sent_on.contains("b7ad6b7169203331"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceContext {
    /// The id of the trace, which is not 0.
    pub trace_id: u128,
    /// The id of the caller's span, or `None` if the trace begins here.
    pub parent_id: Option<u64>,
    /// The id of this request's span, which is not 0.
    pub span_id: u64,
    /// True if the caller records the trace. A trace that begins here is recorded.
    pub is_sampled: bool,
    /// The `tracestate` of the caller, to be sent on unchanged. At most 512 bytes, or else it is dropped.
    pub state: Option<String>,
}

/// Writes the value of `traceparent` for a request to another service.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(
            f,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

/// Opens a span of `tracing` around each call of a handler, at the level INFO and with the name `request`.
///
/// Its fields have the names of OpenTelemetry: `http.request.method`, `url.path`, `server.address`,
/// `client.address`, `user_agent.original`, `network.protocol.version`, at the end `http.response.status_code`, and
/// for a failure `error.type`. `trace_id`, `span_id` and `parent_id` are hexadecimal. `http.route` is empty: a
/// handler can record it. The query is left out, because it may have secrets.
///
/// `error.type` is the status if it is 5xx, `panic` after a panic, `client_gone` if the connection failed, `aborted`,
/// or `dropped` if the handler was dropped, because its client has left or its time was over.
///
/// A caller in another trace sends `traceparent` and `tracestate`. A wrong or repeated `traceparent` begins a new
/// trace. A client outside your network can write any ids, so let a proxy remove the field there.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::trace::traces;
/// use waterwheel::http::{Request, StatusCode};
///
/// let page = traces(async |request: Request<'_>| {
///     // tracing::Span::current().record("http.route", "/sacks/{id}");
///     request.respond(StatusCode::OK, "", ()).await
/// });
/// # drop(page);
/// ```
pub fn traces(handler: impl Handler) -> impl Handler {
    let ids = UniqueIds::default();
    async move |request: Request<'_>| {
        let context = context_of(&request, &ids);
        let span = span_of(&request, &context);
        request.extensions().insert(context);
        let open = OpenSpan(Some(span.clone()));
        // A panic becomes a value, so that the span can record it.
        let called = catch_panic(async || handler.call(request).await);
        let answered = called.instrument(span).await;
        open.end(answered)
    }
}

fn span_of(request: &Request<'_>, context: &TraceContext) -> Span {
    let span = info_span!(
        "request",
        http.request.method = %request.method(),
        http.route = field::Empty,
        http.response.status_code = field::Empty,
        url.path = request.path(),
        server.address = field::Empty,
        client.address = field::Empty,
        user_agent.original = field::Empty,
        network.protocol.version = field::Empty,
        error.type = field::Empty,
        trace_id = field::Empty,
        span_id = field::Empty,
        parent_id = field::Empty,
    );
    if span.is_disabled() {
        return span;
    }
    let version = if request.version() == http::Version::HTTP_10 {
        "1.0"
    } else {
        "1.1"
    };
    span.record("network.protocol.version", version);
    span.record(
        "trace_id",
        field::display(format_args!("{:032x}", context.trace_id)),
    );
    span.record(
        "span_id",
        field::display(format_args!("{:016x}", context.span_id)),
    );
    if let Some(parent) = context.parent_id {
        span.record("parent_id", field::display(format_args!("{parent:016x}")));
    }
    if let Some(host) = request.host() {
        span.record("server.address", host);
    }
    if let Some(client) = request.client_address() {
        span.record("client.address", field::display(client));
    }
    if let Some(agent) = request.headers().get("user-agent") {
        span.record("user_agent.original", agent);
    }
    span
}

/// A span whose end is not recorded yet. If it is dropped, the handler was.
struct OpenSpan(Option<Span>);

impl OpenSpan {
    fn end(mut self, answered: std::thread::Result<Result<Responded>>) -> Result<Responded> {
        let Some(span) = self.0.take() else {
            unreachable!("a span ends once");
        };
        let (status, word) = match &answered {
            Ok(Ok(responded)) => (responded.status(), "aborted"),
            Ok(Err(error)) if error.is_disconnect() => (None, "client_gone"),
            Ok(Err(error)) => (Some(error.status()), ""),
            Err(_) => (None, "panic"),
        };
        match status {
            Some(status) => {
                span.record("http.response.status_code", status.as_u16());
                if status.is_server_error() {
                    span.record("error.type", status.as_str());
                }
            }
            None => drop(span.record("error.type", word)),
        }
        if answered.is_err() {
            // The server answers a panic with 500.
            span.record("http.response.status_code", 500_u16);
        }
        // The span is closed first, so that no panic of the handler keeps it open.
        drop(span);
        answered.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        if let Some(span) = self.0.take() {
            span.record("error.type", "dropped");
        }
    }
}

fn context_of(request: &Request<'_>, ids: &UniqueIds) -> TraceContext {
    let headers = request.headers();
    let mut parents = headers.get_all("traceparent");
    let parent = parents.next().filter(|_| parents.next().is_none());
    let Some((trace_id, parent_id, is_sampled)) = parent.and_then(parse_parent) else {
        let [high, low] = ids.next();
        return TraceContext {
            trace_id: u128::from(high.max(1)) << 64 | u128::from(low),
            parent_id: None,
            span_id: span_id(ids),
            is_sampled: true,
            state: None,
        };
    };
    let states: Vec<_> = headers.get_all("tracestate").collect();
    let state = String::from_utf8(states.join(&b","[..])).ok();
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
    TraceContext {
        trace_id,
        parent_id: Some(parent_id),
        span_id: span_id(ids),
        is_sampled,
        state: state.filter(|text| (1..=512).contains(&text.len()) && text.bytes().all(is_plain)),
    }
}

/// Reads `traceparent` (W3C Trace Context, 3.2): the trace, the caller's span, and the flag of sampling.
fn parse_parent(value: &[u8]) -> Option<(u128, u64, bool)> {
    let text = str::from_utf8(value).ok()?;
    let is_hex = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let (head, rest) = text.split_at_checked(55)?;
    let mut parts = head.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = [version.len(), trace.len(), parent.len(), flags.len()];
    // A later version may have more parts, which begin with a hyphen.
    let may_have_more = version != "00" && rest.starts_with('-');
    let is_known = version != "ff" && (rest.is_empty() || may_have_more);
    if lengths != [2, 32, 16, 2]
        || !is_known
        || ![version, trace, parent, flags].into_iter().all(is_hex)
    {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace, parent, flags & 1 == 1))
}

/// Returns an id of a span, which is not 0.
fn span_id(ids: &UniqueIds) -> u64 {
    let [id, _] = ids.next();
    id.max(1)
}
