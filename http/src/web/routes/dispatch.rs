//! From a request to the handler that answers it.

use std::rc::Rc;

use http::Method;

use super::fallback::{malformed, not_allowed, not_found, options, redirect};
use super::table::PathMatch;
use super::{Params, Router, TrailingSlash, nested_path, path};
use crate::error::Result;
use crate::exchange::handler::{Handler, Responded};
use crate::exchange::request::Request;
use crate::shared::error_answer::ErrorHook;
use crate::web::nested::{self, NestedAt};

impl Handler for Router {
    async fn call(&self, request: Request<'_>) -> Result<Responded> {
        show_errors(&request, self.errors.as_ref());
        let path = match nested_path(&request) {
            "*" => return options(request, &self.table.all_methods()).await,
            "" if *request.method() == Method::CONNECT => {
                return Ok(not_allowed(request, self.table.all_methods()));
            }
            "" => "/", // RFC 9110, 4.2.3
            path => path,
        };
        let Some(path) = path::unescape(path) else {
            return Ok(malformed(request));
        };
        match self.table.find(&path) {
            Some(found) => self.dispatch(request, &path, &found).await,
            None => self.dispatch_without_slash(request, &path).await,
        }
    }
}

impl Router {
    /// Answers with the first route that accepts the method and the parameters.
    async fn dispatch(
        &self,
        mut request: Request<'_>,
        path: &str,
        found: &PathMatch<'_, '_>,
    ) -> Result<Responded> {
        let method = request.method();
        let mut is_allowed = false;
        for route in found.routes_for(method) {
            is_allowed = true;
            let look_before = show_errors(&request, route.errors.as_ref());
            if let Some(segments) = route.pattern.nested {
                enter_prefix(&request, segments);
            }
            // A handler whose parameters do not parse returns the request for the next one.
            request = match route.handler.answer(request, found.params(route)) {
                Ok(answering) => {
                    drop(look_before); // so that the future of this function does not keep it
                    return answering.await;
                }
                Err(declined) => declined,
            };
            if route.errors.is_some() {
                show_errors_as_before(&request, look_before);
            }
        }
        if is_allowed {
            return self.answer_not_found(request, path).await;
        }
        show_errors(&request, found.errors());
        match *method {
            Method::OPTIONS => options(request, &found.allow()).await,
            _ => Ok(not_allowed(request, found.allow())),
        }
    }

    /// Tries the path with a final slash if it has none, and without it if it has one.
    async fn dispatch_without_slash(&self, request: Request<'_>, path: &str) -> Result<Responded> {
        let other = match path.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{path}/"),
        };
        let found = self.table.find(&other);
        match (found, self.trailing_slash) {
            (Some(found), TrailingSlash::Same) => self.dispatch(request, path, &found).await,
            // A Location of `//host/` would lead to another host.
            (Some(_), TrailingSlash::Redirect) if !request.path().starts_with("//") => {
                redirect(request).await
            }
            _ => self.answer_not_found(request, path).await,
        }
    }

    async fn answer_not_found(&self, request: Request<'_>, path: &str) -> Result<Responded> {
        // The longest prefix is first, so the look and the handler are those of the nearest router that has one.
        let above = self.not_found.iter();
        let mut above = above.filter(|known| known.prefix.has(path));
        let errors = above.clone().find_map(|known| known.errors.as_ref());
        show_errors(&request, errors);
        let handler = above.find_map(|known| Some((known.handler.as_ref()?, &known.prefix)));
        let Some((handler, prefix)) = handler else {
            return Ok(not_found(request));
        };
        // The handler may be `Files` or a router, which read the part of the path below their prefix.
        if prefix.segments > 0 {
            enter_prefix(&request, prefix.segments);
        }
        let none = Params::new(&[], std::iter::empty());
        match handler.answer(request, none) {
            Ok(answering) => answering.await,
            Err(declined) => Ok(not_found(declined)),
        }
    }
}

/// Sets the look of error answers to this request. Returns the look before.
#[inline]
fn show_errors(request: &Request<'_>, errors: Option<&ErrorHook>) -> Option<Rc<ErrorHook>> {
    #[cold]
    fn insert(request: &Request<'_>, errors: &ErrorHook) -> Option<Rc<ErrorHook>> {
        request.extensions().insert(errors.clone())
    }
    // Most routers have none.
    errors.and_then(|errors| insert(request, errors))
}

/// Sets the look of error answers to this request back to the one before.
#[cold]
fn show_errors_as_before(request: &Request<'_>, before: Option<Rc<ErrorHook>>) {
    match before {
        Some(before) => drop(request.extensions().insert(ErrorHook::clone(&before))),
        None => drop(request.extensions().remove::<ErrorHook>()),
    }
}

/// Notes that so many more segments of the path belong to outer routers.
fn enter_prefix(request: &Request<'_>, segments: usize) {
    let outer = nested::depth(request);
    request.extensions().insert(NestedAt(outer + segments));
}
