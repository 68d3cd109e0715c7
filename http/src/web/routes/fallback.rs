//! The answers of the router itself.

use http::StatusCode;

use crate::error::{ClientError, Result};
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::web::response::Response;

pub(super) fn not_found(request: Request<'_>) -> Responded {
    let error = ClientError::new(StatusCode::NOT_FOUND, "not found");
    request.refuse(&error)
}

pub(super) fn malformed(request: Request<'_>) -> Responded {
    let error = ClientError::new(StatusCode::BAD_REQUEST, "malformed escape in the path");
    request.refuse(&error)
}

/// Answers with 405 and Allow (RFC 9110, 15.5.6).
pub(super) fn not_allowed(request: Request<'_>, allow: String) -> Responded {
    let error = ClientError::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    request.refuse(&error.with_header("allow", allow))
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
