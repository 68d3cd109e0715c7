//! Content codings that a client accepts (RFC 9110, 12.5.3).

use crate::headers::Headers;
use crate::headers::white_space::trim;
use crate::web::weight::Weight;

/// A content coding of answers (RFC 9110, 8.4.1).
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::coding::ContentCoding;
///
/// // The names of the smaller files beside `site.css`.
/// let names = ContentCoding::STORED.map(|coding| format!("site.css{}", coding.suffix()));
/// assert_eq!(names, ["site.css.br", "site.css.zst", "site.css.gz"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentCoding {
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
    /// `gzip` (RFC 1952).
    Gzip,
    /// `deflate`, in the format of zlib (RFC 1950).
    Deflate,
}

impl ContentCoding {
    /// All codings. If a client prefers several equally, the first one is tried first.
    pub const ALL: [Self; 4] = [Self::Brotli, Self::Zstd, Self::Gzip, Self::Deflate];

    /// The codings of files that are stored beside their originals.
    pub const STORED: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Returns the name in Accept-Encoding and Content-Encoding.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Returns the ending of the name of a file in this coding.
    ///
    /// ```
    /// use waterwheel::http::web::coding::ContentCoding;
    ///
    /// assert_eq!(ContentCoding::Gzip.suffix(), ".gz");
    /// assert_eq!(ContentCoding::Gzip.token(), "gzip");
    /// ```
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
            Self::Deflate => ".zz",
        }
    }
}

/// The codings that a client accepts, the best first.
///
/// A coding is accepted if the client names it or sends `*`, and prefers it no less than the identity. A
/// client without an Accept-Encoding field accepts no coding.
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::coding::AcceptedCodings;
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let show = async |request: Request<'_>| {
///     let codings = AcceptedCodings::of(request.headers());
///     let tokens: Vec<_> = codings.iter().map(|coding| coding.token()).collect();
///     request.respond(StatusCode::OK, tokens.join(" "), ()).await
/// };
/// let fields = [("accept-encoding", "gzip, br;q=0.5")];
/// let answer = block_on(async {
///     TestClient::new(show).request(&Method::GET, "/", &fields, b"").await
/// });
/// assert_eq!(answer.text(), "gzip br");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptedCodings([Option<ContentCoding>; 4]);

/// Weights in thousandths, for each of [`ContentCoding::ALL`] and for the identity.
#[derive(Default)]
struct Weights {
    codings: [Option<u16>; 4],
    identity: Option<u16>,
    any: Option<u16>,
}

impl AcceptedCodings {
    /// Reads the Accept-Encoding fields. A member with a malformed weight is ignored.
    #[must_use]
    pub fn of(headers: Headers<'_>) -> Self {
        let mut weights = Weights::default();
        for member in headers.members("accept-encoding") {
            let Some(end) = member.iter().position(|byte| *byte == b';') else {
                weights.take(member, 1000);
                continue;
            };
            if let Weight::Given(weight) = Weight::parse(&member[end + 1..]) {
                weights.take(trim(&member[..end]), weight);
            }
        }
        weights.order()
    }

    /// Returns the codings in the order in which to try them.
    pub fn iter(self) -> impl Iterator<Item = ContentCoding> {
        self.0.into_iter().flatten()
    }
}

impl Weights {
    fn take(&mut self, token: &[u8], weight: u16) {
        if token == b"*" {
            self.any = Some(weight);
        } else if token.eq_ignore_ascii_case(b"identity") {
            self.identity = Some(weight);
        }
        for (place, coding) in ContentCoding::ALL.into_iter().enumerate() {
            // RFC 9110, 8.4.1.3
            let is_old_name =
                coding == ContentCoding::Gzip && token.eq_ignore_ascii_case(b"x-gzip");
            if is_old_name || token.eq_ignore_ascii_case(coding.token().as_bytes()) {
                self.codings[place] = Some(weight);
            }
        }
    }

    fn order(&self) -> AcceptedCodings {
        // Without a weight of its own, the identity ranks below each named coding.
        let least = self.identity.unwrap_or(0).max(1);
        let weight = |place: usize| self.codings[place].or(self.any).unwrap_or(0);
        let mut places = [0, 1, 2, 3];
        places.sort_by_key(|place| std::cmp::Reverse(weight(*place)));
        AcceptedCodings(
            places.map(|place| (weight(place) >= least).then(|| ContentCoding::ALL[place])),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::{Field, Span};

    #[track_caller]
    fn check(value: &str, expected: &[ContentCoding]) {
        let bytes = format!("accept-encoding: {value}");
        let field = Field {
            name: Span::new(0, 15),
            value: Span::new(17, bytes.len()),
        };
        let accepted = AcceptedCodings::of(Headers::new(bytes.as_bytes(), &[field]));
        assert_eq!(accepted.iter().collect::<Vec<_>>(), expected, "{value}");
    }

    use ContentCoding::{Brotli, Deflate, Gzip, Zstd};

    #[test]
    fn codings_are_tried_in_the_order_of_their_weights() {
        check("gzip, deflate, br, zstd", &[Brotli, Zstd, Gzip, Deflate]);
        check("gzip;q=1.0, br;q=0.9", &[Gzip, Brotli]);
        check("GZIP", &[Gzip]);
        check("x-gzip", &[Gzip]); // RFC 9110, 8.4.1.3
        check("*", &[Brotli, Zstd, Gzip, Deflate]);
        check("br;q=0, *;q=0.5", &[Zstd, Gzip, Deflate]);
    }

    #[test]
    fn a_coding_that_a_client_refuses_is_not_tried() {
        check("", &[]);
        check("identity", &[]);
        check("gzip;q=0", &[]); // RFC 9110, 12.4.2
        check("gzip;q=0.000, br;q=0.001", &[Brotli]);
        check("identity;q=0.5, gzip;q=0.4, br;q=0.5", &[Brotli]);
        check("*;q=0", &[]);
        check("gzipped, br2", &[]);
    }

    #[test]
    fn a_member_with_a_malformed_weight_is_ignored() {
        for weight in ["2", "1.001", "-1", "+1", "", ".", "0,5", "1 "] {
            let named = if weight == "1 " { &[Gzip][..] } else { &[] };
            check(&format!("gzip;q={weight}"), named);
        }
        check("gzip;x=1", &[]);
    }
}
