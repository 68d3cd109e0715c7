//! The routes of a router, found by path.

use std::panic::Location;
use std::rc::Rc;

use http::Method;

use super::answers::Stored;
use super::params::Params;
use super::pattern::{Pattern, Reason, RouteError};
use crate::shared::error_answer::ErrorHook;

/// All routes of a router.
///
/// matchit finds the place of a path. Routes whose patterns match the same paths share a place. Each route
/// keeps its own names for the parameters.
#[derive(Clone, Default)]
pub(super) struct Table {
    places: matchit::Router<usize>,
    /// For each place, the key of the pattern and its routes in the order in which they were added. The key
    /// is empty if the place was removed.
    routes: Vec<(String, Vec<Rc<Route>>)>,
    added: usize,
}

pub(super) struct Route {
    /// `None` for all methods.
    pub(super) method: Option<Method>,
    pub(super) pattern: Pattern,
    pub(super) handler: Rc<dyn Stored>,
    /// The look of error answers, if the route was nested with a router that has one.
    pub(super) errors: Option<ErrorHook>,
    /// The line that has added the route.
    pub(super) place: &'static Location<'static>,
    /// The number of routes that were added before.
    number: usize,
}

impl Route {
    /// Returns true if this route answers all requests of a later one with the same key.
    fn hides(&self, later: &Self) -> bool {
        // HEAD asks its own routes first, and then those of GET.
        let has_method = self.method.is_none() && later.method != Some(Method::HEAD);
        (has_method || self.method == later.method)
            && self.handler.leaves_nothing_to(&*later.handler)
    }

    fn duplicate_of(self, first: &Self) -> RouteError {
        RouteError {
            reason: Reason::Duplicate {
                method: self.method,
                first: first.pattern.text.clone(),
                first_place: first.place,
                place: self.place,
            },
            pattern: self.pattern.text,
        }
    }
}

impl Table {
    pub(super) fn add(
        &mut self,
        method: Option<Method>,
        pattern: Pattern,
        (handler, errors): (Rc<dyn Stored>, Option<ErrorHook>),
        place: &'static Location<'static>,
    ) -> Result<(), RouteError> {
        let at = self.place(&pattern)?;
        let route = Route {
            method,
            pattern,
            handler,
            errors,
            place,
            number: self.added,
        };
        let known = &mut self.routes[at].1;
        // Such a route gets no request, so it is a mistake, for example of a copied line.
        if let Some(first) = known.iter().find(|known| known.hides(&route)) {
            return Err(route.duplicate_of(first));
        }
        known.push(Rc::new(route));
        self.added += 1;
        Ok(())
    }

    /// Returns the place of a pattern. Makes a new one if needed.
    fn place(&mut self, pattern: &Pattern) -> Result<usize, RouteError> {
        if let Some(place) = self.known_place(pattern) {
            return Ok(place);
        }
        let place = self.routes.len();
        let inserted = self.places.insert(&pattern.key, place);
        inserted.map_err(|error| self.explain(pattern, &error))?;
        self.routes.push((pattern.key.clone(), Vec::new()));
        Ok(place)
    }

    fn known_place(&self, pattern: &Pattern) -> Option<usize> {
        self.routes.iter().position(|(key, _)| *key == pattern.key)
    }

    /// Describes a conflict with the patterns as they were written.
    fn explain(&self, pattern: &Pattern, error: &matchit::InsertError) -> RouteError {
        let other = match error {
            matchit::InsertError::Conflict { with } => with.as_str(),
            _ => "",
        };
        let mut known = self.routes.iter().filter(|(key, _)| key == other);
        let written = known.find_map(|(_, routes)| Some(routes.first()?.pattern.text.clone()));
        RouteError {
            pattern: pattern.text.clone(),
            reason: Reason::Conflict(written.unwrap_or_else(|| other.to_owned())),
        }
    }

    pub(super) fn remove(&mut self, method: Option<&Method>, pattern: &Pattern) {
        if let Some(place) = self.known_place(pattern) {
            let (key, routes) = &mut self.routes[place];
            routes.retain(|route| route.method.as_ref() != method);
            if routes.is_empty() {
                // Without the place, its paths find a less specific pattern.
                self.places.remove(key.as_str());
                key.clear();
            }
        }
    }

    /// Returns all routes in the order in which they were added.
    pub(super) fn routes(&self) -> impl Iterator<Item = &Route> {
        let mut all: Vec<_> = self.routes.iter().flat_map(|(_, routes)| routes).collect();
        all.sort_unstable_by_key(|route| route.number);
        all.into_iter().map(|route| &**route)
    }

    /// Returns the routes of the pattern that a path matches, and its parameters.
    pub(super) fn find<'r, 'p>(&'r self, path: &'p str) -> Option<PathMatch<'r, 'p>> {
        let found = self.places.at(path).ok()?;
        let routes = self.routes[*found.value].1.as_slice();
        let params = found.params;
        // `{*rest}` must not mix a decoded slash with those between segments.
        let catches_all = routes
            .first()
            .is_some_and(|route| route.pattern.catches_all);
        let is_slashed = |(_, value): (_, &str)| value.contains("%2F");
        if catches_all && params.iter().last().is_some_and(is_slashed) {
            return None;
        }
        Some(PathMatch { routes, params })
    }

    /// Returns the value of Allow for the server as a whole.
    pub(super) fn all_methods(&self) -> String {
        allow(self.routes.iter().flat_map(|(_, routes)| routes))
    }
}

/// The routes of the pattern that a path matches, and its parameters.
pub(super) struct PathMatch<'r, 'p> {
    routes: &'r [Rc<Route>],
    params: matchit::Params<'r, 'p>,
}

impl<'r> PathMatch<'r, '_> {
    /// Returns the look of error answers, if the pattern has one of its own.
    pub(super) fn errors(&self) -> Option<&'r ErrorHook> {
        self.routes.iter().find_map(|route| route.errors.as_ref())
    }

    /// Returns the routes for a method. HEAD uses its own routes first, and then GET's (RFC 9110, 9.3.2).
    pub(super) fn routes_for<'m>(
        &self,
        method: &'m Method,
    ) -> impl Iterator<Item = &'r Route> + use<'r, 'm> {
        let is_head = *method == Method::HEAD;
        let takes = move |route: &&Route| match &route.method {
            Some(own) => own == method,
            None => !is_head,
        };
        let takes_get = move |route: &&Route| {
            let method = route.method.as_ref();
            is_head && method.is_none_or(|method| *method == Method::GET)
        };
        let routes = self.routes.iter().map(|route| &**route);
        routes.clone().filter(takes).chain(routes.filter(takes_get))
    }

    /// Returns the parameters with the names of this route.
    pub(super) fn params<'c>(&'c self, route: &'c Route) -> Params<'c> {
        Params::new(
            &route.pattern.names,
            self.params.iter().map(|(_, value)| value),
        )
    }

    /// Returns the value of Allow (RFC 9110, 10.2.1).
    pub(super) fn allow(&self) -> String {
        allow(self.routes)
    }
}

/// Joins the methods of routes. Adds HEAD and OPTIONS.
fn allow<'r>(routes: impl IntoIterator<Item = &'r Rc<Route>>) -> String {
    let mut methods = vec!["OPTIONS"];
    for route in routes {
        match &route.method {
            Some(method) => methods.push(method.as_str()),
            None => methods.extend(["GET", "POST", "PUT", "PATCH", "DELETE"]),
        }
    }
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}
