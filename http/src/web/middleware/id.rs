//! Request ids, which connect the lines of one request in all logs.

use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::log;
use crate::web::unique::UniqueIds;

/// The field that carries the id.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::middleware::{REQUEST_ID, request_ids};
/// use waterwheel::http::{Request, StatusCode};
///
/// let page = request_ids(async |request: Request<'_>| {
///     println!("working on {:?}", request.added_header(REQUEST_ID));
///     request.respond(StatusCode::OK, "", ()).await
/// });
/// # drop(page);
/// ```
pub const REQUEST_ID: &str = log::REQUEST_ID;

/// Adds an id to each answer, as the field `x-request-id`: 32 hexadecimal digits, unique, and not
/// predictable.
///
/// The handler reads it by [`request.added_header(REQUEST_ID)`](Request::added_header). The access log reads
/// it by itself. An id from the client is ignored, because any client could then write text into the logs.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::{REQUEST_ID, request_ids};
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let say = async |request: Request<'_>| {
///     let id = request.added_header(REQUEST_ID).unwrap_or_default();
///     request.respond(StatusCode::OK, id, ()).await
/// };
/// let answer = block_on(async { TestClient::new(request_ids(say)).get("/").await });
/// assert_eq!(answer.headers[REQUEST_ID], answer.text());
/// ```
pub fn request_ids(handler: impl Handler) -> impl Handler {
    let ids = UniqueIds::default();
    async move |request: Request<'_>| {
        let [high, low] = ids.next();
        request.add_header(REQUEST_ID, format!("{high:016x}{low:016x}"))?;
        handler.call(request).await
    }
}
