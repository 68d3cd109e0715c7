//! The memory of idle WebSockets.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::programs::start_example;
use crate::support::system::raise_limit;
use crate::turn;

const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A text of a client, and the same of a server.
const HELLO: (&[u8], &[u8]) = (b"\x81\x85\0\0\0\0hello", b"\x81\x05hello");

/// Opens a socket, and sends and reads a few messages.
fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(HANDSHAKE).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    for _ in 0..3 {
        stream.write_all(HELLO.0).unwrap();
        let mut echo = [0; HELLO.1.len()];
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(echo, HELLO.1);
    }
    stream
}

/// Returns the resident memory of a process, without that of its file.
fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    let kib = line.trim().strip_suffix(" kB").unwrap();
    1024 * kib.parse::<u64>().unwrap()
}

#[test]
fn an_idle_websocket_takes_400_bytes() {
    const SOCKETS: u64 = 8000;
    // Debug builds have larger futures.
    const BYTES_MAX: u64 = if cfg!(debug_assertions) { 600 } else { 400 };
    let _turn = turn();
    raise_limit();
    let (process, address) = start_example("websocket", &["127.0.0.1:0"]);
    // The first sockets also bring what all of them share.
    drop((0..200).map(|_| open(address)).collect::<Vec<_>>());
    thread::sleep(Duration::from_millis(500));
    let before = resident_bytes(process.0.id());
    let sockets: Vec<_> = (0..SOCKETS).map(|_| open(address)).collect();
    thread::sleep(Duration::from_secs(1));
    let growth = resident_bytes(process.0.id()).saturating_sub(before);
    println!("{} bytes per idle websocket", growth / SOCKETS);
    assert!(growth / SOCKETS <= BYTES_MAX, "{} bytes", growth / SOCKETS);
    drop(sockets);
}
