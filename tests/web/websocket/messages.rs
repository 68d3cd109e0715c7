//! Messages, and the rules that frames keep.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::AsyncWriteExt;
use waterwheel::http::Server;
use waterwheel::http::testing::{TestClient, Torture};
use waterwheel::http::web::websocket::{
    CloseCode, Message, Violation, WebSocket, WebSocketError, WebSocketOptions,
};
use waterwheel::runtime::time::{Instant, sleep};
use waterwheel::runtime::{block_on, yield_now};

use super::{Client, HANDSHAKE, close_frame, echo, frame, handler, outcomes, run};

#[test]
fn a_message_comes_back_in_pieces_of_any_size() {
    run(async {
        for size in [1, 2, 5, 1000] {
            let mut client = Client::open(&WebSocketOptions::new(), echo).await;
            let frames = [
                frame(0x81, "flour"),
                frame(0x01, "gr"),
                frame(0x89, "are you there?"), // RFC 6455, 5.5.2
                frame(0x80, "ist"),
                frame(0x82, [7; 300]),
                frame(0x81, ""),
            ];
            let send = async {
                for piece in frames.concat().chunks(size) {
                    client.stream.write_all(piece).await.unwrap();
                    yield_now().await;
                }
            };
            send.await;
            assert_eq!(client.frame().await, (0x81, b"flour".to_vec()));
            assert_eq!(client.frame().await, (0x8a, b"are you there?".to_vec()));
            assert_eq!(client.frame().await, (0x81, b"grist".to_vec()));
            assert_eq!(client.frame().await, (0x82, vec![7; 300]));
            assert_eq!(client.frame().await, (0x81, Vec::new()));
        }
    });
}

#[test]
fn bytes_behind_the_handshake_are_the_first_frames() {
    run(async {
        let server = Server::builder().without_listener();
        let mut client = TestClient::of(&server, handler(&WebSocketOptions::new(), echo));
        let first = [
            HANDSHAKE.as_bytes(),
            &frame(0x81, "early"),
            &frame(0x81, "late")[..3],
        ]
        .concat();
        client.send(first).await;
        assert_eq!(client.answer().await.status.as_u16(), 101);
        let (stream, read) = client.into_stream();
        let mut client = Client { stream, read };
        assert_eq!(client.frame().await, (0x81, b"early".to_vec()));
        client.send(&frame(0x81, "late")[3..]).await;
        assert_eq!(client.frame().await, (0x81, b"late".to_vec()));
    });
}

#[test]
fn a_refused_handshake_leaves_the_connection_open() {
    run(async {
        let mut client = TestClient::new(handler(&WebSocketOptions::new(), echo));
        assert_eq!(client.get("/").await.status.as_u16(), 426);
        client.send(HANDSHAKE).await;
        assert_eq!(client.answer().await.status.as_u16(), 101);
    });
}

#[test]
fn a_broken_rule_is_answered_with_its_code_and_ends_the_socket() {
    run(async {
        // The bytes, the code, and the section of RFC 6455.
        let rows: &[(&[u8], u16, &str)] = &[
            (b"\x81\x05flour", 1002, "5.1: no mask"),
            (b"\xc1\x80aaaa", 1002, "5.2: RSV1"),
            (b"\xa1\x80aaaa", 1002, "5.2: RSV2"),
            (b"\x91\x80aaaa", 1002, "5.2: RSV3"),
            (b"\x83\x80aaaa", 1002, "5.2: opcode 3"),
            (b"\x8b\x80aaaa", 1002, "5.2: opcode 11"),
            (b"\x80\x80aaaa", 1002, "5.4: a continuation first"),
            (
                b"\x01\x80aaaa\x81\x80aaaa",
                1002,
                "5.4: a message in a message",
            ),
            (b"\x09\x80aaaa", 1002, "5.5: a fragmented ping"),
            (b"\x89\xfe\x00\x7eaaaa", 1002, "5.5: a ping of 126 bytes"),
            (
                b"\x81\xfe\x00\x05aaaa",
                1002,
                "5.2: a length that is not the shortest",
            ),
            (
                b"\x81\xff\x80\0\0\0\0\0\0\0aaaa",
                1002,
                "5.2: a length of 64 bits",
            ),
            (b"\x81\x81\0\0\0\0\xff", 1007, "8.1: not UTF-8"),
            (b"\x81\x83\0\0\0\0\xed\xa0\x80", 1007, "8.1: a surrogate"),
            (b"\x01\x81\0\0\0\0\xc0", 1007, "8.1: at once"),
            (b"\x88\x81\0\0\0\0\x03", 1002, "5.5.1: one byte"),
            (b"\x88\x82\0\0\0\0\x03\xed", 1002, "7.4.1: 1005 is not sent"),
            (b"\x88\x83\0\0\0\0\x03\xe8\xff", 1007, "5.5.1: not UTF-8"),
            (b"\x82\xff\0\0\0\0\0\x20\0\0aaaa", 1009, "10.4: 2 MiB"),
        ];
        for (bytes, code, section) in rows {
            let (list, listen) = outcomes();
            let mut client = Client::open(&WebSocketOptions::new(), listen).await;
            client.send(bytes).await;
            assert_eq!(client.close().await.0, *code, "{section}");
            // Bytes that follow are discarded.
            client.send(frame(0x81, "more")).await;
            client.stream.end();
            client.end_of_stream().await;
            assert_eq!(list.borrow().len(), 1, "{section}: {list:?}");
        }
    });
}

