//! Codings of an answer's body: the interface between an answer and middleware that compresses it.
//!
//! # How it works
//!
//! ```text
//!  middleware ── Request::set_answer_coder ──► the extensions of the request
//!  handler ── respond, start ──► AnswerCoder::begin ──┬── None: the body is sent as it is
//!                                  may change fields  └── Some: each piece passes through the BodyEncoder
//! ```
//!
//! # Invariants
//!
//! - Always: a coder sees an answer once, before its head is made.
//! - Never: a Content-Length of the body before its coding on an answer that is coded.

use std::fmt;
use std::io;
use std::rc::Rc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::headers::AnswerHeaders;

/// Decides whether the body of an answer is coded, and how.
///
/// Middleware sets it with [`Request::set_answer_coder`](crate::Request::set_answer_coder). With the feature
/// `compress`, `web::compress` is such middleware.
///
/// # Examples
///
/// ```
/// use std::io;
/// use std::rc::Rc;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{AnswerCoder, BodyEncoder, HeaderMap, HeaderValue, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// /// Turns each letter by 13 places.
/// struct Rot13;
///
/// impl AnswerCoder for Rot13 {
///     fn begin(
///         &self,
///         _: StatusCode,
///         _: Option<u64>,
///         headers: &mut HeaderMap,
///     ) -> Option<Box<dyn BodyEncoder>> {
///         headers.insert("content-encoding", HeaderValue::from_static("x-rot13"));
///         Some(Box::new(Self))
///     }
/// }
///
/// impl BodyEncoder for Rot13 {
///     fn encode(&mut self, data: &[u8], coded: &mut Vec<u8>) -> io::Result<()> {
///         coded.extend(data.iter().map(|byte| match byte.to_ascii_lowercase() {
///             b'a'..=b'm' => byte + 13,
///             b'n'..=b'z' => byte - 13,
///             _ => *byte,
///         }));
///         Ok(())
///     }
///     fn flush(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
///         Ok(())
///     }
///     fn finish(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
///         Ok(())
///     }
/// }
///
/// let hello = async |request: Request<'_>| {
///     request.set_answer_coder(Rc::new(Rot13));
///     request.respond(StatusCode::OK, "Hello", ()).await
/// };
/// let answer = block_on(async { TestClient::new(hello).get("/").await });
/// assert_eq!(answer.text(), "Uryyb");
/// assert_eq!(answer.headers["content-length"], "5");
/// ```
pub trait AnswerCoder {
    /// Looks at an answer before its head is made. `length` is the number of bytes of its body, if that is known.
    ///
    /// Returns the encoder for the body, or `None` if the body is sent as it is. The function may change the fields
    /// in both cases. It adds Content-Encoding itself. If it returns an encoder, the server removes Content-Length.
    fn begin(
        &self,
        status: StatusCode,
        length: Option<u64>,
        headers: &mut HeaderMap,
    ) -> Option<Box<dyn BodyEncoder>>;
}

/// Codes the body of one answer. Each function appends to `coded`.
///
/// # Examples
///
/// ```
/// use std::io;
/// use waterwheel::http::BodyEncoder;
///
/// /// Sends a body twice.
/// #[derive(Default)]
/// struct Twice(Vec<u8>);
///
/// impl BodyEncoder for Twice {
///     fn encode(&mut self, data: &[u8], coded: &mut Vec<u8>) -> io::Result<()> {
///         self.0.extend(data);
///         coded.extend(data);
///         Ok(())
///     }
///     fn flush(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
///         Ok(()) // `encode` keeps no byte back
///     }
///     fn finish(&mut self, coded: &mut Vec<u8>) -> io::Result<()> {
///         coded.append(&mut self.0);
///         Ok(())
///     }
/// }
///
/// let (mut encoder, mut coded) = (Twice::default(), Vec::new());
/// encoder.encode(b"mill ", &mut coded)?;
/// encoder.finish(&mut coded)?;
/// assert_eq!(coded, b"mill mill ");
/// # io::Result::Ok(())
/// ```
pub trait BodyEncoder {
    /// Codes a piece of the body. It may keep bytes back.
    ///
    /// # Errors
    ///
    /// If the bytes cannot be coded. The answer then fails as if the handler had failed.
    fn encode(&mut self, data: &[u8], coded: &mut Vec<u8>) -> io::Result<()>;

    /// Appends all bytes that were kept back, so that the client can decode each piece so far.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    fn flush(&mut self, coded: &mut Vec<u8>) -> io::Result<()>;

    /// Appends the end of the coded body.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    fn finish(&mut self, coded: &mut Vec<u8>) -> io::Result<()>;
}

/// The coder of a request's answer, as a value among the extensions of the request.
pub(crate) struct CoderOfRequest(pub(crate) Rc<dyn AnswerCoder>);

impl fmt::Debug for CoderOfRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CoderOfRequest").finish_non_exhaustive()
    }
}

/// Returns the fields of an answer as a map. Returns `None` if one of them cannot be sent.
pub(crate) fn map_of(headers: &impl AnswerHeaders) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    let copied = headers.try_for_each(|name, value| {
        let name = HeaderName::from_bytes(name).map_err(drop)?;
        map.append(name, HeaderValue::from_bytes(value).map_err(drop)?);
        Ok::<_, ()>(())
    });
    copied.is_ok().then_some(map)
}
