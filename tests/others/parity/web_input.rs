//! The data of a request, by the features of rouille, `micro_http_async` and Nim's queries.

use std::net::SocketAddr;

use serde::Deserialize;
use waterwheel::http::testing::TestClient;
use waterwheel::http::web::input::{self, Pairs};
use waterwheel::http::web::routes::{Router, handler};
use waterwheel::http::{Request, Server, Uri, Version};
use waterwheel::runtime::block_on;

use super::asked::{ask, blame, look, look_into};
use super::served::read_answer;
use crate::support::server::TestServer;

/// Returns a parameter of a GET of that target.
fn parameter(target: &str, name: &'static str) -> Option<String> {
    look(
        ("GET", target, &[], b""),
        async move |request: &Request<'_>| {
            let pairs = input::query_pairs(request).unwrap();
            pairs.get(name).map(str::to_owned)
        },
    )
}

#[test]
fn r_40_a_request_has_all_its_parts() {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(parameter("/?p=hello", "p"), some("hello"));
    assert_eq!(
        parameter("/?foo=bar&message=hello", "message"),
        some("hello")
    );
    assert_eq!(parameter("/?hello=world", "foo"), None);
    assert_eq!(parameter("/?hello=world", "lo"), None);
    assert_eq!(parameter("/?hello=world", "he"), None);
    assert_eq!(parameter("/?jan=01", "january"), None);
    assert_eq!(parameter("/?flag=", "flag"), some(""));
    assert_eq!(parameter("/?flag", "flag"), some(""));
    assert_eq!(parameter("/?flag&foo=bar", "flag"), some(""));
    assert_eq!(parameter("/?p=hello%20world", "p"), some("hello world"));
    assert_eq!(parameter("/?p=hello+world", "p"), some("hello world"));
    assert_eq!(parameter("/?p=hello%2Bworld", "p"), some("hello+world"));
    assert_eq!(parameter("/?p=1&p=2", "p"), some("1"));

    let path = |target| {
        let path = async |request: &Request<'_>| input::path(request).into_owned();
        look(("GET", target, &[], b""), path)
    };
    assert_eq!(path("/?p=hello"), "/");
    assert_eq!(path("/hello%20world"), "/hello world");
    assert_eq!(path("/hello+world"), "/hello+world");
    assert_eq!(path("/a%2Fb"), "/a/b");
    assert_eq!(path("/a%ff"), "/a\u{fffd}");

    let fields = [("DNT", "1"), ("X-Two", "a"), ("x-two", "b")];
    look(
        ("GET", "/a%20b?c=d%20e", &fields, b"once"),
        async |request: &Request<'_>| {
            assert_eq!(request.method(), "GET");
            assert_eq!(request.target(), "/a%20b?c=d%20e");
            assert_eq!(request.query(), Some("c=d%20e"));
            assert_eq!(request.headers().get("HOST"), Some("test"));
            assert_eq!(request.headers().get("dnt"), Some("1"));
            assert_eq!(request.headers().len(), request.headers().iter().count());
            assert_eq!(request.version(), Version::HTTP_11);
            assert_eq!(request.peer_address(), None::<SocketAddr>);
            assert_eq!(request.bytes().await.unwrap(), b"once");
            assert_eq!(request.bytes().await.unwrap(), b"", "it is read once");
        },
    );
}

#[test]
fn r_41_a_handler_is_tested_without_a_socket() {
    async fn greet(request: &Request<'_>) -> String {
        let body = String::from_utf8(request.bytes().await.unwrap()).unwrap();
        format!("{} {} {body}", request.method(), request.target())
    }
    block_on(async {
        let mut client = TestClient::new(handler(greet));
        assert_eq!(client.get("/a?b").await.text(), "GET /a?b ");
        assert_eq!(client.post("/", "c").await.text(), "POST / c");
        client
            .send("PUT /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nd")
            .await;
        assert_eq!(client.answer().await.text(), "PUT /raw d");
    });
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Parses a form as a `T`.
fn form<T: serde::de::DeserializeOwned + 'static>(body: &str) -> waterwheel::http::Result<T> {
    look_into(FORM, body, async |request: &Request<'_>| {
        input::form(request).await
    })
}

