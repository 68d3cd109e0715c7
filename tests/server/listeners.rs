//! Listeners: Unix sockets, several addresses, inherited ones, and their options.

#![allow(clippy::print_stdout, reason = "a child process talks to its parent")]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener as StdListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use crate::support::process::{again, alone};
use crate::support::server::{DEADLINE, without_dates};
use crate::support::skip::skip;
use rustix::net::sockopt::{socket_keepalive, socket_reuseport, tcp_keepidle, tcp_nodelay};
use waterwheel::http::{Listener, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::net::{ListenOptions, TcpListener, UnixListener};
use waterwheel::runtime::{block_on, spawn, spawn_blocking, time::timeout};

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

async fn handler(request: Request<'_>) -> Result<Responded> {
    let peer = format!("{:?}", request.peer_address().map(|peer| peer.ip()));
    request.respond(StatusCode::OK, peer, ()).await
}

/// Returns the answer to a request on `stream`, without its date.
fn ask(mut stream: impl Read + Write) -> String {
    stream.write_all(REQUEST).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    without_dates(&answer)
}

fn answer(peer: &str) -> String {
    let length = peer.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{peer}")
}

/// Serves while `client` runs on another thread.
fn with_server<T: Send + 'static>(
    server: Server,
    client: impl FnOnce() -> T + Send + 'static,
) -> T {
    block_on(async {
        let server = Rc::new(server);
        let serving = spawn({
            let server = server.clone();
            async move { server.serve(handler).await }
        });
        let client = timeout(DEADLINE, spawn_blocking(client));
        let outcome = client.await.unwrap().unwrap();
        server.close();
        serving.await.unwrap().unwrap();
        outcome
    })
}

/// A folder of this test. It is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("waterwheel-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_unix_socket_is_served_and_its_file_is_removed_at_the_end() {
    let folder = Folder::new("path");
    let path = folder.path("socket");
    let server = Server::builder().bind_unix(&path).unwrap();
    assert_eq!(server.local_address().to_string(), "0.0.0.0:0");
    let (seen, by_curl) = with_server(server, {
        let path = path.clone();
        move || {
            let seen = ask(UnixStream::connect(&path).unwrap());
            let curl = Command::new("curl")
                .args([
                    "-s",
                    "--max-time",
                    "5",
                    "http://localhost/",
                    "--unix-socket",
                ])
                .arg(&path)
                .output();
            (
                seen,
                curl.map(|output| String::from_utf8(output.stdout).unwrap()),
            )
        }
    });
    assert_eq!(seen, answer("None"));
    assert!(!path.exists());
    match by_curl {
        Ok(by_curl) => assert_eq!(by_curl, "None"),
        Err(_) => skip("curl is not installed"),
    }
}

#[test]
fn an_abstract_name_is_served_and_needs_no_file() {
    let name = format!("waterwheel-{}", std::process::id());
    let listener = UnixListener::bind_abstract(&name).unwrap();
    let again = UnixListener::bind_abstract(&name).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
    let server = Server::builder().listen_on([listener]).unwrap();
    let seen = with_server(server, move || {
        let address = UnixAddress::from_abstract_name(name).unwrap();
        ask(UnixStream::connect_addr(&address).unwrap())
    });
    assert_eq!(seen, answer("None"));
}

#[test]
fn only_a_socket_file_without_a_listener_is_replaced() {
    alone(|| {
        let folder = Folder::new("stale");
        let stale = folder.path("stale");
        drop(StdListener::bind(&stale).unwrap());
        assert!(stale.exists());
        let first = UnixListener::bind(&stale).unwrap();
        assert_eq!(first.path(), Some(&*stale));

        let second = UnixListener::bind(&stale).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::AddrInUse);
        assert!(
            second.to_string().contains(stale.to_str().unwrap()),
            "{second}"
        );
        assert!(UnixStream::connect(&stale).is_ok());

        let file = folder.path("file");
        fs::write(&file, "precious").unwrap();
        let refused = UnixListener::bind(&file).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

        let nowhere = UnixListener::bind(folder.path("missing/socket")).unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::NotFound);
        let long = UnixListener::bind(folder.path(&"x".repeat(200))).unwrap_err();
        assert_eq!(long.kind(), ErrorKind::InvalidInput);

        // A file of another program in its place is not removed.
        fs::remove_file(&stale).unwrap();
        let other = StdListener::bind(&stale).unwrap();
        drop(first);
        assert!(stale.exists());
        drop(other);
    });
}

#[test]
fn a_file_may_be_left_to_a_successor_that_has_the_socket() {
    alone(|| {
        let folder = Folder::new("left");
        let path = folder.path("socket");
        let listener = UnixListener::bind(&path).unwrap().leave_file();
        let successor = listener.as_fd().try_clone_to_owned().unwrap();
        drop(listener);
        assert!(UnixStream::connect(&path).is_ok());
        drop(successor);
        assert!(UnixStream::connect(&path).is_err() && path.exists());
    });
}

