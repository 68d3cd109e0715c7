//! HTTPS side by side: CPU time of a request on 64 connections that stay open, of a full and of a resumed handshake,
//! and the memory of an idle connection.
//!
//! ```text
//! cargo run --release --manifest-path benches/compare/Cargo.toml -p https
//! ```
//!
//! Each server is one process with one thread that serves. The client allows TLS 1.3 with AES-128-GCM and X25519
//! alone, so that all servers do the same work. The figures are the CPU time of the server's process, in user and in
//! kernel mode, because other work of the machine does not change it much.
#![allow(clippy::print_stdout, reason = "it prints the table")]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How many rounds each server has. The servers take turns.
const ROUNDS: usize = 3;
const REQUESTS: usize = 60_000;
const HANDSHAKES: usize = 2000;

type Client = StreamOwned<ClientConnection, TcpStream>;

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(name: &str, folder: &Path) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let own = std::env::current_exe()?;
        let beside = |name: &str| own.with_file_name(name);
        let mut command = match name {
            "nginx" => nginx(folder, address)?,
            "go" => {
                let binary = beside("https-go");
                let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go.go");
                let built = Command::new("go")
                    .arg("build")
                    .arg("-o")
                    .arg(&binary)
                    .arg(source)
                    .status()?;
                assert!(built.success());
                let mut command = Command::new(binary);
                command.env("GOMAXPROCS", "1");
                command
            }
            name => Command::new(beside(&format!("https-{name}"))),
        };
        if name != "nginx" {
            command.arg(address.to_string());
            command
                .arg(folder.join("cert.pem"))
                .arg(folder.join("key.pem"));
        }
        let process = command.spawn()?;
        while TcpStream::connect(address).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { process, address })
    }

    /// Returns the CPU time so far in microseconds.
    fn cpu_micros(&self) -> io::Result<u64> {
        // The clock of the scheduler, of all threads.
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split(' ').next().unwrap_or_default();
            nanos += first.parse::<u64>().unwrap_or_default();
        }
        Ok(nanos / 1000)
    }

    fn resident_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let text = line.unwrap_or_default().trim().trim_end_matches(" kB");
        Ok(text.parse::<u64>().unwrap_or_default() * 1024)
    }

    fn connect(&self, config: &Arc<ClientConfig>) -> io::Result<Client> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        Ok(Client::new(tls, stream))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn nginx(folder: &Path, address: SocketAddr) -> io::Result<Command> {
    let path = folder.display();
    let text = format!(
        "daemon off; master_process off; pid {path}/pid; error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 9000; multi_accept on; }}
http {{ access_log off; keepalive_requests 1000000000; default_type text/plain;
client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/fastcgi;
uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
server {{ listen {address} ssl backlog=4096; ssl_certificate {path}/cert.pem; ssl_certificate_key {path}/key.pem;
ssl_protocols TLSv1.2 TLSv1.3; location / {{ return 200 \"Hello, World!\"; }} }} }}\n"
    );
    fs::write(folder.join("nginx.conf"), text)?;
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"));
    command.args(["-e", "stderr"]);
    Ok(command)
}

fn config(root: &CertificateDer<'static>, resumption: Resumption) -> Arc<ClientConfig> {
    let mut provider: CryptoProvider = ring::default_provider();
    provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    provider.kx_groups = vec![ring::kx_group::X25519];
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(provider));
    let config = config.with_protocol_versions(&[&rustls::version::TLS13]);
    let config = config.expect("versions").with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = resumption;
    Arc::new(config)
}

fn send(client: &mut Client) -> io::Result<()> {
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn receive(client: &mut Client) -> io::Result<()> {
    let mut bytes = [0; 1024];
    let mut filled = 0;
    while !bytes[..filled].ends_with(b"Hello, World!") {
        let count = client.read(&mut bytes[filled..])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
    }
    Ok(())
}

/// Returns the CPU time of one of `count` steps in microseconds.
#[expect(clippy::cast_precision_loss, reason = "a round is short")]
fn measure(
    server: &Server,
    count: usize,
    mut step: impl FnMut() -> io::Result<()>,
) -> io::Result<f64> {
    let before = server.cpu_micros()?;
    step()?;
    Ok((server.cpu_micros()? - before) as f64 / count as f64)
}

/// The figures of one round: microseconds of a request, of a full and of a resumed handshake, and bytes.
fn round(name: &str, folder: &Path, root: &CertificateDer<'static>) -> io::Result<[f64; 4]> {
    let server = Server::start(name, folder)?;
    let full = config(root, Resumption::disabled());
    let resuming = config(root, Resumption::in_memory_sessions(32));
    let new_connections = |config: &Arc<ClientConfig>| {
        measure(&server, HANDSHAKES, || {
            for _ in 0..HANDSHAKES {
                let mut client = server.connect(config)?;
                send(&mut client)?;
                receive(&mut client)?;
                client.conn.send_close_notify();
                client.flush()?;
            }
            Ok(())
        })
    };
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(server.connect(&full)?);
    }
    let mut requests = |count: usize| {
        measure(&server, count, || {
            for _ in 0..count / 64 {
                clients.iter_mut().try_for_each(send)?;
                clients.iter_mut().try_for_each(receive)?;
            }
            Ok(())
        })
    };
    requests(6400)?; // warm
    let request = requests(REQUESTS)?;
    let handshake = new_connections(&full)?;
    let resumed = new_connections(&resuming)?;
    let mut idle = Vec::new();
    let mut add = |count: usize| -> io::Result<u64> {
        for _ in 0..count {
            let mut client = server.connect(&full)?;
            send(&mut client)?;
            receive(&mut client)?;
            idle.push(client);
        }
        thread::sleep(Duration::from_millis(100));
        server.resident_bytes()
    };
    let before = add(500)?;
    #[expect(clippy::cast_precision_loss, reason = "some kilobytes")]
    let bytes = (add(2000)? - before) as f64 / 2000.0;
    Ok([request, handshake, resumed, bytes])
}

fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let path: PathBuf = folder.path().to_owned();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.map_err(io::Error::other)?;
    fs::write(path.join("cert.pem"), made.cert.pem())?;
    fs::write(path.join("key.pem"), made.signing_key.serialize_pem())?;
    let root = made.cert.der().clone();
    let names = ["waterwheel", "hyper", "nginx", "go"];
    let mut figures: Vec<Vec<[f64; 4]>> = vec![Vec::new(); names.len()];
    for _ in 0..ROUNDS {
        for (name, figures) in names.iter().zip(&mut figures) {
            match round(name, &path, &root) {
                Ok(round) => figures.push(round),
                Err(error) => println!("{name}: {error}"),
            }
        }
    }
    println!(
        "| | µs per request, 64 connections | µs per full handshake | µs per resumed handshake | bytes per idle connection |"
    );
    println!("|---|---|---|---|---|");
    for (name, rounds) in names.iter().zip(figures) {
        let median = |column: usize| {
            let mut values: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        println!(
            "| {name} | {:.2} | {:.0} | {:.0} | {:.0} |",
            median(0),
            median(1),
            median(2),
            median(3)
        );
    }
    Ok(())
}
