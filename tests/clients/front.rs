//! What the clients talk to: the `echo` example, by itself or behind a proxy.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs, thread};

use super::child::{DEADLINE, Owned, tool};

/// The longest body the server takes.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;

/// Who passes a client's requests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Nobody,
    Nginx,
    HAProxy,
}

/// A running server, and the proxy before it if there is one.
pub(crate) struct Front {
    pub via: Via,
    pub address: SocketAddr,
    _processes: Vec<Owned>,
}

impl Front {
    /// `None` where the proxy is not installed.
    pub(crate) fn start(via: Via) -> Option<Self> {
        let proxy = match via {
            Via::Nobody => return Some(Self::echo()),
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
            via: Via::Nobody,
            address: address.parse().unwrap(),
            _processes: vec![echo],
        }
    }

    fn behind(mut self, via: Via, proxy: &Path) -> Self {
        let start = |_| start_proxy(via, proxy, self.address);
        // Between its choice and its use, a free port may be taken.
        let (process, address) = (0..3).find_map(start).expect("the proxy starts");
        self._processes.insert(0, process);
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

/// Cargo builds examples before it runs tests, and puts them beside those.
fn echo_program() -> PathBuf {
    let test = env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/echo");
    assert!(program.exists(), "first: cargo build --example echo");
    program
}

/// `None` if it ends instead of listening.
fn start_proxy(via: Via, proxy: &Path, upstream: SocketAddr) -> Option<(Owned, SocketAddr)> {
    let address = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = address.local_addr().unwrap();
    let folder = folder(&address.port().to_string());
    let rendered = |template: &str| {
        let config = folder.join("config");
        let text = template
            .replace("{FOLDER}", &folder.display().to_string())
            .replace("{LISTEN}", &address.to_string())
            .replace("{UPSTREAM}", &upstream.to_string());
        fs::write(&config, text).unwrap();
        config
    };
    let mut command = Command::new(proxy);
    match via {
        Via::Nobody => unreachable!("nobody is not a proxy"),
        Via::Nginx => command
            .args(["-e", "stderr", "-p"])
            .arg(&folder)
            .arg("-c")
            .arg(rendered(include_str!("nginx.conf"))),
        Via::HAProxy => command
            .args(["-db", "-q", "-f"])
            .arg(rendered(include_str!("haproxy.cfg"))),
    };
    let mut process = Owned(command.spawn().unwrap());
    is_listening(&mut process, address).then_some((process, address))
}

fn is_listening(process: &mut Owned, address: SocketAddr) -> bool {
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        if process.0.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        thread::yield_now();
    }
    panic!("not listening on {address} after {DEADLINE:?}");
}

/// A folder of that name for what a test writes.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("clients")
        .join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}
