//! Content codings that a client takes (RFC 9110, 12.5.3).

use crate::headers::Headers;
use crate::web::weight::Weight;
use crate::white_space::trim;

/// A content coding in which files are kept beside their originals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentCoding {
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
    /// `gzip` (RFC 1952).
    Gzip,
}

impl ContentCoding {
    /// All of them; where a client likes several as much, the first is taken.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in Accept-Encoding and Content-Encoding.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What a file's name ends in that has it.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }

    fn is_named(self, token: &[u8]) -> bool {
        token.eq_ignore_ascii_case(self.token().as_bytes())
            // RFC 9110, 8.4.1.3
            || self == Self::Gzip && token.eq_ignore_ascii_case(b"x-gzip")
    }
}

/// The codings to try for a client, the best first.
///
/// Only those it names, or takes by `*`, and likes no less than the file as it is. A client that
/// says nothing takes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptedCodings([Option<ContentCoding>; 3]);

/// Weights in thousandths, for each of [`ContentCoding::ALL`] and for the file as it is.
#[derive(Default)]
struct Weights {
    codings: [Option<u16>; 3],
    identity: Option<u16>,
    any: Option<u16>,
}

impl AcceptedCodings {
    /// Reads the Accept-Encoding fields.
    ///
    /// A member whose weight is malformed is passed over.
    #[must_use]
    pub fn of(headers: Headers<'_>) -> Self {
        let mut weights = Weights::default();
        for member in headers.members("accept-encoding") {
            if let Some((token, weight)) = weighted(member) {
                weights.take(token, weight);
            }
        }
        weights.order()
    }

    /// In the order in which to try.
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
            if coding.is_named(token) {
                self.codings[place] = Some(weight);
            }
        }
    }

    fn order(&self) -> AcceptedCodings {
        // Unless it is named, the file as it is comes after everything that is.
        let least = self.identity.unwrap_or(0).max(1);
        let weight = |place: usize| self.codings[place].or(self.any).unwrap_or(0);
        let mut places = [0, 1, 2];
        places.sort_by_key(|place| std::cmp::Reverse(weight(*place)));
        AcceptedCodings(
            places.map(|place| (weight(place) >= least).then(|| ContentCoding::ALL[place])),
        )
    }
}

/// Splits `token` or `token;q=0.5`; the weight is in thousandths. Returns `None` for anything else.
fn weighted(member: &[u8]) -> Option<(&[u8], u16)> {
    let Some(end) = member.iter().position(|byte| *byte == b';') else {
        return Some((member, 1000));
    };
    match Weight::parse(&member[end + 1..]) {
        Weight::Given(weight) => Some((trim(&member[..end]), weight)),
        Weight::Absent | Weight::Malformed => None,
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

    use ContentCoding::{Brotli, Gzip, Zstd};

    #[test]
    fn what_a_client_names_is_tried_in_the_order_it_likes_it() {
        check("gzip, deflate, br, zstd", &[Brotli, Zstd, Gzip]);
        check("gzip;q=1.0, br;q=0.9", &[Gzip, Brotli]);
        check("GZIP", &[Gzip]);
        check("x-gzip", &[Gzip]); // RFC 9110, 8.4.1.3
        check("*", &[Brotli, Zstd, Gzip]);
        check("br;q=0, *;q=0.5", &[Zstd, Gzip]);
    }

    #[test]
    fn what_a_client_does_not_want_is_not_tried() {
        check("", &[]);
        check("identity", &[]);
        check("gzip;q=0", &[]); // RFC 9110, 12.4.2
        check("gzip;q=0.000, br;q=0.001", &[Brotli]);
        check("identity;q=0.5, gzip;q=0.4, br;q=0.5", &[Brotli]);
        check("*;q=0", &[]);
        check("gzipped, br2", &[]);
    }

    #[test]
    fn a_member_with_a_malformed_weight_is_passed_over() {
        for weight in ["2", "1.001", "-1", "+1", "", ".", "0,5", "1 "] {
            let named = if weight == "1 " { &[Gzip][..] } else { &[] };
            check(&format!("gzip;q={weight}"), named);
        }
        check("gzip;x=1", &[]);
    }
}