#[derive(Debug, Deserialize, PartialEq)]
struct One<T> {
    field: T,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Lenient {
    #[serde(default, deserialize_with = "input::checkbox")]
    checked: bool,
    maybe: Option<u32>,
    #[serde(default)]
    many: Vec<u8>,
}

fn forms() {
    assert_eq!(form::<One<u32>>("field=12").unwrap().field, 12);
    assert!((form::<One<f32>>("field=12.8").unwrap().field - 12.8).abs() < f32::EPSILON);
    assert_eq!(
        form::<One<String>>("field=a+%C3%A9").unwrap().field,
        "a \u{e9}"
    );
    assert_eq!(
        form::<One<Option<String>>>("field=value")
            .unwrap()
            .field
            .unwrap(),
        "value"
    );
    assert_eq!(
        form::<One<String>>("&=&aa&b=&c=c=c&field=value&")
            .unwrap()
            .field,
        "value"
    );
    assert_eq!(form::<One<u32>>("field=12&field2=58").unwrap().field, 12);
    assert_eq!(
        form::<One<Vec<u32>>>("field=12&field=58").unwrap().field,
        [12, 58]
    );

    let lenient = |body: &str| form::<Lenient>(body).unwrap();
    let nothing = Lenient {
        checked: false,
        maybe: None,
        many: Vec::new(),
    };
    assert_eq!(lenient(""), nothing);
    assert_eq!(lenient("maybe="), nothing);
    let all = Lenient {
        checked: true,
        maybe: Some(7),
        many: vec![1, 2],
    };
    assert_eq!(lenient("checked=on&many=1&maybe=7&many=2"), all);

    let number = "field: invalid digit found in string";
    assert_eq!(
        blame(form::<One<u32>>("field=12foo")),
        (422, number.to_owned())
    );
    assert_eq!(
        blame(form::<One<Option<u32>>>("field=12foo")),
        (422, number.to_owned())
    );
    let overflow = "field: number too large to fit in target type";
    assert_eq!(
        blame(form::<One<u8>>("field=800")),
        (422, overflow.to_owned())
    );
    let in_list = (422, format!("field[1]{}", &overflow[5..]));
    assert_eq!(blame(form::<One<Vec<u8>>>("field=12&field=800")), in_list);
    let missing = (422, "missing field `field`".to_owned());
    assert_eq!(blame(form::<One<String>>("wrong=value")), missing);
    assert_eq!(blame(form::<One<u32>>("field=12&field=58")).0, 422);
    let not_utf8 = (400, "names and values are not UTF-8".to_owned());
    assert_eq!(blame(form::<One<String>>("field=%c3%28")), not_utf8);
    let other = look_into("wrong", "field=value", async |request: &Request<'_>| {
        input::form::<One<String>>(request).await
    });
    assert_eq!(blame(other).0, 415);
    let twice = look_into(FORM, "field=1", async |request: &Request<'_>| {
        request.bytes().await?;
        input::form::<One<u8>>(request).await
    });
    assert_eq!(blame(twice), missing, "the body was read before");
    let pairs = look_into(FORM, "a=1&a=2&b", async |request: &Request<'_>| {
        input::form_pairs(request).await.unwrap().to_string()
    });
    assert_eq!(pairs, "a=1&a=2&b=");
}

fn texts() {
    let text = |media: &str, body: &[u8], bytes_max: u64| {
        let fields = [("content-type", media)];
        let fields = if media.is_empty() { &[][..] } else { &fields };
        look(
            ("POST", "/", fields, body),
            async move |request: &Request<'_>| input::text_up_to(request, bytes_max).await,
        )
    };
    assert_eq!(text("text/plain", b"test", 9).unwrap(), "test");
    assert_eq!(
        text("text/plain; charset=utf8", b"test", 9).unwrap(),
        "test"
    );
    assert_eq!(
        text("Text/Plain;charset=\"UTF-8\"", b"test", 4).unwrap(),
        "test"
    );
    assert_eq!(blame(text("", b"test", 9)).0, 415);
    assert_eq!(blame(text("text/html", b"test", 9)).0, 415);
    assert_eq!(
        blame(text("text/plain; charset=iso-8859-1", b"test", 9)).0,
        415
    );
    assert_eq!(blame(text("text/plain", b"test", 2)).0, 413);
    assert_eq!(blame(text("text/plain", b"\xc3\x28", 9)).0, 400);
    let long = "x".repeat(1 << 20);
    let whole = async |request: &Request<'_>| input::text(request).await;
    assert_eq!(look_into("text/plain", &long, whole).unwrap(), long);
    assert_eq!(blame(look_into("text/plain", &(long + "x"), whole)).0, 413);
}

