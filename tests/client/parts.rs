//! The parts of a request: its method, its query, its form, its credentials, and their bytes on the wire.

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;
use waterwheel::http::client::{Client, ClientRequest, Redirects, RequestErrorKind};

use crate::scripted::{run, to};

/// Sends each request, and returns the bytes that the server receives.
fn sent<const N: usize>(
    requests: impl FnOnce(&Client) -> [ClientRequest<'static>; N],
) -> [String; N] {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let heads = seen.clone();
    run(async move {
        let (client, _) = to(Client::builder(), move |_, mut far| {
            let heads = heads.clone();
            async move {
                loop {
                    let mut request = far.head().await;
                    if request.is_empty() {
                        return;
                    }
                    if request.contains("content-length: ") && !request.contains("length: 0") {
                        // Each body of these tests ends so.
                        request += &far.read_until("7").await;
                    }
                    heads.borrow_mut().push(request);
                    far.send("HTTP/1.1 204 No Content\r\n\r\n").await;
                }
            }
        });
        for request in requests(&client) {
            drop(request.send().await.unwrap());
        }
    });
    seen.take().try_into().unwrap()
}

/// Returns the error of a request that is not sent.
fn refused(request: impl FnOnce(&Client) -> ClientRequest<'static>) -> String {
    run(async {
        let (client, connections) = to(Client::builder(), |_, _| async {});
        let error = request(&client).send().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Request);
        assert_eq!(connections.count(), 0);
        error.to_string()
    })
}

#[derive(Serialize)]
struct Order {
    grain: &'static str,
    note: Option<&'static str>,
    tag: Vec<&'static str>,
    sacks: u8,
}

const ORDER: Order = Order {
    grain: "rye & oat/é",
    note: None,
    tag: Vec::new(),
    sacks: 7,
};

#[test]
fn each_common_method_has_a_function() {
    let heads = sent(|client| {
        let uri = "http://mill/a";
        [
            client.get(uri),
            client.head(uri),
            client.post(uri),
            client.put(uri),
            client.patch(uri),
            client.delete(uri),
            client.options(uri),
            client.options(uri).target("*"),
        ]
    });
    // A method with a meaning for content announces its absence (RFC 9110, 8.6).
    assert_eq!(
        heads,
        [
            "GET /a HTTP/1.1\r\nhost: mill\r\n\r\n",
            "HEAD /a HTTP/1.1\r\nhost: mill\r\n\r\n",
            "POST /a HTTP/1.1\r\nhost: mill\r\ncontent-length: 0\r\n\r\n",
            "PUT /a HTTP/1.1\r\nhost: mill\r\ncontent-length: 0\r\n\r\n",
            "PATCH /a HTTP/1.1\r\nhost: mill\r\ncontent-length: 0\r\n\r\n",
            "DELETE /a HTTP/1.1\r\nhost: mill\r\n\r\n",
            "OPTIONS /a HTTP/1.1\r\nhost: mill\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nhost: mill\r\n\r\n",
        ]
    );
}

#[test]
fn a_query_is_appended_to_that_of_the_uri() {
    let targets = sent(|client| {
        let get = |uri: &'static str| client.get(uri);
        [
            get("http://mill").query(&[("a", "b c")]),
            get("http://mill/d").query(&[("a", "b&c=d"), ("é", "+#%")]),
            get("http://mill/d?x=%20y#f").query(&[("a", 1)]),
            get("http://mill/d?").query(&[("a", true)]),
            get("http://mill?x").query(&[("a", "")]),
            get("http://mill/d?x").query(&[("", "")]),
            get("http://mill/d").query(&[("a", Some(1)), ("b", None)]),
            get("http://mill/d?x").query(&[] as &[(&str, &str)]),
            get("http://mill/d?").query(&()),
            get("http://mill/").query(&ORDER),
            get("http://mill/").query(&[("a", 1)]).query(&[("a", 2)]),
            get("http://mill/").query(&[("a", 1)]).target("/b"),
            get("http://mill/").query(&[("a", "\r\nhost: evil")]),
        ]
    });
    let targets = targets.map(|head| head.lines().next().unwrap().to_owned());
    let expected = [
        "/?a=b+c",
        "/d?a=b%26c%3Dd&%C3%A9=%2B%23%25",
        "/d?x=%20y&a=1",
        "/d?a=true",
        "/?x&a=",
        "/d?x&=",
        "/d?a=1",
        "/d?x",
        "/d?",
        "/?grain=rye+%26+oat%2F%C3%A9&sacks=7",
        "/?a=1&a=2",
        "/b",
        "/?a=%0D%0Ahost%3A+evil",
    ];
    assert_eq!(
        targets,
        expected.map(|target| format!("GET {target} HTTP/1.1"))
    );
}

