//! The server of the clients: the `echo` example, alone or behind a proxy.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs, thread};

use rustix::net::{self, AddressFamily, SocketType};

use crate::support::programs::{DEADLINE, Owned, tool};

/// The longest body that the server accepts.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;

/// The proxy between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Direct,
    Nginx,
    HAProxy,
}

/// A running server, and its proxy if there is one.
pub(crate) struct Front {
    pub via: Via,
    pub address: SocketAddr,
    processes: Vec<Owned>,
    reserved: Option<OwnedFd>,
}

impl Front {
    /// Starts the server. Returns `None` if the proxy is not installed.
    pub(crate) fn start(via: Via) -> Option<Self> {
        let proxy = match via {
            Via::Direct => return Some(Self::echo()),
            Via::Nginx => tool("nginx")?,
            Via::HAProxy => tool("haproxy")?,
        };
        Some(Self::echo().behind(via, &proxy))
    }

    fn echo() -> Self {
        let body_bytes_max = BODY_BYTES_MAX.to_string();
        let mut command = Command::new(echo_program());
        command.args(["127.0.0.1:0", "--max-body", &body_bytes_max]);
        let mut echo = Owned(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        let stdout = echo.0.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let (_, address) = line.trim_end().split_once("http://").unwrap();
        Self {
            via: Via::Direct,
            address: address.parse().unwrap(),
            processes: vec![echo],
            reserved: None,
        }
    }

    fn behind(mut self, via: Via, proxy: &Path) -> Self {
        let (socket, address) = reserve();
        let process = start_proxy(via, proxy, address, self.address);
        self.processes.insert(0, process);
        self.reserved = Some(socket);
        Self {
            via,
            address,
            ..self
        }
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }
}

/// Returns the path of the `echo` example. Cargo builds examples before it runs tests, and puts them beside
/// those.
fn echo_program() -> PathBuf {
    let test = env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/echo");
    assert!(program.exists(), "first: cargo build --example echo");
    program
}

fn start_proxy(via: Via, proxy: &Path, address: SocketAddr, upstream: SocketAddr) -> Owned {
    let folder = folder(&format!("{via:?}-{}", address.port()));
    let template = match via {
        Via::Nginx => include_str!("nginx.conf"),
        _ => include_str!("haproxy.cfg"),
    };
    let config = template
        .replace("{FOLDER}", &folder.display().to_string())
        .replace("{LISTEN}", &address.to_string())
        .replace("{UPSTREAM}", &upstream.to_string());
    let file = folder.join("config");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(proxy);
    match via {
        Via::Nginx => command.args(["-e", "stderr", "-c"]),
        _ => command.args(["-db", "-f"]),
    };
    let mut process = Owned(command.arg(file).spawn().unwrap());
    wait_until_it_listens(&mut process, address);
    process
}

/// Reserves a port for another process to listen on. While this socket is open, the kernel gives the port
/// only to a socket that also sets `SO_REUSEPORT`.
fn reserve() -> (OwnedFd, SocketAddr) {
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    net::sockopt::set_socket_reuseport(&socket, true).unwrap();
    net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = net::getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}

fn wait_until_it_listens(process: &mut Owned, address: SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(
            process.0.try_wait().unwrap().is_none(),
            "the proxy has ended"
        );
        assert!(start.elapsed() < DEADLINE, "the proxy does not listen");
        thread::yield_now();
    }
}

/// Makes a folder of that name for the files of a test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("clients")
        .join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}
