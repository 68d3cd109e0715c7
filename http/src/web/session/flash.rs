//! Flash messages: texts for the next page of a client, which are shown once.

use serde::{Deserialize, Serialize};

use super::handle::ClientSession;
use crate::error::Result;

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
        let mut all: Vec<Flash> = self.get(FLASHES)?.unwrap_or_default();
        let (kind, text) = (kind.into(), text.into());
        all.push(Flash { kind, text });
        self.insert(FLASHES, all)
    }

    /// Returns the kept texts in their order, and removes them.
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
        let all = self.get(FLASHES)?;
        match all {
            Some(_) => self.remove(FLASHES)?,
            None => false,
        };
        Ok(all.unwrap_or_default())
    }
}
