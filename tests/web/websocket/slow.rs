//! Clients that are silent, slow or greedy, and the deadlines for them.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures_lite::AsyncReadExt;
use waterwheel::http::Server;
use waterwheel::http::web::websocket::{WebSocket, WebSocketOptions};
use waterwheel::runtime::time::{Instant, sleep, timeout};
use waterwheel::runtime::{join, race};

use super::{Client, close_frame, echo, frame, outcomes, run};

#[test]
fn a_silent_client_gets_a_ping_and_is_given_up_if_it_stays_silent() {
    run(async {
        let (list, listen) = outcomes();
        let mut client = Client::open(&WebSocketOptions::new(), listen).await;
        let start = Instant::now();
        let ping_at = |seconds: u64| {
            let due = Duration::from_secs(seconds);
            assert!(
                (due..due + Duration::from_millis(100)).contains(&start.elapsed()),
                "{:?}",
                start.elapsed()
            );
        };
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        ping_at(30);
        client.send(frame(0x8a, "")).await;
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        ping_at(60);
        // Any byte is a sign of life.
        sleep(Duration::from_secs(20)).await;
        client.send(&frame(0x81, "x")[..1]).await;
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        ping_at(110);
        client.end_of_stream().await;
        ping_at(140);
        assert_eq!(*list.borrow(), ["the client of the websocket is silent"]);
    });
}

#[test]
fn the_time_of_a_slow_handler_is_not_the_silence_of_its_client() {
    run(async {
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        let slow = async move |mut socket: WebSocket| {
            while let Some(_message) = socket.next().await? {
                sleep(Duration::from_secs(3600)).await;
                counted.set(counted.get() + 1);
            }
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), slow).await;
        client.send(frame(0x81, "1")).await;
        sleep(Duration::from_secs(3590)).await;
        client.send(frame(0x81, "2")).await;
        client.send(close_frame(1000, "")).await;
        assert_eq!(client.close().await.0, 1000);
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn a_handler_with_other_work_still_pings_a_silent_client() {
    run(async {
        let busy = async |mut socket: WebSocket| {
            loop {
                // Each turn drops the wait for a message, and begins another one.
                let turn = async {
                    sleep(Duration::from_secs(1)).await;
                    Ok(None)
                };
                let read = async { socket.next().await.map(Some) };
                if race(read, turn).await? == Some(None) {
                    return Ok(());
                }
            }
        };
        let mut client = Client::open(&WebSocketOptions::new(), busy).await;
        let start = Instant::now();
        assert_eq!(client.frame().await, (0x89, Vec::new()));
        assert!(
            start.elapsed() < Duration::from_secs(32),
            "{:?}",
            start.elapsed()
        );
        client.end_of_stream().await;
        assert!(
            start.elapsed() < Duration::from_secs(64),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn a_client_that_reads_nothing_makes_send_wait_and_is_given_up() {
    run(async {
        let sent = Rc::new(Cell::new(0));
        let counted = sent.clone();
        let flood = async move |mut socket: WebSocket| {
            loop {
                socket.send_binary(&[7; 1000]).await?;
                counted.set(counted.get() + 1);
            }
        };
        let mut client = Client::open(&WebSocketOptions::new(), flood.clone()).await;
        sleep(Duration::from_secs(10)).await;
        // The memory of the stream, and no more.
        let full = sent.get();
        assert!((60..=70).contains(&full), "{full}");
        for _ in 0..20 {
            assert_eq!(client.frame().await, (0x82, vec![7; 1000]));
        }
        sleep(Duration::from_secs(10)).await;
        assert!(sent.get() >= full + 15);
        let stalled = sent.get();
        sleep(Duration::from_secs(31)).await;
        assert_eq!(sent.get(), stalled);
        // The bytes in the stream are still there, then the end.
        let mut rest = Vec::new();
        drop(client.stream.read_to_end(&mut rest).await);
        assert!(rest.len() < 70_000);
    });
}

#[test]
fn a_flood_of_pings_from_a_client_that_reads_nothing_leaves_the_last_one() {
    run(async {
        let mut client = Client::open(&WebSocketOptions::new(), echo).await;
        let mut flood = Vec::new();
        for number in 0..20_000_u32 {
            flood.extend(frame(0x89, number.to_string()));
        }
        flood.extend(frame(0x89, "last"));
        client.send(&flood).await;
        let (mut pongs, mut last) = (0, Vec::new());
        while last != b"last" {
            let (first, payload) = client.frame().await;
            assert_eq!(first, 0x8a);
            (pongs, last) = (pongs + 1, payload);
        }
        assert!((1000..20_000).contains(&pongs), "{pongs}");
    });
}

#[test]
fn a_dropped_send_leaves_whole_frames() {
    run(async {
        let hasty = async |mut socket: WebSocket| {
            for number in 0..50_u8 {
                // Most of these do not fit, so the drop comes within a frame.
                let large = [number; 10_000];
                let send = timeout(Duration::from_millis(10), socket.send_binary(&large));
                if let Ok(sent) = send.await {
                    sent?;
                }
            }
            Ok(())
        };
        let mut client = Client::open(&WebSocketOptions::new(), hasty).await;
        sleep(Duration::from_secs(5)).await;
        let mut numbers = Vec::new();
        loop {
            let (first, payload) = client.frame().await;
            if first == 0x88 {
                break;
            }
            assert_eq!(payload.len(), 10_000);
            assert!(
                payload.iter().all(|byte| *byte == payload[0]),
                "frames are mixed"
            );
            numbers.push(payload[0]);
        }
        assert!(numbers.is_sorted() && numbers.len() >= 6, "{numbers:?}");
    });
}

/// A waker of a combinator that wakes the task.
struct Wrapped(Waker);

impl Wake for Wrapped {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

/// Polls with a new waker each time, and counts the polls.
async fn wrapped<T>(polls: &Cell<u32>, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        assert!(polls.get() < 1000, "the task wakes itself for ever");
        let waker = Arc::new(Wrapped(cx.waker().clone())).into();
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

#[test]
fn a_handler_below_a_waker_of_its_own_is_not_polled_in_vain() {
    run(async {
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        // A sender that waits for a slow client, and then a reader that waits for the answer to the goodbye.
        let talk = async move |mut socket: WebSocket| {
            wrapped(&counted, socket.send_binary(&vec![7; 100_000])).await?;
            wrapped(&counted, socket.next()).await?;
            Ok(())
        };
        let server = Server::builder().without_listener();
        let mut client = Client::of(&server, &WebSocketOptions::new(), talk).await;
        sleep(Duration::from_secs(5)).await;
        assert_eq!(client.frame().await.1.len(), 100_000);
        let clients = async {
            assert_eq!(client.close().await.0, 1001);
            sleep(Duration::from_secs(5)).await;
            client.send(close_frame(1001, "")).await;
            client.end_of_stream().await;
            drop(client);
        };
        let (report, ()) = join(server.shutdown(Duration::from_secs(20)), clients).await;
        assert_eq!(report.cut, 0, "{report}");
        assert!(polls.get() < 30, "{}", polls.get());
    });
}