#[test]
fn a_violation_is_named_to_the_handler() {
    run(async {
        let named = Rc::new(Cell::new(None));
        let seen = named.clone();
        let talk = async move |mut socket: WebSocket| {
            if let Err(WebSocketError::Violation(violation)) = socket.next().await {
                seen.set(Some(violation));
            }
            // The error is returned once, and then the end.
            assert!(matches!(socket.next().await, Ok(None)));
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        client.send(b"\x81\x00").await;
        assert_eq!(
            client.close().await,
            (1002, "a frame without a mask".to_owned())
        );
        assert_eq!(named.get(), Some(Violation::Unmasked));
    });
}

#[test]
fn a_socket_survives_a_transport_that_moves_few_bytes_and_waits_often() {
    block_on(async {
        for seed in 0..20 {
            let server = Server::builder().without_listener();
            let options = WebSocketOptions::new();
            let client = TestClient::through(&server, handler(&options, echo), |stream| {
                Torture::new(stream, seed)
            });
            let mut client = Client::shake_hands(client).await;
            for len in [0, 1, 125, 126, 3000, 65_535, 65_536] {
                let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
                let cut = len / 2;
                client.send(frame(0x02, &payload[..cut])).await;
                client.send(frame(0x89, "p")).await;
                client.send(frame(0x80, &payload[cut..])).await;
                assert_eq!(client.frame().await, (0x8a, b"p".to_vec()));
                assert_eq!(client.frame().await, (0x82, payload));
            }
            client.send(close_frame(1000, "")).await;
            assert_eq!(client.close().await.0, 1000);
            client.end_of_stream().await;
        }
    });
}

#[test]
fn a_socket_is_a_stream_and_a_sink() {
    run(async {
        use futures_core::Stream;
        use futures_sink::Sink;
        use std::future::poll_fn;
        use std::pin::Pin;
        let forward = async |mut socket: WebSocket| {
            while let Some(message) = poll_fn(|cx| Pin::new(&mut socket).poll_next(cx)).await {
                let message = message?;
                for _ in 0..3 {
                    poll_fn(|cx| Pin::new(&mut socket).poll_ready(cx)).await?;
                    Pin::new(&mut socket).start_send(message.clone())?;
                }
                poll_fn(|cx| Pin::new(&mut socket).poll_flush(cx)).await?;
            }
            poll_fn(|cx| Pin::new(&mut socket).poll_close(cx)).await?;
            let closed = Pin::new(&mut socket).start_send(Message::from("late"));
            assert!(matches!(closed, Err(WebSocketError::Closed)));
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), forward).await;
        client.send(frame(0x81, "thrice")).await;
        for _ in 0..3 {
            assert_eq!(client.frame().await, (0x81, b"thrice".to_vec()));
        }
        client.send(close_frame(1000, "")).await;
        assert_eq!(client.close().await.0, 1000);
        client.end_of_stream().await;
    });
}

