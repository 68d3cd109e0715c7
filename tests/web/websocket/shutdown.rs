//! Sockets of a server that ends.

use std::future::pending;
use std::time::Duration;

use waterwheel::http::Server;
use waterwheel::http::testing::TestClient;
use waterwheel::http::web::websocket::{WebSocket, WebSocketOptions};
use waterwheel::runtime::time::{Instant, sleep};
use waterwheel::runtime::{join, race, spawn, yield_now};

use super::{
    Client, HANDSHAKE, LastWaiter, PATIENCE, close_frame, echo, frame, handler, outcomes, run,
};

#[test]
fn a_socket_that_opens_while_the_server_ends_is_told_so() {
    run(async {
        let server = Server::builder().without_listener();
        let mut early = TestClient::of(&server, handler(&WebSocketOptions::new(), echo));
        early.send(&HANDSHAKE[..20]).await;
        yield_now().await;
        let end = server.shutdown(Duration::from_secs(20));
        let client = async {
            sleep(Duration::from_secs(1)).await;
            early.send(&HANDSHAKE[20..]).await;
            assert_eq!(early.answer().await.status.as_u16(), 101);
            let (stream, read) = early.into_stream();
            let mut client = Client { stream, read };
            assert_eq!(client.close().await.0, 1001);
            client.send(close_frame(1001, "")).await;
            client.end_of_stream().await;
        };
        let (report, ()) = join(end, client).await;
        assert_eq!(report.cut, 0, "{report}");
    });
}

#[test]
fn a_server_that_ends_says_goodbye_to_each_socket_and_waits_for_its_answer() {
    run(async {
        let server = Server::builder().without_listener();
        let options = WebSocketOptions::new();
        let (list, listen) = outcomes();
        // Handlers that read, that wait for something else, that send, and that have moved the socket away.
        let deaf = async |_socket: WebSocket| pending().await;
        let sending = async |mut socket: WebSocket| {
            loop {
                sleep(Duration::from_millis(100)).await;
                socket.send_text("tick").await?;
            }
        };
        let moved = async |mut socket: WebSocket| {
            let task = spawn(async move { socket.next().await.map(drop) });
            Ok(task.await??)
        };
        let mut reading = Client::of(&server, &options, listen).await;
        let mut others = [
            Client::of(&server, &options, deaf).await,
            Client::of(&server, &options, sending).await,
            Client::of(&server, &options, moved).await,
        ];
        let end = server.shutdown(Duration::from_secs(20));
        let clients = async {
            assert_eq!(
                reading.close().await,
                (1001, "the server shuts down".to_owned())
            );
            // A message on its way is not lost.
            reading.send(frame(0x81, "last")).await;
            sleep(Duration::from_secs(12)).await;
            reading.send(close_frame(1001, "")).await;
            reading.end_of_stream().await;
            reading.stream.end();
            for client in &mut others {
                while client.read.first() != Some(&0x88) {
                    let (first, payload) = client.frame().await;
                    if first == 0x88 {
                        assert_eq!(payload[..2], 1001_u16.to_be_bytes());
                        break;
                    }
                }
                client.send(close_frame(1001, "")).await;
                client.end_of_stream().await;
                client.stream.end();
            }
        };
        let (report, ()) = join(end, clients).await;
        assert_eq!((report.cut, report.upgraded), (0, 4), "{report}");
        assert_eq!(*list.borrow(), ["Text(\"last\")", "closed Some(1001)"]);
    });
}

#[test]
fn a_client_that_does_not_answer_the_goodbye_is_cut_at_the_deadline() {
    run(async {
        let server = Server::builder().without_listener();
        let (list, listen) = outcomes();
        let mut client = Client::of(&server, &WebSocketOptions::new(), listen).await;
        let start = Instant::now();
        let (report, code) = join(server.shutdown(Duration::from_secs(20)), client.close()).await;
        assert_eq!((code.0, report.cut), (1001, 1), "{report}");
        assert_eq!(start.elapsed().as_secs(), 20);
        client.end_of_stream().await;
        assert!(
            list.borrow()[0].contains("the server has shut down"),
            "{list:?}"
        );
    });
}

#[test]
fn a_busy_handler_gets_the_messages_that_come_while_the_server_ends() {
    run(async {
        let server = Server::builder().without_listener();
        let (list, listen) = outcomes();
        let slow = async move |mut socket: WebSocket| {
            socket.next().await?;
            sleep(Duration::from_secs(5)).await;
            listen(socket).await
        };
        let mut client = Client::of(&server, &WebSocketOptions::new(), slow).await;
        client.send(frame(0x81, "work")).await;
        sleep(Duration::from_secs(1)).await;
        let clients = async {
            assert_eq!(client.close().await.0, 1001);
            client.send(frame(0x81, "on its way")).await;
            client.send(close_frame(1001, "")).await;
            client.end_of_stream().await;
            drop(client);
        };
        let (report, ()) = join(server.shutdown(Duration::from_secs(20)), clients).await;
        assert_eq!(report.cut, 0, "{report}");
        sleep(PATIENCE).await;
        assert_eq!(
            *list.borrow(),
            ["Text(\"on its way\")", "closed Some(1001)"]
        );
    });
}

#[test]
fn the_answer_to_the_goodbye_is_read_when_a_reader_in_another_task_has_left() {
    run(async {
        let server = Server::builder().without_listener();
        let moved = async |mut socket: WebSocket| {
            let task = spawn(async move {
                // Its wait is dropped in the middle of the goodbye.
                let other = async {
                    sleep(Duration::from_secs(3)).await;
                    Ok(None)
                };
                drop(race(other, socket.next()).await);
                sleep(PATIENCE).await;
            });
            Ok(task.await?)
        };
        let handler = handler(&WebSocketOptions::new(), moved);
        let client = TestClient::through(&server, handler, LastWaiter::new);
        let mut client = Client::shake_hands(client).await;
        sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        let client = async {
            assert_eq!(client.close().await.0, 1001);
            sleep(Duration::from_secs(5)).await;
            client.send(close_frame(1001, "")).await;
            client.end_of_stream().await;
            assert_eq!(start.elapsed().as_secs(), 5);
            drop(client);
        };
        let (report, ()) = join(server.shutdown(Duration::from_secs(20)), client).await;
        assert_eq!(report.cut, 0, "{report}");
    });
}
