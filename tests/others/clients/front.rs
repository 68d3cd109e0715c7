//! The server of the clients: the `echo` example, alone or behind a proxy.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::programs::{Owned, reserve_port, start_example, tool, wait_until_it_listens};

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
        let arguments = ["127.0.0.1:0", "--max-body", &body_bytes_max];
        let (echo, address) = start_example("echo", &arguments);
        Self {
            via: Via::Direct,
            address,
            processes: vec![echo],
            reserved: None,
        }
    }

    fn behind(mut self, via: Via, proxy: &Path) -> Self {
        let (socket, address) = reserve_port();
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

/// Makes a folder of that name for the files of a test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("clients")
        .join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}
