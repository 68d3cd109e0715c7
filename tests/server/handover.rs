//! Upgrade and CONNECT: the handler receives the stream, with each byte that the server has read of it.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;

use crate::support::server::{TestServer, without_dates};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use waterwheel::http::testing::TestClient;
use waterwheel::http::{Request, Responded, Result, Server, StatusCode, Stream, Upgraded};
use waterwheel::runtime::{block_on, spawn};

const OFFER: &str = "Host: x\r\nConnection: upgrade\r\nUpgrade: shout\r\n";
const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: shout\r\nconnection: upgrade\r\n\r\n";

/// Returns the bytes that it reads, in capitals, until the peer closes its write half.
async fn shout(mut stream: Upgraded) -> std::io::Result<()> {
    let mut piece = [0; 64];
    loop {
        match stream.read(&mut piece).await? {
            0 => return stream.close().await,
            count => {
                stream
                    .write_all(&piece[..count].to_ascii_uppercase())
                    .await?;
            }
        }
    }
}

async fn handler(request: Request<'_>) -> Result<Responded> {
    let (responded, upgrade) = match request.path() {
        "/tunnel" | "" => request.tunnel(())?,
        "/named" => request.upgrade("shout", [("x-volume", "11")]).await?,
        "/anything" => request.upgrade("whisper", ()).await?,
        "/plain" => return request.respond(StatusCode::OK, "plain", ()).await,
        "/fails" => {
            let (_, upgrade) = request.upgrade("shout", ()).await?;
            spawn(async { shout(upgrade.await?).await }).detach();
            return Err(std::fmt::Error.into());
        }
        _ => request.upgrade("shout", ()).await?,
    };
    spawn(async { shout(upgrade.await?).await }).detach();
    Ok(responded)
}

/// Returns all bytes that the server sends for `request`. The client closes its write half behind the request.
fn exchange(request: &str) -> String {
    let server = TestServer::start(Server::builder(), || handler);
    let whole = server.exchange(&[request.as_bytes()]);
    let bytes: Vec<&[u8]> = request.as_bytes().chunks(1).collect();
    assert_eq!(server.exchange(&bytes), whole, "byte by byte: {request:?}");
    whole
}

fn check(request: &str, expected: &str) {
    assert_eq!(exchange(request), expected, "{request:?}");
}

#[test]
fn the_stream_begins_with_the_bytes_behind_the_request() {
    // RFC 9110, 7.8
    check(
        &format!("GET / HTTP/1.1\r\n{OFFER}\r\nhello"),
        &format!("{SWITCHED}HELLO"),
    );
    check(&format!("GET / HTTP/1.1\r\n{OFFER}\r\n"), SWITCHED);
}

#[test]
fn the_request_is_read_whole_before_the_switch() {
    // RFC 9110, 7.8: after the request, in the order of arrival
    let sized = format!("POST / HTTP/1.1\r\n{OFFER}Content-Length: 4\r\n\r\nbodyhello");
    check(&sized, &format!("{SWITCHED}HELLO"));
    let chunked = format!(
        "POST / HTTP/1.1\r\n{OFFER}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\nhello"
    );
    check(&chunked, &format!("{SWITCHED}HELLO"));
}

