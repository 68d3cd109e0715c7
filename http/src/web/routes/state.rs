//! Handlers that share a state.
//!
//! A route owns its handler, so each of several handlers needs a handle on their common state. [`with`] makes
//! that handle, and [`Answers`] is implemented for the pair.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::rc::Rc;
use std::str::FromStr;

use super::answers::{Answers, ByReference, ByValue, NamedParams, NoRequest};
use super::params::Params;
use crate::error::Result;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::web::response::IntoResponse;

/// A handler of a route, and the state that it shares with others; see [`with`].
///
/// ```
/// use std::rc::Rc;
/// use waterwheel::http::web::routes::{Router, WithState, with};
///
/// let sacks: WithState<u32, _> = with(&Rc::new(7), async |sacks: &u32| sacks.to_string());
/// assert_eq!(Router::new().get("/sacks", sacks).routes().count(), 1);
/// ```
pub struct WithState<S, F> {
    state: Rc<S>,
    handler: F,
}

/// Makes a handler of a route from a function whose first argument is a state, `&S`. The functions that
/// [`Answers`] lists may take one, so the methods of the state's type are handlers:
///
/// ```
/// use std::cell::RefCell;
/// use std::rc::Rc;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::routes::{Router, with};
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// #[derive(Default)]
/// struct Mill {
///     sacks: RefCell<Vec<String>>,
/// }
///
/// impl Mill {
///     async fn list(&self) -> String {
///         self.sacks.borrow().join(" ")
///     }
///
///     async fn sack(&self, _: &Request<'_>, n: usize) -> String {
///         self.sacks.borrow().get(n).cloned().unwrap_or_default()
///     }
///
///     async fn fill(&self, request: Request<'_>) -> Result<Responded> {
///         let flour = String::from_utf8(request.bytes().await?)?;
///         self.sacks.borrow_mut().push(flour); // no borrow may last until the next `await`
///         request.respond(StatusCode::CREATED, "", ()).await
///     }
/// }
///
/// let mill = Rc::new(Mill::default());
/// let router = Router::new()
///     .get("/sacks", with(&mill, Mill::list))
///     .get("/sacks/{n}", with(&mill, Mill::sack))
///     .post("/sacks", with(&mill, Mill::fill));
///
/// block_on(async {
///     let mut client = TestClient::new(router);
///     client.post("/sacks", "rye").await;
///     assert_eq!(client.get("/sacks").await.text(), "rye");
///     assert_eq!(client.get("/sacks/0").await.text(), "rye");
/// });
/// ```
///
/// A handler that spawns a task, or upgrades to a WebSocket, needs an `Rc` to move there. Then the state is itself an
/// `Rc`:
///
/// ```
/// use std::rc::Rc;
/// use waterwheel::http::web::routes::{Router, with};
/// use waterwheel::runtime::spawn;
///
/// async fn grind(mill: &Rc<u32>) -> &'static str {
///     let mill = mill.clone();
///     spawn(async move { println!("mill {mill} grinds") }).detach();
///     "it begins"
/// }
///
/// let mill = Rc::new(7);
/// let router = Router::new().get("/", with(&Rc::new(mill), grind));
/// # drop(router);
/// ```
///
/// All handlers run on one thread, so the state needs no lock. A server for each core ([`workers`]) has a
/// state for each core.
///
/// [`workers`]: crate::Builder::workers
pub fn with<S, F>(state: &Rc<S>, handler: F) -> WithState<S, F> {
    WithState {
        state: state.clone(),
        handler,
    }
}

/// A handler of this kind that takes a state first.
#[doc(hidden)]
#[derive(Debug)]
pub struct Stateful<Kind>(PhantomData<Kind>);

#[diagnostic::do_not_recommend]
impl<S, F, T> Answers<Stateful<NoRequest<T>>> for WithState<S, F>
where
    S: 'static,
    F: AsyncFn(&S) -> T + 'static,
    T: IntoResponse,
{
    const PARAMETERS: Option<usize> = None;

    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        _: Params<'c>,
    ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
        Ok(async move {
            let value = (self.handler)(&self.state).await;
            value.into_response()?.send(request).await
        })
    }
}

#[diagnostic::do_not_recommend]
impl<S, F> Answers<Stateful<ByValue<NamedParams>>> for WithState<S, F>
where
    S: 'static,
    F: AsyncFn(&S, Request<'_>, Params<'_>) -> Result<Responded> + 'static,
{
    const PARAMETERS: Option<usize> = None;

    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        params: Params<'c>,
    ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
        Ok((self.handler)(&self.state, request, params))
    }
}

#[diagnostic::do_not_recommend]
impl<S, F, T> Answers<Stateful<ByReference<NamedParams, T>>> for WithState<S, F>
where
    S: 'static,
    F: AsyncFn(&S, &Request<'_>, Params<'_>) -> T + 'static,
    T: IntoResponse,
{
    const PARAMETERS: Option<usize> = None;

    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        params: Params<'c>,
    ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
        Ok(async move {
            let value = (self.handler)(&self.state, &request, params).await;
            value.into_response()?.send(request).await
        })
    }
}

