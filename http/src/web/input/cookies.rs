//! What a client was given to bring along again (RFC 6265).

use crate::request::Request;

/// The cookies that came along, names and values as they were set; in the order of arrival.
///
/// Where a name is there more than once, the first is the one that was set for the nearest path.
///
/// ```
/// use waterwheel_http::Request;
/// use waterwheel_http::web::input;
/// use waterwheel_http::web::response::Response;
///
/// async fn again(request: &Request<'_>) -> Response {
///     let visits: u32 = input::cookie(request, "visits").and_then(|n| n.parse().ok()).unwrap_or(0);
///     let cookie = format!("visits={}; HttpOnly; SameSite=Lax", visits + 1);
///     Response::text(format!("{visits} times before")).with_added_header("set-cookie", cookie)
/// }
/// ```
pub fn cookies<'c>(request: &Request<'c>) -> impl Iterator<Item = (&'c str, &'c str)> + use<'c> {
    let fields = request.headers().get_all("cookie");
    fields
        .filter_map(|field| str::from_utf8(field).ok())
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim(), unquoted(value.trim())))
        .filter(|(name, _)| !name.is_empty())
}

/// The first cookie of that name.
pub fn cookie<'c>(request: &Request<'c>, name: &str) -> Option<&'c str> {
    cookies(request)
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// Quotes may stand around a value, and are no part of it (RFC 6265, 4.1.1).
fn unquoted(value: &str) -> &str {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value)
}