#[test]
fn a_wait_and_a_send_that_are_dropped_at_any_poll_lose_no_message_and_repeat_none() {
    // Polls a future so many times, and drops it.
    async fn some_polls<T>(count: u64, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        for _ in 0..count {
            match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
                Poll::Ready(value) => return Some(value),
                Poll::Pending => yield_now().await,
            }
        }
        None
    }
    block_on(async {
        for seed in 0..30 {
            let hasty = async move |mut socket: WebSocket| {
                let (mut polls, mut received) = (seed, Vec::new());
                while received.len() < 40 {
                    polls = (polls * 5 + 3) % 7;
                    if let Some(message) = some_polls(polls, socket.next()).await {
                        received.extend(message?);
                    }
                }
                for message in received {
                    // In the first poll, it is refused or accepted as a whole.
                    socket.send(&message).await?;
                    drop(some_polls(seed % 3, socket.next()).await);
                }
                socket.close(CloseCode::NORMAL, "").await?;
                Ok(())
            };
            let server = Server::builder().without_listener();
            let options = WebSocketOptions::new();
            let client = TestClient::through(&server, handler(&options, hasty), |stream| {
                Torture::new(stream, seed)
            });
            let mut client = Client::shake_hands(client).await;
            let payload = |number: usize| number.to_string().repeat(number + 1);
            for number in 0..40 {
                client.send(frame(0x81, payload(number))).await;
            }
            for number in 0..40 {
                let (first, received) = client.frame().await;
                assert_eq!(
                    (first, received),
                    (0x81, payload(number).into_bytes()),
                    "{seed}"
                );
            }
            assert_eq!(client.close().await.0, 1000);
            client.send(close_frame(1000, "")).await;
            client.end_of_stream().await;
        }
    });
}

#[test]
fn the_body_of_a_handshake_is_no_frame() {
    run(async {
        for (field, body) in [
            ("Content-Length: 6\r\n\r\n", &b"\x81\x80\0\0\0\0"[..]),
            (
                "Transfer-Encoding: chunked\r\n\r\n",
                b"6\r\n\x81\x80\0\0\0\0\r\n0\r\n\r\n",
            ),
        ] {
            let mut client = TestClient::new(handler(&WebSocketOptions::new(), echo));
            let head = HANDSHAKE.replace("\r\n\r\n", &format!("\r\n{field}"));
            client.send([head.as_bytes(), body].concat()).await;
            client.send(frame(0x81, "a frame")).await;
            let answer = client.answer().await;
            if answer.status.as_u16() == 101 {
                let (stream, read) = client.into_stream();
                let mut client = Client { stream, read };
                assert_eq!(client.frame().await, (0x81, b"a frame".to_vec()));
            } else {
                assert_eq!(answer.status.as_u16(), 400);
            }
        }
    });
}

#[test]
fn answers_to_messages_of_one_read_keep_their_order() {
    run(async {
        // Small ones wait for each other, one above 16 KiB does not, and neither does the last.
        let sizes = [3, 0, 200, 17_000, 5, 9000, 9000, 1];
        let mut client = Client::open(&WebSocketOptions::new(), echo).await;
        let frames = sizes.map(|size| frame(0x82, vec![7; size]));
        client.send(frames.concat()).await;
        for size in sizes {
            assert_eq!(client.frame().await, (0x82, vec![7; size]));
        }
    });
}

#[test]
fn an_answer_leaves_while_the_messages_behind_it_are_unread() {
    run(async {
        let mut client = Client::open(&WebSocketOptions::new(), async |mut socket: WebSocket| {
            socket.next().await?;
            socket.send_text("one").await?;
            sleep(Duration::from_secs(10)).await;
            socket.send_text("two").await?;
            Ok(())
        })
        .await;
        let begun = Instant::now();
        client
            .send(
                [
                    frame(0x81, "flour"),
                    frame(0x81, "grist"),
                    frame(0x81, "bran"),
                ]
                .concat(),
            )
            .await;
        assert_eq!(client.frame().await, (0x81, b"one".to_vec()));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        // The handler returns, so the close frame follows the message that waited.
        assert_eq!(client.frame().await, (0x81, b"two".to_vec()));
        assert_eq!(client.close().await.0, 1000);
    });
}

