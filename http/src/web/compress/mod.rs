//! Compression of answers on the fly (RFC 9110, 8.4 and 12.5.3).
//!
//! ```no_run
//! use waterwheel::http::web::compress::compress;
//! use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
//! use waterwheel::runtime::block_on;
//!
//! async fn page(request: Request<'_>) -> Result<Responded> {
//!     let page = "<p>many words</p>".repeat(1000);
//!     request.respond(StatusCode::OK, page, [("content-type", "text/html")]).await
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! block_on(async { Server::bind("127.0.0.1:8080")?.serve(compress(page)).await })
//! # }
//! ```
//!
//! # Which answers are compressed
//!
//! The client chooses the coding by its Accept-Encoding field. If it accepts several equally, the order is `br`,
//! `zstd`, `gzip`, `deflate`. The first two need the features `compress-brotli` and `compress-zstd`.
//!
//! | an answer is sent as it is if | why |
//! |---|---|
//! | the client accepts no coding, or prefers `identity` | it has asked for this |
//! | its Content-Type is not that of a text, or is missing | pictures and archives are compressed already |
//! | its Content-Type is `text/event-stream` | each event must leave at once |
//! | it is known to be shorter than 1,024 bytes | it would not become smaller by much |
//! | it has a Content-Encoding | it is coded already, as by `web::files` |
//! | its status is 204, 206 or 304 | it has no body, or a part of one |
//! | its Cache-Control has `no-transform` | RFC 9111, 5.2.2.6 |
//! | it has a digest or a signature of its bytes | the digest would be wrong |
//!
//! A compressed answer has no Content-Length if it is long or comes in pieces, and no Accept-Ranges. Its ETag becomes
//! a weak one, because other bytes mean the same (RFC 9110, 8.8.1). So a range is not continued with other bytes
//! (RFC 9110, 13.1.5). Each answer whose coding depends on the client has `vary: accept-encoding`, also when it is sent
//! as it is, and so have a 304 and a part of such an answer.
//!
//! A handler that sends pieces calls [`AnswerBody::flush`](crate::AnswerBody::flush) when the client should have the
//! bytes so far. Otherwise the encoder keeps some of them back. `send_stream`, `send_reader` and `send_body` flush
//! while their source waits.
//!
//! # Cost
//!
//! The runtime's thread compresses. It codes 32 KiB, then other tasks run. A whole answer of up to 64 KiB is coded at
//! once. gzip at its usual level takes about half a millisecond for 32 KiB. Files that do not change are better
//! compressed once: `web::files` serves the file `a.css.br` in place of `a.css`.
//!
//! A gzip encoder has some 370 KiB, as long as its answer is being sent. A whole answer of up to 64 KiB needs it only
//! while it is coded. So a thousand clients that slowly read long answers take 370 MB; limit the connections, or the
//! answers. Up to four idle encoders of gzip are kept for later answers.
//!
//! | MiB of an encoder, after 3 MiB of text | `Fast` | `Usual` | `Small` |
//! |---|---|---|---|
//! | `deflate`, `gzip` | 0.4 | 0.4 | 0.4 |
//! | `zstd` | 1.0 | 1.7 | 2.2 |
//! | `br` | 0.2 | 3.4 | 37 |
//!
//! # Secrets in compressed answers
//!
//! The length of a compressed answer depends on its content. If one answer holds a secret (a token against
//! cross-site requests, for example) and also text that an attacker chooses, the attacker can guess the secret from
//! many lengths, also over TLS. This attack is called BREACH. Do not compress such answers: set
//! `cache-control: no-transform`, or put the routes with secrets outside of this middleware. Or send another mask of
//! the secret each time.
//!
//! # Invariants
//!
//! - Never: an encoder for an answer without a body of its own.
//! - Always: Vary on both forms of an answer.

mod deflate;
mod encoders;
#[cfg(any(feature = "compress-brotli", feature = "compress-zstd"))]
mod vec_encoder;

use std::fmt;
use std::rc::Rc;

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::exchange::answer_coder::{AnswerCoder, BodyEncoder};
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::headers::white_space::trim;
use crate::web::coding::{AcceptedCodings, ContentCoding};
use crate::web::compress::deflate::DeflatePool;

