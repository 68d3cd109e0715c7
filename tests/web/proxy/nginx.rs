//! nginx in front of our proxy, and behind it.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use waterwheel::http::web::client_address::Networks;
use waterwheel::http::web::proxy::{ClientFields, ReverseProxy};
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Request, Server, StatusCode, shared};

use super::builder;
use super::origin::{Origin, fields};
use crate::support::programs::{Owned, reserve_port, tool, wait_until_it_listens};
use crate::support::server::{Client, DEADLINE, TestServer};

struct Nginx {
    address: SocketAddr,
    folder: PathBuf,
    _process: Owned,
    _reserved: OwnedFd,
}

/// Starts nginx with a folder of files, and as a proxy before another server.
fn start(name: &str, upstream: SocketAddr) -> Option<Nginx> {
    let program = tool("nginx")?;
    let (reserved, address) = reserve_port();
    let folder = folder(name);
    let config = include_str!("nginx.conf")
        .replace("{FOLDER}", &folder.display().to_string())
        .replace("{UPSTREAM}", &upstream.to_string())
        .replace("{LISTEN}", &address.to_string());
    fs::write(folder.join("config"), config).unwrap();
    let mut command = Command::new(program);
    let command = command
        .args(["-e", "stderr", "-c"])
        .arg(folder.join("config"));
    let mut process = Owned(command.spawn().unwrap());
    wait_until_it_listens(&mut process, address);
    Some(Nginx {
        address,
        folder,
        _process: process,
        _reserved: reserved,
    })
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("proxy")
        .join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(folder.join("served")).unwrap();
    fs::write(folder.join("served/small"), "rye").unwrap();
    fs::write(folder.join("served/large"), "mill ".repeat(2_000_000)).unwrap();
    folder
}

/// Sends a request, and reads to the end.
fn ask(address: SocketAddr, request: &str) -> String {
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut client = Client { stream };
    client.send(request);
    client.read_to_end()
}

/// Returns the body of an answer, without chunks.
fn body(answer: &str) -> String {
    let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return rest.to_owned();
    }
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
}

#[test]
fn nginx_behind_the_proxy_is_answered_for_as_nginx_itself() {
    let unused = "127.0.0.1:1".parse().unwrap();
    let Some(nginx) = start("behind", unused) else {
        return;
    };
    let url = format!("http://{}", nginx.address);
    let server = TestServer::start_plain(builder(), move || shared(ReverseProxy::to(&url)));
    let plain = |answer: &str| {
        let head = answer.split_once("\r\n\r\n").unwrap().0.to_lowercase();
        let own = ["date: ", "via: ", "connection: ", "transfer-encoding: "];
        let fields: Vec<_> = fields(&head)
            .into_iter()
            .filter(|field| !own.iter().any(|name| field.starts_with(name)))
            .map(str::to_owned)
            .collect();
        let status = head.split(' ').nth(1).unwrap().to_owned();
        (status, fields, body(answer))
    };
    let etag = ask(nginx.address, "HEAD /small HTTP/1.0\r\n\r\n");
    let etag = etag
        .lines()
        .find_map(|line| line.strip_prefix("ETag: "))
        .unwrap();
    let unchanged = format!("GET /small HTTP/1.1\r\nif-none-match: {etag}\r\n");
    for request in [
        "GET /small HTTP/1.1\r\n",
        "GET /large HTTP/1.1\r\n",
        "HEAD /large HTTP/1.1\r\n",
        "GET /large HTTP/1.1\r\nrange: bytes=5-13\r\n",
        "GET /large HTTP/1.1\r\nrange: bytes=99999999-\r\n",
        "GET /none HTTP/1.1\r\n",
        "DELETE /small HTTP/1.1\r\n",
        "POST /small HTTP/1.1\r\ncontent-length: 0\r\n",
        &unchanged,
    ] {
        for _ in 0..2 {
            let request = format!("{request}host: a\r\nconnection: close\r\n\r\n");
            let (theirs, through) = (ask(nginx.address, &request), ask(server.address, &request));
            assert!(
                plain(&theirs) == plain(&through),
                "{request}: {theirs:.500} {through:.500}"
            );
        }
    }
}