#[test]
fn a_batch_is_answered_in_one_poll_and_a_flood_lets_other_tasks_run() {
    run(async {
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        let talk = async move |socket: WebSocket| {
            let mut echo = pin!(echo(socket));
            poll_fn(|cx| {
                counted.set(counted.get() + 1);
                echo.as_mut().poll(cx)
            })
            .await
        };
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        for (messages, polls_allowed) in [(64, 1..=1), (2000, 4..=16)] {
            sleep(Duration::from_secs(1)).await;
            let before = polls.get();
            client.send(frame(0x82, "flour").repeat(messages)).await;
            for _ in 0..messages {
                assert_eq!(client.frame().await, (0x82, b"flour".to_vec()));
            }
            let polled = polls.get() - before;
            assert!(
                polls_allowed.contains(&polled),
                "{polled} for {messages} messages"
            );
        }
    });
}

#[test]
fn messages_of_one_read_come_back_whole_by_value_also_beside_those_that_are_kept() {
    let payload = |number: usize| vec![number.to_le_bytes()[0]; number * 7 % 131];
    let talk = async move |mut socket: WebSocket| {
        let mut kept = Vec::new();
        while let Some(message) = socket.next().await? {
            if kept.len() < 20 {
                kept.push(message.clone());
            }
            socket.send(message).await?;
            if kept.len() % 3 == 0 {
                // A message without a receiver in between, of memory that is larger than the next one needs.
                socket.send(vec![0; 5 * kept.len()]).await?;
                socket.send(kept[kept.len() / 2].clone()).await?;
            }
            if kept.len() == 20 {
                break;
            }
        }
        for (number, message) in kept.into_iter().enumerate() {
            assert_eq!(message.as_bytes(), payload(number), "it was kept");
            socket.send(message).await?;
        }
        Ok(())
    };
    run(async move {
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        let binary = |number| frame(0x82, payload(number));
        let frames: Vec<_> = (0..20).map(binary).collect();
        client.send(frames.concat()).await;
        for number in 0..20 {
            assert_eq!(client.frame().await, (0x82, payload(number)));
            let kept = number + 1;
            if kept % 3 == 0 {
                assert_eq!(client.frame().await, (0x82, vec![0; 5 * kept]));
                assert_eq!(client.frame().await, (0x82, payload(kept / 2)));
            }
        }
        for number in 0..20 {
            assert_eq!(client.frame().await, (0x82, payload(number)));
        }
    });
}

#[test]
fn a_small_message_arrives_in_the_memory_of_one_that_was_sent_by_value() {
    let places = Rc::new(Cell::new([0; 3]));
    let seen = places.clone();
    let talk = async move |mut socket: WebSocket| {
        let mut at = [0; 3];
        for place in &mut at {
            let message = socket.next().await?.unwrap();
            *place = message.as_bytes().as_ptr() as usize;
            socket.send(message).await?;
        }
        seen.set(at);
        Ok(())
    };
    run(async move {
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        // The first frames have bytes behind them, so they are decoded in the way of many.
        let frames = [
            frame(0x82, [1; 100]),
            frame(0x81, [b'2'; 90]),
            frame(0x82, [3; 110]),
            frame(0x82, [4; 100]),
        ];
        client.send(frames.concat()).await;
        for (first, payload) in [
            (0x82, vec![1; 100]),
            (0x81, vec![b'2'; 90]),
            (0x82, vec![3; 110]),
        ] {
            assert_eq!(client.frame().await, (first, payload));
        }
        let [first, second, third] = places.get();
        assert!(first == second && second == third, "{:x?}", places.get());
    });
}

#[test]
fn each_form_of_a_message_is_sent_as_its_kind() {
    let talk = async |mut socket: WebSocket| {
        let text = Message::from("flour");
        socket.send(&text).await?;
        socket.send(text).await?;
        socket.send("flour").await?;
        socket.send(String::from("flour")).await?;
        socket.send(&String::from("flour")).await?;
        socket.send(Rc::new(Message::from("flour"))).await?;
        socket.send(Arc::<str>::from("flour")).await?;
        socket.send(Message::from(b"flour".to_vec())).await?;
        socket.send(b"flour").await?;
        socket.send(*b"flour").await?;
        socket.send(&b"flour"[..]).await?;
        socket.send(b"flour".to_vec()).await?;
        socket.send(Rc::<[u8]>::from(&b"flour"[..])).await?;
        Ok(())
    };
    run(async move {
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        for first in [[0x81; 7], [0x82; 7]].concat().into_iter().take(13) {
            assert_eq!(client.frame().await, (first, b"flour".to_vec()));
        }
    });
}
