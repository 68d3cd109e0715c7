//! Compile errors that puzzle, and what to write instead.
//!
//! | the compiler | the cause |
//! |---|---|
//! | [`type annotations needed … Result<_, E>`](#an-async-closure-that-ends-in-ok) | an async closure that uses `?` and ends in `Ok(…)` |
//! | [`lifetime may not live long enough`, about an async block](#a-closure-that-returns-an-async-block) | `\|request\| async move { … }` in place of `async \|request\| { … }` |
//! | [`use of moved value`, in a loop](#a-router-moved-into-a-loop) | an accept loop that gives its router away in the first round |
//! | [`type annotations needed`, at `request`](#a-closure-without-the-type-of-its-argument) | a closure without the type of its argument |
//! | [`… is not a handler`](#not-a-handler) | a function of a route, in a place that wants a [`Handler`](crate::http::Handler) |
//!
//! An `async fn` with a signature avoids all of them but the third.
//!
//! # An async closure that ends in `Ok(…)`
//!
//! A route accepts any error type, so the type of this `Ok` is open:
//!
//! ```compile_fail,E0282
//! use waterwheel::http::Request;
//! use waterwheel::http::web::routes::Router;
//!
//! let router = Router::new().get("/", async |request: &Request<'_>| {
//!     let number: u32 = request.query().unwrap_or("0").parse()?;
//!     Ok((number + 1).to_string())
//! });
//! ```
//!
//! ```text
//! error[E0282]: type annotations needed
//!   |     Ok((number + 1).to_string())
//!   |     ^^ cannot infer type of the type parameter `E` declared on the enum `Result`
//! ```
//!
//! Name the type once: at the end, or in a function.
//!
//! ```
//! use waterwheel::http::{Error, Request, Result};
//! use waterwheel::http::web::routes::Router;
//!
//! async fn next(request: &Request<'_>) -> Result<String> {
//!     let number: u32 = request.query().unwrap_or("0").parse()?;
//!     Ok((number + 1).to_string())
//! }
//!
//! let router = Router::new().get("/function", next).get("/closure", async |request: &Request<'_>| {
//!     let number: u32 = request.query().unwrap_or("0").parse()?;
//!     Ok::<_, Error>((number + 1).to_string())
//! });
//! # drop(router);
//! ```
//!
//! # A closure that returns an async block
//!
//! The future borrows the request, and the type of such a closure cannot say so:
//!
//! ```compile_fail
//! use waterwheel::http::{Request, StatusCode, shared};
//!
//! let hello = shared(|request: Request<'_>| async move {
//!     request.respond(StatusCode::OK, "hello", ()).await
//! });
//! ```
//!
//! ```text
//! error: lifetime may not live long enough
//!   | let hello = shared(|request: Request<'_>| async move {
//!   |                              --           ^^^^^^^^^^ returning this value requires that `'1` must outlive `'2`
//! ```
//!
//! An async closure can. Write `async` in front of it:
//!
//! ```
//! use waterwheel::http::{Request, StatusCode, shared};
//!
//! let hello = shared(async |request: Request<'_>| {
//!     request.respond(StatusCode::OK, "hello", ()).await
//! });
//! # drop(hello);
//! ```
//!
//! `async move |request: Request<'_>|` also moves the captured state into the closure.
//!
//! # A router moved into a loop
//!
//! Each connection takes a handler, and the first round of the loop has taken this one:
//!
//! ```compile_fail,E0382
//! use waterwheel::http::Server;
//! use waterwheel::http::web::routes::Router;
//!
//! async fn accept_loop(server: Server, router: Router) -> std::io::Result<()> {
//!     loop {
//!         server.capacity().await;
//!         match server.accept_request(router).await {
//!             Err(error) if error.is_fatal() => return Err(error.into()),
//!             _ => {}
//!         }
//!     }
//! }
//! ```
//!
//! Wrap it once with [`shared`](crate::http::shared), and clone that. The clone is a counter, and all connections
//! share one router. An `async fn` needs neither.
//!
//! ```
//! use waterwheel::http::web::routes::Router;
//! use waterwheel::http::{Server, shared};
//!
//! async fn accept_loop(server: Server, router: Router) -> std::io::Result<()> {
//!     let router = shared(router);
//!     loop {
//!         server.capacity().await;
//!         match server.accept_request(router.clone()).await {
//!             Err(error) if error.is_fatal() => return Err(error.into()),
//!             _ => {}
//!         }
//!     }
//! }
//! ```
//!
//! [`Server::serve`](crate::http::Server::serve) takes the router itself.
//!
//! # A closure without the type of its argument
//!
//! ```compile_fail,E0282
//! use waterwheel::http::{StatusCode, shared};
//!
//! let hello = shared(async |request| request.respond(StatusCode::OK, "hello", ()).await);
//! ```
//!
//! Write the type: `async |request: Request<'_>| …`.
//!
//! # Not a handler
//!
//! A function that borrows the request and returns a value is for routes. A router makes the answer of its value.
//! [`shared`](crate::http::shared) and all middleware (`RateLimit::around(…)`, `access_log(…)`) take handlers only.
//!
//! ```compile_fail,E0631
//! use waterwheel::http::{Request, shared};
//!
//! async fn path(request: &Request<'_>) -> String {
//!     request.path().to_owned()
//! }
//!
//! let handler = shared(path);
//! ```
//!
//! [`web::routes::handler`](crate::http::web::routes::handler) makes a handler of it:
//!
//! ```
//! use waterwheel::http::web::routes::handler;
//! use waterwheel::http::{Request, shared};
//!
//! async fn path(request: &Request<'_>) -> String {
//!     request.path().to_owned()
//! }
//!
//! let handler = shared(handler(path));
//! # drop(handler);
//! ```
