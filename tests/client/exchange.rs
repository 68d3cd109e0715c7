//! Requests and answers on one connection.

use std::cell::RefCell;
use std::rc::Rc;

use futures_lite::AsyncReadExt;
use waterwheel::http::client::Client;
use waterwheel::http::{Method, StatusCode, Version};

use crate::scripted::{answering, run, to};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwater";

#[test]
fn two_requests_use_one_connection() {
    run(async {
        let (client, connections) = answering(OK);
        for _ in 0..2 {
            let response = client.get("http://mill/").send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.version(), Version::HTTP_11);
            assert_eq!(response.content_length(), Some(5));
            assert_eq!(response.text().await.unwrap(), "water");
            assert_eq!(client.idle_connections(), 1);
        }
        assert_eq!(connections.count(), 1);
    });
}

#[test]
fn the_bytes_of_a_request() {
    let heads = Rc::new(RefCell::new(Vec::new()));
    let seen = heads.clone();
    run(async move {
        let (client, _) = to(Client::builder(), move |_, mut far| {
            let seen = seen.clone();
            async move {
                loop {
                    let head = far.head().await;
                    if head.is_empty() {
                        return;
                    }
                    seen.borrow_mut().push(head);
                    far.send("HTTP/1.1 204 No Content\r\n\r\n").await;
                }
            }
        });
        let send = async |request: waterwheel::http::client::ClientRequest<'_>| {
            drop(request.send().await.unwrap());
        };
        send(client.get("http://mill:81/a?b=c#d").header("X-Tag", " e ")).await;
        send(client.get("http://mill?q")).await;
        send(client.post("http://mill/").header("Host", "other")).await;
        send(client.request(Method::OPTIONS, "http://mill/").target("*")).await;
        send(client.get("http://mill/").header("connection", "close")).await;
        send(client.get("http://mill/").header("upgrade", "chat")).await;
        send(client.get("http://mill/").header("TE", "trailers")).await;
        let all = client.get("http://mill/").header("te", "trailers");
        let all = all.header("connection", "te, Close");
        send(all.header("upgrade", "chat")).await;
    });
    let expected = [
        "GET /a?b=c HTTP/1.1\r\nhost: mill:81\r\nX-Tag: e\r\n\r\n",
        "GET /?q HTTP/1.1\r\nhost: mill\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: other\r\ncontent-length: 0\r\n\r\n", // RFC 9110, 8.6
        "OPTIONS * HTTP/1.1\r\nhost: mill\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: mill\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: mill\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\n",
        // RFC 9110, 10.1.4
        "GET / HTTP/1.1\r\nhost: mill\r\nTE: trailers\r\nconnection: te\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: mill\r\nte: trailers\r\nupgrade: chat\r\nconnection: te, close, upgrade\r\n\r\n",
    ];
    assert_eq!(*heads.borrow(), expected);
}

#[test]
fn a_body_is_streamed_both_ways_at_once() {
    run(async {
        let (client, connections) = to(Client::builder(), |_, mut far| async move {
            far.head().await;
            far.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await;
            // Each chunk of the request comes back before the next one is made.
            loop {
                let size = far.read_until("\r\n").await;
                let data = far.read_until("\r\n").await;
                far.send(format!("{size}{data}")).await;
                if size.starts_with('0') {
                    return far.until_closed().await;
                }
            }
        });
        let (reader, mut writer) = waterwheel::runtime::io::pipe().unwrap();
        let mut response = client
            .post("http://mill/")
            .body_reader(reader, None)
            .send()
            .await
            .unwrap();
        for piece in ["rye", "wheat", "oats"] {
            futures_lite::AsyncWriteExt::write_all(&mut writer, piece.as_bytes())
                .await
                .unwrap();
            assert_eq!(response.chunk().await.unwrap().unwrap(), piece);
        }
        drop(writer);
        let mut rest = Vec::new();
        response.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty() && response.trailers().is_none());
        assert_eq!(client.idle_connections(), 1);
        assert_eq!(connections.count(), 1);
    });
}
