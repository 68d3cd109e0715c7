//! The origin of a page, as its browser names it in the field Origin (RFC 6454, 7).

use crate::exchange::request::Request;
use crate::web::scheme::is_https;

/// Returns true if an origin is that of this server, as far as the request tells it.
pub(super) fn is_of_host(origin: &[u8], request: &Request<'_>) -> bool {
    let origin = str::from_utf8(origin).ok();
    let Some(((scheme, place), host)) = origin
        .and_then(|origin| origin.split_once("://"))
        .zip(request.host())
    else {
        return false;
    };
    let usual_port = match scheme {
        "https" => ":443",
        // The attacker of a network can write any page of http. Without TLS here, a proxy in front may have it.
        "http" if !is_https(request) => ":80",
        _ => return false,
    };
    // A browser leaves the usual port out, and writes small letters. A proxy may change both in Host.
    let shorter = host.strip_suffix(usual_port).unwrap_or(host);
    host.eq_ignore_ascii_case(place) || shorter.eq_ignore_ascii_case(place)
}