#[test]
fn a_100_is_sent_before_the_101() {
    // RFC 9110, 7.8
    let server = TestServer::start(Server::builder(), || handler);
    let mut client = server.client();
    client.send(format!(
        "POST / HTTP/1.1\r\n{OFFER}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    ));
    assert_eq!(
        client.read_until("\r\n\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("bodyhello");
    assert_eq!(
        without_dates(&client.read_until("HELLO")),
        format!("{SWITCHED}HELLO")
    );
}

#[test]
fn answers_to_earlier_requests_are_sent_before_the_switch() {
    let request =
        format!("GET /plain HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n{OFFER}\r\nhello");
    let plain = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain";
    check(&request, &format!("{plain}{SWITCHED}HELLO"));
}

#[test]
fn connect_becomes_a_tunnel() {
    // RFC 9110, 9.3.6: no Content-Length, no Transfer-Encoding
    check(
        "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\n\r\nHELLO",
    );
}

#[test]
fn a_switch_carries_the_handlers_fields() {
    let switched = SWITCHED.replace("connection: ", "x-volume: 11\r\nconnection: ");
    check(&format!("GET /named HTTP/1.1\r\n{OFFER}\r\n"), &switched);
}

#[test]
fn a_request_with_connection_close_is_switched() {
    // `close` concerns HTTP, which ends here.
    let request =
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: shout\r\n\r\nhi";
    check(request, &format!("{SWITCHED}HI"));
}

#[test]
fn a_protocol_that_was_not_offered_is_an_error() {
    let asked = |protocol: &str, connection: &str| {
        let length = "upgrade to ".len() + protocol.len() + 1;
        format!(
            "HTTP/1.1 426 Upgrade Required\r\ncontent-type: text/plain; charset=utf-8\r\n\
             upgrade: {protocol}\r\ncontent-length: {length}\r\nconnection: {connection}\r\n\r\n\
             upgrade to {protocol}\n"
        )
    };
    // RFC 9110, 7.8: only what the client has indicated
    check(
        &format!("GET /anything HTTP/1.1\r\n{OFFER}\r\n"),
        &asked("whisper", "upgrade"),
    );
    check(
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &asked("shout", "upgrade"),
    );
    // Connection must name it
    check(
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: shout\r\n\r\n",
        &asked("shout", "upgrade"),
    );
    // not in HTTP/1.0
    check(
        &format!("GET / HTTP/1.0\r\n{OFFER}\r\n"),
        &asked("shout", "close, upgrade"),
    );
    // a tunnel is for CONNECT
    check(
        "GET /tunnel HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 405 Method Not Allowed\r\ncontent-type: text/plain; charset=utf-8\r\n\
         allow: CONNECT\r\ncontent-length: 30\r\n\r\nonly CONNECT becomes a tunnel\n",
    );
}

#[test]
fn each_of_several_offers_can_be_taken_in_upper_or_lower_case() {
    for offer in [
        "Upgrade: a, SHOUT",
        "Upgrade: a\r\nUpgrade: Shout",
        "Upgrade: shout,",
    ] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n{offer}\r\n\r\nhi");
        check(&request, &format!("{SWITCHED}HI"));
    }
}

#[test]
fn an_error_of_the_handler_after_the_switch_does_not_undo_it() {
    check(
        &format!("GET /fails HTTP/1.1\r\n{OFFER}\r\nhello"),
        &format!("{SWITCHED}HELLO"),
    );
}

#[test]
fn the_stream_outlives_its_connection_and_its_server() {
    let server = TestServer::start(Server::builder(), || handler);
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\n{OFFER}\r\n"));
    assert_eq!(without_dates(&client.read_until("\r\n\r\n")), SWITCHED);
    for _ in 0..100 {
        client.stream.write_all(b"again").unwrap();
        let mut shouted = [0; 5];
        client.stream.read_exact(&mut shouted).unwrap();
        assert_eq!(&shouted, b"AGAIN");
    }
}

#[test]
fn a_stream_that_is_not_taken_is_closed() {
    block_on(async {
        let mut client =
            TestClient::new(async |request: Request<'_>| Ok(request.upgrade("shout", ()).await?.0));
        client.send(format!("GET / HTTP/1.1\r\n{OFFER}\r\n")).await;
        client.answer().await;
        assert_eq!(client.read_to_end().await, b"");
    });
}

#[test]
fn an_upgrade_whose_switch_cannot_be_sent_is_an_error() {
    block_on(async {
        let outcome = Rc::new(RefCell::new(None));
        let mut client = TestClient::new({
            let outcome = outcome.clone();
            async move |request: Request<'_>| {
                let (responded, upgrade) = request.upgrade("shout", ()).await?;
                let outcome = outcome.clone();
                spawn(async move { *outcome.borrow_mut() = Some(upgrade.await.map(drop)) })
                    .detach();
                // The client leaves before the answer is sent.
                waterwheel::runtime::time::sleep(std::time::Duration::from_millis(1)).await;
                Ok(responded)
            }
        });
        client.send(format!("GET / HTTP/1.1\r\n{OFFER}\r\n")).await;
        drop(client);
        while outcome.borrow().is_none() {
            waterwheel::runtime::turn().await;
        }
        // Either the switch was sent in time, or the upgrade returns an error.
        if let Some(Err(error)) = &*outcome.borrow() {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
        }
    });
}

#[test]
fn the_transport_is_returned_with_the_bytes_that_were_read() {
    let server = TestServer::start(Server::builder(), || {
        async |request: Request<'_>| {
            let (responded, upgrade) = request.upgrade("shout", ()).await?;
            spawn(async {
                let (mut stream, read) = upgrade.await?.downcast::<Stream>().unwrap();
                stream.write_all(&read).await?;
                stream.write_all(b" and on").await
            })
            .detach();
            Ok(responded)
        }
    });
    let mut client = server.client();
    client.send(format!("GET / HTTP/1.1\r\n{OFFER}\r\nread"));
    assert_eq!(
        without_dates(&client.read_to_end()),
        format!("{SWITCHED}read and on")
    );
}

#[test]
fn a_pulled_request_can_be_upgraded() {
    block_on(async {
        let (near, far) = waterwheel::http::testing::MemoryStream::pair();
        let server = Server::builder().without_listener();
        spawn(async move {
            let mut connection = server.connection(far, None);
            while let Ok(Some(request)) = connection.next().await {
                let (_, upgrade) = request.upgrade("shout", ()).await.unwrap();
                spawn(async { shout(upgrade.await?).await }).detach();
            }
        })
        .detach();
        let mut near = near;
        near.write_all(format!("GET / HTTP/1.1\r\n{OFFER}\r\nhello").as_bytes())
            .await
            .unwrap();
        near.close().await.unwrap();
        let mut all = String::new();
        near.read_to_string(&mut all).await.unwrap();
        assert_eq!(without_dates(&all), format!("{SWITCHED}HELLO"));
    });
}
