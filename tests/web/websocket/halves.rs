//! The halves of a socket, in one task and in two.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::AsyncWriteExt;
use futures_sink::Sink;
use waterwheel::http::Result;
use waterwheel::http::web::websocket::{
    CloseCode, Message, WebSocket, WebSocketError, WebSocketOptions, WebSocketReader,
};
use waterwheel::runtime::time::{Instant, sleep, timeout};
use waterwheel::runtime::{join, race, spawn, yield_now};

use super::{Client, PATIENCE, close_frame, frame, run};

#[test]
fn the_halves_work_in_two_tasks() {
    run(async {
        let both = async |socket: WebSocket| {
            let (mut reader, mut writer) = socket.split();
            let write = spawn(async move {
                for number in 0..100_000_u32 {
                    if writer.send_text(&number.to_string()).await.is_err() {
                        return number;
                    }
                }
                100_000
            });
            let mut read = 0;
            while let Some(_message) = reader.next().await? {
                read += 1;
            }
            assert_eq!(read, 100);
            assert!(write.await? > 0);
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), both).await;
        let mut next = 0;
        for number in 0..100 {
            client.send(frame(0x81, number.to_string())).await;
            client.send(frame(0x89, "p")).await;
            let mut pong = false;
            while !pong {
                let (first, payload) = client.frame().await;
                pong = first == 0x8a;
                if first == 0x81 {
                    assert_eq!(payload, next.to_string().as_bytes());
                    next += 1;
                }
            }
        }
        client.send(close_frame(1000, "")).await;
        while client.frame().await.0 != 0x88 {}
        client.end_of_stream().await;
    });
}

#[test]
fn a_socket_in_another_task_ends_there_and_its_halves_keep_it_open() {
    run(async {
        let moved = async |socket: WebSocket| {
            spawn(async move {
                let (mut reader, writer) = socket.split();
                drop(writer);
                sleep(Duration::from_secs(5)).await;
                drop(reader.next().await);
            })
            .detach();
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), moved).await;
        let start = Instant::now();
        client.send(frame(0x81, "x")).await;
        assert_eq!(client.close().await.0, 1000);
        assert_eq!(start.elapsed().as_secs(), 5);
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;
    });
}

#[test]
fn the_drop_of_a_writing_half_leaves_the_reader_its_deadlines() {
    run(async {
        let listen = async |socket: WebSocket| {
            let (mut reader, writer) = socket.split();
            let read = async { reader.next().await.map(drop) };
            let leave = async {
                sleep(Duration::from_secs(10)).await;
                drop(writer);
            };
            Ok(join(read, leave).await.0?)
        };
        let mut client = Client::open(&WebSocketOptions::new(), listen).await;
        let start = Instant::now();
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        assert_eq!(start.elapsed().as_secs(), 30);
        client.end_of_stream().await;
        assert_eq!(start.elapsed().as_secs(), 60);
    });
}

#[test]
fn a_close_in_one_task_leaves_the_messages_and_the_end_to_the_reader_in_another() {
    run(async {
        let ended = Rc::new(Cell::new(false));
        let has_ended = ended.clone();
        let talk = async move |socket: WebSocket| {
            let (mut reader, mut writer) = socket.split();
            let read = spawn(async move {
                let mut texts = Vec::new();
                while let Some(message) = reader.next().await? {
                    texts.push(message);
                }
                Result::<Vec<Message>>::Ok(texts)
            });
            yield_now().await;
            let close = spawn(async move { writer.close(CloseCode::NORMAL, "").await });
            timeout(PATIENCE, close).await.expect("the close ends")??;
            let read = timeout(PATIENCE, read).await.expect("the reader ends")??;
            assert_eq!(read, [Message::from("last")]);
            has_ended.set(true);
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), talk).await;
        assert_eq!(client.close().await, (1000, String::new()));
        client.send(frame(0x81, "last")).await;
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;
        sleep(2 * PATIENCE).await;
        assert!(ended.get());
    });
}

/// Reads all messages, with a pause after each one.
async fn read_slowly(mut reader: WebSocketReader, pause: Duration) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    while let Some(message) = reader.next().await? {
        messages.push(message);
        sleep(pause).await;
    }
    Ok(messages)
}

