//! Claims about copying and owned halves: half-close, flushes, errors, fairness.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::runtime::{run, tcp_pair, unix_with_std};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use waterwheel::runtime::io::{copy, copy_bidirectional};
use waterwheel::runtime::net::TcpStream;
use waterwheel::runtime::time::timeout;
use waterwheel::runtime::{JoinHandle, join, spawn, yield_now};

/// A client and a server with a proxy between them.
async fn proxied() -> (TcpStream, JoinHandle<io::Result<(u64, u64)>>, TcpStream) {
    let (client, from_client) = tcp_pair().await;
    let (to_server, server) = tcp_pair().await;
    (
        client,
        spawn(copy_bidirectional(from_client, to_server)),
        server,
    )
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// The fault of many proxies: the end of the request ends the copy of the answer.
#[test]
fn each_half_may_close_first_and_the_other_one_goes_on() {
    run(async {
        let (mut client, proxy, mut server) = proxied().await;
        client.write_all(b"question").await.unwrap();
        client.close().await.unwrap();
        assert_eq!(read_all(&mut server).await, "question");
        for _ in 0..10 {
            yield_now().await;
        }
        server.write_all(b"answer").await.unwrap();
        server.close().await.unwrap();
        assert_eq!(read_all(&mut client).await, "answer");
        assert_eq!(proxy.await.unwrap().unwrap(), (8, 6));

        let (mut client, proxy, mut server) = proxied().await;
        server.write_all(b"banner").await.unwrap();
        server.close().await.unwrap();
        assert_eq!(read_all(&mut client).await, "banner");
        client.write_all(b"bye").await.unwrap();
        drop(client);
        assert_eq!(read_all(&mut server).await, "bye");
        assert_eq!(proxy.await.unwrap().unwrap(), (3, 6));
    });
}

#[test]
fn both_may_close_at_once_without_a_byte() {
    run(async {
        let (client, proxy, server) = proxied().await;
        drop((client, server));
        assert_eq!(proxy.await.unwrap().unwrap(), (0, 0));
    });
}

#[test]
fn a_reset_ends_the_copy_and_closes_the_other_side() {
    run(async {
        let (client, proxy, mut server) = proxied().await;
        client.reset_on_drop().unwrap();
        drop(client);
        let error = timeout(Duration::from_secs(60), proxy).await.unwrap();
        assert_eq!(
            error.unwrap().unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn megabytes_cross_in_both_directions_at_once() {
    const BYTES: usize = 3 << 20;
    async fn send_and_receive(stream: TcpStream, letter: u8) {
        let (mut reading, mut writing) = stream.into_split();
        let write = async move {
            writing.write_all(&vec![letter; BYTES]).await.unwrap();
        };
        let read = async {
            let mut received = Vec::new();
            reading.read_to_end(&mut received).await.unwrap();
            received
        };
        let ((), received) = join(write, read).await;
        assert_eq!(received.len(), BYTES);
        assert!(received.iter().all(|byte| *byte != letter));
    }
    run(async {
        let (client, proxy, server) = proxied().await;
        join(
            send_and_receive(client, b'c'),
            send_and_receive(server, b's'),
        )
        .await;
        let bytes = BYTES as u64;
        assert_eq!(proxy.await.unwrap().unwrap(), (bytes, bytes));
    });
}

/// A writer that holds bytes back until a flush, as TLS does.
#[derive(Default)]
struct Held {
    kept: Vec<u8>,
    sent: Vec<u8>,
    closed: bool,
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let some = bytes.len().min(3);
        self.kept.extend(&bytes[..some]);
        Poll::Ready(Ok(some))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let held = std::mem::take(&mut self.kept);
        self.sent.extend(held);
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        self.poll_flush(cx)
    }
}

/// A reader that returns some bytes, and then waits for ever.
struct ThenWaits(Option<&'static [u8]>);

impl AsyncRead for ThenWaits {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(bytes) = self.0.take() else {
            return Poll::Pending;
        };
        buffer[..bytes.len()].copy_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
}

/// Otherwise a question stays in the buffer of the writer, and its answer never comes.
#[test]
fn a_copy_flushes_before_it_waits() {
    run(async {
        let mut writer = Held::default();
        let waits = timeout(
            Duration::from_millis(20),
            copy(ThenWaits(Some(b"question")), &mut writer),
        );
        assert!(waits.await.is_err());
        assert_eq!(writer.sent, b"question");
        assert!(!writer.closed);
    });
}

#[test]
fn a_copy_in_one_direction_flushes_at_the_end_and_leaves_the_writer_open() {
    run(async {
        let mut writer = Held::default();
        assert_eq!(copy(&b"all of it"[..], &mut writer).await.unwrap(), 9);
        assert_eq!((&*writer.sent, writer.closed), (&b"all of it"[..], false));
        assert_eq!(copy(&b""[..], &mut writer).await.unwrap(), 0);
    });
}

/// A writer that takes no bytes, without an error.
struct Full;

impl AsyncWrite for Full {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(0))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_writer_that_takes_no_bytes_is_an_error() {
    run(async {
        let error = copy(&b"x"[..], Full).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    });
}

#[test]
fn a_copy_within_memory_lets_others_run() {
    run(async {
        let endless = spawn(copy(futures_lite::io::repeat(7), futures_lite::io::sink()));
        for _ in 0..100 {
            yield_now().await;
        }
        endless.abort();
    });
}

#[test]
fn the_drop_of_an_owned_write_half_sends_the_end_and_reading_goes_on() {
    run(async {
        let (ours, mut peer) = tcp_pair().await;
        let (mut reading, writing) = ours.into_split();
        drop(writing);
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
        peer.write_all(b"still").await.unwrap();
        assert_eq!(reading.read(&mut [0; 8]).await.unwrap(), 5);
        assert!(reading.as_ref().peer_address().is_ok());
    });
}

#[test]
fn halves_reunite_only_with_their_own_and_a_forgotten_half_sends_no_end() {
    run(async {
        let ((a, mut peer), (b, _other)) = (tcp_pair().await, tcp_pair().await);
        let ((a_reading, a_writing), (b_reading, b_writing)) = (a.into_split(), b.into_split());
        let (a_reading, b_writing) = a_reading.reunite(b_writing).unwrap_err();
        b_writing.forget();
        drop(b_reading);
        let mut whole = a_reading.reunite(a_writing).unwrap();
        whole.write_all(b"whole").await.unwrap();
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 5);
        let (mut reading, writing) = whole.into_split();
        writing.forget();
        peer.write_all(b"open").await.unwrap();
        assert_eq!(reading.read(&mut [0; 8]).await.unwrap(), 4);
        assert!(!peer.is_read_closed());
    });
}

#[test]
fn owned_halves_work_in_two_tasks_and_with_unix_streams() {
    run(async {
        let (ours, mut peer) = unix_with_std();
        let (mut reading, mut writing) = ours.into_split();
        let read = spawn(async move {
            let mut text = String::new();
            reading.read_to_string(&mut text).await.map(|_| text)
        });
        let write = spawn(async move { writing.write_all(b"from us").await });
        write.await.unwrap().unwrap();
        io::Write::write_all(&mut peer, b"from the peer").unwrap();
        let mut received = [0; 7];
        io::Read::read_exact(&mut peer, &mut received).unwrap();
        drop(peer);
        assert_eq!(
            (&received, &*read.await.unwrap().unwrap()),
            (b"from us", "from the peer")
        );
    });
}
