//! Programs of other projects: found, run within a deadline, and ended with the test that started them.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{self, AddressFamily, SocketType};

use super::skip::skip;

/// The longest time for one program.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Returns the path of the program `name`. If it is not installed, reports that the test is skipped, and
/// returns `None`.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let found = candidates(name).find(|path| path.is_file());
    found.or_else(|| skipped(&format!("{name} is not installed")))
}

fn candidates(name: &str) -> impl Iterator<Item = PathBuf> {
    // Servers are in folders of the system that are not on a user's path.
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    let folders: Vec<_> = env::split_paths(&path).collect();
    folders.into_iter().map(move |folder| folder.join(name))
}

/// Returns a Python that has `module`. The Python of the system's packages comes first. If no Python has it,
/// reports that the test is skipped, and returns `None`.
pub(crate) fn python_with(module: &str) -> Option<PathBuf> {
    let system = PathBuf::from("/usr/bin/python3");
    let pythons = [system].into_iter().chain(candidates("python3"));
    let found = pythons
        .filter(|python| python.is_file())
        .find(|python| has_module(python.clone(), module));
    found.or_else(|| skipped(&format!("no python3 has {module}")))
}

fn has_module(python: PathBuf, module: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", &format!("import {module}")]);
    run(&mut command).status.success()
}

fn skipped<T>(reason: &str) -> Option<T> {
    skip(reason);
    None
}

/// Starts an example. Returns its process and the address that it prints.
///
/// Cargo builds the examples for a run of all tests, and puts them beside the tests.
pub(crate) fn start_example(name: &str, arguments: &[&str]) -> (Owned, SocketAddr) {
    let test = env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.exists(), "first: cargo build --example {name}");
    let mut command = Command::new(program);
    let command = command.args(arguments).stdout(Stdio::piped());
    let mut example = Owned(command.spawn().unwrap());
    let mut line = String::new();
    let output = example.0.stdout.as_mut().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let (_, address) = line.trim_end().split_once("://").unwrap();
    (example, address.parse().unwrap())
}

/// Reserves a port for another process to listen on. Until one does, the kernel refuses connections. While this
/// socket is open, the kernel gives the port only to a socket that also sets `SO_REUSEPORT`.
pub(crate) fn reserve_port() -> (OwnedFd, SocketAddr) {
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    net::sockopt::set_socket_reuseport(&socket, true).unwrap();
    net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = net::getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}

/// Waits until a process listens.
pub(crate) fn wait_until_it_listens(process: &mut Owned, address: SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        let ended = process.0.try_wait().unwrap();
        assert!(ended.is_none(), "the process has ended: {ended:?}");
        assert!(start.elapsed() < DEADLINE, "the process does not listen");
        thread::yield_now();
    }
}

/// A process that ends with its owner.
pub(crate) struct Owned(pub(crate) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // The process may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The exit status of a process, and its output.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Returns the output. Fails if the process failed.
    pub(crate) fn expect_success(self) -> String {
        let Self { status, stderr, .. } = &self;
        assert!(status.success(), "{status}: {stderr}{}", self.stdout);
        self.stdout
    }
}

/// Runs a command to its end.
///
/// # Panics
///
/// If the command takes longer than [`DEADLINE`].
pub(crate) fn run(command: &mut Command) -> Outcome {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Owned(child.spawn().unwrap());
    let stdout = read_aside(child.0.stdout.take().unwrap());
    let stderr = read_aside(child.0.stderr.take().unwrap());
    // Both outputs end when the process ends.
    let [Ok(stdout), Ok(stderr)] = [stdout, stderr].map(|output| output.recv_timeout(DEADLINE))
    else {
        panic!("still running after {DEADLINE:?}: {command:?}");
    };
    let status = child.0.wait().unwrap();
    Outcome {
        status,
        stdout,
        stderr,
    }
}

fn read_aside(mut output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).unwrap();
        // The receiver is gone if the other output was too late.
        drop(sender.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    receiver
}
