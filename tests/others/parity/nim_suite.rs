//! The tests of asynchttpserver, and of its types, on this server.

use waterwheel::http::{HeaderMap, HeaderName, HeaderValue, Headers, Request, Server, StatusCode};

use super::served::{answered, check, failed, get, refused};
use crate::support::server::TestServer;

/// Starts a server with the answer of these tests, as text and as status.
fn hello(status: StatusCode) -> TestServer {
    TestServer::start(Server::builder(), move || {
        async move |request: Request<'_>| {
            let text = format!("Hello World, {}", status.as_u16());
            request.respond(status, text, ()).await
        }
    })
}

#[test]
fn t_n01_a_200_with_its_length() {
    let expected = "HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\nHello World, 200";
    check(&hello(StatusCode::OK), &[(&get("/"), expected)]);
}

#[test]
fn t_n02_a_404_with_its_length() {
    let expected = "HTTP/1.1 404 Not Found\r\ncontent-length: 16\r\n\r\nHello World, 404";
    check(&hello(StatusCode::NOT_FOUND), &[(&get("/"), expected)]);
}

#[test]
fn t_n03_an_empty_list_of_headers_still_gives_a_length() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            request
                .respond(StatusCode::OK, "Hello World, 200", HeaderMap::new())
                .await
        }
    });
    check(&server, &[(&get("/"), &answered("Hello World, 200"))]);
}

#[test]
fn t_n04_a_length_that_is_not_the_bodys_is_refused() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let headers = [("Content-Length", "0")];
            request
                .respond(StatusCode::OK, "Hello World, 200", headers)
                .await
        }
    });
    check(&server, &[(&get("/"), &failed())]);
}

/// Checks a request in chunks. The handler sees the coding and no length.
#[track_caller]
fn check_chunks(chunks: &str, body: &str) {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let headers = request.headers();
            if !headers.contains("transfer-encoding") || headers.contains("content-length") {
                return request.respond(StatusCode::IM_A_TEAPOT, "", ()).await;
            }
            let body = request.bytes().await?;
            request.respond(StatusCode::OK, body, ()).await
        }
    });
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:chunked\r\n\r\n";
    check(&server, &[(&format!("{head}{chunks}"), &answered(body))]);
    let bare = format!("{}{chunks}", head.replace("\r\n", "\n"));
    let refused = refused("400 Bad Request", "line feed without carriage return");
    check(&server, &[(&bare, &refused)]);
}

#[test]
fn t_n05_one_chunk() {
    check_chunks("b\r\nhello=world\r\n0\r\n\r\n", "hello=world");
}

#[test]
fn t_n06_one_chunk_with_a_space() {
    check_chunks("e\r\nhello encoding\r\n0\r\n\r\n", "hello encoding");
}

#[test]
fn t_n07_three_chunks() {
    check_chunks(
        "7\r\nMozilla\r\n9\r\nDeveloper\r\n7\r\nNetwork\r\n0\r\n\r\n",
        "MozillaDeveloperNetwork",
    );
}

#[test]
fn t_n08_line_ends_within_chunks_and_a_size_in_capitals() {
    check_chunks(
        "4\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\n",
        "Wikipedia in \r\n\r\nchunks.",
    );
}

#[test]
fn t_n09_a_teapot_is_a_clients_error() {
    let teapot = StatusCode::IM_A_TEAPOT;
    assert_eq!(teapot.to_string(), "418 I'm a teapot");
    assert!(teapot.is_client_error() && !teapot.is_success());
}

fn value(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}

#[test]
fn t_n10_headers_are_set_found_counted_and_removed_in_any_case() {
    let mut map = HeaderMap::new();
    assert_eq!(map.keys_len(), 0);
    map.insert("host", value("www.google.com"));
    assert_eq!(map.keys_len(), 1);
    let upper = HeaderName::from_bytes(b"HOST").unwrap();
    assert!(map.contains_key("hOST") && map.contains_key(&upper) && !map.contains_key("hst"));
    assert_eq!(map["Host"], "www.google.com");
    for text in ["a", "B"] {
        map.append("tag", value(text));
    }
    assert_eq!(map.get_all("TAG").iter().nth(1).unwrap(), "B");
    assert!(
        map.get_all("tag")
            .iter()
            .any(|tag| tag.as_bytes().eq_ignore_ascii_case(b"b"))
    );
    map.remove("HoSt");
    map.remove(HeaderName::from_static("tag"));
    assert_eq!(map.keys_len(), 0);
    let pairs = ["a", "a", "A"].map(|name| HeaderName::from_bytes(name.as_bytes()).unwrap());
    let map: HeaderMap = pairs.into_iter().zip(["1", "2", "3"].map(value)).collect();
    let all: Vec<_> = map
        .get_all("a")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(all.join(","), "1,2,3");
}