#[test]
fn a_value_without_names_is_no_query_and_no_form() {
    let place = |text: String| text.contains("://mill/: the request cannot be sent: ");
    assert!(place(refused(|client| client
        .get("http://mill/")
        .query("a=b"))));
    assert!(place(refused(|client| client
        .get("http://mill/")
        .query(&7))));
    assert!(place(refused(|client| client
        .get("http://mill/")
        .query(&[("a", [("b", 1)])]))));
    assert!(place(refused(|client| client
        .post("http://mill/")
        .form("a=b"))));
    // A URI has at most 65,534 bytes.
    let long = "x".repeat(70_000);
    assert!(place(refused(|client| client
        .get("http://mill/")
        .query(&[("a", &long)]))));
    // The first fault is that of the URI.
    let text = refused(|client| client.get("http://[").query(&[("a", "b")]));
    assert!(text.contains("its URI is malformed"), "{text}");
}

#[test]
fn a_form_and_json_have_one_content_type() {
    const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
    let heads = sent(|client| {
        let post = || client.post("http://mill/");
        [
            post().form(&ORDER),
            post().form(&[("a", "b c"), ("d", "7")]),
            post().json(&17),
            // An own one stays, wherever it is added.
            post()
                .header("Content-Type", "application/vnd.api+json")
                .json(&7),
            post()
                .json(&7)
                .header("content-type", "application/vnd.api+json"),
            post().form(&[("a", 7)]).headers([("content-type", "a/b")]),
            // The last body counts, with its type.
            post().json(&1).form(&[("a", 7)]),
            post().json(&1).body("7"),
            post().form(&[("a", 1)]).body_reader(&b"7"[..], Some(1)),
        ]
    });
    let head = |fields: &str, body: &str| {
        let length = body.len();
        format!("POST / HTTP/1.1\r\nhost: mill\r\n{fields}content-length: {length}\r\n\r\n{body}")
    };
    assert_eq!(
        heads,
        [
            head(FORM, "grain=rye+%26+oat%2F%C3%A9&sacks=7"),
            head(FORM, "a=b+c&d=7"),
            head("content-type: application/json\r\n", "17"),
            head("Content-Type: application/vnd.api+json\r\n", "7"),
            head("content-type: application/vnd.api+json\r\n", "7"),
            head("content-type: a/b\r\n", "a=7"),
            head(FORM, "a=7"),
            head("", "7"),
            head("", "7"),
        ]
    );
}

#[test]
fn an_empty_form_is_a_form() {
    let [head] = sent(|client| [client.post("http://mill/").form(&[] as &[(&str, &str)])]);
    let expected = "POST / HTTP/1.1\r\nhost: mill\r\n\
                    content-type: application/x-www-form-urlencoded\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(head, expected);
}

#[test]
fn credentials_are_one_authorization() {
    let heads = sent(|client| {
        let get = || client.get("http://mill/");
        [
            // RFC 7617, 2 and 2.1
            get().basic_auth("Aladdin", "open sesame"),
            get().basic_auth("test", "123£"),
            get().basic_auth("test", ""),
            get().basic_auth("", "a:b"),
            // RFC 6750, 2.1
            get().bearer_auth("mF_9.B5f-4.1JqM"),
            get().bearer_auth("1|with other letters"),
            // The last one counts.
            get().bearer_auth("a").basic_auth("b", "c").bearer_auth("d"),
            get()
                .header("Authorization", "Digest a")
                .header("x-tag", "e")
                .bearer_auth("d"),
        ]
    });
    let expected = [
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic dGVzdDoxMjPCow==",
        "Basic dGVzdDo=",
        "Basic OmE6Yg==",
        "Bearer mF_9.B5f-4.1JqM",
        "Bearer 1|with other letters",
        "Bearer d",
        "Bearer d",
    ];
    for (number, (head, expected)) in heads.iter().zip(expected).enumerate() {
        let tag = if number == 7 { "x-tag: e\r\n" } else { "" };
        let expected =
            format!("GET / HTTP/1.1\r\nhost: mill\r\n{tag}authorization: {expected}\r\n\r\n");
        assert_eq!(*head, expected);
    }
}

#[test]
fn an_own_host_and_an_own_length_stay_when_credentials_are_set() {
    let [head] = sent(|client| {
        let request = client.post("http://mill/").header("host", "other");
        [request
            .header("content-length", "1")
            .body("7")
            .bearer_auth("a")]
    });
    let expected =
        "POST / HTTP/1.1\r\nhost: other\r\nauthorization: Bearer a\r\ncontent-length: 1\r\n\r\n7";
    assert_eq!(head, expected);
}

