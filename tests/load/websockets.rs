//! The memory of idle WebSockets.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::programs::{Owned, start_example};
use crate::support::system::raise_limit;
use crate::support::tls::{Authority, client_config, connect};
use crate::turn;

const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A text of a client, and the same of a server.
const HELLO: (&[u8], &[u8]) = (b"\x81\x85\0\0\0\0hello", b"\x81\x05hello");

/// Opens a socket, and sends and reads a few messages.
fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    open_over(stream)
}

fn open_over<S: Read + Write>(mut stream: S) -> S {
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

/// Opens so many sockets. Returns the memory of each one in the server.
fn bytes_per_socket<S>(process: &Owned, sockets: u64, open: impl Fn() -> S) -> u64 {
    // The first sockets also bring what all of them share.
    drop((0..200).map(|_| open()).collect::<Vec<_>>());
    thread::sleep(Duration::from_millis(500));
    let before = resident_bytes(process.0.id());
    let all: Vec<_> = (0..sockets).map(|_| open()).collect();
    thread::sleep(Duration::from_secs(1));
    let growth = resident_bytes(process.0.id()).saturating_sub(before);
    drop(all);
    growth / sockets
}

#[test]
fn an_idle_websocket_takes_400_bytes() {
    // Debug builds have larger futures.
    const BYTES_MAX: u64 = if cfg!(debug_assertions) { 600 } else { 400 };
    let _turn = turn();
    raise_limit();
    let (process, address) = start_example("websocket", &["127.0.0.1:0"]);
    let bytes = bytes_per_socket(&process, 8000, || open(address));
    println!("{bytes} bytes per idle websocket");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}

#[test]
fn an_idle_websocket_over_tls_has_no_buffers() {
    // Nearly all of it is the session of rustls: see `https.rs`.
    const BYTES_MAX: u64 = 6 * 1024;
    let _turn = turn();
    raise_limit();
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.server(&["localhost"]).pem();
    let files = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    fs::write(&files[0], certificate).unwrap();
    fs::write(&files[1], key).unwrap();
    let [certificate, key] = files.each_ref().map(|file| file.to_str().unwrap());
    let arguments = ["127.0.0.1:0", "--tls", certificate, key];
    let (process, address) = start_example("websocket", &arguments);
    let config = client_config(&authority);
    let bytes = bytes_per_socket(&process, 1500, || open_over(connect(address, &config)));
    println!("{bytes} bytes per idle websocket over TLS");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}

#[test]
fn an_idle_compressed_websocket_takes_no_compressor() {
    let _turn = turn();
    raise_limit();
    let text = "the mill turns ".repeat(20);
    // "Across messages", each socket has both windows for as long as it is open.
    for (choice, bytes_max) in [("anew", 1000), ("across", 400 * 1024)] {
        let (process, address) = start_example("websocket", &["127.0.0.1:0", "--compress", choice]);
        let bytes = bytes_per_socket(&process, 1000, || {
            let mut stream = TcpStream::connect(address).unwrap();
            let handshake = str::from_utf8(HANDSHAKE).unwrap();
            let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
            let handshake = handshake.replace("\r\n\r\n", offer);
            stream.write_all(handshake.as_bytes()).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let mut message = b"\x81\xfe".to_vec();
            message.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            message.extend([0; 4]);
            message.extend(text.as_bytes());
            for _ in 0..2 {
                stream.write_all(&message).unwrap();
                let mut head = [0; 2];
                stream.read_exact(&mut head).unwrap();
                assert_eq!(head[0], 0xc1);
                stream.read_exact(&mut vec![0; head[1].into()]).unwrap();
            }
            stream
        });
        println!("{bytes} bytes per idle websocket, compressed {choice}");
        assert!(bytes <= bytes_max, "{choice}: {bytes} bytes");
    }
}
