//! The types of asynchttpserver: headers, methods, versions, codes, targets (N-50, N-70 to N-92).
//!
//! Its `HttpHeaders` is two types here: `Headers`, a view of the fields of a request, and `HeaderMap`, which
//! can be changed.

use waterwheel::http::{
    HeaderMap, HeaderName, HeaderValue, Headers, Limits, Method, Request, Server, StatusCode,
    Version,
};

use super::served::{answered, check, get, refused, server};
use crate::support::server::TestServer;

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap()
}

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, text) in pairs {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value(text),
        );
    }
    map
}

fn all<'a>(map: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    map.get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}

/// Compares the result of `look`, which sees the headers of a request with these field lines.
#[track_caller]
fn check_headers(fields: &str, look: fn(Headers<'_>) -> String, expected: &str) {
    let server = TestServer::start(Server::builder(), move || {
        async move |request: Request<'_>| {
            let seen = look(request.headers());
            request.respond(StatusCode::OK, seen, ()).await
        }
    });
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    check(&server, &[(&request, &answered(expected))]);
}

fn joined<'a>(values: impl Iterator<Item = &'a [u8]>) -> String {
    let values: Vec<_> = values.map(String::from_utf8_lossy).collect();
    values.join("|")
}

#[test]
fn n_50_a_list_has_members_and_a_cookie_is_whole() {
    check_headers(
        "Accept: a, b\r\nAccept: c,,d\r\n",
        |headers| joined(headers.members("accept")),
        "a|b|c|d",
    );
    check_headers(
        "Accept: a, b\r\nCookie: a=1, b=2\r\n",
        |headers| joined(headers.get_all("accept")) + ";" + &joined(headers.get_all("cookie")),
        "a, b;a=1, b=2",
    );
}

#[test]
fn n_70_names_that_come_again_append_in_any_case() {
    let map = map(&[("a", "1"), ("a", "2"), ("A", "3")]);
    assert_eq!(all(&map, "a"), ["1", "2", "3"]);
    assert_eq!(
        map.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
        ["a"]
    );
}

#[test]
fn n_71_get_returns_the_first_value_or_none() {
    let map = map(&[("a", "1"), ("a", "2")]);
    assert_eq!(map.get("A").unwrap(), "1");
    assert_eq!(map.get("b"), None);
    check_headers(
        "Tag: 1\r\nTag: 2\r\n",
        |headers| format!("{:?} {:?}", headers.get("TAG"), headers.get("other")),
        "Some(\"1\") None",
    );
}

#[test]
fn n_72_a_value_by_its_index_may_be_missing() {
    let map = map(&[("a", "1"), ("a", "2")]);
    assert_eq!(map.get_all("a").iter().nth(1).unwrap(), "2");
    assert_eq!(map.get_all("a").iter().nth(2), None);
    assert_eq!(map.get_all("b").iter().next(), None);
    check_headers(
        "Tag: 1\r\nTag: 2\r\n",
        |headers| {
            let second = headers.get_all("tag").nth(1);
            let third = headers.get_all("tag").nth(2);
            format!("{second:?} {third:?}")
        },
        "Some([50]) None",
    );
}

#[test]
fn n_73_a_second_set_replaces_the_first() {
    let mut map = HeaderMap::new();
    map.insert("a", value("1"));
    let before = map.insert("a", value("2"));
    assert_eq!((before, all(&map, "a")), (Some(value("1")), vec!["2"]));
}

#[test]
fn n_74_a_list_replaces_and_an_empty_one_removes() {
    fn set(map: &mut HeaderMap, name: &'static str, values: &[&str]) {
        map.remove(name);
        map.extend(
            values
                .iter()
                .map(|text| (HeaderName::from_static(name), value(text))),
        );
    }
    let mut map = map(&[("a", "0")]);
    set(&mut map, "a", &["1", "2"]);
    assert_eq!(all(&map, "A"), ["1", "2"]);
    set(&mut map, "a", &[]);
    assert!(!map.contains_key("a") && map.is_empty());
}

#[test]
fn n_75_add_appends_in_order() {
    let mut map = HeaderMap::new();
    assert!(!map.append("a", value("1")) && map.append("A", value("2")));
    assert_eq!(all(&map, "a"), ["1", "2"]);
    assert_eq!(map.len(), 2);
}

#[test]
fn n_76_remove_drops_all_values_and_accepts_a_missing_name() {
    let mut map = map(&[("a", "1"), ("a", "2"), ("b", "3")]);
    assert_eq!(map.remove("A"), Some(value("1")));
    assert_eq!((map.contains_key("a"), map.len()), (false, 1));
    assert_eq!(map.remove("a"), None);
}

