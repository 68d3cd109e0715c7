//! Errors, grouped by cause.
//!
//! [`Error`] has the table of causes.
//!
//! A handler may pass on a refusal with `?`, such as that of a body above the limit. [`Error::status`] finds
//! the refusal again, also beneath an application's own error.
//!
//! # Invariants
//!
//! - Always: one table maps failures to statuses, in [`Refusal`].
//! - Never: an answer of the server contains a byte that the peer sent, or a detail of our code.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use http::StatusCode;

mod client_error;
mod invalid_answer;
pub(crate) mod panics;
mod refusal;

pub use client_error::ClientError;
pub use invalid_answer::InvalidAnswer;
pub use refusal::Refusal;

/// The result of a handler: an answer, or an error.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// fn page(query: Option<&str>) -> Result<u32> {
///     Ok(query.unwrap_or("1").parse()?) // any error
/// }
///
/// async fn show(request: Request<'_>) -> Result<Responded> {
///     let page = page(request.query())?;
///     request.respond(StatusCode::OK, format!("page {page}\n"), ()).await
/// }
/// # drop(waterwheel::http::shared(show));
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a handler. `?` converts each error to it. The error inside decides about the answer:
///
/// | cause | type | result |
/// |---|---|---|
/// | the client, a limit, or the state of the server | [`Refusal`] | the server sends its status, then closes the connection |
/// | the client, as a handler finds | [`ClientError`] | the server sends its status and text, and keeps the connection |
/// | the peer is gone | [`Error::is_disconnect`] | no answer is possible, and no line is logged |
/// | the answer of the handler | [`InvalidAnswer`] | the server sends 500 instead of the answer |
/// | any other error of a handler | [`Error`] | the server sends 500 and logs a line |
///
/// It is one pointer wide, so that `Result<Responded>` stays small. It does not implement
/// [`std::error::Error`]; [`source`](Self::source) returns the error inside.
///
/// ```
/// use waterwheel::http::{Result, StatusCode};
///
/// fn parse(text: &str) -> Result<u16> {
///     Ok(text.parse::<u16>()?)
/// }
/// let error = parse("many").unwrap_err();
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// ```
pub struct Error(Box<Cause>);

/// The error inside. Its box makes a thin pointer out of the fat pointer to a trait object.
struct Cause {
    source: Box<dyn StdError>,
}

impl Error {
    /// Makes an error that is only a message.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Error, StatusCode};
    ///
    /// let error = Error::message("the mill stands still");
    /// assert_eq!(error.to_string(), "the mill stands still");
    /// assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    /// ```
    #[must_use]
    pub fn message(text: impl Into<String>) -> Self {
        let source: Box<dyn StdError> = text.into().into();
        Self(Box::new(Cause { source }))
    }

    /// Makes an error from one that is boxed already, such as an error from another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Error, Result};
    /// use waterwheel::runtime::{block_on, spawn_blocking};
    ///
    /// type Portable = Box<dyn std::error::Error + Send + Sync>;
    ///
    /// async fn grind() -> Result<u32> {
    ///     let ground = spawn_blocking(|| Err::<u32, Portable>("no grain".into())).await?;
    ///     ground.map_err(|error| Error::boxed(error))
    /// }
    ///
    /// assert_eq!(block_on(grind()).unwrap_err().to_string(), "no grain");
    /// ```
    #[must_use]
    pub fn boxed(source: Box<dyn StdError>) -> Self {
        Self(Box::new(Cause { source }))
    }