#[test]
fn a_close_takes_no_message_and_no_wake_from_the_reader() {
    run(async {
        // The reader is fast, or slow, or reads in the task of the close.
        for (pause, is_one_task) in [(0, false), (1, false), (0, true), (1, true)] {
            let ended = Rc::new(Cell::new(false));
            let has_ended = ended.clone();
            let talk = async move |socket: WebSocket| {
                let (reader, mut writer) = socket.split();
                let read = read_slowly(reader, Duration::from_secs(pause));
                let close = async move {
                    sleep(Duration::from_millis(1)).await;
                    writer.close(CloseCode::NORMAL, "").await
                };
                let (read, closed) = if is_one_task {
                    join(read, close).await
                } else {
                    let (read, close) = (spawn(read), spawn(close));
                    (read.await?, close.await?)
                };
                closed?;
                let texts = (0..5).map(|number| Message::from(number.to_string()));
                assert!(read?.into_iter().eq(texts));
                has_ended.set(true);
                Ok(())
            };
            let mut client = Client::narrow(&WebSocketOptions::new(), talk).await;
            assert_eq!(client.close().await, (1000, String::new()));
            for number in 0..5 {
                client.send(frame(0x81, number.to_string())).await;
                sleep(Duration::from_millis(10)).await;
            }
            client.send(close_frame(1000, "")).await;
            client.end_of_stream().await;
            sleep(PATIENCE).await;
            assert!(ended.get(), "{pause} {is_one_task}");
        }
    });
}

#[test]
fn the_answer_to_a_close_frame_is_read_while_the_reader_is_busy() {
    run(async {
        let talk = async |socket: WebSocket| {
            let (reader, mut writer) = socket.split();
            let read = spawn(read_slowly(reader, Duration::from_secs(3600)));
            yield_now().await;
            writer.close(CloseCode::NORMAL, "").await?;
            drop(read.await?);
            Ok(())
        };
        let mut client = Client::narrow(&WebSocketOptions::new(), talk).await;
        assert_eq!(client.close().await.0, 1000);
        let start = Instant::now();
        client.send(frame(0x81, "the reader works on this")).await;
        sleep(Duration::from_secs(1)).await;
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;
        assert_eq!(start.elapsed().as_secs(), 1);
    });
}

#[test]
fn a_reader_that_leaves_in_the_middle_of_a_close_lets_it_end() {
    run(async {
        let talk = async |socket: WebSocket| {
            let (mut reader, mut writer) = socket.split();
            spawn(async move {
                // Its wait is dropped, and the reader lives on.
                drop(timeout(Duration::from_secs(1), reader.next()).await);
                sleep(PATIENCE).await;
                drop(reader);
            })
            .detach();
            yield_now().await;
            let closed = writer.close(CloseCode::NORMAL, "").await;
            assert!(closed.is_ok(), "{closed:?}");
            Ok(())
        };
        let mut client = Client::narrow(&WebSocketOptions::new(), talk).await;
        assert_eq!(client.close().await.0, 1000);
        let start = Instant::now();
        sleep(Duration::from_secs(2)).await;
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;
        assert_eq!(start.elapsed().as_secs(), 2);
    });
}

#[test]
fn a_half_that_reads_no_message_has_few_kept_for_it() {
    run(async {
        // With the reading half, the messages are kept, up to a limit. Without it, they are discarded.
        for has_reader in [true, false] {
            let talk = async move |socket: WebSocket| {
                let (reader, mut writer) = socket.split();
                let reader = has_reader.then_some(reader);
                let closed = writer.close(CloseCode::NORMAL, "").await;
                assert_eq!(
                    matches!(closed, Err(WebSocketError::TimedOut)),
                    has_reader,
                    "{closed:?}"
                );
                drop(reader);
                Ok(())
            };
            let mut client = Client::narrow(&WebSocketOptions::new(), talk).await;
            assert_eq!(client.close().await.0, 1000);
            let mut sent = 0;
            for _ in 0..100 {
                sent += 10_000;
                let message = frame(0x82, [7; 10_000]);
                let write = client.stream.write_all(&message);
                if !matches!(timeout(Duration::from_secs(3), write).await, Ok(Ok(()))) {
                    break;
                }
            }
            if has_reader {
                assert!((64 << 10..256 << 10).contains(&sent), "{sent}");
            } else {
                assert_eq!(sent, 1_000_000);
                client.send(close_frame(1000, "")).await;
            }
            client.end_of_stream().await;
        }
    });
}

