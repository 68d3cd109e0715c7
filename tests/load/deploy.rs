//! Ten restarts under load behind the proxies of `examples/deploy`, by the files there.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};

use crate::support::programs::{Owned, python_with, run, tool, wait_until_it_listens};
use crate::turn;

const RESTARTS: usize = 10;

/// The longest wait for one answer, and for one end of an instance.
const PATIENCE: Duration = Duration::from_secs(10);

/// The clients come from here, so that the log tells them from the proxy.
const CLIENT: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 9)),
    0,
);

fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    // Below the ports that the kernel gives to clients (`ip_local_port_range`, ip(7)). Otherwise a connection of the proxy
    // to one instance could take the port of the other one while that restarts.
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let clients: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let ports = 1024..clients;
    let first = std::process::id() as usize % ports.len();
    let ports = ports.clone().chain(ports).skip(first);
    let mut listeners = ports.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    // All at once, so that they differ.
    let listeners = [(); N].map(|()| listeners.next().expect("a free port"));
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn connect(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&CLIENT.into())?;
    socket.connect(&address.into())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(socket.into()))
}

/// Sends a request, and reads its answer. Returns the status, and whether the connection stays open.
fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> std::io::Result<(String, bool)> {
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut head, mut len) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if stream.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = head[start..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
    }
    stream.read_exact(&mut vec![0; len])?;
    let status = head[9..12].to_owned();
    Ok((
        status,
        !head.to_ascii_lowercase().contains("connection: close"),
    ))
}

/// The requests of all clients.
#[derive(Default)]
struct Tally {
    has_ended: AtomicBool,
    asked: AtomicUsize,
    failures: std::sync::Mutex<Vec<String>>,
}

impl Tally {
    /// Asks until the end: each fourth request is a POST, and each has a target of its own.
    fn load(&self, address: SocketAddr) {
        let mut kept = None;
        while !self.has_ended.load(Ordering::Relaxed) {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            let method = if number.is_multiple_of(4) {
                "POST"
            } else {
                "GET"
            };
            let target = format!("/{method}/{number}");
            let request =
                format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
            let answer = kept.take().map_or_else(|| connect(address), Ok);
            let answer = answer.and_then(|mut stream| Ok((ask(&mut stream, &request)?, stream)));
            match answer {
                Ok(((status, keeps), stream)) => {
                    if status != "200" {
                        self.failures
                            .lock()
                            .unwrap()
                            .push(format!("{target}: {status}"));
                    }
                    kept = keeps.then_some(stream);
                }
                Err(error) => self
                    .failures
                    .lock()
                    .unwrap()
                    .push(format!("{target}: {error}")),
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Runs `restarts` under the load of eight clients. Then checks their answers and the access log.
    fn check(address: SocketAddr, log: &Path, restarts: impl FnOnce()) {
        let tally = Self::default();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| tally.load(address));
            }
            let end = EndOnDrop(&tally.has_ended);
            restarts();
            drop(end);
        });
        let failures = tally.failures.into_inner().unwrap();
        let asked = tally.asked.into_inner();
        assert!(asked > 1000, "{asked} requests");
        assert!(
            failures.is_empty(),
            "{} of {asked}: {failures:?}",
            failures.len()
        );
        let log = fs::read_to_string(log).unwrap();
        let served: Vec<_> = log
            .lines()
            .filter(|line| line.contains("\"POST "))
            .collect();
        assert_eq!(served.len(), asked.div_ceil(4), "a POST is served once");
        let foreign = log
            .lines()
            .find(|line| line.contains(" HTTP/1.") && !line.starts_with("127.0.0.9 "));
        assert_eq!(foreign, None, "each line has the address of the client");
    }
}

/// Ends the clients even if a restart fails.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where the program and its log are.
struct Deployment {
    folder: tempfile::TempDir,
}

impl Deployment {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    fn command(&self, address: SocketAddr, way: &str, unready_seconds: &str) -> Command {
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("examples/deploy");
        assert!(program.exists(), "first: cargo build --example deploy");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let mut command = Command::new(program);
        command.args([&address.to_string(), way]).stdout(log);
        command.env("UNREADY_SECONDS", unready_seconds);
        command
    }

    fn start(&self, address: SocketAddr, way: &str) -> Owned {
        let mut instance = Owned(self.command(address, way, "1").spawn().unwrap());
        wait_until_it_listens(&mut instance, address);
        instance
    }