fn json() {
    let json = |media: &str, body: &str| {
        look_into(media, body, async |request: &Request<'_>| {
            input::json::<Vec<One<u8>>>(request).await
        })
    };
    let media = "application/json";
    assert_eq!(
        json(media, r#" [{"field": 7, "more": 8}] "#).unwrap(),
        [One { field: 7 }]
    );
    assert_eq!(
        json("application/problem+json; charset=utf-8", "[]").unwrap(),
        []
    );
    assert_eq!(blame(json("text/plain", "[]")).0, 415);
    let malformed = |line, column| {
        (
            400,
            format!("malformed JSON at line {line}, column {column}"),
        )
    };
    assert_eq!(blame(json(media, "[{")), malformed(1, 2));
    assert_eq!(blame(json(media, "")), malformed(1, 0));
    assert_eq!(blame(json(media, "[]\n]")), malformed(2, 1));
    let wrong = "[1].field: invalid type: string \"x\", expected u8";
    let body = r#"[{"field": 7}, {"field": "x"}]"#;
    assert_eq!(blame(json(media, body)), (422, wrong.to_owned()));
    let missing = "[0]: missing field `field`";
    assert_eq!(blame(json(media, "[{}]")), (422, missing.to_owned()));
    let (status, text) = blame(json(media, &format!("[\"{}\"]", "\u{e9}".repeat(100_000))));
    assert!(status == 422 && text.len() < 300, "{status} {text}");
    let deep = "[".repeat(100_000);
    let deep = look_into(media, &deep, async |request: &Request<'_>| {
        input::json::<serde_json::Value>(request).await
    });
    assert_eq!(blame(deep).0, 400, "no recursion without end");
}