/// Compresses the answers of a handler, with the defaults of [`Compress`].
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::compress::compress;
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let page = async |request: Request<'_>| {
///     let headers = [("content-type", "text/plain")];
///     request.respond(StatusCode::OK, "mill ".repeat(1000), headers).await
/// };
/// let answer = block_on(async {
///     let accepts = [("accept-encoding", "gzip")];
///     TestClient::new(compress(page)).request(&Method::GET, "/", &accepts, b"").await
/// });
/// assert_eq!(answer.headers["content-encoding"], "gzip");
/// assert_eq!(answer.headers["vary"], "accept-encoding");
/// assert!(answer.body.len() < 100);
/// ```
pub fn compress(handler: impl Handler) -> impl Handler {
    Compress::new().around(handler)
}

/// The settings of the compression.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::coding::ContentCoding;
/// use waterwheel::http::web::compress::{Compress, Effort};
/// use waterwheel::http::{Request, StatusCode};
///
/// let page = async |request: Request<'_>| request.respond(StatusCode::OK, "", ()).await;
/// let compressed = Compress::new()
///     .bytes_min(4096)
///     .effort(Effort::Fast)
///     .without(ContentCoding::Deflate)
///     .also("application/vnd.mill")
///     .around(page);
/// # drop(compressed);
/// ```
#[derive(Clone, Debug)]
#[must_use = "`around` makes a handler of it"]
pub struct Compress {
    bytes_min: u64,
    effort: Effort,
    without: Vec<ContentCoding>,
    types: Vec<String>,
}

/// The work that an encoder puts into a small result.
///
/// | | `deflate`, `gzip` | `zstd` | `br` |
/// |---|---|---|---|
/// | `Fast` | 1 | 1 | 1 |
/// | `Usual` | 6 | 3 | 4 |
/// | `Small` | 9 | 12 | 9 |
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::compress::{Compress, Effort};
///
/// let fast = Compress::new().effort(Effort::Fast);
/// # drop(fast);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effort {
    /// The least work.
    Fast,
    /// The default.
    #[default]
    Usual,
    /// The least bytes that are worth the time of a request.
    Small,
}

impl Default for Compress {
    fn default() -> Self {
        Self::new()
    }
}

impl Compress {
    /// Makes the default settings: all codings, bodies from 1,024 bytes on, and the usual effort.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::compress::Compress;
    ///
    /// println!("{:?}", Compress::new());
    /// ```
    pub fn new() -> Self {
        Self {
            bytes_min: 1024,
            effort: Effort::Usual,
            without: Vec::new(),
            types: Vec::new(),
        }
    }

    /// Sets the length from which a body is compressed, in bytes. The default is 1,024. A body of unknown length is
    /// always compressed.
    pub fn bytes_min(mut self, bytes_min: u64) -> Self {
        self.bytes_min = bytes_min;
        self
    }

    /// Sets the effort of all encoders.
    pub fn effort(mut self, effort: Effort) -> Self {
        self.effort = effort;
        self
    }

    /// Leaves a coding out.
    pub fn without(mut self, coding: ContentCoding) -> Self {
        self.without.push(coding);
        self
    }

    /// Adds a media type, such as `application/vnd.mill`, to those that are compressed. Parameters of an answer's
    /// Content-Type do not matter. The types that are known from the start are `text/*`, JSON, XML, JavaScript, SVG,
    /// WebAssembly, and fonts and bitmaps that are not compressed by themselves.
    pub fn also(mut self, media_type: &str) -> Self {
        self.types.push(media_type.to_ascii_lowercase());
        self
    }

    /// Compresses the answers of `handler`.
    pub fn around(self, handler: impl Handler) -> impl Handler {
        let settings = Rc::new(self);
        let pool = Rc::new(DeflatePool::default());
        async move |request: Request<'_>| {
            request.set_answer_coder(Rc::new(Negotiated {
                accepted: AcceptedCodings::of(request.headers()),
                settings: settings.clone(),
                pool: pool.clone(),
            }));
            handler.call(request).await
        }
    }

    /// Returns true for the media types of texts, and for those of the user.
    fn is_compressible(&self, content_type: &HeaderValue) -> bool {
        let mut parts = content_type.as_bytes().split(|byte| *byte == b';');
        let media_type = trim(parts.next().unwrap_or_default()).to_ascii_lowercase();
        let media_type = str::from_utf8(&media_type).unwrap_or_default();
        if self.types.iter().any(|other| other == media_type) {
            return true;
        }
        match media_type.split_once('/') {
            Some(("text", kind)) => kind != "event-stream",
            Some((_, kind)) if kind.ends_with("+json") || kind.ends_with("+xml") => true,
            Some(("application", kind)) => matches!(
                kind,
                "graphql"
                    | "javascript"
                    | "json"
                    | "json5"
                    | "jsonlines"
                    | "ndjson"
                    | "sql"
                    | "toml"
                    | "vnd.ms-fontobject"
                    | "wasm"
                    | "x-javascript"
                    | "x-ndjson"
                    | "xml"
                    | "yaml"
            ),
            Some(("font", kind)) => matches!(kind, "collection" | "otf" | "ttf"),
            Some(("image", kind)) => matches!(kind, "bmp" | "vnd.microsoft.icon" | "x-icon"),
            _ => false,
        }
    }
}

