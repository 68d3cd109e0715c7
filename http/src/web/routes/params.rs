//! What the parameters of a pattern were, by name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::path;

/// The parameters of the route that was taken, by name and in order; escapes undone.
///
/// A handler gets them as its second argument, if it asks for `Params<'_>` there:
///
/// ```
/// use waterwheel_http::Request;
/// use waterwheel_http::web::routes::{Params, Router};
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
    /// `values` in the order of `names`, as they are in an unescaped path.
    pub(super) fn new(names: &'c [Box<str>], values: impl Iterator<Item = &'c str>) -> Self {
        Self {
            names,
            values: values.map(path::segment).collect(),
        }
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.names.iter().position(|known| **known == *name)?;
        self.values.get(at).map(|value| &**value)
    }

    /// The parameter of that name as whatever it spells; `None` if it spells none, or is not there.
    pub fn parse<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// Names and values, in the order of the pattern.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let names = self.names.iter().map(|name| &**name);
        names.zip(self.values.iter().map(|value| &**value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The last `COUNT`: those of the pattern as it was given, without its routers' prefixes.
    pub(super) fn last<const COUNT: usize>(&self) -> Option<&[Cow<'c, str>; COUNT]> {
        self.values.last_chunk()
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