fn cookies() {
    let cookies = |fields: &[(&str, &str)]| {
        look(("GET", "/", fields, b""), async |request: &Request<'_>| {
            let cookies = input::cookies(request).map(|(name, value)| format!("{name}:{value}"));
            cookies.collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(cookies(&[]), "");
    assert_eq!(
        cookies(&[("Cookie", "a=b; hello=world")]),
        "a:b hello:world"
    );
    assert_eq!(
        cookies(&[("cookie", "a=b;c=\"d\"; e; =f; g=h=i"), ("cookie", "j=")]),
        "a:b c:d g:h=i j:"
    );
    let named = look(
        ("GET", "/", &[("cookie", "a=1; ab=2; a=3")], b""),
        async |request: &Request<'_>| {
            assert_eq!(input::cookie(request, "b"), None);
            input::cookie(request, "a").map(str::to_owned)
        },
    );
    assert_eq!(named.as_deref(), Some("1"));
}

fn credentials() {
    let asked = |value: &str| {
        let fields = [("authorization", value)];
        look(("GET", "/", &fields, b""), async |request: &Request<'_>| {
            input::basic_auth(request)
        })
    };
    let aladdin = asked("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
    assert_eq!(
        (&*aladdin.name, &*aladdin.password),
        ("Aladdin", "open sesame")
    );
    assert!(aladdin.is("Aladdin", "open sesame"));
    assert!(!aladdin.is("Aladdin", "open sesam") && !aladdin.is("aladdin", "open sesame"));
    assert!(!format!("{aladdin:?}").contains("sesame"));
    assert!(
        asked("basic QTpiOmM=").unwrap().is("A", "b:c"),
        "RFC 7617, 2"
    );
    for wrong in [
        "hello world",
        "Basic",
        "Basic !!",
        "Basic QQ==",
        "Bearer QTpi",
        "Basic //8=",
    ] {
        assert_eq!(asked(wrong), None, "{wrong}");
    }
    let nobody = async |request: &Request<'_>| input::basic_auth(request);
    assert_eq!(look(("GET", "/", &[], b""), nobody), None);
}

fn priorities() {
    let parsed = |field: &'static str| input::priorities(field).collect::<Vec<_>>();
    assert_eq!(
        parsed("text/plain; q=0.5, */*"),
        [("text/plain", 0.5), ("*/*", 1.0)]
    );
    assert_eq!(
        parsed("   text/plain   ;  q=   0.5  ,    */*   "),
        [("text/plain", 0.5), ("*/*", 1.0)]
    );
    let prefers = |field: &str, offers: &[&str]| input::preferred(field, offers);
    let offers = ["image/gif", "image/png", "text/plain"];
    assert_eq!(
        prefers("text/plain; q=0.6, image/png; q=1.0", &offers),
        Some(1)
    );
    assert_eq!(
        prefers("text/plain", &["text/plain", "text/plain"]),
        Some(0)
    );
    assert_eq!(prefers("text/plain; q=0.2, */*", &["image/gif"]), Some(0));
    assert_eq!(
        prefers("text/*, */*; q=0.5", &["image/gif", "text/html"]),
        Some(1)
    );
    assert_eq!(prefers("*/*", &[]), None);
}

#[test]
fn r_47_input_is_checked_and_an_error_names_the_fault() {
    forms();
    texts();
    json();
    cookies();
    credentials();
    priorities();
}

#[test]
fn m_04_query_and_form_are_maps() {
    let router = Router::new().get("/", async |request: &Request<'_>| {
        let query = input::query_pairs(request)?;
        let agent = request.headers().get("user-agent").unwrap_or("none");
        Ok::<_, waterwheel::http::Error>(format!("{:?} {agent}", query.get("name")))
    });
    let answers = ask(router, &[("GET", "/?name=a+b%26c&d=e"), ("GET", "/")]);
    assert_eq!(answers[0].text(), "Some(\"a b&c\") none");
    assert_eq!(answers[1].text(), "None none");
    // Line ends in a form, the bytes of a file, and bytes that are not UTF-8 do not end the server.
    let server = TestServer::start(Server::builder(), router_of_forms);
    let mut client = server.client();
    for (body, expected) in [
        ("name=a%0Ab%00&x", "Some(\"a\\nb\\0\")"),
        ("name=%ff", "names and values are not UTF-8\n"),
        ("\0=\0&name=c%26d", "Some(\"c&d\")"),
        ("", "None"),
    ] {
        let length = body.len();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(read_answer(&mut client).1, expected);
    }
}

fn router_of_forms() -> Router {
    Router::new().post("/", async |request: &Request<'_>| {
        let form = input::form_pairs(request).await?;
        Ok::<_, waterwheel::http::Error>(format!("{:?}", form.get("name")))
    })
}

#[test]
fn n_91_queries_are_parsed_and_built() {
    let pairs = |query: &str| {
        let pairs = Pairs::parse(query).unwrap();
        let shown = pairs
            .iter()
            .map(|(name, value)| format!("({name},{value})"));
        shown.collect::<String>()
    };
    assert_eq!(
        pairs("&a&=b&=&&"),
        "(a,)(,b)(,)",
        "empty pieces are no pairs"
    );
    assert_eq!(pairs("a=b+c%20d&e=f=g&h=%2b"), "(a,b c d)(e,f=g)(h,+)");
    assert_eq!(
        pairs("a=%zz&b=%"),
        "(a,%zz)(b,%)",
        "what is no escape is itself"
    );
    let encoded: Pairs<'_> = [("a b", "c&d"), ("", "\u{e9}")].into_iter().collect();
    assert_eq!(encoded.to_string(), "a+b=c%26d&=%C3%A9");
    assert_eq!(Pairs::parse(&encoded.to_string()).unwrap(), encoded);
    let uri: Uri = "http://host:81/p?q".parse().unwrap();
    let parts = (
        uri.scheme_str(),
        uri.host(),
        uri.port_u16(),
        uri.path(),
        uri.query(),
    );
    assert_eq!(
        parts,
        (Some("http"), Some("host"), Some(81), "/p", Some("q"))
    );
    assert_eq!(uri.to_string(), "http://host:81/p?q");
}