#[test]
fn credentials_that_no_field_can_have_are_refused_and_not_shown() {
    let text = refused(|client| client.get("http://mill/").basic_auth("se:cret", "secret"));
    assert!(
        text.ends_with("a user of Basic authentication has no colon"),
        "{text}"
    );
    for (user, password) in [("secret\n", ""), ("a", "secret\r\nb"), ("\u{85}secret", "")] {
        let text = refused(|client| client.get("http://mill/").basic_auth(user, password));
        assert!(
            text.contains("control character") && !text.contains("secret"),
            "{text}"
        );
    }
    for token in ["secret\n", "secret\r\nx-a: b", "sec\u{0}ret"] {
        let text = refused(|client| client.get("http://mill/").bearer_auth(token));
        assert!(
            text.ends_with("a header value has a control byte"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn no_debug_form_shows_credentials() {
    run(async {
        let (client, _) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        });
        let request = client.get("http://mill/").query(&[("key", "secret")]);
        let request = request.bearer_auth("secret").basic_auth("secret", "secret");
        let debug = format!("{client:?} {request:?} {request:#?}");
        assert!(
            !debug.contains("secret") && !debug.contains("c2VjcmV0"),
            "{debug}"
        );
        let response = request.send().await.unwrap();
        let debug = format!("{client:?} {response:?} {response:#?}");
        assert!(
            !debug.contains("secret") && !debug.contains("c2VjcmV0"),
            "{debug}"
        );
    });
}

#[test]
fn credentials_are_left_out_from_another_origin_on() {
    // The places to which the server leads, and the requests that have credentials.
    let rows: [(&[&str], &[bool]); 8] = [
        (&["/b"], &[true, true]),
        (&["http://MILL:80/b"], &[true, true]),
        (&["http://other/b"], &[true, false]),
        (&["//other/b"], &[true, false]),
        (&["http://mill:81/b"], &[true, false]),
        (&["https://mill/b"], &[true]),
        (&["http://sub.mill/b"], &[true, false]),
        // Back at the first one, the server has had its say.
        (&["http://other/b", "http://mill/c"], &[true, false, false]),
    ];
    for (places, expected) in rows {
        for is_basic in [true, false] {
            let seen = Rc::new(RefCell::new(Vec::new()));
            let heads = seen.clone();
            run(async move {
                let builder = Client::builder().redirects(Redirects::follow(5));
                let (client, _) = to(builder, move |_, mut far| {
                    let heads = heads.clone();
                    async move {
                        loop {
                            let head = far.head().await;
                            if head.is_empty() {
                                return;
                            }
                            heads.borrow_mut().push(head);
                            let place = places.get(heads.borrow().len() - 1);
                            let answer = place.map_or("200 OK\r\n".to_owned(), |place| {
                                format!("307 Temporary Redirect\r\nlocation: {place}\r\n")
                            });
                            far.send(format!("HTTP/1.1 {answer}content-length: 0\r\n\r\n"))
                                .await;
                        }
                    }
                });
                let request = client.get("http://mill/a").query(&[("key", "secret")]);
                let request = if is_basic {
                    request.basic_auth("miller", "flour")
                } else {
                    request.bearer_auth("flour")
                };
                // A client without TLS does not reach https.
                drop(request.send().await);
            });
            let seen = seen.take();
            let has = |head: &String| head.to_lowercase().contains("authorization");
            assert_eq!(
                seen.iter().map(has).collect::<Vec<_>>(),
                expected,
                "{places:?}"
            );
            // The query was for the first place.
            assert!(
                seen[1..].iter().all(|head| !head.contains("secret")),
                "{places:?}"
            );
        }
    }
}

#[test]
fn the_type_of_a_form_goes_where_the_form_goes() {
    for (status, expected) in [(303, false), (302, false), (307, true), (308, true)] {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let heads = seen.clone();
        run(async move {
            let builder = Client::builder().redirects(Redirects::follow(1));
            let (client, _) = to(builder, move |_, mut far| {
                let heads = heads.clone();
                async move {
                    far.head().await;
                    far.read_until("7").await;
                    far.send(format!(
                        "HTTP/1.1 {status} a\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n"
                    ))
                    .await;
                    let mut head = far.head().await;
                    if expected {
                        head += &far.read_until("7").await;
                    }
                    heads.borrow_mut().push(head);
                    far.send("HTTP/1.1 204 No Content\r\n\r\n").await;
                }
            });
            drop(
                client
                    .post("http://mill/")
                    .form(&[("a", 7)])
                    .send()
                    .await
                    .unwrap(),
            );
        });
        let fields =
            "content-type: application/x-www-form-urlencoded\r\ncontent-length: 3\r\n\r\na=7";
        let expected = if expected {
            format!("POST /b HTTP/1.1\r\nhost: mill\r\n{fields}")
        } else {
            "GET /b HTTP/1.1\r\nhost: mill\r\n\r\n".to_owned()
        };
        assert_eq!(seen.take(), [expected], "{status}");
    }
}