/// nginx closes an idle connection after a second. No request is lost in that.
/// It writes the Host that it has seen, with its own port (`port_in_redirect`).
#[test]
fn a_redirect_of_nginx_leads_to_the_proxy() {
    let unused = "127.0.0.1:1".parse().unwrap();
    let Some(nginx) = start("redirect", unused) else {
        return;
    };
    fs::create_dir_all(nginx.folder.join("served/inner")).unwrap();
    let url = format!("http://{}", nginx.address);
    let server = TestServer::start_plain(builder(), move || {
        let below = Router::new().nest("/shop", ReverseProxy::to(&url).replace_host());
        shared(below.any("/{*rest}", ReverseProxy::to(&url)))
    });
    for (target, host, expected) in [
        ("/inner", "mill.example", "/inner/"),
        ("/inner", "mill.example:8443", "/inner/"),
        ("/shop/inner", "mill.example", "/shop/inner/"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = ask(server.address, &request);
        let line = answer
            .lines()
            .find_map(|line| line.strip_prefix("location: "));
        assert_eq!(line, Some(expected), "{answer}");
    }
}

#[test]
fn requests_around_the_keep_alive_time_of_nginx_are_all_answered() {
    let unused = "127.0.0.1:1".parse().unwrap();
    let Some(nginx) = start("idle", unused) else {
        return;
    };
    let url = format!("http://{}", nginx.address);
    let server = TestServer::start_plain(builder(), move || shared(ReverseProxy::to(&url)));
    thread::scope(|scope| {
        for step in 0..20 {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..3 {
                    let request = "GET /small HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
                    let answer = ask(server.address, request);
                    assert!(answer.ends_with("rye"), "{answer}");
                    thread::sleep(Duration::from_millis(990 + step));
                }
            });
        }
    });
}

#[test]
fn nginx_in_front_of_the_proxy_is_a_trusted_peer() {
    let (origin, heads) = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nrye");
    let url = origin.url();
    let server = TestServer::start_plain(builder(), move || {
        let proxy = ReverseProxy::to(&url).trust(Networks::loopback());
        shared(proxy.client_fields(ClientFields::XForwarded))
    });
    let Some(nginx) = start("in-front", server.address) else {
        return;
    };
    let answer = ask(
        nginx.address,
        "GET /through/a?b HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.7\r\nconnection: close\r\n\r\n",
    );
    assert!(answer.ends_with("rye"), "{answer}");
    let head = heads.recv_timeout(DEADLINE).unwrap();
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{head}");
    let expected = "x-forwarded-for: 192.0.2.7, 127.0.0.1, 127.0.0.1";
    assert!(fields(&head).contains(&expected), "{head}");
}

#[test]
fn bodies_pass_nginx_our_proxy_and_our_server() {
    let behind = TestServer::start_plain(builder(), || {
        shared(async |request: Request<'_>| {
            // nginx passes no more of a body on once the answer has begun.
            let body = request.bytes().await?;
            request.respond(StatusCode::OK, body, ()).await
        })
    });
    let url = format!("http://{}", behind.address);
    let server = TestServer::start_plain(builder(), move || shared(ReverseProxy::to(&url)));
    let Some(nginx) = start("bodies", server.address) else {
        return;
    };
    let sent = "water ".repeat(1_000_000);
    let head = "POST /through/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let sized = format!("{head}content-length: {}\r\n\r\n{sent}", sent.len());
    let chunked = format!(
        "{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{sent}\r\n0\r\n\r\n",
        sent.len()
    );
    for request in [sized, chunked] {
        let mut client = Client {
            stream: std::net::TcpStream::connect(nginx.address).unwrap(),
        };
        client.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut writer = Client {
            stream: client.stream.try_clone().unwrap(),
        };
        let writing = thread::spawn(move || writer.send(request));
        let answer = client.read_to_end();
        writing.join().unwrap();
        assert!(body(&answer) == sent, "{answer:.500}");
    }
}

#[test]
fn a_websocket_passes_nginx_and_our_proxy() {
    let origin = Origin::serve(|mut client| {
        if client
            .head()
            .is_some_and(|head| head.contains("upgrade: websocket"))
        {
            client.send("HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
            let said = client.read_exact(5);
            client.send(said);
        }
    });
    let url = origin.url();
    let server = TestServer::start_plain(Server::builder(), move || shared(ReverseProxy::to(&url)));
    let Some(nginx) = start("websocket", server.address) else {
        return;
    };
    let answer = ask(
        nginx.address,
        "GET /through/ HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nwater",
    );
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nwater"),
        "{answer}"
    );
}
