//! Sockets, pipes and `copy`.

use std::rc::Rc;

use crate::support::process::alone;
use crate::support::runtime::{tcp_pair, turns};
use crate::support::seeds::{SOME, dice, dropped_after, under_seeds};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use waterwheel::runtime::io::{copy, copy_bidirectional, pipe};
use waterwheel::runtime::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use waterwheel::runtime::{descriptors, spawn, yield_now};

/// The bytes of a test, which tell their places.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|place| (place * 7 + place / 251).to_le_bytes()[0])
        .collect()
}

/// Writes and reads with operations that are dropped anywhere. The bytes arrive in order, each once.
async fn carries<R, W>(mut reader: R, mut writer: W, seed: u64)
where
    R: AsyncRead + Unpin + 'static,
    W: AsyncWrite + Unpin + 'static,
{
    let sent = pattern(300_000);
    let all = sent.clone();
    let mut rolls = dice(seed);
    let writing = spawn(async move {
        let mut rest = &all[..];
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(1 + rolls(60_000) as usize)];
            match dropped_after(rolls(3), writer.write(piece)).await {
                Some(count) => rest = &rest[count.unwrap()..],
                None => yield_now().await,
            }
        }
        writer.close().await.unwrap();
    });
    let mut reads = dice(seed + 1);
    let mut received = Vec::new();
    let mut buffer = vec![0; 40_000];
    loop {
        let room = 1 + reads(40_000) as usize;
        match dropped_after(reads(3), reader.read(&mut buffer[..room])).await {
            Some(Ok(0)) => break,
            Some(count) => received.extend_from_slice(&buffer[..count.unwrap()]),
            None => yield_now().await,
        }
    }
    writing.await.unwrap();
    assert!(received == sent);
}

#[test]
fn reads_and_writes_that_are_dropped_anywhere_lose_no_byte() {
    under_seeds(SOME, |seed| async move {
        match seed % 3 {
            0 => {
                let (ours, theirs) = tcp_pair().await;
                carries(ours, theirs, seed).await;
            }
            1 => {
                let (ours, theirs) = UnixStream::pair().unwrap();
                carries(ours, theirs, seed).await;
            }
            _ => {
                let (reader, writer) = pipe().unwrap();
                carries(reader, writer, seed).await;
            }
        }
    });
}

#[test]
fn datagrams_whose_sends_and_receives_are_dropped_anywhere_arrive_once() {
    under_seeds(SOME, |seed| async move {
        let mut rolls = dice(seed);
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let mut sends = dice(seed + 1);
        let sending = spawn(async move {
            let mut number = 0_u8;
            while number < 30 {
                match dropped_after(sends(3), theirs.send(&[number])).await {
                    Some(sent) => number += u8::try_from(sent.unwrap()).unwrap(),
                    None => yield_now().await,
                }
            }
        });
        let mut buffer = [0; 2];
        let mut next = 0;
        while next < 30 {
            match dropped_after(rolls(3), ours.recv_from(&mut buffer)).await {
                Some(received) => {
                    assert_eq!((received.unwrap().0, buffer[0]), (1, next));
                    next += 1;
                }
                None => yield_now().await,
            }
        }
        sending.await.unwrap();
        // A connect sets the peer only if it completes.
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = server.local_address().unwrap();
        if dropped_after(rolls(3), client.connect(to)).await.is_some() {
            client.send(b"1").await.unwrap();
            assert_eq!(server.recv(&mut buffer).await.unwrap(), 1);
        } else {
            assert!(client.send(b"1").await.is_err());
        }
    });
}

