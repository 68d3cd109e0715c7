//! Names and values, as a query or a form has them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use form_urlencoded::Serializer;
use percent_encoding::percent_decode;

use super::malformed;
use crate::error::ClientError;

/// Names and values in their order, escapes undone: of `?a=1&b=x+y&a=%32`.
///
/// ```
/// use waterwheel_http::web::input::Pairs;
///
/// let pairs = Pairs::parse("a=1&flag&b=x+%26&a=2").unwrap();
/// assert_eq!(pairs.get("a"), Some("1"));
/// assert_eq!(pairs.get_all("a").collect::<Vec<_>>(), ["1", "2"]);
/// assert_eq!(pairs.get("flag"), Some(""));
/// assert_eq!(pairs.parse_value("a"), Some(1_u8));
/// assert_eq!(pairs.to_string(), "a=1&flag=&b=x+%26&a=2");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Pairs<'a> {
    /// Takes `application/x-www-form-urlencoded` apart (the URL standard, 5.1): at each `&`, then at
    /// the first `=`; `+` is a space. A name without `=` has an empty value; what is empty is no pair.
    ///
    /// # Errors
    ///
    /// 400 if it is not UTF-8, escapes undone.
    #[doc(alias = "decodeQuery")]
    pub fn parse(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Result<Self, ClientError> {
        let bytes = text.as_ref();
        expect_utf8(bytes)?;
        Ok(Self(form_urlencoded::parse(bytes).collect()))
    }

    /// The first value of that name.
    #[doc(alias = "get_param")]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of that name.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The first value of that name as whatever it spells; `None` if it spells none, or is not there.
    pub fn parse_value<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// Whether there is one of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same, nothing of it borrowed.
    #[must_use]
    pub fn into_owned(self) -> Pairs<'static> {
        let owned = |(name, value): (Cow<'a, str>, Cow<'a, str>)| {
            (name.into_owned().into(), value.into_owned().into())
        };
        Pairs(self.0.into_iter().map(owned).collect())
    }
}

/// Refuses what is not UTF-8, escapes undone.
pub(super) fn expect_utf8(bytes: &[u8]) -> Result<(), ClientError> {
    match percent_decode(bytes).decode_utf8() {
        Ok(_) => Ok(()),
        Err(_) => Err(malformed("names and values are not UTF-8")),
    }
}

/// Any pairs of text; shown, they are a query again.
impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for Pairs<'a> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pair = |(name, value): (N, V)| (name.into(), value.into());
        Self(pairs.into_iter().map(pair).collect())
    }
}

/// As a query, escaped.
impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &Serializer::new(String::new())
                .extend_pairs(self.iter())
                .finish(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn pairs_shown_are_the_same_pairs_read(
            pairs in proptest::collection::vec(("\\PC{0,12}", "[a-c &=+%\u{0}\r\n]{0,12}"), 0..6),
        ) {
            let pairs: Pairs<'_> = pairs.into_iter().collect();
            let shown = pairs.to_string();
            proptest::prop_assert_eq!(Pairs::parse(&shown), Ok(pairs));
        }

        #[test]
        fn any_bytes_are_pairs_or_refused(bytes: Vec<u8>) {
            drop(Pairs::parse(&bytes));
        }
    }
}