#[test]
fn a_folder_that_stays_locked_does_not_block_for_ever() {
    use rustix::fs::{FlockOperation, flock};
    let folder = Folder::new("locked");
    let keeper = fs::File::open(&folder.0).unwrap();
    flock(&keeper, FlockOperation::LockExclusive).unwrap();
    let refused = UnixListener::bind(folder.path("socket")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    drop(keeper);
    assert!(UnixListener::bind(folder.path("socket")).is_ok());
}

#[test]
fn a_socket_file_whose_listener_has_a_full_queue_is_not_replaced() {
    let folder = Folder::new("full");
    let path = folder.path("socket");
    let listener = ListenOptions::new().backlog(0).bind_unix(&path).unwrap();
    let waiting = UnixStream::connect(&path).unwrap();
    let refused = UnixListener::bind(&path).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AddrInUse);
    drop((listener, waiting));
}

#[test]
fn one_of_two_servers_that_bind_a_path_at_once_listens() {
    alone(|| {
        let folder = Folder::new("race");
        let path = folder.path("socket");
        for _ in 0..50 {
            drop(StdListener::bind(&path));
            let bind = |path: PathBuf| move || UnixListener::bind(path);
            let threads: Vec<_> = (0..4)
                .map(|_| std::thread::spawn(bind(path.clone())))
                .collect();
            let bound: Vec<_> = threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect();
            assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1);
            assert!(UnixStream::connect(&path).is_ok());
            drop(bound);
            assert!(!path.exists());
        }
    });
}

#[test]
fn one_server_serves_several_listeners() {
    let folder = Folder::new("several");
    let path = folder.path("socket");
    let v6 = ListenOptions::new().only_v6(true).bind("[::1]:0").unwrap();
    let (v4, unix) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        UnixListener::bind(&path).unwrap(),
    );
    let (first, second) = (v4.local_address().unwrap(), v6.local_address().unwrap());
    let listeners = [Listener::from(v4), v6.into(), unix.into()];
    let server = Server::builder().listen_on(listeners).unwrap();
    assert_eq!(server.local_address(), first);
    let seen = with_server(server, move || {
        // All queues together hold more clients than the budget of one accept.
        let clients: Vec<_> = (0..20)
            .map(|_| {
                (
                    TcpStream::connect(first).unwrap(),
                    TcpStream::connect(second).unwrap(),
                )
            })
            .collect();
        let by_v4 = ask(TcpStream::connect(first).unwrap());
        let by_v6 = ask(TcpStream::connect(second).unwrap());
        let by_path = ask(UnixStream::connect(&path).unwrap());
        for (v4, v6) in clients {
            assert_eq!((ask(v4), ask(v6)), (by_v4.clone(), by_v6.clone()));
        }
        [by_v4, by_v6, by_path]
    });
    assert_eq!(seen, ["Some(127.0.0.1)", "Some(::1)", "None"].map(answer));
}

#[test]
fn the_wildcard_of_ipv6_accepts_ipv4_unless_that_is_off() {
    let both = ListenOptions::new().only_v6(false).bind("[::]:0").unwrap();
    let port = both.local_address().unwrap().port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(TcpStream::connect(("::1", port)).is_ok());
    let v6 = ListenOptions::new().only_v6(true).bind("[::]:0").unwrap();
    let port = v6.local_address().unwrap().port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(TcpStream::connect(("::1", port)).is_ok());
}

#[test]
fn connections_inherit_the_options_of_their_listener() {
    block_on(async {
        let options = ListenOptions::new().keepalive(Duration::from_secs(70));
        let listener = options.reuse_port(true).bind("127.0.0.1:0").unwrap();
        assert!(socket_reuseport(&listener).unwrap());
        let client = TcpStream::connect(listener.local_address().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(socket_keepalive(&stream).unwrap() && tcp_nodelay(&stream).unwrap());
        assert_eq!(tcp_keepidle(&stream).unwrap(), Duration::from_secs(70));
        let plain = ListenOptions::new()
            .nodelay(false)
            .bind("127.0.0.1:0")
            .unwrap();
        let other = TcpStream::connect(plain.local_address().unwrap()).unwrap();
        let (stream, _) = plain.accept().await.unwrap();
        assert!(!socket_keepalive(&stream).unwrap() && !tcp_nodelay(&stream).unwrap());
        drop((client, other));
    });
}

const INHERITS: &str = "WATERWHEEL_INHERITS";

/// Prints what this process has inherited, if it was started for that.
#[test]
fn heir() {
    if std::env::var_os(INHERITS).is_some() {
        let inherited = Listener::inherited();
        let said = inherited.map_or_else(
            |error| error.kind().to_string(),
            |all| all.len().to_string(),
        );
        println!("inherited: {said}.");
        assert!(
            Listener::inherited().unwrap().is_empty(),
            "each is returned once"
        );
    }
}

/// Starts a process with this descriptor as its standard input and these variables. Returns what it has inherited.
fn inherited(input: impl Into<OwnedFd>, variables: &[(&str, &str)]) -> String {
    let mut command = again("listeners::heir");
    command
        .env(INHERITS, "1")
        .env("LISTEN_FDS_FIRST_FD", "0")
        .envs(variables.iter().copied())
        .stdin(Stdio::from(input.into()));
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let (_, said) = said.split_once("inherited: ").unwrap();
    said.split('.').next().unwrap().to_owned()
}

#[test]
fn a_process_inherits_listeners_and_nothing_else() {
    let one = [("LISTEN_FDS", "1")];
    let listening = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new("inherited");
    let unix = StdListener::bind(folder.path("socket")).unwrap();
    assert_eq!(inherited(listening(), &one), "1");
    assert_eq!(inherited(unix, &one), "1");
    // An inetd, or a socket unit with `Accept=yes`, passes a connection.
    let listener = listening();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let pair = UnixStream::pair().unwrap();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = fs::File::open("/dev/null").unwrap();
    let refused = "invalid input parameter";
    assert_eq!(inherited(connected, &one), refused);
    assert_eq!(inherited(pair.0, &one), refused);
    assert_eq!(inherited(datagrams, &one), refused);
    assert_eq!(inherited(file, &one), refused);
    for (variables, expected) in [
        (&[][..], "0"),
        (&[("LISTEN_FDS", "0")], "0"),
        (&[("LISTEN_FDS", "one")], "0"),
        (&[("LISTEN_FDS", "-1")], "0"),
        (&[("LISTEN_FDS", "")], "0"),
        (&[("LISTEN_FDS", "1"), ("LISTEN_PID", "1")], "0"), // for another process
        (&[("LISTEN_FDS", "1"), ("LISTEN_PID", "x")], "0"),
        (&[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "web")], "1"),
        (&[("LISTEN_FDS", "2")], refused), // the second one is the standard output
    ] {
        assert_eq!(inherited(listening(), variables), expected, "{variables:?}");
    }
}