/// Each client that has connected is served, and each connect that was dropped leaves no socket.
#[test]
fn connections_whose_connect_or_accept_is_dropped_anywhere_are_served_or_closed() {
    // Other tests open sockets at the same time.
    alone(|| {
        under_seeds(SOME, |seed| async move {
            let before = descriptors::held();
            let mut rolls = dice(seed);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_address().unwrap();
            let clients: Vec<_> = (0..4_u8)
                .map(|number| {
                    let (polls, before) = (rolls(4), rolls(4));
                    spawn(async move {
                        turns(before).await;
                        let connect = dropped_after(polls, TcpStream::connect(address));
                        let Some(stream) = connect.await else { return };
                        let mut stream = stream.unwrap();
                        stream.write_all(&[number]).await.unwrap();
                        let mut answer = [0];
                        stream.read_exact(&mut answer).await.unwrap();
                        assert_eq!(answer, [number]);
                    })
                })
                .collect();
            let listener = Rc::new(listener);
            let accepting = spawn({
                let listener = listener.clone();
                async move {
                    loop {
                        _ = dropped_after(rolls(2), listener.pending()).await;
                        let Some(accepted) = dropped_after(rolls(3), listener.accept()).await
                        else {
                            yield_now().await;
                            continue;
                        };
                        let (mut stream, _) = accepted.unwrap();
                        let mut question = [0];
                        // A connect that was dropped may have reached the queue. Then the stream ends.
                        if stream.read_exact(&mut question).await.is_ok() {
                            stream.write_all(&question).await.unwrap();
                        }
                    }
                }
            });
            for client in clients {
                client.await.unwrap();
            }
            accepting.abort();
            assert!(accepting.await.unwrap_err().is_cancelled());
            drop(listener);
            assert_eq!(descriptors::held(), before);
        });
    });
}

/// `copy` is not cancel safe: it loses at most the bytes of its buffer. It leaves the streams usable.
#[test]
fn a_copy_that_is_dropped_anywhere_loses_at_most_its_buffer_and_no_stream() {
    const BUFFER: usize = 16 * 1024;
    under_seeds(SOME, |seed| async move {
        let mut rolls = dice(seed);
        let (mut source, mut from) = UnixStream::pair().unwrap();
        let (mut to, mut target) = UnixStream::pair().unwrap();
        let sent = pattern(100_000);
        let all = sent.clone();
        let writing = spawn(async move {
            source.write_all(&all).await.unwrap();
            source.close().await.unwrap();
        });
        let reading = spawn(async move {
            let mut received = Vec::new();
            target.read_to_end(&mut received).await.unwrap();
            received
        });
        let mut dropped = 0;
        while dropped_after(rolls(4), copy(&mut from, &mut to))
            .await
            .is_none()
        {
            dropped += 1;
            yield_now().await;
            assert!(dropped < 10_000, "the copy makes no progress");
        }
        to.close().await.unwrap();
        writing.await.unwrap();
        let received = reading.await.unwrap();
        assert!(received.len() + dropped * BUFFER >= sent.len());
        // The bytes that have arrived are in order, with a gap of whole bytes for each dropped copy: each one is found
        // behind the one before.
        let mut from = sent.iter();
        assert!(received.iter().all(|byte| from.any(|other| other == byte)));
    });
}

#[test]
fn a_copy_in_both_directions_that_is_dropped_anywhere_closes_both_streams() {
    alone(|| {
        under_seeds(SOME, |seed| async move {
            let before = descriptors::held();
            let (mut client, from_client) = UnixStream::pair().unwrap();
            let (to_server, mut server) = UnixStream::pair().unwrap();
            client.try_write(b"question").unwrap();
            server.try_write(b"answer").unwrap();
            let polls = dice(seed)(6);
            let both = dropped_after(polls, copy_bidirectional(from_client, to_server));
            assert!(both.await.is_none());
            // The peers see an end or a reset, and do not wait for ever.
            let mut bytes = Vec::new();
            _ = client.read_to_end(&mut bytes).await;
            assert!(b"answer".starts_with(&bytes));
            bytes.clear();
            _ = server.read_to_end(&mut bytes).await;
            assert!(b"question".starts_with(&bytes));
            drop((client, server));
            assert_eq!(descriptors::held(), before);
        });
    });
}