#[test]
fn a_socket_without_a_reading_half_answers_pings_and_the_close_frame() {
    run(async {
        let ended = Rc::new(Cell::new(None));
        let has_ended = ended.clone();
        let talk = async move |socket: WebSocket| {
            let (reader, mut writer) = socket.split();
            drop(reader);
            let start = Instant::now();
            loop {
                sleep(Duration::from_secs(1)).await;
                if writer.send_text("tick").await.is_err() {
                    has_ended.set(Some(start.elapsed().as_secs()));
                    return Ok(());
                }
            }
        };
        let mut client = Client::narrow(&WebSocketOptions::new(), talk).await;
        client.send(frame(0x81, "for no task")).await;
        client.send(frame(0x89, "p")).await;
        assert_eq!(client.frame().await, (0x8a, b"p".to_vec()));
        assert_eq!(client.frame().await, (0x81, b"tick".to_vec()));
        client.send(close_frame(1000, "")).await;
        assert_eq!(client.close().await.0, 1000);
        client.end_of_stream().await;
        sleep(PATIENCE).await;
        assert_eq!(ended.get(), Some(2));
    });
}

#[test]
fn a_sink_that_closes_in_another_task_has_its_answer_read() {
    run(async {
        let talk = async |socket: WebSocket| {
            let (reader, mut writer) = socket.split();
            let task = spawn(async move {
                yield_now().await;
                drop(poll_fn(|cx| Pin::new(&mut writer).poll_close(cx)).await);
                sleep(PATIENCE).await;
                drop((reader, writer));
            });
            Ok(task.await?)
        };
        let mut client = Client::narrow(&WebSocketOptions::new(), talk).await;
        let start = Instant::now();
        assert_eq!(client.close().await.0, 1000);
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;
        assert_eq!(start.elapsed().as_secs(), 0);
    });
}

#[test]
fn a_sender_learns_that_its_client_is_gone_after_its_close_frame() {
    run(async {
        let ended = Rc::new(Cell::new(false));
        let has_ended = ended.clone();
        let talk = async move |socket: WebSocket| {
            let (mut reader, mut writer) = socket.split();
            let write =
                spawn(async move { while writer.send_binary(&[7; 10_000]).await.is_ok() {} });
            while reader.next().await?.is_some() {}
            timeout(PATIENCE, write).await.expect("the sender ends")?;
            has_ended.set(true);
            Ok(())
        };
        let mut client = Client::narrow(&WebSocketOptions::new(), talk).await;
        sleep(Duration::from_secs(1)).await;
        client.send(close_frame(1000, "")).await;
        sleep(Duration::from_secs(1)).await;
        drop(client);
        sleep(Duration::from_secs(60)).await;
        assert!(ended.get());
    });
}

#[test]
fn a_socket_whose_close_and_wait_are_dropped_in_another_task_ends_with_the_answer() {
    run(async {
        let moved = async |mut socket: WebSocket| {
            let task = spawn(async move {
                drop(socket.close(CloseCode::NORMAL, ""));
                let other = async {
                    sleep(Duration::from_secs(1)).await;
                    Ok(None)
                };
                drop(race(other, socket.next()).await);
                sleep(PATIENCE).await;
            });
            Ok(task.await?)
        };
        let mut client = Client::narrow(&WebSocketOptions::new(), moved).await;
        let start = Instant::now();
        assert_eq!(client.close().await.0, 1000);
        sleep(Duration::from_secs(5)).await;
        client.send(close_frame(1000, "")).await;
        client.end_of_stream().await;
        assert_eq!(start.elapsed().as_secs(), 5);
    });
}
