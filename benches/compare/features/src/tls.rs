//! HTTPS: the CPU time of a request on 64 connections that stay open, of a full and of a resumed handshake, and the
//! memory of an idle connection.
//!
//! The client allows TLS 1.3 with AES-128-GCM and X25519 alone, so that all servers do the same work.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::Figures;
use crate::server::{Folder, Server};

const REQUESTS: usize = 60_000;
const HANDSHAKES: usize = 2000;
const CONNECTIONS: usize = 64;

/// The heads of the columns.
pub(crate) const COLUMNS: [(&str, usize); 4] = [
    ("µs per request, 64 connections", 2),
    ("µs per full handshake", 0),
    ("µs per resumed handshake", 0),
    ("bytes per idle connection", 0),
];

type Client = StreamOwned<ClientConnection, TcpStream>;

fn connect(server: &Server, config: &Arc<ClientConfig>) -> io::Result<Client> {
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    Ok(Client::new(tls, server.connect()?))
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

/// Connects and makes a request.
fn open(server: &Server, config: &Arc<ClientConfig>) -> io::Result<Client> {
    let mut client = connect(server, config)?;
    send(&mut client)?;
    receive(&mut client)?;
    Ok(client)
}

/// Measures the figures of one turn.
pub(crate) fn turn(server: &Server, folder: &Folder, shorter: usize) -> io::Result<Figures> {
    let full = config(&folder.root, Resumption::disabled());
    let resuming = config(&folder.root, Resumption::in_memory_sessions(32));
    let handshakes = HANDSHAKES / shorter;
    let new_connections = |config: &Arc<ClientConfig>| {
        server.micros(handshakes, || {
            for _ in 0..handshakes {
                let mut client = open(server, config)?;
                client.conn.send_close_notify();
                client.flush()?;
            }
            Ok(())
        })
    };
    let open_one = |_| open(server, &full);
    let mut clients = (0..CONNECTIONS)
        .map(open_one)
        .collect::<io::Result<Vec<_>>>()?;
    let mut requests = |count: usize| {
        let batches = count.div_ceil(CONNECTIONS);
        server.micros(batches * CONNECTIONS, || {
            for _ in 0..batches {
                clients.iter_mut().try_for_each(send)?;
                clients.iter_mut().try_for_each(receive)?;
            }
            Ok(())
        })
    };
    requests(6400 / shorter)?; // warm
    Ok(vec![
        requests(REQUESTS / shorter)?,
        new_connections(&full)?,
        new_connections(&resuming)?,
        server.bytes_per_idle(2000 / shorter, || open(server, &full))?,
    ])
}
