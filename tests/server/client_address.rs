//! The address of a client behind a proxy, as handlers and logs see it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use waterwheel::http::web::client_address::{
    ForwardedBy, Networks, ProxyHeader, ProxyProtocol, TrustedProxies,
};
use waterwheel::http::{Limits, Request, Responded, Result, Server, StatusCode};

use crate::support::programs::{Owned, reserve_port, tool, wait_until_it_listens};
use crate::support::server::TestServer;

/// Answers with the addresses of the request.
async fn show(request: Request<'_>) -> Result<Responded> {
    let connection = request.connection();
    let shown = |address: Option<SocketAddr>| match address {
        Some(address) if address.ip().is_loopback() => "loopback".to_owned(),
        Some(address) => address.to_string(),
        None => "none".to_owned(),
    };
    let header = connection.get::<ProxyHeader>();
    let text = format!(
        "{} to {}, {}",
        shown(connection.peer_address()),
        shown(connection.local_address()),
        header.map_or("no header", |_| "header"),
    );
    request.respond(StatusCode::OK, text, ()).await
}

fn server(settings: ProxyProtocol) -> TestServer {
    let limits =
        Limits::default().with(|limits| limits.handshake_duration_max = Duration::from_millis(300));
    let builder = Server::builder().limits(limits).proxy_protocol(settings);
    TestServer::start(builder, || show)
}

fn elsewhere() -> Networks {
    "192.0.2.0/24".parse().unwrap()
}

/// Returns the body of the answer to `bytes`, which are sent in one piece. Returns an empty text if the server closes
/// the connection, which is a reset if it leaves bytes unread.
fn ask(server: &TestServer, bytes: &[u8]) -> String {
    let mut client = server.client();
    client.send(bytes);
    let mut answer = Vec::new();
    match client.stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        read => drop(read.unwrap()),
    }
    let answer = String::from_utf8(answer).unwrap();
    let body = answer.rsplit("\r\n\r\n").next().unwrap_or_default();
    body.to_owned()
}

const LINE: &[u8] = b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 443\r\n";
const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xcb\0\x71\x01\x12\x67\x01\xbb";

#[test]
fn a_request_behind_a_header_has_the_address_of_the_header() {
    for settings in [
        ProxyProtocol::required(),
        ProxyProtocol::required_from(Networks::loopback()),
        ProxyProtocol::optional_from(Networks::loopback()),
    ] {
        let server = server(settings);
        for header in [LINE, BINARY] {
            let answer = ask(&server, &[header, GET].concat());
            assert_eq!(answer, "198.51.100.7:4711 to 203.0.113.1:443, header");
        }
        // The proxy's own connections keep their addresses.
        for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
            let answer = ask(&server, &[header, GET].concat());
            assert_eq!(answer, "loopback to loopback, header");
        }
    }
}

#[test]
fn a_header_may_come_in_pieces_and_a_pipeline_may_follow_it() {
    let server = server(ProxyProtocol::optional_from(Networks::loopback()));
    for header in [LINE, BINARY] {
        let mut client = server.client();
        for byte in header {
            client.send([*byte]);
            thread::sleep(Duration::from_millis(1));
        }
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        client.send(GET);
        let answers = client.read_to_end();
        assert_eq!(answers.matches("198.51.100.7:4711").count(), 2, "{answers}");
    }
}

