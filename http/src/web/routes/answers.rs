//! The functions that a route can call.
//!
//! A handler takes the request and answers it, or borrows the request and returns a value:
//!
//! ```text
//! async fn(Request<'_>, parameters…) -> Result<Responded>        ByValue
//! async fn(&Request<'_>, parameters…) -> value                   ByReference
//! async fn() -> value                                            NoRequest
//! ```
//!
//! The compiler finds out which of these a function is. For this, [`Answers`] has a second type parameter,
//! which users never write: it keeps the implementations apart. [`Stored`] boxes the future of a handler, so
//! that all handlers of a router have one type.
//!
//! **Never**: an answer by value from a handler that has taken the request, because that would be two
//! answers.

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::str::FromStr;

use super::fallback::not_found;
use super::params::Params;
use crate::error::Result;
use crate::exchange::handler::Handler;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::web::response::IntoResponse;

/// A function that answers the requests of a route.
///
/// These implementations exist:
///
/// - each [`Handler`], which takes the request and answers it
/// - `async fn(Request<'_>, A, B …) -> Result<Responded>`, the same with the parameters of the route
/// - `async fn(&Request<'_>, A, B …) -> T`, which borrows the request; its value is the answer
///   ([`IntoResponse`])
/// - `async fn() -> T`
/// - each of these with a state as its first argument, wrapped by [`with`](super::with)
///
/// A function takes up to four parameters, each of a type that implements `FromStr`, or all of them as
/// [`Params`]. If a parameter does not parse, the next handler of the same pattern is tried. If there is
/// none, the answer is 404. A function without parameters fits each pattern. The compiler infers `Kind`.
///
/// ```
/// use waterwheel::http::web::routes::{Params, Router};
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn by_value(request: Request<'_>, n: u32) -> Result<Responded> {
///     request.respond(StatusCode::OK, n.to_string(), ()).await
/// }
///
/// async fn by_reference(request: &Request<'_>, params: Params<'_>) -> String {
///     format!("{} {}", request.path(), params.len())
/// }
///
/// let router = Router::new()
///     .get("/a/{n}", by_value)
///     .get("/b/{n}/{m}", by_reference)
///     .get("/c", async || "no arguments");
/// assert_eq!(router.routes().count(), 3);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer the requests of a route",
    note = "a handler is `async fn(Request<'_>, …) -> Result<Responded>`, `async fn(&Request<'_>, …) -> T` or `async fn() -> T`",
    note = "`T` is anything that implements `IntoResponse`; each further argument implements `FromStr`",
    note = "a state stands before all other arguments, as a reference: `with(&state, f)` with `async fn f(&State, Request<'_>, …)`",
    note = "for `async fn f(&Rc<State>, …)`, the state is an `Rc` inside of that of `with`: `with(&Rc::new(state), f)`"
)]
pub trait Answers<Kind>: 'static {
    /// The number of parameters that the function takes. `None` if it takes any number.
    const PARAMETERS: Option<usize>;

    /// Starts the answer. Returns the request if a parameter does not parse.
    ///
    /// # Errors
    ///
    /// The request.
    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        params: Params<'c>,
    ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>>;
}

/// A handler that takes the request, and parameters of the types `A`.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByValue<A>(PhantomData<A>);

/// A handler that borrows the request, takes parameters of the types `A`, and returns a `T`.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByReference<A, T>(PhantomData<(A, T)>);

/// A handler that takes no arguments and returns a `T`.
#[doc(hidden)]
#[derive(Debug)]
pub struct NoRequest<T>(PhantomData<T>);

/// Stands in place of the types `A` if the handler takes all parameters as [`Params`].
#[doc(hidden)]
#[derive(Debug)]
pub struct NamedParams;

impl<H: Handler> Answers<ByValue<()>> for H {
    const PARAMETERS: Option<usize> = None;

    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        _: Params<'c>,
    ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
        Ok(self.call(request))
    }
}

impl<F> Answers<ByValue<NamedParams>> for F
where
    F: AsyncFn(Request<'_>, Params<'_>) -> Result<Responded> + 'static,
{
    const PARAMETERS: Option<usize> = None;

    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        params: Params<'c>,
    ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
        Ok(self(request, params))
    }
}

impl<F, T> Answers<ByReference<(), T>> for F
where
    F: AsyncFn(&Request<'_>) -> T + 'static,
    T: IntoResponse,
{
    const PARAMETERS: Option<usize> = None;

    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        _: Params<'c>,
    ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
        Ok(async move {
            let value = self(&request).await;
            value.into_response()?.send(request).await
        })
    }
}

impl<F, T> Answers<ByReference<NamedParams, T>> for F
where
    F: AsyncFn(&Request<'_>, Params<'_>) -> T + 'static,
    T: IntoResponse,
{
    const PARAMETERS: Option<usize> = None;

    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        params: Params<'c>,
    ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
        Ok(async move {
            let value = self(&request, params).await;
            value.into_response()?.send(request).await
        })
    }
}