    /// Writes a file of `examples/deploy` with other ports.
    fn file(&self, name: &str, ports: [SocketAddr; 3]) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy");
        let mut text = fs::read_to_string(folder.join(name)).unwrap();
        for (port, address) in ["8080", "8081", "8082"].into_iter().zip(ports) {
            text = text.replace(&format!("127.0.0.1:{port}"), &address.to_string());
        }
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Restarts two instances in turn, behind the proxy that listens on the first port.
    fn behind(&self, ports: [SocketAddr; 3], way: &str, mut proxy: Owned) {
        let mut instances = [self.start(ports[1], way), self.start(ports[2], way)];
        wait_until_it_listens(&mut proxy, ports[0]);
        // The proxy may have found no instance at its start.
        thread::sleep(Duration::from_secs(2));
        for target in ["/metrics", "/healthz", "/readyz"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
            let answer = connect(ports[0]).and_then(|mut stream| ask(&mut stream, &request));
            assert_eq!(answer.unwrap().0, "404", "{target} is not for clients");
        }
        Tally::check(ports[0], &self.log(), || {
            for turn in 0..RESTARTS {
                end(&mut instances[turn % 2]);
                instances[turn % 2] = self.start(ports[1 + turn % 2], way);
                // The proxy finds the new instance before the other one ends.
                thread::sleep(Duration::from_millis(1500));
            }
        });
    }
}

fn end(instance: &mut Owned) {
    kill_process(Pid::from_child(&instance.0), Signal::TERM).unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = instance.0.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < PATIENCE, "the instance does not end");
        thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn ten_restarts_behind_nginx_fail_no_request() {
    let Some(nginx) = tool("nginx") else { return };
    let _turn = turn();
    let deployment = Deployment::new();
    let ports = free_addresses();
    let file = deployment.file("nginx.conf", ports);
    let folder = deployment.folder.path();
    let mut command = Command::new(nginx);
    // One process, because the workers of a master that is killed go on.
    let globals = format!(
        "daemon off; master_process off; pid {}/nginx.pid; error_log stderr;",
        folder.display()
    );
    command
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(file)
        .args(["-g", &globals]);
    command.args(["-e", "stderr"]).stderr(Stdio::null());
    let proxy = Owned(command.spawn().unwrap());
    deployment.behind(ports, "forwarded", proxy);
}

#[test]
fn ten_restarts_behind_haproxy_fail_no_request() {
    let Some(haproxy) = tool("haproxy") else {
        return;
    };
    let _turn = turn();
    let deployment = Deployment::new();
    let ports = free_addresses();
    let mut command = Command::new(haproxy);
    command
        .arg("-db")
        .arg("-f")
        .arg(deployment.file("haproxy.cfg", ports));
    let proxy = Owned(command.stderr(Stdio::null()).spawn().unwrap());
    deployment.behind(ports, "proxy", proxy);
}

#[test]
fn ten_restarts_behind_a_socket_that_stays_open_fail_no_request() {
    let _turn = turn();
    let deployment = Deployment::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let start = || {
        let inherited = OwnedFd::from(listener.try_clone().unwrap());
        let mut command = deployment.command(address, "direct", "0");
        command
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDS_FIRST_FD", "0");
        Owned(command.stdin(Stdio::from(inherited)).spawn().unwrap())
    };
    let mut instance = start();
    Tally::check(address, &deployment.log(), || {
        for _ in 0..RESTARTS {
            thread::sleep(Duration::from_millis(500));
            // As systemd does it: one after the other. Meanwhile, clients wait in the queue.
            end(&mut instance);
            instance = start();
        }
    });
}

#[test]
fn the_proxies_close_idle_connections_first() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy");
    let ours = waterwheel::http::Limits::DEFAULT.idle_duration_max;
    for (file, setting) in [
        ("nginx.conf", "keepalive_timeout "),
        ("haproxy.cfg", "timeout http-keep-alive "),
    ] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let (_, value) = text.split_once(setting).unwrap();
        let seconds = value.split('s').next().unwrap().parse().unwrap();
        assert!(Duration::from_secs(seconds) < ours, "{file}");
    }
}

#[test]
fn nginx_passes_the_largest_body_that_the_server_takes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy/nginx.conf");
    let text = fs::read_to_string(file).unwrap();
    let (_, value) = text
        .split_once("client_max_body_size ")
        .expect("1 MiB by default");
    let mebibytes: u64 = value.split('m').next().unwrap().parse().unwrap();
    let ours = waterwheel::http::Limits::DEFAULT.body_bytes_max;
    assert_eq!(mebibytes * 1024 * 1024, ours);
}

#[test]
fn the_manifests_of_kubernetes_ask_the_checks_and_wait_for_the_drain() {
    const CHECK: &str = "
import sys, yaml
deployment, service = yaml.safe_load_all(open(sys.argv[1]))
pod = deployment['spec']['template']['spec']
container, = pod['containers']
unready = int(next(v['value'] for v in container['env'] if v['name'] == 'UNREADY_SECONDS'))
readiness = container['readinessProbe']
assert readiness['httpGet']['path'] == '/readyz'
assert container['livenessProbe']['httpGet']['path'] == '/healthz'
# 20 s are shutdown_duration_max in main.rs.
assert pod['terminationGracePeriodSeconds'] > unready + 20
assert readiness['periodSeconds'] * readiness['failureThreshold'] * 2 <= unready
labels = deployment['spec']['template']['metadata']['labels']
assert service['spec']['selector'] == labels == deployment['spec']['selector']['matchLabels']
";
    let Some(python) = python_with("yaml") else {
        return;
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy/kubernetes.yaml");
    run(Command::new(python).args(["-c", CHECK]).arg(file)).expect_success();
}