#[test]
fn a_peer_without_a_header_is_closed_if_one_is_required_and_served_otherwise() {
    let required = server(ProxyProtocol::required());
    assert_eq!(ask(&required, GET), "");
    let optional = server(ProxyProtocol::optional_from(Networks::loopback()));
    assert_eq!(ask(&optional, GET), "loopback to loopback, no header");
    // The first bytes of both kinds of header, and then a request.
    let get = b"\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    assert_eq!(ask(&optional, get), "loopback to loopback, no header");
    assert!(
        ask(
            &optional,
            b"PROXIES / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        )
        .contains("no header")
    );
}

#[test]
fn a_header_from_an_untrusted_peer_is_not_believed() {
    let optional = server(ProxyProtocol::optional_from(elsewhere()));
    let mut client = optional.client();
    client.send([LINE, GET].concat());
    let answer = client.read_to_end();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(ask(&optional, GET), "loopback to loopback, no header");
    let required = server(ProxyProtocol::required_from(elsewhere()));
    assert_eq!(ask(&required, &[LINE, GET].concat()), "");
}

#[test]
fn a_malformed_or_missing_header_ends_the_connection_in_time() {
    let server = server(ProxyProtocol::required());
    for bytes in [
        &b"PROXY TCP4 nonsense\r\n"[..],
        b"PROXY TCP4 198.51.100.7",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
        b"P",
        b"\r\n",
        b"",
    ] {
        assert_eq!(ask(&server, bytes), "", "{bytes:?}");
    }
    assert!(ask(&server, &[LINE, GET].concat()).starts_with("198."));
}

#[test]
fn another_port_than_the_chosen_one_reads_no_header() {
    let server = server(ProxyProtocol::required().on_port(1));
    assert_eq!(ask(&server, GET), "loopback to loopback, no header");
}

#[test]
fn curl_and_haproxy_send_headers_that_are_understood() {
    let server = server(ProxyProtocol::required_from(Networks::loopback()));
    if let Some(curl) = tool("curl") {
        let mut command = Command::new(curl);
        command.args(["-s", "--max-time", "10", "--haproxy-protocol"]);
        let output = command
            .arg(format!("http://{}/", server.address))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, "loopback to loopback, header");
    }
    let Some(haproxy) = tool("haproxy") else {
        return;
    };
    for send in ["send-proxy", "send-proxy-v2"] {
        let (_socket, address) = reserve_port();
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  \
             timeout server 5s\nfrontend f\n  bind {address}\n  default_backend b\n\
             backend b\n  server s {} {send}\n",
            server.address
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let mut process = Owned(
            Command::new(&haproxy)
                .args(["-db", "-f"])
                .arg(&file)
                .spawn()
                .unwrap(),
        );
        wait_until_it_listens(&mut process, address);
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let own = stream.local_addr().unwrap();
        stream.write_all(GET).unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        assert!(
            answer.ends_with("loopback to loopback, header"),
            "{own}: {answer}"
        );
    }
}

#[test]
fn forwarded_fields_count_only_from_trusted_proxies() {
    for (networks, expected) in [
        (Networks::loopback(), "192.0.2.7"),
        (elsewhere(), "127.0.0.1"),
    ] {
        let proxies = TrustedProxies::new(networks, ForwardedBy::XForwardedFor);
        let server = TestServer::start(Server::builder(), move || {
            proxies.around(async |request: Request<'_>| {
                let text = request.client_address().map(|address| address.to_string());
                request
                    .respond(StatusCode::OK, text.unwrap_or_default(), ())
                    .await
            })
        });
        let get = b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 1.1.1.1, 192.0.2.7\r\nconnection: close\r\n\r\n";
        assert_eq!(ask(&server, get), expected);
    }
}

/// The client of a dual-stack proxy has a mapped address, and the access log and limits must know it again.
#[test]
fn a_mapped_address_in_a_header_is_that_of_an_ipv4_client() {
    let builder = Server::builder().proxy_protocol(ProxyProtocol::required());
    let server = TestServer::start(builder, || {
        async |request: Request<'_>| {
            let client = request.client_address();
            let text = client.map_or(String::new(), |address| address.to_string());
            request.respond(StatusCode::OK, text, ()).await
        }
    });
    let line = b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:203.0.113.1 4711 443\r\n";
    assert_eq!(ask(&server, &[line, GET].concat()), "192.0.2.7");
}

#[test]
fn a_header_that_is_split_at_any_byte_is_the_same() {
    let server = server(ProxyProtocol::optional_from(Networks::loopback()));
    let long = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x0b\xcb\xc6\x33\x64\x07\xcb\0\x71\x01\x12\x67\x01\xbb\x04\x0b\xbc"[..],
        &[0; 3004],
    ]
    .concat();
    for (header, step) in [(LINE, 1), (BINARY, 1), (&*long, 331)] {
        for split in (1..header.len()).step_by(step) {
            let mut client = server.client();
            client.send(&header[..split]);
            thread::sleep(Duration::from_millis(2));
            client.send([&header[split..], GET].concat());
            let answer = client.read_to_end();
            assert!(
                answer.contains("198.51.100.7:4711 to 203.0.113.1:443, header"),
                "{split} of {header:?}: {answer}"
            );
        }
    }
}
