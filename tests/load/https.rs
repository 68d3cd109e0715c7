//! The memory of idle connections over TLS.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::in_turn;
use crate::support::process::again;
use crate::support::programs::Owned;
use crate::support::system::raise_limit;
use crate::support::tls::{Authority, TlsClient, client_config, connect};
use waterwheel::http::tls::TlsConfig;
use waterwheel::http::{Request, Server, StatusCode};
use waterwheel::runtime::{block_on, race, spawn_blocking};

/// The environment variable with the files of the certificate and of the key.
const VARIABLE: &str = "WATERWHEEL_LOAD_TLS";

/// The most memory of an idle connection in bytes, without the kernel's. Measured: see benches/LOG.md.
const IDLE_BYTES_MAX: u64 = 6 * 1024;

/// The work of a child process: serves until the parent is gone. Has no effect in the parent.
#[test]
fn child() {
    let Ok(files) = env::var(VARIABLE) else {
        return;
    };
    raise_limit();
    block_on(async {
        let builder = match files.split_once(' ') {
            Some((certificate, key)) => {
                Server::builder().tls(TlsConfig::from_pem_files(certificate, key).unwrap())
            }
            None => Server::builder(),
        };
        let server = builder.bind("127.0.0.1:0").unwrap();
        println!("listening on http://{}", server.local_address());
        let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
        let orphaned = spawn_blocking(|| std::io::stdin().read(&mut [0]).map(drop));
        race(server.serve(hello), async { orphaned.await.unwrap() })
            .await
            .unwrap();
    });
}

fn start(files: &str) -> (Owned, SocketAddr) {
    let mut command = again("https::child");
    let command = command.env(VARIABLE, files).stdin(Stdio::piped());
    let mut process = Owned(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.unwrap();
        Some(line.split_once("http://")?.1.parse().unwrap())
    });
    (process, address.unwrap())
}

fn resident_bytes(process: &Owned) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kilobytes * 1024
}

/// Connects so many clients, each of which sends a request. Returns the memory of each further one.
fn bytes_per_connection<C>(process: &Owned, connect: impl Fn() -> C) -> u64 {
    let mut clients: Vec<C> = (0..500).map(|_| connect()).collect();
    thread::sleep(Duration::from_millis(100));
    let before = resident_bytes(process);
    clients.extend((0..1500).map(|_| connect()));
    thread::sleep(Duration::from_millis(100));
    (resident_bytes(process) - before) / 1500
}

fn ask(client: &mut (impl Read + Write)) {
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut bytes = [0; 1000];
        let count = client.read(&mut bytes).unwrap();
        assert!(count > 0);
        answer.extend_from_slice(&bytes[..count]);
    }
}

#[test]
fn an_idle_connection_over_tls_has_no_buffers() {
    raise_limit();
    in_turn(|| {
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = authority.server(&["localhost"]).pem();
        let files = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        fs::write(&files[0], certificate).unwrap();
        fs::write(&files[1], key).unwrap();
        let files = files
            .map(|path| path.to_str().unwrap().to_owned())
            .join(" ");

        let (plain, address) = start("plain");
        let plain = bytes_per_connection(&plain, || {
            let mut client = TcpStream::connect(address).unwrap();
            ask(&mut client);
            client
        });
        let (tls, address) = start(&files);
        let config = client_config(&authority);
        let over_tls = bytes_per_connection(&tls, || {
            let mut client: TlsClient = connect(address, &config);
            ask(&mut client);
            client
        });
        println!("an idle connection: {plain} bytes, over TLS {over_tls}");
        assert!(over_tls < IDLE_BYTES_MAX, "{over_tls}");
    });
}
