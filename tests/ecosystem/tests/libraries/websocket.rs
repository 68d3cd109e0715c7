//! Claims about async-tungstenite over our sockets.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::Role;
use async_tungstenite::tungstenite::{Error, Message};
use async_tungstenite::{WebSocketReceiver, WebSocketStream, accept_async, client_async};
use futures_lite::StreamExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use waterwheel::runtime::net::{TcpListener, TcpStream};
use waterwheel::runtime::sync::broadcast;
use waterwheel::runtime::tokio_io::FromTokio;
use waterwheel::runtime::{race, spawn, yield_now};

use crate::support::runtime::{run, tcp_pair};

/// Passes each message of the client on to all clients.
async fn talk(
    mut messages: WebSocketReceiver<TcpStream>,
    room: broadcast::Sender<String>,
    seen: Rc<RefCell<Vec<String>>>,
) -> Result<(), Error> {
    while let Some(message) = messages.next().await {
        if let Message::Text(text) = message? {
            seen.borrow_mut().push(text.to_string());
            room.send(text.to_string()).ok();
        }
    }
    Ok(())
}

/// A room on one thread: the tasks of its clients share a channel and a list.
async fn serve(listener: TcpListener, seen: Rc<RefCell<Vec<String>>>) {
    let (room, _) = broadcast::channel(16);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (room, seen) = (room.clone(), seen.clone());
        spawn(async move {
            let mut heard = room.subscribe();
            let (mut sender, messages) = accept_async(stream).await?.split();
            let pass_on = async {
                while let Ok(text) = heard.recv().await {
                    sender.send(Message::text(text)).await?;
                }
                Ok(())
            };
            race(talk(messages, room, seen), pass_on).await
        })
        .detach();
    }
}

#[test]
fn clients_of_a_room_hear_each_other() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let clients = async {
            let mut sockets = Vec::new();
            for _ in 0..3 {
                let stream = TcpStream::connect(address).await.unwrap();
                let (socket, _) = client_async("ws://mill/room", stream).await.unwrap();
                sockets.push(socket);
            }
            for text in ["rain".to_owned(), "x".repeat(1 << 20)] {
                sockets[0].send(Message::text(text.as_str())).await.unwrap();
                for socket in &mut sockets {
                    let heard = socket.next().await.unwrap().unwrap();
                    assert_eq!(heard, Message::text(text.as_str()));
                }
            }
            for mut socket in sockets {
                socket.close(None).await.unwrap();
                // The answer to the close, and then the end (RFC 6455, 5.5.1).
                assert!(socket.next().await.unwrap().unwrap().is_close());
                assert!(socket.next().await.is_none());
            }
        };
        race(clients, serve(listener, seen.clone())).await;
        assert_eq!(seen.borrow().len(), 2);
    });
}

/// Accepts the upgrade of a request with hyper, and then echoes.
async fn upgrade(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let upgraded = hyper::upgrade::on(&mut request);
    spawn(async move {
        // From hyper's traits to tokio's, and from those to the traits of futures-io.
        let stream = FromTokio::new(TokioIo::new(upgraded.await.unwrap()));
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Some(Ok(message @ Message::Text(_))) = socket.next().await {
            socket.send(message).await.unwrap();
        }
    })
    .detach();
    let key = &request.headers()["sec-websocket-key"];
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", derive_accept_key(key.as_bytes()));
    Ok(response.body(String::new()).unwrap())
}

#[test]
fn a_connection_that_hyper_has_upgraded_carries_messages() {
    run(async {
        let (client, server) = tcp_pair().await;
        let connection = http1::Builder::new()
            .serve_connection(server, service_fn(upgrade))
            .with_upgrades();
        let server = spawn(connection);
        let (mut client, _) = client_async("ws://mill/", client).await.unwrap();
        for length in [0, 5, 1 << 20] {
            let message = Message::text("x".repeat(length));
            client.send(message.clone()).await.unwrap();
            assert_eq!(client.next().await.unwrap().unwrap(), message);
        }
        server.await.unwrap().unwrap();
        client.close(None).await.unwrap();
    });
}

#[test]
fn a_client_that_leaves_without_a_close_is_an_error() {
    run(async {
        let (client, server) = tcp_pair().await;
        let server = spawn(accept_async(server));
        let (client, _) = client_async("ws://mill/", client).await.unwrap();
        let mut server = server.await.unwrap().unwrap();
        let next = spawn(async move { server.next().await });
        yield_now().await;
        drop(client);
        assert!(next.await.unwrap().unwrap().is_err());
    });
}
