//! HTTPS: TLS 1.2 and 1.3 by rustls, below the connections of a server and of the client.
//!
//! [`Builder::tls`](crate::Builder::tls) makes a server of HTTPS. It takes a [`TlsConfig`] with certificates, or a
//! [`TlsReloader`] that replaces the configuration while the server runs. Handlers read the results of the handshake
//! from a [`TlsInfo`].
//!
//! ```no_run
//! use waterwheel::http::tls::{TlsConfig, TlsInfo};
//! use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
//! use waterwheel::runtime::block_on;
//!
//! async fn hello(request: Request<'_>) -> Result<Responded> {
//!     let connection = request.connection();
//!     let tls = connection.get().map_or_else(String::new, TlsInfo::to_string);
//!     request.respond(StatusCode::OK, format!("hello over {tls}\n"), ()).await
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     let config = TlsConfig::from_pem_files("cert.pem", "key.pem")?;
//!     block_on(async {
//!         let server = Server::builder().tls(config).bind("0.0.0.0:443")?;
//!         server.serve(hello).await
//!     })
//! }
//! ```
//!
//! | to | see |
//! |---|---|
//! | serve several names | [`TlsConfigBuilder::identity`] |
//! | ask clients for certificates | [`TlsConfigBuilder::client_auth`] |
//! | take a new certificate without a restart | [`TlsReloader`] |
//! | send clients from http to https | [`redirect_to_https`] |
//! | limit the time and the number of handshakes | [`Limits::handshake_duration_max`](crate::Limits::handshake_duration_max), [`Limits::handshakes_max`](crate::Limits::handshakes_max) |
//! | choose the cryptography | [`TlsConfigBuilder::provider`] |
//! | use TLS in an accept loop of your own | [`TlsAcceptor`] |
//! | configure all that rustls has | `TlsConfig::from` a [`rustls::ServerConfig`] |
//!
//! # A certificate for tests
//!
//! This command makes a certificate for `localhost` that signs itself:
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
//!     -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
//!     -keyout key.pem -out cert.pem
//! curl --cacert cert.pem https://localhost:8443/
//! ```
//!
//! Without the last `-addext`, openssl makes the certificate of an authority. curl accepts one as a server's, but
//! rustls does not, and so the [client](crate::client) of this crate does not, either.
//!
//! # Keys
//!
//! A handshake with an RSA key takes about ten times the time of one with an ECDSA key, on the thread that serves
//! all other clients. So prefer ECDSA.
//!
//! # How it works
//!
//! ```text
//!   client::tls ─────────────────┐
//!   Builder::tls ──► TlsAcceptor ┴─► TlsStream: Io       one for each connection
//!                        │               └─ Session      records and bytes, without a socket
//!                        └─ TlsReloader ──► TlsConfig ──► Identities (SNI), ClientAuth
//! ```
//!
//! # Invariants
//!
//! - Never: a module below this one names a part of it. TLS is one [`Io`](crate::Io) of many.
//! - Never: a byte of HTTP that has not come through a finished handshake.

mod accept;
mod client_auth;
mod config;
mod error;
mod identity;
mod info;
mod pem;
mod provider;
mod redirect;
mod reload;
mod seen_name;
mod session;
mod stream;

pub use accept::TlsAcceptor;
pub use client_auth::ClientAuth;
pub use config::{TlsConfig, TlsConfigBuilder};
pub use error::TlsConfigError;
pub use identity::Identity;
pub use info::TlsInfo;
pub use redirect::{redirect_to_https, redirect_to_https_port};
pub use reload::TlsReloader;
#[doc(no_inline)]
pub use rustls;
pub use stream::TlsStream;
