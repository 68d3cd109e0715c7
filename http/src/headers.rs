//! Header fields of requests and of answers.
//!
//! The fields of a request stay in the read buffer. [`Headers`] has two references: the bytes of the head,
//! and the positions of its fields. Each look-up reads these. The fields of an answer are any list of pairs.
//! [`AnswerHeaders`] passes them one by one into the write buffer.
//!
//! ```text
//! bytes   GET / HTTP/1.1␍␊Host: example.org␍␊Accept: */*␍␊␍␊
//! fields                  └──┘  └─────────┘  └────┘  └─┘
//! ```
//!
//! # Invariants
//!
//! - Always: fields have the order of their arrival, and names compare in any case.
//! - Never: a copy, unless a `HeaderMap` is requested. Never: a field of a trailer among those of a head.

pub(crate) mod white_space;

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::ClientError;
use crate::headers::white_space::members;

/// A part of a head, by position. A position has two bytes, because no head is longer than 65,535.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "Limits holds every head below 65,536"
    )]
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= u16::MAX as usize);
        Self {
            start: start as u16,
            end: end as u16,
        }
    }

    pub(crate) const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns the bytes of this part.
    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }
}

/// The positions of the name and of the value of one field. The value has no white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// The header fields of a request, in the read buffer, or those of an answer that the client has read.
///
/// Names are found in any case (RFC 9110, 5.1). This is a view of two references, which is cheap to copy.
/// The returned names and values live as long as the head, not as long as the view.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let show = async |request: Request<'_>| {
///     let headers = request.headers();
///     assert_eq!(headers.get("HOST"), headers.get("host")); // names in any case
///     assert!(headers.contains("accept") && !headers.is_empty());
///     assert_eq!(headers.get_bytes("accept"), Some(&b"text/html, text/plain"[..]));
///     assert_eq!(headers.get_all("accept").count(), 2); // two fields
///     let kinds: Vec<&[u8]> = headers.members("accept").collect(); // three members
///     assert_eq!(kinds, [&b"text/html"[..], b"text/plain", b"image/png"]);
///     assert_eq!(headers.iter().count(), headers.len());
///     assert_eq!(headers.to_header_map().len(), headers.len());
///     request.respond(StatusCode::OK, "", ()).await
/// };
/// let accept = [("accept", "text/html, text/plain"), ("accept", "image/png")];
/// let asked = async { TestClient::new(show).request(&Method::GET, "/", &accept, b"").await };
/// assert_eq!(block_on(asked).status, StatusCode::OK);
/// ```
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    fields: &'a [Field],
}

impl<'a> Headers<'a> {
    pub(crate) const fn new(bytes: &'a [u8], fields: &'a [Field]) -> Self {
        Self { bytes, fields }
    }

    /// Returns the value of the first field of that name, if there is one and it is UTF-8.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        str::from_utf8(self.get_bytes(name)?).ok()
    }

    /// Returns the value of the first field of that name, as the client has sent it (RFC 9110, 5.5).
    #[must_use]
    pub fn get_bytes(self, name: &str) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }

    /// Returns the values of all fields of that name, in the order of arrival (RFC 9110, 5.3).
    pub fn get_all(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.pairs()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Returns the members of the comma-separated lists in all fields of that name, without empty members
    /// (RFC 9110, 5.6.1): `Accept: a, b` has two.
    ///
    /// A comma within a quoted string also splits. So use this only for fields whose members have no quoted
    /// strings. Cookie and Date are not lists.
    pub fn members(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).flat_map(members)
    }

    /// Returns true if there is a field of that name.
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        self.get_bytes(name).is_some()
    }

    /// Returns all fields in the order of arrival, with names as the client has written them.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.pairs()
            // Names are tokens, and tokens are ASCII.
            .map(|(name, value)| (str::from_utf8(name).unwrap_or_default(), value))
    }

    /// Returns the number of fields. A repeated field counts each time.
    #[must_use]
    pub const fn len(self) -> usize {
        self.fields.len()
    }

    /// Returns true if there are no fields.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.fields.is_empty()
    }

    /// Copies all fields into a `HeaderMap`.
    #[must_use]
    pub fn to_header_map(self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len());
        for (name, value) in self.pairs() {
            // The parser accepts only names and values that these accept too.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        }
        map
    }

    fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.fields
            .iter()
            .map(move |field| (field.name.of(self.bytes), field.value.of(self.bytes)))
    }
}

impl std::fmt::Debug for Headers<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lossy = |(name, value)| (name, String::from_utf8_lossy(value));
        formatter
            .debug_map()
            .entries(self.iter().map(lossy))
            .finish()
    }
}

