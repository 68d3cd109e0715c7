//! Conditional requests: the answer depends on the state of the resource that the client knows (RFC 9110,
//! 13).
//!
//! # How it works
//!
//! ```text
//! If-Match ──absent──► If-Unmodified-Since ─┐
//!    │ holds              │ holds, absent   │ fails: 412
//!    ▼                    ▼                 ▼
//! If-None-Match ──absent──► If-Modified-Since (GET, HEAD)
//!    │ holds: serve          │ holds: serve
//!    └─ fails: 304 to GET and HEAD, 412 to others
//! ```
//!
//! If the request is served, If-Range decides whether its Range field still applies.
//!
//! # Invariants
//!
//! - Always: an unreadable field counts as absent. Only an unreadable If-Match fails, because it guards a
//!   change.
//! - Never: the functions read a clock or a file.

use std::time::SystemTime;

use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, Method};

use crate::headers::Headers;
use crate::web::date::{http_date, whole_seconds};
use crate::web::single::only;

/// The validators of a resource's present state: an entity tag, a date of the last change, or both.
/// ```
/// use waterwheel::http::web::conditional::Validators;
///
/// let page = Validators::new("v7");
/// assert_eq!(page.etag().as_deref(), Some("\"v7\""));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// The entity tag without its quotes, if there is one.
    opaque: Option<Vec<u8>>,
    strength: Strength,
    /// In whole seconds, because HTTP dates have no smaller unit.
    modified: Option<SystemTime>,
}

/// The meaning of two equal entity tags (RFC 9110, 8.8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    /// The bytes are equal.
    Strong,
    /// The content is equivalent, but the bytes may differ.
    Weak,
}

/// The result of evaluating a request's preconditions.
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::conditional::{Evaluation, Validators};
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let page = async |request: Request<'_>| {
///     let validators = Validators::new("v7");
///     let status = match validators.evaluate(request.method(), request.headers()) {
///         Evaluation::Serve => StatusCode::OK,
///         Evaluation::NotModified => StatusCode::NOT_MODIFIED,
///         Evaluation::Failed => StatusCode::PRECONDITION_FAILED,
///     };
///     request.respond(status, "", ()).await
/// };
/// let fields = [("if-none-match", "\"v7\"")];
/// let answer = block_on(async {
///     TestClient::new(page).request(&Method::GET, "/", &fields, b"").await
/// });
/// assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// Serve the request.
    Serve,
    /// Answer with 304: the client's copy is current.
    NotModified,
    /// Answer with 412: the resource has another state than the client expects.
    Failed,
}

impl Validators {
    /// Makes validators with a strong entity tag and no date. `opaque` is the tag without its quotes.
    ///
    /// A byte that no tag may have (a quote, white space, a control byte) becomes `_`.
    #[must_use]
    pub fn new(opaque: impl Into<String>) -> Self {
        let clean = |byte| if is_tag_byte(byte) { byte } else { b'_' };
        Self {
            opaque: Some(opaque.into().bytes().map(clean).collect()),
            strength: Strength::Strong,
            modified: None,
        }
    }

