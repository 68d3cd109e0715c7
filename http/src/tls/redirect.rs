//! The answer on the port of HTTP.

use http::StatusCode;

use crate::error::Result;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;

/// Sends a client of HTTP to the same address with `https` on port 443: a handler for the server on port 80.
///
/// It answers 308 (RFC 9110, 15.4.9), so that a client repeats the method and the body. A request without a host
/// receives 400. For another port than 443, see [`redirect_to_https_port`].
///
/// Browsers still begin with HTTP each time. The field `strict-transport-security` in the answers over HTTPS tells them
/// not to (RFC 6797). Set it when all parts of a site work over HTTPS.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::tls::redirect_to_https;
/// use waterwheel::http::Server;
/// use waterwheel::runtime::block_on;
///
/// let server = Server::builder().without_listener(); // `bind("0.0.0.0:80")` in production
/// block_on(async {
///     let mut client = TestClient::of(&server, redirect_to_https);
///     client.send("GET /flour?kind=rye HTTP/1.1\r\nHost: mill.example:80\r\n\r\n").await;
///     let answer = client.answer().await;
///     assert_eq!(answer.status, 308);
///     assert_eq!(answer.headers["location"], "https://mill.example/flour?kind=rye");
/// });
/// ```
///
/// # Errors
///
/// If the answer cannot be sent.
pub async fn redirect_to_https(request: Request<'_>) -> Result<Responded> {
    redirect_to_https_port(request, 443).await
}

/// As [`redirect_to_https`], for a server of HTTPS on another port.
///
/// # Errors
///
/// If the answer cannot be sent.
///
/// # Examples
///
/// ```
/// use waterwheel::http::Request;
/// use waterwheel::http::tls::redirect_to_https_port;
///
/// let handler = async |request: Request<'_>| redirect_to_https_port(request, 8443).await;
/// # drop(waterwheel::http::shared(handler));
/// ```
pub async fn redirect_to_https_port(request: Request<'_>, port: u16) -> Result<Responded> {
    // The server has judged the host, so it cannot bring other fields or a path with it.
    let host = request.host().unwrap_or_default();
    // The colons of a v6 address stand in brackets.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    // A Host may be empty (RFC 9110, 7.2). Browsers take the path of `https:///path` as the host.
    if name.is_empty() {
        let text = "the request has no host";
        return request.respond(StatusCode::BAD_REQUEST, text, ()).await;
    }
    let mut location = match port {
        443 => format!("https://{name}"),
        port => format!("https://{name}:{port}"),
    };
    // `OPTIONS *` asks about the whole server.
    if request.path() != "*" {
        location.push_str(request.path());
    }
    if let Some(query) = request.query() {
        location.push('?');
        location.push_str(query);
    }
    let status = StatusCode::PERMANENT_REDIRECT;
    request.respond(status, "", [("location", location)]).await
}
