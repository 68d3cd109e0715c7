//! Pairs of connected UDP sockets on the loopback whose ends send each other 64 bytes in turn. An operation is
//! one round trip. Both ends are tasks of the same runtime.

use super::{IoWorkload, Size, nanos_each};
use crate::machine::CpuInstant;
use crate::runtimes::WithIo;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};

#[derive(Clone, Copy)]
pub(super) struct Datagrams {
    pub(super) pairs: u32,
}

/// The message.
const BYTES: [u8; 64] = [b'x'; 64];

/// Two connected sockets.
fn pair() -> io::Result<[UdpSocket; 2]> {
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let ends = [bind()?, bind()?];
    for (end, other) in [(0, 1), (1, 0)] {
        ends[end].connect(ends[other].local_addr()?)?;
        ends[end].set_nonblocking(true)?;
    }
    Ok(ends)
}

/// Sends first if it is the client. Returns the number of messages it has received.
async fn play<R: WithIo>(end: UdpSocket, is_client: bool, rounds: u32) -> io::Result<u32> {
    let socket = R::datagrams(end)?;
    let mut buffer = vec![0; 4096];
    let mut received = 0;
    for _ in 0..rounds {
        if is_client {
            R::send_datagram(&socket, &BYTES).await?;
        }
        let bytes = R::receive_datagram(&socket, &mut buffer).await?;
        assert_eq!(bytes, BYTES.len(), "one message is one datagram");
        received += 1;
        if !is_client {
            R::send_datagram(&socket, &BYTES).await?;
        }
    }
    Ok(received)
}

impl IoWorkload for Datagrams {
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
                let received = R::join(task).await.expect("the loopback loses none");
                assert_eq!(received, rounds, "every message has arrived");
            }
            start.elapsed()
        });
        nanos_each(time, self.pairs * rounds)
    }
}