#[test]
fn n_77_pairs_has_one_pair_for_each_value() {
    let map = map(&[("a", "1"), ("b", "2"), ("a", "3")]);
    let mut pairs: Vec<_> = map
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [("a", &b"1"[..]), ("a", b"3"), ("b", b"2")]);
    check_headers(
        "Tag: 1\r\nOther: 2\r\nTag: 3\r\n",
        |headers| {
            let pairs = headers
                .iter()
                .map(|(name, value)| format!("{name}={}", value.escape_ascii()));
            pairs.collect::<Vec<_>>().join(" ")
        },
        "Host=x Tag=1 Other=2 Tag=3",
    );
}

#[test]
fn n_78_a_member_is_found_in_any_case() {
    fn has_bar(headers: Headers<'_>) -> String {
        headers
            .members("tag")
            .any(|member| member.eq_ignore_ascii_case(b"baR"))
            .to_string()
    }
    check_headers("Tag: bar, x\r\n", has_bar, "true");
    check_headers("Tag: x\r\nTag: BAR\r\n", has_bar, "true");
    check_headers("Tag: bars, x\r\n", has_bar, "false");
}

#[test]
fn n_79_the_other_functions_of_headers_have_their_counterparts() {
    let mut map = map(&[("a", "1"), ("a", "2"), ("b", "3")]);
    assert!(map.contains_key("A"), "hasKey");
    assert_eq!(
        map.get("c").map_or("", |value| value.to_str().unwrap()),
        "",
        "getOrDefault"
    );
    assert_eq!(map.keys_len(), 2, "len: distinct names");
    assert_eq!(format!("{map:?}"), r#"{"a": "1", "a": "2", "b": "3"}"#, "$");
    assert_eq!(map["a"].to_str().unwrap(), "1", "toString");
    map.clear();
    assert_eq!((map.len(), map.keys_len()), (0, 0), "clear");
    check_headers(
        "Tag: 1\r\ntag: 2\r\n",
        |headers| {
            let distinct = headers.to_header_map().keys_len();
            format!(
                "{} {} {distinct} {headers:?}",
                headers.contains("TAG"),
                headers.len()
            )
        },
        r#"true 3 2 {"Host": "x", "Tag": "1", "tag": "2"}"#,
    );
}

const METHODS: [Method; 9] = [
    Method::HEAD,
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::TRACE,
    Method::OPTIONS,
    Method::CONNECT,
    Method::PATCH,
];

#[test]
fn n_80_the_nine_methods_have_their_names() {
    let words = [
        "HEAD", "GET", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH",
    ];
    for (method, word) in METHODS.iter().zip(words) {
        assert_eq!(method.to_string(), word);
        assert_eq!(word.parse::<Method>().unwrap(), *method);
    }
    assert!(METHODS.iter().any(|method| method == "GET"));
    assert_ne!(
        "get".parse::<Method>().unwrap(),
        Method::GET,
        "RFC 9110, 9.1"
    );
}

#[test]
fn n_81_versions_compare_by_their_numbers() {
    assert!(Version::HTTP_10 < Version::HTTP_11);
    assert_eq!(
        format!("{:?} {:?}", Version::HTTP_10, Version::HTTP_11),
        "HTTP/1.0 HTTP/1.1"
    );
    assert_eq!(Version::default(), Version::HTTP_11);
}

/// Compares the first line of answers with these statuses.
#[track_caller]
fn check_status_lines(rows: &[(u16, &str)]) {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let status = request.path()[1..].parse::<u16>()?;
            request.respond(StatusCode::from_u16(status)?, "", ()).await
        }
    });
    for (status, reason) in rows {
        let answer = server.exchange(&[get(&format!("/{status}")).as_bytes()]);
        let line = answer.split("\r\n").next().unwrap();
        assert_eq!(line, format!("HTTP/1.1 {status} {reason}"));
    }
}

#[test]
fn n_82_a_code_has_a_number_a_class_and_perhaps_a_phrase() {
    assert_eq!(StatusCode::NOT_FOUND.to_string(), "404 Not Found");
    assert_eq!(StatusCode::NOT_FOUND, 404);
    check_status_lines(&[
        (200, "OK"),
        (404, "Not Found"),
        (299, ""),
        (306, ""),
        (599, ""),
        (999, ""),
    ]);
    let classes = |code: u16| {
        let code = StatusCode::from_u16(code).unwrap();
        [
            code.is_informational(),
            code.is_success(),
            code.is_redirection(),
            code.is_client_error(),
            code.is_server_error(),
        ]
    };
    for (index, first) in [100, 200, 300, 400, 500].into_iter().enumerate() {
        let expected: [bool; 5] = std::array::from_fn(|class| class == index);
        assert_eq!((classes(first), classes(first + 99)), (expected, expected));
    }
    assert!(StatusCode::from_u16(99).is_err() && StatusCode::from_u16(1000).is_err());
}