/// Fields whose value belongs to the exact bytes of the body (RFC 9530, RFC 9421).
const OF_THE_BYTES: [&str; 5] = [
    "content-digest",
    "content-md5",
    "digest",
    "repr-digest",
    "signature",
];

/// The settings, and the codings that one client accepts.
struct Negotiated {
    accepted: AcceptedCodings,
    settings: Rc<Compress>,
    pool: Rc<DeflatePool>,
}

impl AnswerCoder for Negotiated {
    fn begin(
        &self,
        status: StatusCode,
        length: Option<u64>,
        headers: &mut HeaderMap,
    ) -> Option<Box<dyn BodyEncoder>> {
        let mut accepted = self.accepted.iter();
        // The client's best coding that this build has.
        let coding = accepted.find_map(|coding| {
            let is_left_out = self.settings.without.contains(&coding);
            let maker = encoders::maker(coding).filter(|_| !is_left_out)?;
            Some((coding, maker))
        });
        if status == StatusCode::NOT_MODIFIED {
            // It has the fields that the 200 would have (RFC 9110, 15.4.5), and no type to judge by.
            if may_be_coded(headers) {
                add_vary(headers);
                if coding.is_some() {
                    weaken_etag(headers);
                }
            }
            return None;
        }
        if status == StatusCode::PARTIAL_CONTENT {
            // As above (RFC 9110, 15.3.7). Its bytes are those of the plain form, and so is its ETag.
            if may_be_coded(headers) && self.is_part_of_text(headers) {
                add_vary(headers);
            }
            return None;
        }
        if !self.depends_on_the_client(status, length, headers) {
            return None;
        }
        add_vary(headers);
        let (coding, make) = coding?;
        weaken_etag(headers);
        headers.remove(ACCEPT_RANGES);
        let token = HeaderValue::from_static(coding.token());
        headers.insert(CONTENT_ENCODING, token);
        Some(make(self.settings.effort, &self.pool))
    }
}

impl Negotiated {
    /// Returns true if some clients get this answer compressed.
    fn depends_on_the_client(
        &self,
        status: StatusCode,
        length: Option<u64>,
        headers: &HeaderMap,
    ) -> bool {
        let is_whole = !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT)
            && !headers.contains_key(CONTENT_RANGE);
        is_whole
            && length.is_none_or(|length| length >= self.settings.bytes_min)
            && may_be_coded(headers)
            && headers
                .get(CONTENT_TYPE)
                .is_some_and(|content_type| self.settings.is_compressible(content_type))
    }

    /// Returns true if the whole of a part may be compressed. Several parts have their types in the body.
    fn is_part_of_text(&self, headers: &HeaderMap) -> bool {
        headers.get(CONTENT_TYPE).is_some_and(|content_type| {
            content_type.as_bytes().starts_with(b"multipart/byteranges")
                || self.settings.is_compressible(content_type)
        })
    }
}

/// Returns true if the fields, besides the type, let an answer be compressed.
fn may_be_coded(headers: &HeaderMap) -> bool {
    !headers.contains_key(CONTENT_ENCODING)
        && !OF_THE_BYTES.iter().any(|name| headers.contains_key(*name))
        && !has_member(headers, &CACHE_CONTROL, b"no-transform")
}

impl fmt::Debug for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

fn has_member(headers: &HeaderMap, name: &http::HeaderName, member: &[u8]) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|found| trim(found).eq_ignore_ascii_case(member))
}

fn add_vary(headers: &mut HeaderMap) {
    if !has_member(headers, &VARY, b"accept-encoding") && !has_member(headers, &VARY, b"*") {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

fn weaken_etag(headers: &mut HeaderMap) {
    let Some(etag) = headers.get(ETAG) else {
        return;
    };
    if !etag.as_bytes().starts_with(b"W/") {
        let weak = [b"W/", etag.as_bytes()].concat();
        // The tag was valid before, so this does not fail.
        if let Ok(weak) = HeaderValue::from_bytes(&weak) {
            headers.insert(ETAG, weak);
        }
    }
}

#[cfg(test)]
mod tests;
