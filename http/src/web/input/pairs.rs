//! Names and values of a query or a form.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use form_urlencoded::Serializer;
use percent_encoding::percent_decode;

use super::fault::malformed;
use crate::error::ClientError;

/// Names and values in their order, with escapes decoded.
///
/// ```
/// use waterwheel::http::web::input::Pairs;
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
    /// Splits `application/x-www-form-urlencoded` (the URL standard, 5.1) at each `&`, and each pair at its
    /// first `=`. A `+` is a space. A name without `=` has an empty value. Empty pairs are skipped.
    ///
    /// # Errors
    ///
    /// 400 if the decoded text is not UTF-8.
    #[doc(alias = "decodeQuery")]
    pub fn parse(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Result<Self, ClientError> {
        let bytes = text.as_ref();
        expect_utf8(bytes)?;
        Ok(Self(form_urlencoded::parse(bytes).collect()))
    }

    /// Returns the first value of that name.
    #[doc(alias = "get_param")]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Returns all values of that name.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Parses the first value of that name. Returns `None` if it is absent or does not parse.
    pub fn parse_value<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// Returns true if that name is present.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns all pairs, in their order.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::input::Pairs;
    ///
    /// let pairs = Pairs::parse("grain=rye&sacks=7")?;
    /// assert!(pairs.contains("sacks") && !pairs.is_empty());
    /// assert_eq!(pairs.iter().next(), Some(("grain", "rye")));
    /// assert_eq!(pairs.len(), 2);
    /// let kept: Pairs<'static> = pairs.into_owned(); // lives longer than the query
    /// # drop(kept);
    /// # Ok::<(), waterwheel::http::ClientError>(())
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Returns the number of pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Copies the borrowed parts.
    #[must_use]
    pub fn into_owned(self) -> Pairs<'static> {
        let owned = |(name, value): (Cow<'a, str>, Cow<'a, str>)| {
            (name.into_owned().into(), value.into_owned().into())
        };
        Pairs(self.0.into_iter().map(owned).collect())
    }
}

/// Refuses a text that is not UTF-8 when its escapes are decoded.
pub(super) fn expect_utf8(bytes: &[u8]) -> Result<(), ClientError> {
    match percent_decode(bytes).decode_utf8() {
        Ok(_) => Ok(()),
        Err(_) => Err(malformed("names and values are not UTF-8")),
    }
}

/// Collects any pairs of text. Their `Display` form is a query.
impl<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>> FromIterator<(N, V)> for Pairs<'a> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pair = |(name, value): (N, V)| (name.into(), value.into());
        Self(pairs.into_iter().map(pair).collect())
    }
}

/// Writes the pairs as a query, escaped.
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
        fn written_pairs_are_read_back(
            pairs in proptest::collection::vec(("\\PC{0,12}", "[a-c &=+%\u{0}\r\n]{0,12}"), 0..6),
        ) {
            let pairs: Pairs<'_> = pairs.into_iter().collect();
            let shown = pairs.to_string();
            proptest::prop_assert_eq!(Pairs::parse(&shown), Ok(pairs));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            drop(Pairs::parse(&bytes));
        }
    }
}
