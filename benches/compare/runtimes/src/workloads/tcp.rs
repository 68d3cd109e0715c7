//! Pairs of sockets on the loopback whose ends send each other 64 bytes in turn. An operation is one
//! round trip. Both ends are tasks of the same runtime.

use super::{IoWorkload, Size, nanos_each};
use crate::machine::CpuInstant;
use crate::runtimes::WithIo;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

#[derive(Clone, Copy)]
pub(super) struct PingPong {
    pub(super) pairs: u32,
}

/// The message.
const BYTES: [u8; 64] = [b'x'; 64];

/// Two connected sockets, set up as a runtime wants them.
fn pair() -> io::Result<[TcpStream; 2]> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let ends = [
        TcpStream::connect(listener.local_addr()?)?,
        listener.accept()?.0,
    ];
    for end in &ends {
        end.set_nodelay(true)?;
        end.set_nonblocking(true)?;
    }
    Ok(ends)
}

/// Reads a message into a buffer with room for more, as programs do.
async fn receive<R: WithIo>(stream: &mut R::Stream, buffer: &mut [u8]) -> io::Result<()> {
    let mut got = 0;
    while got < BYTES.len() {
        let read = R::read(stream, &mut buffer[got..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        got += read;
    }
    assert_eq!(got, BYTES.len(), "one message at a time is under way");
    Ok(())
}

/// Sends first if it is the client. Returns the number of messages it has received.
async fn play<R: WithIo>(end: TcpStream, is_client: bool, rounds: u32) -> io::Result<u32> {
    let mut stream = R::stream(end)?;
    let mut buffer = vec![0; 4096];
    let mut received = 0;
    for _ in 0..rounds {
        if is_client {
            R::write_all(&mut stream, &BYTES).await?;
        }
        receive::<R>(&mut stream, &mut buffer).await?;
        received += 1;
        if !is_client {
            R::write_all(&mut stream, &BYTES).await?;
        }
    }
    Ok(received)
}

impl IoWorkload for PingPong {
    fn run<R: WithIo>(self, size: Size) -> f64 {
        let rounds = size.of(6_400).div_ceil(self.pairs);
        let pairs: Vec<_> = (0..self.pairs)
            .map(|_| pair().expect("the loopback is there"))
            .collect();
        let time = R::block_on(async {
            let mut tasks = Vec::new();
            for [client, server] in pairs {
                tasks.push(R::spawn(play::<R>(client, true, rounds)));
                tasks.push(R::spawn(play::<R>(server, false, rounds)));
            }
            let start = CpuInstant::now();
            for task in tasks {
                let received = R::join(task).await.expect("no end is closed");
                assert_eq!(received, rounds, "every message has arrived");
            }
            start.elapsed()
        });
        nanos_each(time, self.pairs * rounds)
    }
}
