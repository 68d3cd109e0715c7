//! What may stand behind a route.
//!
//! A handler either takes the request and answers it, or borrows it and gives back a value:
//!
//! ```text
//! async fn(Request<'_>, parameters…) -> Result<Responded>        ByValue
//! async fn(&Request<'_>, parameters…) -> value                   ByReference
//! async fn() -> value                                            NoRequest
//! ```
//!
//! Which of these one is, the compiler finds out: [`Answers`] has a second type, that nobody ever
//! names, to tell the implementations apart. What is behind a route is put in a box here
//! ([`Stored`]), so that nobody else has to.
//!
//! **Never**: an answer by value of a handler that has taken the request: that would be two.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::str::FromStr;

use super::params::Params;
use crate::error::Result;
use crate::handler::Handler;
use crate::request::Request;
use crate::responded::Responded;
use crate::web::response::IntoResponse;

/// What answers the requests of a route.
///
/// Nobody has to write an implementation; these are there:
///
/// - every [`Handler`], which takes the request and answers it;
/// - `async fn(Request<'_>, A, B …) -> Result<Responded>`, the same with the route's parameters;
/// - `async fn(&Request<'_>, A, B …) -> T`, which looks at the request, and is answered with a value
///   ([`IntoResponse`]);
/// - `async fn() -> T`.
///
/// Up to four parameters, each anything that can be parsed (`FromStr`), or all of them as
/// [`Params`]. A path whose parameters do not parse is left to the next handler of the same pattern,
/// and found nowhere if there is none. `Kind` tells these apart, and is never named.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer the requests of a route",
    note = "a handler is `async fn(Request<'_>, …) -> Result<Responded>`, `async fn(&Request<'_>, …) -> T` or `async fn() -> T`",
    note = "`T` is anything that implements `IntoResponse`; each further argument implements `FromStr`"
)]
pub trait Answers<Kind>: 'static {
    /// How many parameters it takes by themselves; `None` if it does not matter.
    const PARAMETERS: Option<usize>;

    /// Begins to answer, or gives the request back because a parameter does not parse.
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

/// The kind of [`Answers`] that takes the request, and parameters of types `A`.
#[derive(Debug)]
pub struct ByValue<A>(PhantomData<A>);

/// The kind of [`Answers`] that borrows the request, takes parameters of types `A`, and gives back a
/// `T`.
#[derive(Debug)]
pub struct ByReference<A, T>(PhantomData<(A, T)>);

/// The kind of [`Answers`] that takes nothing, and gives back a `T`.
#[derive(Debug)]
pub struct NoRequest<T>(PhantomData<T>);

/// In place of the types `A`: takes all parameters, by name.
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

/// The two kinds that take the request and so many parameters, each parsed.
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

/// A [`Handler`] of whatever may stand behind a route; see [`handler`].
pub struct AsHandler<H, Kind>(TypedHandler<H, Kind>);

/// Makes what may stand behind a route a [`Handler`], to answer all requests by itself: a function
/// that gives back a value, say. It has no parameters to take.
///
/// ```
/// use waterwheel_http::testing::TestClient;
/// use waterwheel_http::web::routes::handler;
/// use waterwheel_http::Request;
/// use waterwheel_runtime::block_on;
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
            Err(declined) => super::not_found(declined).await,
        }
    }
}

impl<H, Kind> fmt::Debug for AsHandler<H, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsHandler").finish_non_exhaustive()
    }
}

/// What a stored handler answers with.
pub(super) type Answering<'c> = Pin<Box<dyn Future<Output = Result<Responded>> + 'c>>;

/// A handler of any kind, behind a route.
pub(super) trait Stored {
    /// Begins to answer, or gives the request back.
    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        params: Params<'c>,
    ) -> Result<Answering<'c>, Request<'c>>;
}

/// A handler of a kind that is known, on its way to be stored.
pub(super) struct TypedHandler<H, Kind>(pub(super) H, pub(super) PhantomData<Kind>);

impl<H: Answers<Kind>, Kind> Stored for TypedHandler<H, Kind> {
    fn answer<'c>(
        &'c self,
        request: Request<'c>,
        params: Params<'c>,
    ) -> Result<Answering<'c>, Request<'c>> {
        Ok(Box::pin(self.0.answer(request, params)?))
    }
}
