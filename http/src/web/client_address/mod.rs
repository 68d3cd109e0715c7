//! The address of the client behind a proxy: the PROXY protocol, `Forwarded` and `X-Forwarded-For`.
//!
//! Behind a proxy, each connection comes from the proxy. The proxy tells the address of its client in one of two ways:
//!
//! | the proxy sends | by | use |
//! |---|---|---|
//! | the PROXY protocol before each connection | HAProxy (`send-proxy-v2`), nginx (`proxy_protocol on`), load balancers of clouds | [`Builder::proxy_protocol`](crate::Builder::proxy_protocol) |
//! | a field in each request | nginx, Envoy, Caddy, most others | [`TrustedProxies`] |
//!
//! Any client can send both. So both are read only from networks that you trust, and all other clients are taken by the
//! address of their connection.
//!
//! ```
//! use waterwheel::http::testing::TestClient;
//! use waterwheel::http::web::client_address::{ForwardedBy, Networks, TrustedProxies};
//! use waterwheel::http::{Request, StatusCode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trusted: Networks = "10.0.0.0/8, fd00::/8".parse()?;
//! let proxies = TrustedProxies::new(trusted, ForwardedBy::XForwardedFor);
//! let show = async move |request: Request<'_>| {
//!     let client = proxies.client_of(&request);
//!     let text = client.map_or("unknown".to_owned(), |address| address.to_string());
//!     request.respond(StatusCode::OK, text, ()).await
//! };
//! # drop(TestClient::new(show));
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - Never: an address from a peer outside the trusted networks.

mod forwarded;
mod header;
mod networks;
mod proxy_protocol;

pub use forwarded::{ForwardedBy, TrustedProxies};
pub use header::ProxyHeader;
pub use networks::{InvalidNetwork, Networks};
pub use proxy_protocol::ProxyProtocol;
