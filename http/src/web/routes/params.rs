//! The parameters of a route, by name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::path;

/// The parameters of a route, decoded, by name and in their order.
///
/// A handler receives them as its second argument, if that has the type `Params<'_>`:
///
/// ```
/// use waterwheel::http::Request;
/// use waterwheel::http::web::routes::{Params, Router};
///
/// let router = Router::new().get("/{year}/{*rest}", async |_: &Request<'_>, params: Params<'_>| {
///     format!("{:?} {:?}", params.parse::<u16>("year"), params.get("rest"))
/// });
/// # drop(router);
/// ```
#[derive(Clone)]
pub struct Params<'c> {
    names: &'c [Box<str>],
    values: Vec<Cow<'c, str>>,
}

impl<'c> Params<'c> {
    /// `values` are in the order of `names`, as in a path of [`path::unescape`].
    pub(super) fn new(names: &'c [Box<str>], values: impl Iterator<Item = &'c str>) -> Self {
        Self {
            names,
            values: values.map(path::segment).collect(),
        }
    }

    /// Returns the parameter of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.names.iter().position(|known| **known == *name)?;
        self.values.get(at).map(|value| &**value)
    }

    /// Parses the parameter of that name. Returns `None` if it is absent or does not parse.
    pub fn parse<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// Returns names and values, in the order of the pattern.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Request;
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::routes::{Params, Router};
    /// use waterwheel::runtime::block_on;
    ///
    /// let show = async |_: &Request<'_>, params: Params<'_>| {
    ///     assert!(params.len() == 2 && !params.is_empty());
    ///     let pairs: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    ///     pairs.join(" ")
    /// };
    /// let router = Router::new().get("/{year}/{month}", show);
    /// let text = block_on(async { TestClient::new(router).get("/1994/11").await.text() });
    /// assert_eq!(text, "year=1994 month=11");
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let names = self.names.iter().map(|name| &**name);
        names.zip(self.values.iter().map(|value| &**value))
    }

    /// Returns the number of parameters.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns true if there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the last `COUNT` parameters, which are those of the pattern without the prefixes of outer
    /// routers.
    pub(super) fn last<const COUNT: usize>(&self) -> Option<&[Cow<'c, str>; COUNT]> {
        self.values.last_chunk()
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
