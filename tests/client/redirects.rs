//! Redirects, by choice.

use std::cell::RefCell;
use std::rc::Rc;

use waterwheel::http::client::{Client, Redirects, RequestErrorKind};

use crate::scripted::{Connections, run, to};

type Heads = Rc<RefCell<Vec<String>>>;

/// Answers the first request with this status and Location, and each later one with 200. Returns the heads and bodies
/// of the requests, too. Each body ends with `!`.
fn redirecting(redirects: Redirects, answer: &'static str) -> (Client, Connections, Heads) {
    let heads = Heads::default();
    let seen = heads.clone();
    let builder = Client::builder().redirects(redirects);
    let (client, connections) = to(builder, move |_, mut far| {
        let seen = seen.clone();
        async move {
            loop {
                let mut request = far.head().await;
                if request.is_empty() {
                    return;
                }
                if request.contains("content-length: 4") {
                    request += &far.read_until("!").await;
                }
                let is_first = seen.borrow().is_empty() || answer.ends_with("/loop\r\n");
                seen.borrow_mut().push(request);
                let answer = if is_first { answer } else { "200 OK\r\n" };
                far.send(format!("HTTP/1.1 {answer}content-length: 0\r\n\r\n"))
                    .await;
            }
        }
    });
    (client, connections, heads)
}

#[test]
fn the_default_returns_the_redirect() {
    run(async {
        let (client, _, heads) = redirecting(Redirects::default(), "302 Found\r\nlocation: /b\r\n");
        let response = client.get("http://mill/a").send().await.unwrap();
        assert_eq!(response.status().as_u16(), 302);
        assert_eq!(heads.borrow().len(), 1);
    });
}

#[test]
fn a_redirect_changes_the_method_by_its_status() {
    let get = "GET /b HTTP/1.1\r\nhost: mill\r\nx-tag: c\r\n\r\n";
    let post = "POST /b HTTP/1.1\r\nhost: mill\r\nx-tag: c\r\ncontent-type: d\r\ncontent-length: 4\r\n\r\nrye!";
    let rows = [
        ("301 Moved\r\nlocation: /b\r\n", get),
        ("302 Found\r\nlocation: b\r\n", get),
        ("303 See Other\r\nlocation: http://mill/b\r\n", get),
        ("307 Temporary\r\nlocation: //mill/b#c\r\n", post),
        ("308 Permanent\r\nlocation: ./b\r\n", post),
    ];
    for (answer, expected) in rows {
        run(async {
            let (client, connections, heads) = redirecting(Redirects::follow(1), answer);
            let request = client.post("http://mill/a").header("x-tag", "c");
            let request = request.header("content-type", "d").body("rye!");
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), 200);
            assert_eq!(response.uri(), "http://mill/b");
            assert_eq!(heads.borrow()[1], expected, "{answer:?}");
            assert_eq!(connections.count(), 1);
        });
    }
}

/// Many servers send a Location in the letters of their language, and browsers, curl and Node follow it.
#[test]
fn bytes_of_a_location_that_no_uri_may_have_are_escaped() {
    // The Location, and the target of the next request.
    let rows: [(&[u8], &str); 4] = [
        ("/caf\u{e9}?\u{e9}".as_bytes(), "/caf%C3%A9?%C3%A9"),
        (b"/caf\xe9", "/caf%E9"),
        (b"/two words{a}\\", "/two%20words%7Ba%7D%5C"),
        (b"/b%20c%zz#\xe9", "/b%20c%zz"),
    ];
    for (location, expected) in rows {
        run(async {
            let builder = Client::builder().redirects(Redirects::follow(1));
            let (client, _) = to(builder, move |_, mut far| async move {
                far.head().await;
                let head = [b"HTTP/1.1 302 Found\r\nlocation: ", location];
                far.send(head.concat()).await;
                far.send("\r\ncontent-length: 0\r\n\r\n").await;
                let target = far.head().await;
                let target = target.split(' ').nth(1).unwrap().to_owned();
                let length = target.len();
                far.send(format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{target}"
                ))
                .await;
            });
            let response = client.get("http://mill/").send().await.unwrap();
            assert_eq!(response.text().await.unwrap(), expected);
        });
    }
}

#[test]
fn credentials_stay_with_their_origin() {
    // The Location, and whether the second request has the credentials.
    let rows = [
        ("302 Found\r\nlocation: /b\r\n", true),
        ("302 Found\r\nlocation: http://mill:80/b\r\n", true),
        ("302 Found\r\nlocation: http://other/b\r\n", false),
        ("302 Found\r\nlocation: http://mill:81/b\r\n", false),
        ("302 Found\r\nlocation: http://sub.mill/b\r\n", false),
    ];
    for (answer, expected) in rows {
        run(async {
            let (client, _, heads) = redirecting(Redirects::follow(1), answer);
            let request = client.get("http://mill/a").header("X-Tag", "c");
            let request = request
                .header("Authorization", "secret")
                .header("cookie", "secret");
            let request = request.header("proxy-authorization", "secret");
            drop(request.send().await.unwrap());
            let second = heads.borrow()[1].clone();
            assert_eq!(
                second.matches("secret").count(),
                if expected { 3 } else { 0 },
                "{answer:?}"
            );
            assert!(second.contains("X-Tag: c"));
        });
    }
}

#[test]
fn a_redirect_that_cannot_be_followed_is_an_error() {
    let rows = [
        ("302 Found\r\nlocation: /loop\r\n", "there were too many"),
        (
            "302 Found\r\nlocation: http://[\r\n",
            "of another scheme than http",
        ),
        (
            "302 Found\r\nlocation: http://mill:x/\r\n",
            "of another scheme than http",
        ),
        (
            "302 Found\r\nlocation: file:///etc/passwd\r\n",
            "of another scheme than http",
        ),
        (
            "302 Found\r\nlocation: http://a:secret@mill/\r\n",
            "of another scheme than http",
        ),
    ];
    for (answer, expected) in rows {
        run(async {
            let (client, _, heads) = redirecting(Redirects::follow(10), answer);
            let error = client.get("http://mill/a").send().await.unwrap_err();
            assert_eq!(error.kind(), RequestErrorKind::Redirect);
            let text = error.to_string();
            assert!(text.ends_with(expected), "{text}");
            // The place is that of the answer with the Location.
            assert!(text.starts_with("GET http://mill/"), "{text}");
            assert!(heads.borrow().len() <= 11);
        });
    }
    run(async {
        let (client, _, _) = redirecting(Redirects::follow(1), "307 a\r\nlocation: /b\r\n");
        let request = client
            .post("http://mill/a")
            .body_reader(&b"rye!"[..], Some(4));
        let error = request.send().await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::Redirect);
        // An answer without a place is an answer.
        let (client, _, _) = redirecting(Redirects::follow(1), "302 a\r\n");
        assert_eq!(
            client
                .get("http://mill/a")
                .send()
                .await
                .unwrap()
                .status()
                .as_u16(),
            302
        );
    });
}
