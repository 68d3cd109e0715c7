//! The end of a socket, and the errors of its handler.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::web::websocket::{CloseCode, WebSocket, WebSocketError, WebSocketOptions};
use waterwheel::http::{Error, Result};
use waterwheel::runtime::time::Instant;
use waterwheel::runtime::yield_now;

use super::{Client, close_frame, frame, outcomes, run};

#[test]
fn a_close_frame_is_answered_with_its_code() {
    run(async {
        // RFC 6455, 5.5.1
        for (frame, answer, outcome) in [
            (close_frame(1000, "bye"), 1000, "closed Some(1000)"),
            (close_frame(4321, ""), 4321, "closed Some(4321)"),
            (frame(0x88, ""), 0, "closed None"),
        ] {
            let (list, listen) = outcomes();
            let mut client = Client::open(&WebSocketOptions::new(), listen).await;
            client.send(frame).await;
            assert_eq!(client.close().await, (answer, String::new()));
            // The server ends first (RFC 6455, 7.1.1).
            client.end_of_stream().await;
            assert_eq!(*list.borrow(), [outcome]);
        }
    });
}

#[test]
fn a_socket_closes_when_its_function_returns() {
    run(async {
        let options = WebSocketOptions::new();
        let good = async |_: WebSocket| Ok(());
        let bad = async |_: WebSocket| Err(Error::message("the mill burns"));
        let told = async |mut socket: WebSocket| -> Result<()> {
            let long = "ü".repeat(100);
            socket.close(CloseCode::TRY_AGAIN_LATER, &long).await?;
            assert!(matches!(
                socket.send_text("x").await,
                Err(WebSocketError::Closed)
            ));
            Ok(())
        };
        let mut client = Client::open(&options, good).await;
        assert_eq!(client.close().await, (1000, String::new()));
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;

        let mut client = Client::open(&options, bad).await;
        assert_eq!(client.close().await, (1011, String::new()));

        let mut client = Client::open(&options, told).await;
        // 123 bytes would end within a character.
        assert_eq!(client.close().await, (1013, "ü".repeat(61)));
        client.send(frame(0x81, "on its way")).await;
        client.send(close_frame(1013, "")).await;
        client.end_of_stream().await;
    });
}

#[test]
fn a_function_that_panics_closes_its_socket_with_1011() {
    run(async {
        let talk = async |mut socket: WebSocket| {
            socket.next().await?;
            panic!("a fault of the function");
        };
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        client.send(frame(0x81, "x")).await;
        assert_eq!(client.close().await, (1011, String::new()));
        client.send(close_frame(1011, "")).await;
        client.end_of_stream().await;
    });
}

#[test]
fn a_client_that_does_not_answer_a_close_frame_is_given_up() {
    run(async {
        let told = async |mut socket: WebSocket| -> Result<()> {
            let closed = socket.close(CloseCode::NORMAL, "").await;
            assert!(
                matches!(closed, Err(WebSocketError::TimedOut)),
                "{closed:?}"
            );
            Ok(())
        };
        for wait in [Duration::from_secs(10), Duration::from_secs(3)] {
            let options = WebSocketOptions::new().close_duration_max(wait);
            let mut client = Client::open(&options, told).await;
            let start = Instant::now();
            assert_eq!(client.close().await.0, 1000);
            client.end_of_stream().await;
            assert!((wait..wait + Duration::from_millis(100)).contains(&start.elapsed()));
        }
    });
}

#[test]
fn a_lost_client_is_an_error_that_is_no_fault_of_the_server() {
    run(async {
        for cut in [
            &[][..],
            &frame(0x81, "half a message")[..9],
            &frame(0x01, "a"),
        ] {
            let (list, listen) = outcomes();
            let mut client = Client::open(&WebSocketOptions::new(), listen).await;
            client.send(cut).await;
            drop(client);
            while list.borrow().is_empty() {
                yield_now().await;
            }
            assert!(
                list.borrow()[0].starts_with("the websocket is lost"),
                "{list:?}"
            );
        }
        let mut lost = None;
        let talk = async |mut socket: WebSocket| socket.next().await.map(drop);
        let options = WebSocketOptions::new();
        let result = Rc::new(RefCell::new(None));
        let noted = result.clone();
        let client = Client::open(&options, async move |socket: WebSocket| {
            *noted.borrow_mut() = Some(talk(socket).await.map_err(Error::from));
            Ok(())
        })
        .await;
        drop(client);
        while lost.is_none() {
            lost = result.borrow_mut().take();
            yield_now().await;
        }
        assert!(lost.unwrap().unwrap_err().is_disconnect());
    });
}