#[test]
fn n_83_the_codes_of_the_first_edition_have_their_phrases() {
    assert_eq!(StatusCode::CONTINUE.to_string(), "100 Continue");
    assert_eq!(
        StatusCode::SWITCHING_PROTOCOLS.to_string(),
        "101 Switching Protocols"
    );
    check_status_lines(&[
        (200, "OK"),
        (201, "Created"),
        (202, "Accepted"),
        (203, "Non Authoritative Information"),
        (204, "No Content"),
        (205, "Reset Content"),
        (206, "Partial Content"),
        (300, "Multiple Choices"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (304, "Not Modified"),
        (305, "Use Proxy"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (406, "Not Acceptable"),
        (407, "Proxy Authentication Required"),
        (408, "Request Timeout"),
        (409, "Conflict"),
        (410, "Gone"),
        (411, "Length Required"),
        (412, "Precondition Failed"),
        (413, "Content Too Large"), // the next three: RFC 9110, 15.5
        (414, "URI Too Long"),
        (415, "Unsupported Media Type"),
        (416, "Range Not Satisfiable"),
        (417, "Expectation Failed"),
        (418, "I'm a teapot"),
        (421, "Misdirected Request"),
        (422, "Unprocessable Content"),
        (426, "Upgrade Required"),
        (428, "Precondition Required"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (451, "Unavailable For Legal Reasons"),
        (500, "Internal Server Error"),
        (501, "Not Implemented"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
        (505, "HTTP Version Not Supported"),
    ]);
}

#[test]
fn n_84_the_codes_added_since_have_theirs() {
    assert_eq!(StatusCode::PROCESSING.to_string(), "102 Processing");
    assert_eq!(StatusCode::from_u16(103).unwrap().as_str(), "103");
    check_status_lines(&[
        (207, "Multi-Status"),
        (208, "Already Reported"),
        (226, "IM Used"),
        (402, "Payment Required"),
        (423, "Locked"),
        (424, "Failed Dependency"),
        (425, "Too Early"),
        (506, "Variant Also Negotiates"),
        (507, "Insufficient Storage"),
        (508, "Loop Detected"),
        (510, "Not Extended"),
        (511, "Network Authentication Required"),
    ]);
}

#[test]
fn n_85_a_code_is_compared_with_a_number_and_the_text_is_closed_by_note() {
    assert_eq!(StatusCode::NOT_FOUND, 404);
    assert_ne!(StatusCode::NOT_FOUND, 400);
    assert!(include_str!("../parity.md").contains("- **N-85** "));
}

#[test]
fn n_86_line_ends_and_the_number_of_fields_follow_the_limits() {
    assert_eq!(Limits::DEFAULT.fields_max, 100);
    let answer = server().exchange(&[get("/").as_bytes()]);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        head.replace("\r\n", "").find(['\r', '\n']),
        None,
        "{head:?}"
    );
    assert_eq!(body, "GET / ");
}

#[test]
fn n_90_a_target_has_a_host_a_path_and_a_query_as_they_came() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let parts = (request.host(), request.path(), request.query());
            let seen = format!("{parts:?}");
            let headers = [("x-seen", seen)];
            request.respond(StatusCode::IM_A_TEAPOT, "", headers).await
        }
    });
    let bad = refused("400 Bad Request", "wrong form of request target");
    for (line, expected) in [
        ("GET /p?q", r#"(Some("x"), "/p", Some("q"))"#),
        (
            "GET /a%20b?c%20d",
            r#"(Some("x"), "/a%20b", Some("c%20d"))"#,
        ),
        ("GET http://h:81/p?q", r#"(Some("h:81"), "/p", Some("q"))"#),
        ("GET http://h", r#"(Some("h"), "/", None)"#),
        ("GET //evil/p", r#"(Some("x"), "//evil/p", None)"#),
        ("OPTIONS *", r#"(Some("x"), "*", None)"#),
        ("CONNECT a:1", r#"(Some("a:1"), "", None)"#),
        ("GET http://u:p@h:81/p", ""), // RFC 9110, 4.2.4
        ("GET *", ""),
        ("GET a:1", ""),
        ("GET ftp://h/p", ""),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = match expected {
            "" => bad.clone(),
            seen => {
                format!("HTTP/1.1 418 I'm a teapot\r\nx-seen: {seen}\r\ncontent-length: 0\r\n\r\n")
            }
        };
        check(&server, &[(&request, &answer)]);
    }
}

#[test]
fn n_92_the_types_are_exported() {
    use waterwheel::http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header,
    };
    let uri: Uri = "http://h:81/p?q".parse().unwrap();
    assert_eq!(
        (uri.host(), uri.port_u16(), uri.path(), uri.query()),
        (Some("h"), Some(81), "/p", Some("q"))
    );
    let map: HeaderMap = [(header::HOST, HeaderValue::from_static("h"))]
        .into_iter()
        .collect();
    assert_eq!(map[HeaderName::from_static("host")], "h");
    assert_eq!(
        (Method::GET.as_str(), StatusCode::OK.as_u16()),
        ("GET", 200)
    );
    assert_eq!(Version::HTTP_11, Version::default());
}