impl<F, T> Answers<NoRequest<T>> for F
where
    F: AsyncFn() -> T + 'static,
    T: IntoResponse,
{
    const PARAMETERS: Option<usize> = None;

    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        _: Params<'c>,
    ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
        Ok(async move { self().await.into_response()?.send(request).await })
    }
}

/// Implements both kinds for handlers with this number of parsed parameters.
macro_rules! with_parameters {
    ($count:literal: $($type:ident $name:ident),+) => {
        impl<F, $($type),+> Answers<ByValue<($($type,)+)>> for F
        where
            F: AsyncFn(Request<'_>, $($type),+) -> Result<Responded> + 'static,
            $($type: FromStr + 'static),+
        {
            const PARAMETERS: Option<usize> = Some($count);

            fn answer<'c>(
                &'c self,
                request: Request<'c>,
                params: Params<'c>,
            ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
                let Some([$($name),+]) = params.last::<$count>() else {
                    return Err(request);
                };
                let ($(Ok($name),)+) = ($($name.parse::<$type>(),)+) else {
                    return Err(request);
                };
                Ok(self(request, $($name),+))
            }
        }

        impl<F, T, $($type),+> Answers<ByReference<($($type,)+), T>> for F
        where
            F: AsyncFn(&Request<'_>, $($type),+) -> T + 'static,
            T: IntoResponse,
            $($type: FromStr + 'static),+
        {
            const PARAMETERS: Option<usize> = Some($count);

            fn answer<'c>(
                &'c self,
                request: Request<'c>,
                params: Params<'c>,
            ) -> Result<impl Future<Output = Result<Responded>>, Request<'c>> {
                let Some([$($name),+]) = params.last::<$count>() else {
                    return Err(request);
                };
                let ($(Ok($name),)+) = ($($name.parse::<$type>(),)+) else {
                    return Err(request);
                };
                Ok(async move {
                    let value = self(&request, $($name),+).await;
                    value.into_response()?.send(request).await
                })
            }
        }
    };
}

with_parameters!(1: A a);
with_parameters!(2: A a, B b);
with_parameters!(3: A a, B b, C c);
with_parameters!(4: A a, B b, C c, D d);

/// A [`Handler`] made of a function of a route; see [`handler`].
///
/// # Examples
///
/// ```
/// use waterwheel::http::Handler;
/// use waterwheel::http::web::routes::handler;
///
/// fn takes(_: impl Handler) {}
///
/// takes(handler(async || "a value")); // an `AsHandler`, whose type the compiler infers
/// ```
pub struct AsHandler<H, Kind>(TypedHandler<H, Kind>);

/// Makes a [`Handler`] of a function of a route, for example one that returns a value. The handler answers
/// all requests, without parameters.
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::routes::handler;
/// use waterwheel::http::Request;
/// use waterwheel::runtime::block_on;
///
/// async fn length(request: &Request<'_>) -> String {
///     request.path().len().to_string()
/// }
///
/// block_on(async {
///     let mut client = TestClient::new(handler(length));
///     assert_eq!(client.get("/four").await.text(), "5");
/// });
/// ```
pub fn handler<Kind: 'static, H: Answers<Kind>>(handler: H) -> AsHandler<H, Kind> {
    AsHandler(TypedHandler(handler, PhantomData))
}

impl<Kind: 'static, H: Answers<Kind>> Handler for AsHandler<H, Kind> {
    async fn call(&self, request: Request<'_>) -> Result<Responded> {
        let none = Params::new(&[], std::iter::empty());
        match self.0.0.answer(request, none) {
            Ok(answering) => answering.await,
            Err(declined) => Ok(not_found(declined)),
        }
    }
}

impl<H, Kind> fmt::Debug for AsHandler<H, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsHandler").finish_non_exhaustive()
    }
}

/// The boxed future of a stored handler.
pub(super) type Answering<'c> = Pin<Box<dyn Future<Output = Result<Responded>> + 'c>>;

/// A handler of any kind, in a route.
pub(super) trait Stored {
    /// Starts the answer. Returns the request if a parameter does not parse.
    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        params: Params<'c>,
    ) -> Result<Answering<'c>, Request<'c>>;

    /// Returns true if a route that is tried after this one, with the same pattern and method, gets no request.
    fn leaves_nothing_to(&self, later: &dyn Stored) -> bool;

    /// The kind of the function, with the types of its parameters.
    fn kind(&self) -> TypeId;
}

/// A handler with its kind, which is not stored yet.
pub(super) struct TypedHandler<H, Kind>(pub(super) H, pub(super) PhantomData<Kind>);

impl<H: Answers<Kind>, Kind: 'static> Stored for TypedHandler<H, Kind> {
    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        params: Params<'c>,
    ) -> Result<Answering<'c>, Request<'c>> {
        Ok(Box::pin(self.0.answer(request, params)?))
    }

    fn leaves_nothing_to(&self, later: &dyn Stored) -> bool {
        // Only a parsed parameter declines, and the same types parse the same values.
        matches!(H::PARAMETERS, None | Some(0)) || self.kind() == later.kind()
    }

    fn kind(&self) -> TypeId {
        TypeId::of::<Kind>()
    }
}
