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
use crate::exchange::request::Request;
use crate::exchange::responded::Responded;
use crate::web::response::IntoResponse;

/// A handler of a route, and the state that it shares with others; see [`with`].
pub struct WithState<S, F> {
    state: Rc<S>,
    handler: F,
}

/// Makes a handler of a route from a function whose first argument is a state. The functions that
/// [`Answers`] lists may take one, so the methods of the state's type are handlers:
///
/// ```
/// use std::cell::RefCell;
/// use std::rc::Rc;
/// use waterwheel_http::testing::TestClient;
/// use waterwheel_http::web::routes::{Router, with};
/// use waterwheel_http::{Request, Responded, Result, StatusCode};
/// use waterwheel_runtime::block_on;
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