/// Compares the field values that a handler sees.
#[track_caller]
fn check_fields(fields: &str, look: fn(Headers<'_>) -> Vec<&[u8]>, expected: &[&str]) {
    let server = TestServer::start(Server::builder(), move || {
        async move |request: Request<'_>| {
            let seen: Vec<_> = look(request.headers())
                .into_iter()
                .map(|value| format!("[{}]", value.escape_ascii()))
                .collect();
            request.respond(StatusCode::OK, seen.concat(), ()).await
        }
    });
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let expected: String = expected.iter().map(|value| format!("[{value}]")).collect();
    check(&server, &[(&request, &answered(&expected))]);
}

fn accept(headers: Headers<'_>) -> Vec<&[u8]> {
    headers.members("accept").collect()
}

fn connection(headers: Headers<'_>) -> Vec<&[u8]> {
    headers.members("connection").collect()
}

#[test]
fn t_n11_a_cookie_stays_whole_and_accept_has_members() {
    for name in ["Cookie", "cookie"] {
        for blanks in ["", " ", "  ", "   "] {
            let fields = format!("{name}:{blanks}foo, bar\r\n");
            check_fields(
                &fields,
                |headers| headers.get_all("cookie").collect(),
                &["foo, bar"],
            );
        }
    }
    check_fields("Accept: foo, bar\r\n", accept, &["foo", "bar"]);
    check_fields(
        "Accept: foo, bar, prologue\r\n",
        accept,
        &["foo", "bar", "prologue"],
    );
    check_fields(
        "Accept: foo, bar,prologue, starlight\r\n",
        accept,
        &["foo", "bar", "prologue", "starlight"],
    );
}

#[test]
fn t_n12_an_empty_list_of_values_leaves_no_name() {
    let mut map = HeaderMap::new();
    let name = HeaderName::from_static("empty");
    map.extend(std::iter::empty::<(HeaderName, HeaderValue)>());
    assert!(!map.contains_key(&name));
    map.insert(&name, value("full"));
    map.remove(&name);
    assert!(!map.contains_key(&name) && map.is_empty());
    map.append(&name, value(""));
    assert!(map.contains_key(&name) && map[&name].is_empty());
}

#[test]
fn t_n13_connection_has_members_in_their_order() {
    let mut map = HeaderMap::new();
    for text in ["Upgrade", "Close"] {
        map.append("connection", value(text));
    }
    let nth = |map: &HeaderMap, n| map.get_all("Connection").iter().nth(n).cloned();
    assert_eq!(
        (nth(&map, 0), nth(&map, 1)),
        (Some(value("Upgrade")), Some(value("Close")))
    );
    map.append("CONNECTION", value("Test"));
    assert_eq!(nth(&map, 2), Some(value("Test")));
    check_fields(
        "Connection: Upgrade, Test\r\nconnection: x\r\n",
        connection,
        &["Upgrade", "Test", "x"],
    );
}

#[test]
fn t_n14_a_field_without_a_value_has_one_empty_value() {
    fn values(headers: Headers<'_>) -> Vec<&[u8]> {
        headers.get_all("foobar").collect()
    }
    check_fields("foobar: \r\n", values, &[""]);
    check_fields("foobar:\r\n", values, &[""]);
    check_fields("foobars:\r\n", values, &[]);
}

#[test]
fn t_n15_names_are_listed_as_they_were_written() {
    fn names(headers: Headers<'_>) -> Vec<&[u8]> {
        headers.iter().map(|(name, _)| name.as_bytes()).collect()
    }
    check_fields(
        "Accept-Language: x\r\naCCept: y\r\n",
        names,
        &["Host", "Accept-Language", "aCCept"],
    );
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let found = request.headers().contains("ACCEPT-language");
            request
                .respond(StatusCode::OK, "", [("X-Found", found.to_string())])
                .await
        }
    });
    let request = "GET / HTTP/1.1\r\nHost: x\r\nAccept-Language: x\r\n\r\n";
    let expected = "HTTP/1.1 200 OK\r\nX-Found: true\r\ncontent-length: 0\r\n\r\n";
    check(&server, &[(request, expected)]);
}
