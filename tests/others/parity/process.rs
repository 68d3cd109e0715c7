//! Servers that are processes of their own: this test binary, started again to run one `child`.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};

use crate::support::process::again;
use crate::support::server::{Client, DEADLINE};
use crate::support::system;

/// A server process. It is killed when it is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Runs the test `child` with these variables, until it prints its address.
    pub(crate) fn start(child: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = again(child)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .map(std::io::Result::unwrap)
            .find(|line| line.contains("http://"))
            .unwrap();
        let address = line.rsplit("http://").next().unwrap().parse().unwrap();
        Self { child, address }
    }

    pub(crate) fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client { stream }
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns the CPU time so far, in clock ticks of 10 ms.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        system::cpu_ticks(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