/// Implements both kinds for handlers with this number of parsed parameters.
macro_rules! with_parameters {
    ($count:expr, $parameters:expr; $($type:ident $name:ident),*) => {
        #[diagnostic::do_not_recommend]
        impl<S, F, $($type),*> Answers<Stateful<ByValue<($($type,)*)>>> for WithState<S, F>
        where
            S: 'static,
            F: AsyncFn(&S, Request<'_>, $($type),*) -> Result<Responded> + 'static,
            $($type: FromStr + 'static),*
        {
            const PARAMETERS: Option<usize> = $parameters;

            fn answer<'c>(
                &'c self,
                request: Request<'c>,
                params: Params<'c>,
            ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
                let Some([$($name),*]) = params.last::<$count>() else {
                    return Err(request);
                };
                $(let Ok($name) = $name.parse::<$type>() else {
                    return Err(request);
                };)*
                Ok((self.handler)(&self.state, request, $($name),*))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<S, F, T, $($type),*> Answers<Stateful<ByReference<($($type,)*), T>>> for WithState<S, F>
        where
            S: 'static,
            F: AsyncFn(&S, &Request<'_>, $($type),*) -> T + 'static,
            T: IntoResponse,
            $($type: FromStr + 'static),*
        {
            const PARAMETERS: Option<usize> = $parameters;

            fn answer<'c>(
                &'c self,
                request: Request<'c>,
                params: Params<'c>,
            ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
                let Some([$($name),*]) = params.last::<$count>() else {
                    return Err(request);
                };
                $(let Ok($name) = $name.parse::<$type>() else {
                    return Err(request);
                };)*
                Ok(async move {
                    let value = (self.handler)(&self.state, &request, $($name),*).await;
                    value.into_response()?.send(request).await
                })
            }
        }
    };
}

with_parameters!(0, None;);
with_parameters!(1, Some(1); A a);
with_parameters!(2, Some(2); A a, B b);
with_parameters!(3, Some(3); A a, B b, C c);
with_parameters!(4, Some(4); A a, B b, C c, D d);

impl<S, F> fmt::Debug for WithState<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithState").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use waterwheel_runtime::block_on;

    use super::*;
    use crate::testing::TestClient;
    use crate::web::routes::Router;

    struct Mill(&'static str);

    #[allow(clippy::unused_async, reason = "handlers are async")]
    impl Mill {
        async fn name(&self) -> String {
            self.0.to_owned()
        }

        async fn path(&self, request: &Request<'_>) -> String {
            format!("{} {}", self.0, request.path())
        }

        async fn sum(&self, _: &Request<'_>, a: u8, b: u8) -> String {
            format!("{} {}", self.0, a + b)
        }

        async fn named(&self, _: &Request<'_>, params: Params<'_>) -> String {
            format!("{} {:?}", self.0, params.get("rest"))
        }

        async fn length(&self, request: Request<'_>) -> Result<Responded> {
            let text = format!("{} {}", self.0, request.bytes().await?.len());
            request.respond(StatusCode::OK, text, ()).await
        }

        async fn put(&self, request: Request<'_>, n: u8) -> Result<Responded> {
            let text = format!("{} {n}", self.0);
            request.respond(StatusCode::OK, text, ()).await
        }
    }

    fn router() -> Router {
        let mill = Rc::new(Mill("rye"));
        Router::new()
            .get("/", with(&mill, Mill::name))
            .get("/path", with(&mill, Mill::path))
            .get("/sum/{a}/{b}", with(&mill, Mill::sum))
            .get("/rest/{*rest}", with(&mill, Mill::named))
            .post("/", with(&mill, Mill::length))
            .put("/{n}", with(&mill, Mill::put))
            .not_found(with(&mill, async |mill: &Mill| format!("{} only", mill.0)))
    }

    #[track_caller]
    fn check(method: &Method, target: &str, expected: &str) {
        let answer = block_on(async {
            let mut client = TestClient::new(router());
            client.request(method, target, &[], b"grist").await
        });
        assert_eq!(answer.text(), expected, "{method} {target}");
    }

    #[test]
    fn a_state_comes_before_the_arguments_of_each_kind_of_handler() {
        check(&Method::GET, "/", "rye");
        check(&Method::GET, "/path", "rye /path");
        check(&Method::GET, "/sum/3/4", "rye 7");
        check(&Method::GET, "/sum/3/x", "rye only"); // the parameter does not parse
        check(&Method::GET, "/rest/a/b", "rye Some(\"a/b\")");
        check(&Method::POST, "/", "rye 5");
        check(&Method::PUT, "/7", "rye 7");
    }

    #[test]
    fn a_pattern_with_another_number_of_parameters_is_an_error() {
        let mill = Rc::new(Mill("rye"));
        let added = Router::new().try_route(Method::GET, "/{a}", with(&mill, Mill::sum));
        assert!(added.is_err());
    }

    #[test]
    fn the_state_is_dropped_with_its_router() {
        let mill = Rc::new(Mill("rye"));
        let router = Router::new().get("/", with(&mill, Mill::name));
        assert_eq!(Rc::strong_count(&mill), 2);
        drop(router);
        assert_eq!(Rc::strong_count(&mill), 1);
    }
}
