//! An async HTTP/1.1 server with an explicit accept loop.
//!
//! ```no_run
//! use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
//! use waterwheel::runtime::block_on;
//!
//! async fn hello(request: Request<'_>) -> Result<Responded> {
//!     request.respond(StatusCode::OK, "Hello World", [("content-type", "text/plain")]).await
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! block_on(async {
//!     let server = Server::bind("127.0.0.1:8080")?;
//!     loop {
//!         if server.should_accept_request() {
//!             match server.accept_request(hello).await {
//!                 Err(error) if error.is_fatal() => return Err(error.into()),
//!                 _ => {}
//!             }
//!         } else {
//!             server.capacity().await;
//!         }
//!     }
//! })
//! # }
//! ```
//!
//! # The tour
//!
//! **Bind.** [`Server::bind`] listens with the defaults. [`Server::builder`] takes other settings.
//!
//! **Accept.** [`Server::should_accept_request`] returns true if the process has descriptors for another
//! connection. [`Server::accept_request`] accepts a connection and spawns its task. [`Server::capacity`]
//! waits for room. [`Server::serve`] is that loop. [`Server::accept`] returns the [`Connection`] itself.
//! Serve it in any way, or take its requests one by one.
//!
//! **Handle.** A handler is any `async fn(Request<'_>) -> Result<Responded>`, or a closure. Its state
//! need not be `Send`. [`shared`] makes one handler with state serve all connections.
//!
//! **Answer.** [`Request::respond`] sends a whole answer. [`Request::start`] begins an answer that is sent
//! piece by piece. Both lead to a [`Responded`], which the handler must return. So the handler answers each
//! request, and only once.
//!
//! **Read.** [`Request::bytes`] reads the whole body. [`Request::body`] reads it piece by piece.
//! [`Body`] is a `Stream` and an `AsyncRead`, and can write itself into a file.
//!
//! **Limit.** [`Limits`] is the table of all limits on bytes, counts and time that a client may use.
//!
//! **Encrypt.** [`Builder::tls`] serves HTTPS, with the feature `tls`. [`tls`] has certificates, names, clients'
//! certificates, reloads, and the redirect from HTTP.
//!
//! **Wrap.** [`Builder::transport`] puts a transport of yours, such as the PROXY protocol, under every connection that the
//! server accepts. [`Io`] is its contract. [`Request::connection`] returns the facts that it has found.
//!
//! **Upgrade.** [`Request::upgrade`] and [`Request::tunnel`] return the stream ([`Upgraded`]), with the bytes
//! that the server has read of it.
//!
//! **Fail.** `?` converts any error to an [`Error`]. A fault of the client is a [`Refusal`], or a
//! [`ClientError`] if a handler finds it. The client receives its status. After any other error, the client
//! receives 500, and the server logs a line (`tracing`). Without a subscriber, the first line of a process goes to
//! stderr. A panic is a 500 too, and costs one connection. [`Builder::error_responses`] makes all error answers look
//! as the application wants.
//!
//! **End.** [`Server::shutdown`] finishes requests and cuts the rest when the time is over.
//! [`Server::serve_until`] does so on a signal, and a [`Stopper`] from any thread. [`Builder::stoppable`] and
//! [`Builder::workers`] run servers on threads of their own. Work that never ends by itself learns of the end by a
//! [`ShutdownSignal`].
//!
//! **Count.** [`Server::numbers`] returns all counters of a server. [`Server::on_refusal`] reports
//! requests that no handler sees.
//!
//! **Build sites.** [`web`] has routes, responses as values, parsers of queries, forms and JSON, and middleware.
//! Each part is a feature. The feature `web` has most of them. Its page lists those that are extra, such as `websocket`
//! and `sessions`.
//!
//! **Ask other servers.** [`client`] is an HTTP/1.1 client, with the feature `client`. [`web::proxy`] passes requests on,
//! with the feature `proxy`.
//!
//! **Operate.** [`web::health`] answers the checks of load balancers, [`Systemd`] tells systemd about the server (feature
//! `systemd`), and [`guide::production`](crate::guide::production) is the checklist.
//!
//! **Test.** [`testing`] serves a handler over a connection in memory, through the real parser.
//!
//! # Nim's names
//!
//! | asynchttpserver | here |
//! |---|---|
//! | `newAsyncHttpServer`, `listen` | [`Server::builder`], [`Builder::bind`] |
//! | `getPort` | [`Server::local_address`] |
//! | `shouldAcceptRequest` | [`Server::should_accept_request`] |
//! | `acceptRequest` | [`Server::accept_request`] |
//! | `serve` | [`Server::serve`] |
//! | `close` | [`Server::close`], [`Server::shutdown`] |
//! | `reusePort` with several processes | [`Builder::reuse_port`]; with threads, [`Builder::workers`] |
//! | `poll` | [`Server::capacity`], [`turn`](crate::runtime::turn) |
//! | `activeDescriptors`, `maxDescriptors` | [`Descriptors::open`], [`Descriptors::limit`] |
//! | `respond` | [`Request::respond`] |
//! | `reqMethod`, `url`, `headers`, `protocol` | [`Request::method`], [`Request::path`] and [`Request::query`], [`Request::headers`], [`Request::version`] |
//! | `hostname` (the peer's address) | [`Request::peer_address`] |
//! | `body` | [`Request::bytes`] |

#[doc(inline)]
pub use waterwheel_http::*;
