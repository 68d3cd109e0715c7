//! Flash messages: texts for the next page of a client, which are shown once.

use serde::{Deserialize, Serialize};

use super::handle::ClientSession;
use super::seal::since_epoch;
use crate::error::Result;

/// The start of the names of the values that are texts. Each text has a value of its own, so that requests at the same
/// time lose none.
const FLASHES: &str = "_flash";

/// A text for the next page of a client.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::response::{Html, Response};
/// use waterwheel::http::web::session::ClientSession;
/// use waterwheel::http::{Request, Result};
///
/// async fn grind(request: &Request<'_>) -> Result<Response> {
///     ClientSession::of(request)?.flash("info", "the flour is ready")?;
///     Ok(Response::see_other("/"))
/// }
///
/// async fn home(request: &Request<'_>) -> Result<String> {
///     let texts = ClientSession::of(request)?.flashes()?;
///     Ok(texts.into_iter().map(|flash| flash.kind + ": " + &flash.text).collect())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Flash {
    /// A word that pages can choose a look by, such as `info`.
    pub kind: String,
    /// The text. It is not escaped: let the page do it.
    pub text: String,
}

impl ClientSession<'_, '_> {
    /// Keeps a text until [`flashes`](Self::flashes) is called, usually for the page behind a redirect.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::ClientSession;
    /// use waterwheel::http::{Request, Result};
    ///
    /// async fn example(request: &Request<'_>) -> Result<()> {
    ///     ClientSession::of(request)?.flash("info", "the flour is ready")?;
    ///     Ok(())
    /// }
    /// ```
    pub fn flash(&self, kind: impl Into<String>, text: impl Into<String>) -> Result<()> {
        let (kind, text) = (kind.into(), text.into());
        let kept = self.names(FLASHES);
        let name = |nanos: u128| format!("{FLASHES}{nanos:032x}");
        let mut nanos = since_epoch().as_nanos();
        // Two texts of one tick of the clock.
        while kept.contains(&name(nanos)) {
            nanos += 1;
        }
        self.insert(&name(nanos), Flash { kind, text })
    }

    /// Returns the kept texts in their order, and removes them. Two requests at the same time may both return one. None is
    /// lost.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::ClientSession;
    /// use waterwheel::http::{Request, Result};
    ///
    /// async fn example(request: &Request<'_>) -> Result<()> {
    ///     for flash in ClientSession::of(request)?.flashes()? {
    ///         println!("{}: {}", flash.kind, flash.text);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn flashes(&self) -> Result<Vec<Flash>> {
        let mut all = Vec::new();
        for name in self.names(FLASHES) {
            all.extend(self.get::<Flash>(&name)?);
            self.remove(&name)?;
        }
        Ok(all)
    }
}
