//! Cookies of a request (RFC 6265).

use crate::exchange::request::Request;
use crate::headers::white_space::trim_text;

/// Returns the names and values of the request's cookies, in the order of arrival.
///
/// If a name is repeated, the first cookie is the one with the longest path. Names are compared byte by byte,
/// and only spaces and tabs are stripped from them. A name with other white space is another name, because
/// browsers let any site of the domain set such a name. A pair that is not UTF-8 is skipped.
///
/// ```
/// use waterwheel::http::Request;
/// use waterwheel::http::web::input;
/// use waterwheel::http::web::response::Response;
///
/// async fn again(request: &Request<'_>) -> Response {
///     let visits: u32 = input::cookie(request, "visits").and_then(|n| n.parse().ok()).unwrap_or(0);
///     let cookie = format!("visits={}; HttpOnly; SameSite=Lax", visits + 1);
///     Response::text(format!("{visits} times before")).with_added_header("set-cookie", cookie)
/// }
/// ```
///
/// With the feature `cookies`, `Response::with_cookie` writes and checks this field.
pub fn cookies<'c>(request: &Request<'c>) -> impl Iterator<Item = (&'c str, &'c str)> + use<'c> {
    let fields = request.headers().get_all("cookie");
    fields
        .flat_map(|field| field.split(|byte| *byte == b';'))
        .filter_map(|pair| str::from_utf8(pair).ok()?.split_once('='))
        .map(|(name, value)| (trim_text(name), trim_text(value)))
        .map(|(name, value)| {
            let inner = value.strip_prefix('"');
            let inner = inner.and_then(|rest| rest.strip_suffix('"'));
            (name, inner.unwrap_or(value))
        })
        .filter(|(name, _)| !name.is_empty())
}

/// Returns the value of the first cookie of that name; see [`cookies`].
///
/// ```
/// use waterwheel::http::Request;
/// use waterwheel::http::web::input;
///
/// fn is_known(request: &Request<'_>) -> bool {
///     input::cookie(request, "session").is_some()
/// }
/// ```
pub fn cookie<'c>(request: &Request<'c>, name: &str) -> Option<&'c str> {
    cookies(request)
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use waterwheel_runtime::block_on;

    use super::*;
    use crate::testing::TestClient;

    /// Returns the cookies of a request with this field, each as `name:value`.
    fn seen(field: &[u8]) -> String {
        let list = async |request: Request<'_>| {
            let shown = cookies(&request).map(|(name, value)| format!("{name}:{value}"));
            let shown = shown.collect::<Vec<_>>().join(" ");
            request.respond(StatusCode::OK, shown, ()).await
        };
        let head = [b"GET / HTTP/1.1\r\nhost: x\r\ncookie: ", field, b"\r\n\r\n"].concat();
        block_on(async {
            let mut client = TestClient::new(list);
            client.send(head).await;
            client.answer().await.text()
        })
    }

    #[test]
    fn only_space_and_tab_are_stripped_from_a_cookie() {
        // RFC 6265, 4.2.1: a browser lets any site of the domain set a name with another white space
        // before its prefix, so that name must not become the prefix here.
        for white in [
            "\u{85}", "\u{a0}", "\u{1680}", "\u{2000}", "\u{200a}", "\u{2028}", "\u{202f}",
            "\u{205f}", "\u{3000}", "\u{feff}",
        ] {
            let field = format!("{white}__Host-sid=evil; __Host-sid{white}=evil; __Host-sid=good");
            let expected = format!("{white}__Host-sid:evil __Host-sid{white}:evil __Host-sid:good");
            assert_eq!(seen(field.as_bytes()), expected, "{white:?}");
            let field = format!("sid={white}a{white}");
            assert_eq!(seen(field.as_bytes()), format!("sid:{white}a{white}"));
        }
        assert_eq!(seen(b"\t a \t=\t b \t;  c=d"), "a:b c:d");
    }

    #[test]
    fn a_pair_that_is_not_utf_8_is_skipped() {
        assert_eq!(seen(b"a=1; b=\xff; c=3"), "a:1 c:3");
        assert_eq!(seen(b"\xe9=1;c=3"), "c:3");
        // The bytes of `;` and `=` are never part of a longer character.
        assert_eq!(seen(b"a=\xc3;b=\xe2\x82; c=\xc3\xa9"), "c:\u{e9}");
    }

    #[test]
    fn names_are_compared_byte_by_byte() {
        assert_eq!(seen(b"SID=1; sid=2; s%69d=3"), "SID:1 sid:2 s%69d:3");
    }
}