    /// Returns the status of the answer to a request whose handler returns this error: the status of the
    /// refusal or the client error inside, or else 500.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        // A refusal comes first: after it the begin of the next request is unknown, and the connection closes.
        let refused = self.refusal().map(Refusal::status);
        refused
            .or_else(|| self.client_error().map(ClientError::status))
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the refusal that this error is or comes from. Also finds it beneath an application's own
    /// error, and in an `io::Error` from a body that was read through `futures-io` or `http-body`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::{Refusal, Request, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// let short = async |request: Request<'_>| match request.body().bytes(3).await {
    ///     Err(error) if error.refusal() == Some(Refusal::BodyTooLarge) => {
    ///         request.respond(StatusCode::OK, "that was long", ()).await
    ///     }
    ///     bytes => {
    ///         let bytes = bytes?;
    ///         request.respond(StatusCode::OK, bytes, ()).await
    ///     }
    /// };
    /// let answer = block_on(async { TestClient::new(short).post("/", "four").await });
    /// assert_eq!(answer.text(), "that was long");
    /// ```
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.find().copied()
    }

    /// Returns the client error that this error is or comes from.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{ClientError, Error, StatusCode};
    ///
    /// let error = Error::from(ClientError::new(StatusCode::NOT_FOUND, "no such mill"));
    /// assert_eq!(error.client_error().map(ClientError::text), Some("no such mill"));
    /// assert_eq!(error.status(), StatusCode::NOT_FOUND);
    /// ```
    #[must_use]
    pub fn client_error(&self) -> Option<&ClientError> {
        self.find()
    }

    /// Returns true if this error comes from the connection to the client: the client reset it, or reads
    /// no more of its answer. Then no answer is possible, and the handler is not to blame.
    ///
    /// Returns false for an error of the handler's own connections, also for one of the same kind.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use waterwheel::http::Error;
    ///
    /// // An error of the handler's own connection, for example to a database.
    /// let error = Error::from(io::Error::from(io::ErrorKind::ConnectionReset));
    /// assert!(!error.is_disconnect());
    /// ```
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        self.find::<OfPeer>().is_some()
    }

    /// Returns the first `E` among this error and its causes.
    pub(crate) fn find<'e, E: StdError + 'static>(&'e self) -> Option<&'e E> {
        // Applications wrap errors in their own, so the whole chain is searched.
        let cause = |error: &&'e (dyn StdError + 'static)| -> Option<&'e (dyn StdError + 'static)> {
            let error = *error;
            // The `source` of an `io::Error` skips the error that it carries, so ask for that one itself.
            match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
                Some(carried) => carried.map(|carried| carried as _),
                None => error.source(),
            }
        };
        let chain = std::iter::successors(Some(self.source()), cause);
        chain
            .take(CAUSES_MAX)
            .find_map(<dyn StdError>::downcast_ref)
    }

    /// Returns the error inside, if it is an `E`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Error;
    ///
    /// let error = Error::from("x".parse::<u8>().unwrap_err());
    /// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
    /// ```
    #[must_use]
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.source.downcast_ref()
    }

    /// Returns the error inside.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Error;
    ///
    /// let error = Error::from(std::fmt::Error);
    /// assert!(error.source().is::<std::fmt::Error>());
    /// assert!(error.source().source().is_none()); // the cause of the error inside
    /// ```
    #[must_use]
    pub fn source(&self) -> &(dyn StdError + 'static) {
        &*self.0.source
    }
}

/// The most causes that are looked at. An error that is its own cause must not hold the thread forever.
const CAUSES_MAX: usize = 64;

/// An error of the connection to the client.
///
/// An `io::Error` carries it, because handlers look for that. The kind alone does not tell the client's
/// connection from the handler's own ones.
#[derive(Debug)]
struct OfPeer(io::Error);

impl fmt::Display for OfPeer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl StdError for OfPeer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// Marks an error as one of the connection to the client. The kind stays the same, because handlers look at it.
#[cold]
pub(crate) fn of_peer(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), OfPeer(error))
}

/// Any error converts with `?`: each `std::error::Error`, and each type that converts to a `Box<dyn Error>`, such as
/// `anyhow::Error` and `String`.
///
/// A [`ClientError`] or a [`Refusal`] passes through `anyhow` beneath a context. Without a context, `anyhow` hides
/// its type, and the answer is 500.
impl<E: Into<Box<dyn StdError>>> From<E> for Error {
    // Out of line, so that functions with `?` stay small enough to be inlined.
    #[cold]
    fn from(error: E) -> Self {
        Self(Box::new(Cause {
            source: error.into(),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.source)
    }
}

/// Writes the error and its causes, for the log: `outer: middle: inner`.
impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.source)?;
        let mut deeper = self.0.source.source();
        for _ in 1..CAUSES_MAX {
            let Some(error) = deeper else {
                return Ok(());
            };
            write!(formatter, ": {error}")?;
            deeper = error.source();
        }
        match deeper {
            Some(_) => formatter.write_str(": …"),
            None => Ok(()),
        }
    }
}

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("no number")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn outer() -> Error {
        "x".parse::<u8>()
            .map_err(Outer)
            .expect_err("x is no number")
            .into()
    }

    #[test]
    fn an_error_shows_itself_and_on_debug_what_it_came_from() {
        assert_eq!(outer().to_string(), "no number");
        assert_eq!(
            format!("{:?}", outer()),
            "no number: invalid digit found in string"
        );
        assert_eq!(Error::message("tired").to_string(), "tired");
    }

    #[test]
    fn an_error_is_found_again_as_what_it_was() {
        assert!(outer().downcast_ref::<Outer>().is_some());
        assert!(outer().downcast_ref::<Refusal>().is_none());
        assert!(outer().source().source().is_some());
    }

    #[test]
    fn a_refusal_that_passed_through_a_handler_keeps_its_status() {
        let passed_on = || -> Result<()> { Err(Refusal::BodyTooLarge)? };
        let error = passed_on().expect_err("it refuses");
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(error.refusal(), Some(Refusal::BodyTooLarge));
        assert_eq!(outer().status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            Error::from(InvalidAnswer::Value).status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }

    #[test]
    fn a_client_error_keeps_its_status_and_its_words() {
        let passed_on = || -> Result<()> { Err(ClientError::new(StatusCode::CONFLICT, "taken"))? };
        let error = passed_on().expect_err("it blames");
        assert_eq!(error.status(), StatusCode::CONFLICT);
        assert_eq!(error.to_string(), "taken");
        assert_eq!(error.refusal(), None);
    }
}