    /// Reads the validators from an answer's `etag` and `last-modified`. Returns `None` if both are absent or
    /// malformed.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::HeaderMap;
    /// use waterwheel::http::web::conditional::Validators;
    ///
    /// let mut answer = HeaderMap::new();
    /// assert_eq!(Validators::of(&answer), None);
    /// answer.insert("etag", "\"v7\"".parse()?);
    /// assert_eq!(Validators::of(&answer), Some(Validators::new("v7")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(answer: &HeaderMap) -> Option<Self> {
        let tag = answer
            .get(ETAG)
            .and_then(|value| tags(value.as_bytes()).next());
        let date = answer.get(LAST_MODIFIED).map(HeaderValue::as_bytes);
        let modified = date.and_then(parse_date);
        (tag.is_some() || modified.is_some()).then(|| Self {
            opaque: tag.map(|tag| tag.opaque.to_vec()),
            strength: tag.map_or(Strength::Strong, |tag| tag.strength),
            modified,
        })
    }

    /// Sets the time of the last change. A time before 1970 or after 9999 is ignored, because no HTTP date
    /// has it.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use waterwheel::http::web::conditional::Validators;
    ///
    /// let page = Validators::new("v7").modified(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
    /// assert_eq!(page.last_modified().as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    /// ```
    #[must_use]
    pub fn modified(mut self, time: SystemTime) -> Self {
        self.modified = whole_seconds(time);
        self
    }

    /// Makes the tag weak, for a representation whose bytes may change while its tag does not.
    ///
    /// ```
    /// use waterwheel::http::web::conditional::Validators;
    ///
    /// assert_eq!(Validators::new("v7").weak().etag().as_deref(), Some("W/\"v7\""));
    /// ```
    #[must_use]
    pub fn weak(mut self) -> Self {
        self.strength = Strength::Weak;
        self
    }

    /// Returns the value of the `etag` field: `"opaque"` or `W/"opaque"`.
    #[must_use]
    pub fn etag(&self) -> Option<String> {
        let opaque = String::from_utf8_lossy(self.opaque.as_deref()?);
        Some(match self.strength {
            Strength::Strong => format!("\"{opaque}\""),
            Strength::Weak => format!("W/\"{opaque}\""),
        })
    }

    /// Returns the value of the `last-modified` field.
    #[must_use]
    pub fn last_modified(&self) -> Option<String> {
        self.modified.and_then(http_date)
    }

    /// Evaluates the preconditions in the order of RFC 9110, 13.2.2. A handler must change the resource only
    /// if this returns [`Evaluation::Serve`].
    ///
    /// ```
    /// use waterwheel::http::web::conditional::{Validators, Evaluation};
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn replace(request: Request<'_>) -> Result<Responded> {
    ///     let stored = Validators::new("v7");
    ///     match stored.evaluate(request.method(), request.headers()) {
    ///         Evaluation::Serve => request.respond(StatusCode::NO_CONTENT, "", ()).await,
    ///         _ => request.respond(StatusCode::PRECONDITION_FAILED, "changed since\n", ()).await,
    ///     }
    /// }
    /// # drop(waterwheel::http::shared(replace));
    /// ```
    #[must_use]
    pub fn evaluate(&self, method: &Method, headers: Headers<'_>) -> Evaluation {
        if !self.is_the_expected_state(headers) {
            return Evaluation::Failed;
        }
        let reads = matches!(*method, Method::GET | Method::HEAD);
        // A change of a resource that the client knows must fail: it asked for the opposite.
        match (self.is_known_to_the_client(headers, reads), reads) {
            (false, _) => Evaluation::Serve,
            (true, true) => Evaluation::NotModified,
            (true, false) => Evaluation::Failed,
        }
    }

    /// Evaluates If-Match, or If-Unmodified-Since if that is absent.
    fn is_the_expected_state(&self, headers: Headers<'_>) -> bool {
        if headers.contains("if-match") {
            return self.is_among(headers, "if-match", Strength::Strong);
        }
        match (date(headers, "if-unmodified-since"), self.modified) {
            (Some(date), Some(modified)) => modified <= date,
            _ => true,
        }
    }

    /// Evaluates If-None-Match, or If-Modified-Since if that is absent.
    fn is_known_to_the_client(&self, headers: Headers<'_>, reads: bool) -> bool {
        if headers.contains("if-none-match") {
            return self.is_among(headers, "if-none-match", Strength::Weak);
        }
        match (date(headers, "if-modified-since"), self.modified) {
            // If-Modified-Since is only for GET and HEAD (RFC 9110, 13.1.3).
            (Some(date), Some(modified)) if reads => modified <= date,
            _ => false,
        }
    }

    fn is_among(&self, headers: Headers<'_>, field: &str, comparison: Strength) -> bool {
        headers
            .get_all(field)
            .any(|value| value == b"*" || tags(value).any(|tag| self.is(tag, comparison)))
    }

    /// A strong comparison treats two weak tags as different, even if they are alike (RFC 9110, 8.8.3.2).
    fn is(&self, tag: Tag<'_>, comparison: Strength) -> bool {
        let both_strong = self.strength == Strength::Strong && tag.strength == Strength::Strong;
        self.opaque.as_deref() == Some(tag.opaque) && (comparison == Strength::Weak || both_strong)
    }

    /// Returns true if the Range field of a request applies: If-Range is absent, or has one of these
    /// validators (RFC 9110, 13.1.5).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::conditional::Validators;
    /// use waterwheel::http::{Method, Request, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// let film = async |request: Request<'_>| {
    ///     let part = request.headers().contains("range")
    ///         && Validators::new("v7").allow_range(request.headers());
    ///     request.respond(StatusCode::OK, if part { "a part" } else { "the whole" }, ()).await
    /// };
    /// let fields = [("range", "bytes=0-9"), ("if-range", "\"v6\"")]; // of an older version
    /// let asked = async { TestClient::new(film).request(&Method::GET, "/", &fields, b"").await };
    /// assert_eq!(block_on(asked).text(), "the whole");
    /// ```
    #[must_use]
    pub fn allow_range(&self, headers: Headers<'_>) -> bool {
        if !headers.contains("if-range") {
            return true;
        }
        let Some(value) = only(headers, "if-range") else {
            return false;
        };
        if let Some(tag) = tags(value).next() {
            return self.is(tag, Strength::Strong);
        }
        // A weak tag makes the date weak, too, because the file may have changed twice within one second.
        let is_same = self.modified.is_some() && parse_date(value) == self.modified;
        is_same && self.strength == Strength::Strong
    }
}

