//! The end of a socket, and the errors of its handler.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::web::websocket::{CloseCode, WebSocket, WebSocketError, WebSocketOptions};
use waterwheel::http::{Error, Result};
use waterwheel::runtime::time::{Instant, sleep};
use waterwheel::runtime::yield_now;

use super::{Client, PATIENCE, close_frame, frame, outcomes, run};

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

#[test]
fn a_close_returns_the_error_that_has_ended_the_socket_and_leaves_it_to_the_reader() {
    run(async {
        let results = Rc::new(RefCell::new(Vec::new()));
        for reads_first in [true, false] {
            let noted = results.clone();
            let talk = async move |socket: WebSocket| {
                let (mut reader, mut writer) = socket.split();
                if !reads_first {
                    let closed = writer.close(CloseCode::NORMAL, "").await;
                    noted.borrow_mut().push(format!("{closed:?}"));
                }
                let read = reader.next().await;
                noted.borrow_mut().push(format!("{read:?}"));
                let closed = writer.close(CloseCode::NORMAL, "").await;
                noted.borrow_mut().push(format!("{closed:?}"));
                Ok(())
            };
            let mut client = Client::narrow(&WebSocketOptions::new(), talk).await;
            if !reads_first {
                assert_eq!(client.close().await.0, 1000);
            }
            client.send(b"\x81\x00").await;
            while results.borrow().len() < 2 + usize::from(!reads_first) {
                sleep(Duration::from_secs(1)).await;
            }
            let results = results.take();
            assert!(
                results
                    .iter()
                    .all(|result| result == "Err(Violation(Unmasked))"),
                "{results:?}"
            );
        }
    });
}

#[test]
fn the_close_of_a_whole_socket_returns_its_error_again() {
    run(async {
        let done = Rc::new(Cell::new(false));
        let is_done = done.clone();
        let talk = async move |mut socket: WebSocket| {
            let lost = socket.next().await;
            assert!(matches!(lost, Err(WebSocketError::Lost(_))), "{lost:?}");
            let closed = socket.close(CloseCode::NORMAL, "").await;
            assert!(matches!(closed, Err(WebSocketError::Lost(_))), "{closed:?}");
            assert!(matches!(socket.next().await, Ok(None)));
            is_done.set(true);
            Ok(())
        };
        drop(Client::open(&WebSocketOptions::new(), talk).await);
        sleep(PATIENCE).await;
        assert!(done.get());
    });
}
