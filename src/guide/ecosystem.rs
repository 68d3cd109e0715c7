//! Libraries that work with it, and how to connect them.
//!
//! Everything here runs on one thread, in plain `Future`s, `futures-io` streams and `http-body` bodies. So a
//! library works if it does not call another runtime. The table has those that were tried. `tests/ecosystem` builds
//! and runs each snippet below. It also runs hyper, axum, hyper-util's pooled client, sqlx and async-tungstenite on
//! the sockets and timers of the runtime, without our server.
//!
//! | for | library | how |
//! |---|---|---|
//! | channels | [async-channel], [flume], `tokio::sync`, `futures::channel` | [as they are](#channels) |
//! | locks, semaphores | [async-lock], `tokio::sync` | [as they are](#locks) |
//! | combinators | `futures`, `futures-lite`, `futures-concurrency`, `tokio::select!`, `CancellationToken` | [as they are](#tokios-channels) |
//! | files, child processes | [`runtime::fs`](crate::runtime::fs) and [`runtime::process`](crate::runtime::process); also `async-process` | as they are |
//! | libraries that need tokio | `tokio::net`, `tokio::time`, `tokio::spawn`; reqwest, tonic | [inside a tokio runtime](#libraries-that-need-tokio) |
//! | another server's routes | axum | [as a handler](#axum) |
//! | HTTP/2, and hyper's services | hyper, hyper-util | [over our sockets](#hyper) |
//! | SQLite | rusqlite, sqlx | [on a pool of one thread](#sqlite); as it is, with its feature `runtime-smol` |
//! | PostgreSQL | tokio-postgres, sqlx | [over our sockets, or with a thread of its own](#postgresql) |
//! | an HTTP client | [`http::client`](crate::http::client) (feature `client`); ureq | as it is; [on the pool](#an-http-client) |
//! | WebSocket | [`http::web::websocket`](crate::http::web::websocket); async-tungstenite | [by `upgrade`](#websocket), or over a socket |
//! | TLS | rustls | [`Builder::tls`](crate::http::Builder::tls) |
//! | certificates of Let's Encrypt | certbot, lego; rustls-acme | [by files, or by a resolver](#certificates) |
//! | errors | anyhow, thiserror | by `?` in a handler: each becomes an [`Error`](crate::http::Error) |
//! | logs, metrics, traces | tracing-subscriber, metrics, opentelemetry | [as they are](#logs) |
//!
//! [async-channel]: https://docs.rs/async-channel
//! [flume]: https://docs.rs/flume
//! [async-lock]: https://docs.rs/async-lock
//!
//! # What cannot work
//!
//! | library | why | instead |
//! |---|---|---|
//! | `axum::serve`, axum's `ws` | they call tokio's sockets and `tokio::spawn` | the [`Router` as a handler](#axum), and [`upgrade`](#websocket) |
//! | tower-http's timeout | it calls tokio's timers | [`time_limit`](crate::http::web::middleware::time_limit) |
//! | fastwebsockets | it is tied to tokio's traits and to hyper | async-tungstenite |
//! | a `Send` future that holds a [`Request`](crate::http::Request) | a request lives on its thread, without locks | copy what the other thread needs, as [`OwnedRequest`](crate::http::web::middleware::OwnedRequest) does |
//!
//! Anything else that calls tokio works [inside a tokio runtime](#libraries-that-need-tokio). If a library takes
//! the whole thread, run it on a second thread, with a [channel](#channels) between them.
//!
//! # Channels
//!
//! Between tasks of one thread, use the channels of [`runtime::sync`](crate::runtime::sync), which need no atomics. The
//! channels of other crates also carry values from other threads.
//!
//! ```ignore
#![doc = include_str!("ecosystem/channels.rs")]
//! ```
//!
//! # Locks
//!
//! Tasks of one thread share data in an `Rc<RefCell<…>>`. A lock is needed if the data must not change over an
//! await. [`runtime::sync`](crate::runtime::sync) has locks for one thread. Those of other crates work, too.
//!
//! ```ignore
#![doc = include_str!("ecosystem/locks.rs")]
//! ```
//!
//! # Tokio's channels
//!
//! `tokio::sync` needs no tokio runtime. The same holds for `tokio::select!` and `tokio::join!`.
//!
//! ```ignore
#![doc = include_str!("ecosystem/tokio_sync.rs")]
//! ```
//!
//! # Libraries that need tokio
//!
//! A thread that has entered a tokio runtime may use its sockets, timers and `tokio::spawn`. The futures still
//! run on this runtime. Each event costs a wake from the other thread.
//!
//! ```ignore
#![doc = include_str!("ecosystem/tokio_runtime.rs")]
//! ```
//!
//! # axum
//!
//! A `Router` is a service, and a service makes a handler. The feature `tower` has the adapter:
//! [`from_service(router)`](crate::http::web::tower::from_service) is a handler, for a whole server or for one prefix of
//! a router of ours ([`Router::nest`](crate::http::web::routes::Router::nest)). Below a prefix, the service receives the
//! whole path: so nest the routes in the `Router` of axum, too. Extractors, layers and streamed bodies work.
//! The handlers of axum must be `Send`.
//!
//! `tests/ecosystem/examples/axum_on_waterwheel.rs` serves such a router over HTTP/1.1 and HTTP/2 on one port. Without
//! the feature, an adapter that reads the whole body first takes 15 lines:
//!
//! ```ignore
#![doc = include_str!("ecosystem/axum.rs")]
//! ```
//!
//! # hyper
//!
//! The feature `hyper` adds [`hyper_rt`](crate::runtime::hyper_rt). With it, a socket of ours is a stream of hyper, its
//! timeouts follow our clock, and [`LocalSpawner`](crate::runtime::LocalSpawner) is the executor for HTTP/2, for `auto`
//! and for the pooled client of hyper-util.
//!
//! ```ignore
#![doc = include_str!("ecosystem/hyper.rs")]
//! ```
//!
//! # SQLite
//!
//! ```ignore
#![doc = include_str!("ecosystem/rusqlite.rs")]
//! ```
//!
//! [`blocking_on`](crate::http::web::middleware::blocking_on) makes a handler of a plain function that queries.
//!
//! # PostgreSQL
//!
//! ```ignore
#![doc = include_str!("ecosystem/postgres.rs")]
//! ```
//!
//! # An HTTP client
//!
//! [`http::client`](crate::http::client) runs on this runtime and blocks no thread. A blocking client, such as ureq, works on
//! the pool:
//!
//! ```ignore
#![doc = include_str!("ecosystem/client.rs")]
//! ```
//!
//! # WebSocket
//!
//! The server has WebSockets of its own ([`http::web::websocket`](crate::http::web::websocket)). A library over the
//! upgraded stream looks like this:
//!
//! ```ignore
#![doc = include_str!("ecosystem/websocket.rs")]
//! ```
//!
//! # Logs
//!
//! ```ignore
#![doc = include_str!("ecosystem/logs.rs")]
//! ```
//!
//! # Certificates
//!
//! A program such as certbot or lego renews the files. Then a [`TlsReloader`](crate::http::tls::TlsReloader) reads them
//! again: on SIGHUP, as in the example `https`, or from a task with an interval of a day.
//!
//! rustls-acme does it inside the server. It brings some 100 crates, and a thread for its own sockets. Turn its features
//! `ring` and `webpki-roots` on, and its defaults off. A whole program, for any authority with ACME, is
//! `tests/ecosystem/examples/acme.rs`.
//!
//! ```ignore
#![doc = include_str!("ecosystem/acme.rs")]
//! ```