/// Returns true for a byte that a tag may have: an `etagc` (RFC 9110, 8.8.3).
pub(super) fn is_tag_byte(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'~' | 0x80..)
}

/// An entity tag as the client sent it.
#[derive(Clone, Copy)]
struct Tag<'a> {
    strength: Strength,
    opaque: &'a [u8],
}

/// Returns the tags of a list, up to the first malformed one. A comma within a tag belongs to the tag.
fn tags(value: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', behind @ ..] = rest {
            rest = behind;
        }
        let (strength, quoted) = match rest {
            [b'W', b'/', quoted @ ..] => (Strength::Weak, quoted),
            quoted => (Strength::Strong, quoted),
        };
        let opened = quoted.strip_prefix(b"\"")?;
        let end = opened.iter().position(|byte| *byte == b'"')?;
        rest = &opened[end + 1..];
        let opaque = &opened[..end];
        Some(Tag { strength, opaque })
    })
}

fn date(headers: Headers<'_>, name: &str) -> Option<SystemTime> {
    parse_date(only(headers, name)?)
}

fn parse_date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;
    use crate::headers::{Field, Span};

    proptest! {
        #[test]
        fn any_list_of_tags_ends(value in "[\"W/, a*]{0,40}") {
            prop_assert!(tags(value.as_bytes()).count() <= value.len());
        }
    }

    const OLDER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEWER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn page() -> Validators {
        let changed = UNIX_EPOCH + Duration::from_millis(784_111_777_250);
        Validators::new("a,b").modified(changed)
    }

    fn with<T>(lines: &[(&str, &str)], look: impl FnOnce(Headers<'_>) -> T) -> T {
        let (mut bytes, mut fields) = (Vec::new(), Vec::new());
        for (name, value) in lines {
            let start = bytes.len();
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value.as_bytes());
            let middle = start + name.len();
            fields.push(Field {
                name: Span::new(start, middle),
                value: Span::new(middle, bytes.len()),
            });
        }
        look(Headers::new(&bytes, &fields))
    }

    #[track_caller]
    fn check(validators: &Validators, lines: &[(&str, &str)], get: Evaluation, put: Evaluation) {
        let verdicts = with(lines, |headers| {
            [Method::GET, Method::HEAD, Method::PUT]
                .map(|method| validators.evaluate(&method, headers))
        });
        assert_eq!(verdicts, [get, get, put], "{lines:?}");
    }

    use Evaluation::{Failed, NotModified, Serve};

    #[test]
    fn a_representation_the_client_has_is_not_sent_again() {
        // RFC 9110, 13.1.2
        check(
            &page(),
            &[("if-none-match", r#""a,b""#)],
            NotModified,
            Failed,
        );
        check(
            &page(),
            &[("if-none-match", r#"W/"a,b""#)],
            NotModified,
            Failed,
        );
        check(
            &page(),
            &[("if-none-match", r#""x" , "a,b""#)],
            NotModified,
            Failed,
        );
        check(&page(), &[("if-none-match", "*")], NotModified, Failed);
        check(
            &page(),
            &[("if-none-match", r#""a""#), ("if-none-match", r#""a,b""#)],
            NotModified,
            Failed,
        );
        check(&page(), &[("if-none-match", r#""a", "b""#)], Serve, Serve);
        check(&page(), &[("if-none-match", "a,b")], Serve, Serve);
        check(&page(), &[("if-none-match", "")], Serve, Serve);
        check(&page(), &[("if-none-match", r#"w/"a,b""#)], Serve, Serve); // RFC 9110, 8.8.3
        check(
            &page().weak(),
            &[("if-none-match", r#""a,b""#)],
            NotModified,
            Failed,
        );
    }

    #[test]
    fn a_tag_is_found_in_a_list_only_with_its_quotes() {
        let tag = Validators::new("a");
        for (list, found) in [
            (r#""b",W/"a""#, true),
            (r#""x,", "a""#, true),
            (r#"  "b"	,, "a" "#, true),
            (r#""A""#, false),
            (r#""a"#, false),
            ("a", false),
            (r#""ab""#, false),
            (r#""b, ", a, ""#, false),
            (r#""b" "a"#, false),
        ] {
            let verdict = if found { NotModified } else { Serve };
            let change = if found { Failed } else { Serve };
            check(&tag, &[("if-none-match", list)], verdict, change);
        }
    }

    #[test]
    fn a_change_is_made_only_to_the_state_the_client_expects() {
        // RFC 9110, 13.1.1: by strong comparison
        check(&page(), &[("if-match", r#""x", "a,b""#)], Serve, Serve);
        check(&page(), &[("if-match", "*")], Serve, Serve);
        check(&page(), &[("if-match", r#"W/"a,b""#)], Failed, Failed);
        check(&page(), &[("if-match", r#""x""#)], Failed, Failed);
        check(&page(), &[("if-match", "")], Failed, Failed);
        check(&page().weak(), &[("if-match", r#""a,b""#)], Failed, Failed);
    }

    #[test]
    fn dates_are_compared_by_the_second() {
        // RFC 9110, 13.1.3 and 13.1.4
        check(&page(), &[("if-modified-since", OLDER)], Serve, Serve);
        check(&page(), &[("if-modified-since", SAME)], NotModified, Serve);
        check(&page(), &[("if-modified-since", NEWER)], NotModified, Serve);
        check(&page(), &[("if-unmodified-since", OLDER)], Failed, Failed);
        check(&page(), &[("if-unmodified-since", SAME)], Serve, Serve);
        check(
            &page(),
            &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")],
            NotModified,
            Serve,
        );
        check(
            &page(),
            &[("if-modified-since", "Sun Nov  6 08:49:37 1994")],
            NotModified,
            Serve,
        );
    }

    #[test]
    fn a_malformed_or_repeated_date_is_ignored() {
        check(&page(), &[("if-modified-since", "yesterday")], Serve, Serve);
        check(&page(), &[("if-unmodified-since", "1994")], Serve, Serve);
        check(
            &page(),
            &[("if-modified-since", SAME), ("if-modified-since", SAME)],
            Serve,
            Serve,
        );
        check(
            &Validators::new("x"),
            &[("if-modified-since", NEWER)],
            Serve,
            Serve,
        );
    }

    #[test]
    fn tags_come_before_dates_and_match_before_none_match() {
        // RFC 9110, 13.2.2
        check(
            &page(),
            &[("if-none-match", r#""x""#), ("if-modified-since", NEWER)],
            Serve,
            Serve,
        );
        check(
            &page(),
            &[("if-match", "*"), ("if-unmodified-since", OLDER)],
            Serve,
            Serve,
        );
        check(
            &page(),
            &[("if-match", r#""x""#), ("if-none-match", "*")],
            Failed,
            Failed,
        );
        check(
            &page(),
            &[("if-match", "*"), ("if-none-match", "*")],
            NotModified,
            Failed,
        );
        check(
            &page(),
            &[("if-unmodified-since", OLDER), ("if-modified-since", SAME)],
            Failed,
            Failed,
        );
    }

    #[test]
    fn a_range_is_served_only_of_the_state_the_client_has() {
        // RFC 9110, 13.1.5
        let allowed = |validators: &Validators, value| {
            with(&[("if-range", value)], |headers| {
                validators.allow_range(headers)
            })
        };
        assert!(with(&[], |headers| page().allow_range(headers)));
        assert!(allowed(&page(), r#""a,b""#));
        assert!(allowed(&page(), SAME));
        for other in [r#"W/"a,b""#, r#""x""#, OLDER, NEWER, "", "*", "tomorrow"] {
            assert!(!allowed(&page(), other), "{other}");
        }
        assert!(!allowed(&page().weak(), r#"W/"a,b""#));
        assert!(!allowed(&page().weak(), SAME));
        assert!(!allowed(&Validators::new("x"), "tomorrow"));
    }

    #[test]
    fn the_validators_of_an_answer_are_read_back() {
        let answer = |fields: &[(HeaderName, &'static str)]| {
            let value = |(name, value): &(HeaderName, &'static str)| {
                (name.clone(), HeaderValue::from_static(value))
            };
            Validators::of(&fields.iter().map(value).collect())
        };
        let whole = answer(&[(ETAG, r#""a,b""#), (LAST_MODIFIED, SAME)]);
        assert_eq!(whole, Some(page()));
        let weak = answer(&[(ETAG, r#"W/"a,b""#), (LAST_MODIFIED, SAME)]);
        assert_eq!(weak, Some(page().weak()));
        let dated = answer(&[(LAST_MODIFIED, SAME)]).expect("it has a date");
        assert_eq!(dated.etag(), None);
        check(&dated, &[("if-none-match", r#""a,b""#)], Serve, Serve);
        check(&dated, &[("if-modified-since", SAME)], NotModified, Serve);
        assert_eq!(answer(&[]), None);
        assert_eq!(answer(&[(ETAG, "unquoted")]), None);
    }

    #[test]
    fn a_time_without_an_http_date_is_left_out() {
        assert_eq!(page().etag().as_deref(), Some(r#""a,b""#));
        assert_eq!(page().weak().etag().as_deref(), Some(r#"W/"a,b""#));
        assert_eq!(page().last_modified().as_deref(), Some(SAME));
        let never = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(page().modified(never).last_modified(), None);
        assert_eq!(
            Validators::new("a \"\r\nb").etag().as_deref(),
            Some("\"a____b\"")
        );
    }
}
