//! WebSockets that send each message back: the CPU time of a message, and the memory of an idle socket.
//!
//! The messages are binary, and each client masks with the same key (RFC 6455, 5.3).

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::Figures;
use crate::server::{Folder, Server};

/// The heads of the columns.
pub(crate) const COLUMNS: [(&str, usize); 5] = [
    ("µs per message of 32 bytes, 1 connection", 2),
    ("the same, 100 connections", 2),
    ("the same, 64 in one write, 16 connections", 3),
    ("µs per message of 64 KiB, 8 connections", 1),
    ("bytes per idle socket", 0),
];

/// Messages of a turn.
struct Shape {
    connections: usize,
    /// Messages in one write.
    depth: usize,
    /// Bytes of a message.
    bytes: usize,
    messages: usize,
}

const SHAPES: [Shape; 4] = [
    Shape {
        connections: 1,
        depth: 1,
        bytes: 32,
        messages: 30_000,
    },
    Shape {
        connections: 100,
        depth: 1,
        bytes: 32,
        messages: 100_000,
    },
    Shape {
        connections: 16,
        depth: 64,
        bytes: 32,
        messages: 500_000,
    },
    Shape {
        connections: 8,
        depth: 1,
        bytes: 64 * 1024,
        messages: 16_000,
    },
];

const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame of a whole binary message, as a client sends it, or as a server sends it.
fn frame(bytes: usize, mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![0x82];
    match (u8::try_from(bytes), u16::try_from(bytes)) {
        (Ok(short @ ..126), _) => frame.push(masked + short),
        (_, Ok(middle)) => {
            frame.push(masked + 126);
            frame.extend(middle.to_be_bytes());
        }
        _ => {
            frame.push(masked + 127);
            frame.extend((bytes as u64).to_be_bytes());
        }
    }
    frame.extend(mask.iter().flatten());
    let key = mask.unwrap_or_default().into_iter().cycle();
    frame.extend(
        (0..=u8::MAX)
            .cycle()
            .zip(key)
            .take(bytes)
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// Messages to send at once, the bytes that must come back, and room for them.
struct Batch {
    sent: Vec<u8>,
    expected: Vec<u8>,
    received: Vec<u8>,
}

impl Batch {
    fn new(depth: usize, bytes: usize) -> Self {
        let expected = frame(bytes, None).repeat(depth);
        Self {
            sent: frame(bytes, Some(MASK)).repeat(depth),
            received: vec![0; expected.len()],
            expected,
        }
    }

    fn receive(&mut self, mut client: &TcpStream) -> io::Result<()> {
        client.read_exact(&mut self.received)?;
        if self.received != self.expected {
            return Err(io::Error::other("another message came back"));
        }
        Ok(())
    }
}

/// Connects, and sends three messages.
fn open(server: &Server) -> io::Result<TcpStream> {
    let mut client = server.connect()?;
    client.write_all(HANDSHAKE)?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    if !answer.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other("not a 101"));
    }
    let mut batch = Batch::new(1, 32);
    for _ in 0..3 {
        client.write_all(&batch.sent)?;
        batch.receive(&client)?;
    }
    Ok(client)
}

/// Measures the figures of one turn.
pub(crate) fn turn(server: &Server, _: &Folder, shorter: usize) -> io::Result<Figures> {
    let mut figures = Vec::new();
    for Shape {
        connections,
        depth,
        bytes,
        messages,
    } in SHAPES
    {
        let open_one = |_| open(server);
        let clients = (0..connections)
            .map(open_one)
            .collect::<io::Result<Vec<_>>>()?;
        let mut batch = Batch::new(depth, bytes);
        let mut echo = |messages: usize| {
            let batches = (messages / shorter).div_ceil(connections * depth);
            server.micros(batches * connections * depth, || {
                for _ in 0..batches {
                    for mut client in &clients {
                        client.write_all(&batch.sent)?;
                    }
                    clients
                        .iter()
                        .try_for_each(|client| batch.receive(client))?;
                }
                Ok(())
            })
        };
        echo(messages / 10)?; // warm
        figures.push(echo(messages)?);
    }
    figures.push(server.bytes_per_idle(4000 / shorter, || open(server))?);
    Ok(figures)
}