/// The header fields of an answer: any list of pairs, or `()` for an empty list.
///
/// Arrays, slices and `Vec`s of `(name, value)` implement it, and so do `HeaderMap` and references to all of
/// these. Names and values are text or bytes (`&str`, `String`, `HeaderName`, `HeaderValue` …). The server
/// copies them only into the write buffer, and validates them there.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Request, Responded, Result, StatusCode, header};
///
/// async fn page(request: Request<'_>) -> Result<Responded> {
///     match request.path() {
///         "/none" => request.respond(StatusCode::OK, "", ()).await,
///         "/text" => request.respond(StatusCode::OK, "", [("content-type", "text/plain")]).await,
///         "/name" => request.respond(StatusCode::OK, "", [(header::SERVER, "mill")]).await,
///         _ => {
///             let fields = vec![("x-visits".to_owned(), 7.to_string())];
///             request.respond(StatusCode::OK, "", &fields).await
///         }
///     }
/// }
/// # drop(waterwheel::http::shared(page));
/// ```
pub trait AnswerHeaders {
    /// Calls `visit` with the name and the value of each field, until it returns an error.
    ///
    /// # Errors
    ///
    /// Returns the first error of `visit`.
    fn try_for_each<E>(&self, visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E>;
}

impl AnswerHeaders for () {
    fn try_for_each<E>(&self, _: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        Ok(())
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> AnswerHeaders for [(N, V)] {
    fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.iter()
            .try_for_each(|(name, value)| visit(name.as_ref(), value.as_ref()))
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const COUNT: usize> AnswerHeaders for [(N, V); COUNT] {
    fn try_for_each<E>(&self, visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        self.as_slice().try_for_each(visit)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> AnswerHeaders for Vec<(N, V)> {
    fn try_for_each<E>(&self, visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        self.as_slice().try_for_each(visit)
    }
}

impl AnswerHeaders for HeaderMap {
    fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.iter()
            .try_for_each(|(name, value)| visit(name.as_ref(), value.as_bytes()))
    }
}

/// Received fields, which a proxy passes on.
impl AnswerHeaders for Headers<'_> {
    fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.pairs()
            .try_for_each(|(name, value)| visit(name, value))
    }
}

/// The fields of the answer to a client error.
impl AnswerHeaders for ClientError {
    fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(b"content-type", b"text/plain; charset=utf-8")?;
        let mut fields = self.fields().iter();
        fields.try_for_each(|(name, value)| visit(name.as_bytes(), value.as_bytes()))
    }
}

impl<T: AnswerHeaders + ?Sized> AnswerHeaders for &T {
    fn try_for_each<E>(&self, visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        T::try_for_each(self, visit)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const BYTES: &[u8] = b"Host: a\r\nX-Tag: one\r\nx-tag: two\r\nX-Raw: \xff\r\n";

    fn fields() -> Vec<Field> {
        let field = |name: (usize, usize), value: (usize, usize)| Field {
            name: Span::new(name.0, name.1),
            value: Span::new(value.0, value.1),
        };
        vec![
            field((0, 4), (6, 7)),
            field((9, 14), (16, 19)),
            field((21, 26), (28, 31)),
            field((33, 38), (40, 41)),
        ]
    }

    #[test]
    fn a_field_is_found_in_any_case_and_the_first_one_wins() {
        let fields = fields();
        let headers = Headers::new(BYTES, &fields);
        assert_eq!(headers.get("host"), Some("a"), "RFC 9110, 5.1");
        assert_eq!(headers.get("X-TAG"), Some("one"));
        assert_eq!(headers.get("x-ta"), None);
        assert_eq!(
            headers.get_all("x-tag").collect::<Vec<_>>(),
            [b"one", b"two"]
        );
        assert!(headers.contains("x-tag") && !headers.contains("tag"));
        assert_eq!((headers.len(), headers.is_empty()), (4, false));
    }

    #[test]
    fn a_list_may_be_spread_over_several_fields() {
        let bytes = b"Accept: a, b/*\t,,\r\naccept: c\x0c";
        let field = |name: (usize, usize), value: (usize, usize)| Field {
            name: Span::new(name.0, name.1),
            value: Span::new(value.0, value.1),
        };
        let fields = [field((0, 6), (8, 17)), field((19, 25), (27, 29))];
        let headers = Headers::new(bytes, &fields);
        let members: Vec<_> = headers.members("ACCEPT").collect();
        assert_eq!(members, [&b"a"[..], b"b/*", b"c\x0c"], "RFC 9110, 5.6.1");
        assert_eq!(headers.members("cookie").count(), 0);
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_read_as_bytes() {
        let fields = fields();
        let headers = Headers::new(BYTES, &fields);
        assert_eq!(headers.get("x-raw"), None, "RFC 9110, 5.5");
        assert_eq!(headers.get_bytes("x-raw"), Some(&b"\xff"[..]));
        assert_eq!(headers.to_header_map()["x-raw"].as_bytes(), b"\xff");
    }

    #[test]
    fn names_and_values_outlive_the_view() {
        let fields = fields();
        let host = { Headers::new(BYTES, &fields).get("host") };
        assert_eq!(host, Some("a"));
        let map = Headers::new(BYTES, &fields).to_header_map();
        assert_eq!(map.get_all("x-tag").iter().count(), 2);
        let names: Vec<_> = Headers::new(BYTES, &fields)
            .iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["Host", "X-Tag", "x-tag", "X-Raw"]);
    }

    fn check(headers: impl AnswerHeaders, expected: &[(&str, &str)]) {
        let mut seen = Vec::new();
        let visited = headers.try_for_each(|name, value| {
            seen.push((name.to_vec(), value.to_vec()));
            Ok::<(), Infallible>(())
        });
        assert_eq!(visited, Ok(()));
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn an_answers_headers_are_any_list_of_pairs() {
        let pair = ("content-type", "text/plain");
        let map: HeaderMap = [(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain"),
        )]
        .into_iter()
        .collect();
        check((), &[]);
        check([pair], &[pair]);
        check([pair, ("a", "b")], &[pair, ("a", "b")]);
        check(&[pair][..], &[pair]);
        check(vec![(pair.0.to_owned(), pair.1.to_owned())], &[pair]);
        check([(http::header::CONTENT_TYPE, b"text/plain")], &[pair]);
        check(&map, &[pair]);
        check(map, &[pair]);
        let received = fields();
        let tags = [("Host", "a"), ("X-Tag", "one"), ("x-tag", "two")];
        check(Headers::new(BYTES, &received[..3]), &tags);
    }
}