const NAMES: &str = "WATERWHEEL_NAMES";

/// Prints the names and the places of the listeners that this process has inherited, if it was started for that.
#[test]
fn named_heir() {
    if std::env::var_os(NAMES).is_none() {
        return;
    }
    let inherited = Listener::inherited_by_name();
    let said = inherited.map_or_else(
        |error| error.to_string(),
        |all| {
            let place = |listener: &Listener| {
                let address = listener.local_address();
                address.map_or("unix".to_owned(), |address| address.port().to_string())
            };
            let places = |all: &Vec<Listener>| all.iter().map(place).collect::<Vec<_>>().join(",");
            let all = all
                .iter()
                .map(|(name, all)| format!("{name}={}", places(all)));
            all.collect::<Vec<_>>().join(" ")
        },
    );
    println!("inherited: {said}.");
    assert!(
        Listener::inherited_by_name().unwrap().is_empty(),
        "each is returned once"
    );
    assert!(Listener::inherited().unwrap().is_empty());
}

/// Starts a process with two descriptors, 3 and 4 as systemd passes them. Returns what it has inherited.
fn inherited_by_name(
    first: impl Into<OwnedFd>,
    second: impl Into<OwnedFd>,
    variables: &[(&str, &str)],
) -> String {
    let test = again("listeners::named_heir");
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 3<&0 4<&1 >&2 </dev/null; exec \"$0\" \"$@\""])
        .arg(test.get_program())
        .args(test.get_args())
        .env(NAMES, "1")
        .envs(variables.iter().copied())
        .stdin(Stdio::from(first.into()))
        .stdout(Stdio::from(second.into()))
        .stderr(Stdio::piped());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let (_, said) = said.split_once("inherited: ").unwrap();
    said.split(".\n").next().unwrap().to_owned()
}

/// The variables are those of `sd_listen_fds_with_names(3)`.
#[test]
fn an_inherited_listener_is_chosen_by_its_name() {
    let folder = Folder::new("named");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = StdListener::bind(folder.path("socket")).unwrap();
    let port = tcp.local_addr().unwrap().port();
    let inherited = |variables: &[(&str, &str)]| {
        inherited_by_name(
            tcp.try_clone().unwrap(),
            unix.try_clone().unwrap(),
            variables,
        )
    };
    let named = |names| inherited(&[("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", names)]);
    assert_eq!(named("web:admin"), format!("admin=unix web={port}"));
    assert_eq!(named("admin:web"), format!("admin={port} web=unix"));
    // All sockets of one unit have one name.
    assert_eq!(
        named("mill.socket:mill.socket"),
        format!("mill.socket={port},unix")
    );
    assert_eq!(named(":b"), format!("={port} b=unix"));
    let one = "LISTEN_FDNAMES has names for 1 sockets, and there are 2";
    assert_eq!(named("web"), one);
    assert_eq!(named(""), one);
    assert_eq!(
        named("a:b:c"),
        "LISTEN_FDNAMES has names for 3 sockets, and there are 2"
    );
    assert_eq!(
        inherited(&[("LISTEN_FDS", "2")]),
        format!("unknown={port},unix")
    );
    // Those of a parent process.
    assert_eq!(inherited(&[("LISTEN_FDNAMES", "web:admin")]), "");
    let other = [
        ("LISTEN_FDS", "2"),
        ("LISTEN_PID", "1"),
        ("LISTEN_FDNAMES", "a:b"),
    ];
    assert_eq!(inherited(&other), "");
}
