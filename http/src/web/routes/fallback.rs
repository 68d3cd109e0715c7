//! The answers of the router itself.

use http::StatusCode;

use crate::error::Result;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::web::response::Response;

pub(super) async fn not_found(request: Request<'_>) -> Result<Responded> {
    let response = Response::text("not found\n");
    let response = response.with_status(StatusCode::NOT_FOUND);
    response.send(request).await
}

/// Answers with 405 and Allow (RFC 9110, 15.5.6).
pub(super) async fn not_allowed(request: Request<'_>, allow: &str) -> Result<Responded> {
    let response = Response::text("method not allowed\n").with_header("allow", allow);
    let response = response.with_status(StatusCode::METHOD_NOT_ALLOWED);
    response.send(request).await
}

/// Answers OPTIONS (RFC 9110, 9.3.7).
pub(super) async fn options(request: Request<'_>, allow: &str) -> Result<Responded> {
    let response = Response::empty(StatusCode::NO_CONTENT).with_header("allow", allow);
    response.send(request).await
}

/// Redirects to the path with or without its last slash, and with the same query.
pub(super) async fn redirect(request: Request<'_>) -> Result<Responded> {
    let path = request.path();
    let mut location = match path.strip_suffix('/') {
        Some(without) => without.to_owned(),
        None => format!("{path}/"),
    };
    if let Some(query) = request.query() {
        location.extend(["?", query]);
    }
    Response::permanent_redirect(&location).send(request).await
}
