//! Programs by CGI: each claim is a script, and the literal bytes of the client.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use waterwheel::http::testing::TestClient;
use waterwheel::http::web::cgi::Cgi;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Server, StatusCode, shared};
use waterwheel::runtime::{block_on, join};

use crate::support::programs::{run, tool};
use crate::support::server::{DEADLINE, TestServer};
use crate::support::tls;

fn sh(script: &str) -> Cgi {
    Cgi::new("/bin/sh").arg("-c").arg(script)
}

fn serve(make: impl FnOnce() -> Cgi + Send + 'static) -> TestServer {
    TestServer::start(Server::builder().max_body(1 << 30), || shared(make()))
}

/// Sends one request to a script, and returns all that comes.
fn exchange(script: &'static str, request: &str) -> String {
    serve(move || sh(script)).exchange(&[request.as_bytes()])
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn the_output_of_a_program_is_the_answer() {
    for (script, request, answer) in [
        (
            r"printf 'Content-Type: text/plain\n\nrye\n'",
            GET,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n\
             4\r\nrye\n\r\n0\r\n\r\n",
        ),
        (
            // RFC 3875, 6.2.1: with CR LF, and with a length
            r"printf 'Content-Length: 3\r\nContent-Type: a/b\r\nX-Mill: 7\r\n\r\nrye'",
            GET,
            "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nx-mill: 7\r\ncontent-length: 3\r\n\r\nrye",
        ),
        (
            r"printf 'Status: 404 No Such Flour\nContent-Length: 0\n\n'",
            GET,
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            // RFC 3875, 6.2.3 and 6.2.2
            r"printf 'Location: http://a/b\nContent-Length: 0\n\n'",
            GET,
            "HTTP/1.1 302 Found\r\nlocation: http://a/b\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            r"printf 'Location: /b?c\nContent-Length: 0\n\n'",
            GET,
            "HTTP/1.1 302 Found\r\nlocation: /b?c\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            // RFC 3875, 4.3.3: the server removes the body
            r"printf 'Content-Length: 3\nContent-Type: a/b\n\nrye'",
            "HEAD / HTTP/1.1\r\nhost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: 3\r\n\r\n",
        ),
        (
            r#"printf 'Status: 304\nETag: "1"\n\nrye'"#,
            GET,
            "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n",
        ),
        (
            r"printf 'Connection: x-a, close\nX-A: 1\nContent-Type: a/b\nContent-Length: 0\n\n'",
            GET,
            "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            // The last command of a script decides its code, often by accident.
            r"printf 'Content-Type: a/b\nContent-Length: 3\n\nrye'; false",
            GET,
            "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ncontent-length: 3\r\n\r\nrye",
        ),
    ] {
        assert_eq!(exchange(script, request), answer, "{script}");
    }
}

#[test]
fn a_connection_goes_on_after_a_program() {
    let script = r"printf 'Content-Type: a/b\nContent-Length: 1\n\nr'; cat >/dev/null";
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nrye";
    let answers = serve(move || sh(script)).exchange(&[post.as_bytes(), GET.as_bytes()]);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

#[test]
fn a_fault_of_the_program_is_a_502() {
    for script in [
        "exit 0",
        "exit 1",
        "kill -9 $$",
        "echo hello",
        r"printf 'HTTP/1.1 200 OK\nContent-Type: a/b\n\n'",
        r"printf 'Content-Type: a/b\n'",
        r"printf 'X-A: 1\n\n'",
        r"printf 'Content-Type: a/b\nTransfer-Encoding: chunked\n\n0\r\n\r\n'",
        r"printf 'Content-Type: a/b\nContent-Length: 1\nContent-Length: 2\n\n'",
        r"printf 'Content-Type: a/b\nDate: a\nDate: b\n\n'",
        r"printf 'Content-Type: a/b\nX-A: b\rc\n\n'",
        r"printf 'Content-Type: a/b\nContent-Length: 2\n\nrye'",
        r"printf 'Status: 100\n\n'",
        "yes x: y",
        "yes | tr -d '\\n'",
    ] {
        let answer = exchange(script, GET);
        let expected = "HTTP/1.1 502 Bad Gateway\r\n";
        assert!(answer.starts_with(expected), "{script}: {answer}");
    }
    let answer = serve(|| Cgi::new("/no/such/program")).exchange(&[GET.as_bytes()]);
    assert_eq!(
        answer,
        "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: 30\r\nconnection: close\r\n\r\nno valid answer from upstream\n",
    );
}

#[test]
fn a_body_that_is_cut_short_has_no_end() {
    for script in [
        r"printf 'Content-Type: a/b\n\nrye'; sleep 0.2; kill -9 $$",
        r"printf 'Content-Type: a/b\nContent-Length: 9\n\nrye'; sleep 0.2",
        r"printf 'Content-Type: a/b\nContent-Length: 2\n\nrye'; sleep 0.2",
    ] {
        let answer = exchange(script, GET);
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") || answer.starts_with("HTTP/1.1 50"),
            "{script}: {answer}"
        );
        assert!(
            !answer.ends_with("0\r\n\r\n") && !answer.ends_with("ry"),
            "{script}: {answer}"
        );
    }
}

#[test]
fn the_host_of_an_absolute_target_is_that_of_the_program() {
    // RFC 9112, 3.2.2
    let script = r#"printf 'Content-Type: a/b\n\n%s %s' "$HTTP_HOST" "$SERVER_NAME""#;
    for (request, hosts) in [
        (
            "GET http://a.example:80/ HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n",
            "a.example:80 a.example",
        ),
        (
            "GET http://a.example/ HTTP/1.0\r\n\r\n",
            "a.example a.example",
        ),
        (
            "GET / HTTP/1.0\r\nHost: b.example\r\n\r\n",
            "b.example b.example",
        ),
    ] {
        let answer = exchange(script, request);
        assert!(answer.contains(hosts), "{request}: {answer}");
    }
}

/// `env` of a program, without the variables that a shell adds.
#[test]
fn the_environment_is_that_of_the_rfc() {
    let env = tool("env").unwrap();
    let script = r#"printf 'Content-Type: a/b\n\n'; exec "$ENV" -u ENV -u PATH -u PWD -u SHLVL -u _ -u OLDPWD"#;
    let server = serve(move || {
        sh(script)
            .env("ENV", env)
            .script_name("/cgi-bin/mill")
            .env("SERVER_NAME", "set")
    });
    let answer = server.exchange(&[
        b"POST /cgi-bin/mill/a%20b/%C3%A9+?q=%20;x HTTP/1.0\r\nHost: www.example.org:8080\r\n",
        b"Content-Type: text/plain\r\nContent-Length: 3\r\nUser-Agent: mill/1.0 (a=b)\r\n",
        b"X-A: 1\r\nx-a: 2\r\nCookie: a=1\r\nCookie: b=2\r\nX-Latin: \xe9\r\nEmpty:\r\n",
        // These have no variable.
        b"Proxy: http://evil/\r\nX_A: 3\r\nX.A: 4\r\nAuthorization: Basic x\r\n",
        b"Proxy-Authorization: Basic x\r\nConnection: close\r\nTE: trailers\r\nUpgrade: x\r\nKeep-Alive: 5\r\n\r\nrye",
    ]);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    // The houses also run over TLS.
    let is_of_transport = |line: &&str| *line == "HTTPS=on" || line.starts_with("SERVER_PORT=");
    let (of_transport, mut variables): (Vec<_>, Vec<_>) = body.lines().partition(is_of_transport);
    assert!(tls::is_wanted() || of_transport == [format!("SERVER_PORT={}", server.address.port())]);
    variables.sort_unstable();
    assert_eq!(
        variables,
        [
            "CONTENT_LENGTH=3",
            "CONTENT_TYPE=text/plain",
            "GATEWAY_INTERFACE=CGI/1.1",
            "HTTP_COOKIE=a=1; b=2",
            "HTTP_EMPTY=",
            "HTTP_HOST=www.example.org:8080",
            "HTTP_USER_AGENT=mill/1.0 (a=b)",
            "HTTP_X_A=1, 2",
            "HTTP_X_LATIN=\u{fffd}",
            "PATH_INFO=/a b/\u{e9}+",
            "QUERY_STRING=q=%20;x",
            "REMOTE_ADDR=127.0.0.1",
            "REMOTE_HOST=127.0.0.1",
            "REQUEST_METHOD=POST",
            "REQUEST_URI=/cgi-bin/mill/a%20b/%C3%A9+?q=%20;x",
            "SCRIPT_NAME=/cgi-bin/mill",
            "SERVER_NAME=set",
            "SERVER_PROTOCOL=HTTP/1.0",
            "SERVER_SOFTWARE=waterwheel/0.1.0",
        ]
    );
}

#[test]
fn authorization_is_passed_if_the_application_wants_it() {
    let script = r#"printf 'Content-Type: a/b\n\n%s' "$HTTP_AUTHORIZATION""#;
    block_on(async {
        let mut client = TestClient::new(sh(script).with_authorization());
        client
            .send("GET / HTTP/1.1\r\nhost: a\r\nauthorization: Basic x\r\n\r\n")
            .await;
        assert_eq!(client.answer().await.text(), "Basic x");
    });
}

#[test]
fn a_path_is_that_of_the_program_or_not_found() {
    let script = r#"printf 'Content-Type: a/b\n\n%s' "$PATH_INFO""#;
    block_on(async {
        let mut client = TestClient::new(sh(script).script_name("/mill"));
        for (path, expected) in [
            ("/mill", Ok("")),
            ("/mill/", Ok("/")),
            ("/mill/rye?x", Ok("/rye")),
            ("/mill/%252e", Ok("/%2e")),
            ("/mills", Err(404)),
            ("/", Err(404)),
            ("/mill/%", Err(400)),
            ("/mill/%00", Err(400)),
            ("/mill/../x", Err(400)),
            ("/mill/%2e%2E/x", Err(400)),
            ("/mill/a%2F..%2fx", Err(400)),
        ] {
            let answer = client.get(path).await;
            match expected {
                Ok(text) => assert_eq!(answer.text(), text, "{path}"),
                Err(status) => assert_eq!(answer.status.as_u16(), status, "{path}"),
            }
        }
    });
}

#[test]
fn the_prefixes_of_routers_belong_to_the_name_of_the_program() {
    let script =
        r#"printf 'Content-Type: a/b\n\n%s|%s|%s' "$SCRIPT_NAME" "$PATH_INFO" "$REQUEST_URI""#;
    let inner = Router::new().nest("/mill", sh(script));
    let router = Router::new()
        .nest("/a site", inner)
        .nest("/b", sh(script).script_name("/c"));
    block_on(async {
        let mut client = TestClient::new(router);
        for (path, expected) in [
            (
                "/a%20site/mill/r%20ye",
                "/a site/mill|/r ye|/a%20site/mill/r%20ye",
            ),
            ("/a%20site/mill", "/a site/mill||/a%20site/mill"),
            ("/b/c/d", "/b/c|/d|/b/c/d"),
        ] {
            assert_eq!(client.get(path).await.text(), expected);
        }
    });
}

#[test]
fn the_body_of_a_request_is_the_input() {
    let script = r#"printf 'Content-Type: a/b\n\n%s:' "$CONTENT_LENGTH"; cat"#;
    block_on(async {
        let mut client = TestClient::new(sh(script));
        for (request, expected) in [
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nrye",
                "3:rye",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
                ":",
            ),
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", ":"),
            // CGI has no input without a length (RFC 3875, 4.2).
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nry\r\n1\r\ne\r\n0\r\n\r\n",
                "3:rye",
            ),
        ] {
            client.send(request).await;
            assert_eq!(client.answer().await.text(), expected, "{request}");
        }
    });
}

#[test]
fn a_chunked_body_is_kept_up_to_a_limit() {
    let script = r#"printf 'Content-Type: a/b\n\n%s' "$CONTENT_LENGTH"; cat >/dev/null"#;
    let chunked = |bytes: usize| {
        let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        format!("{head}{bytes:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(bytes))
    };
    let answer = exchange(script, &chunked(1 << 20));
    assert!(answer.contains("\r\n1048576\r\n"), "{answer}");
    let answer = exchange(script, &chunked((1 << 20) + 1));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

/// More than all buffers on the way, in both directions at once.
#[test]
fn input_and_output_do_not_wait_for_each_other() {
    let script = r"printf 'Content-Type: a/b\n\n'; exec cat";
    let server = serve(move || sh(script));
    let client = server.client();
    let mut writer = client.stream.try_clone().unwrap();
    let length = 8_000_000;
    let writing = thread::spawn(move || {
        write!(
            writer,
            "POST / HTTP/1.0\r\ncontent-length: {length}\r\n\r\n"
        )
        .unwrap();
        writer.write_all(&vec![b'x'; length]).unwrap();
    });
    let mut bytes = Vec::new();
    (&client.stream).read_to_end(&mut bytes).unwrap();
    writing.join().unwrap();
    assert!(bytes.len() > length, "{}", bytes.len());
}

#[test]
fn a_program_need_not_read_its_input() {
    let script = r"exec 0<&-; printf 'Content-Type: a/b\nContent-Length: 3\n\nrye'";
    let server = serve(move || sh(script));
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9000000\r\n\r\n");
    client.send(vec![b'x'; 100_000]);
    assert!(client.read_until("rye").starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn a_body_that_the_client_cuts_short_is_not_taken_for_whole() {
    let folder = folder("cut-short");
    let file = folder.join("whole");
    let script = format!(
        r"cat > /dev/null; touch '{}'; printf 'Status: 200\n\n'",
        file.display()
    );
    let server = serve(move || sh(&script));
    let answer = server.exchange(&[b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nrye"]);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    drop(server);
    assert!(!file.exists());
}

#[test]
fn a_noisy_standard_error_does_not_stop_a_program() {
    let script =
        r"head -c 1000000 /dev/zero >&2; printf 'Content-Type: a/b\nContent-Length: 3\n\nrye'";
    assert!(exchange(script, GET).ends_with("rye"));
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("cgi")
        .join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A script that starts a child, writes the ids of both into a file, and waits.
fn with_child(file: &Path, first: &str) -> String {
    let file = file.display();
    format!("{first}; sleep 1000 & echo $$ $! > '{file}.part'; mv '{file}.part' '{file}'; wait")
}

/// Returns the ids that the script has written.
fn ids(file: &Path) -> Vec<u32> {
    let start = Instant::now();
    while !file.exists() {
        assert!(start.elapsed() < DEADLINE, "the program does not run");
        thread::sleep(Duration::from_millis(1));
    }
    let text = fs::read_to_string(file).unwrap();
    text.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}

/// Waits until these processes have ended. Fails if they do not, or if the first one becomes a zombie.
fn expect_gone(ids: &[u32]) {
    let start = Instant::now();
    for (place, id) in ids.iter().enumerate() {
        let file = PathBuf::from(format!("/proc/{id}/stat"));
        while let Ok(text) = fs::read_to_string(&file) {
            // The child of the program is reaped by another process, which is not ours to test.
            let behind_name = text.rsplit(')').next().unwrap_or_default();
            if place > 0 && behind_name.trim_start().starts_with('Z') {
                break;
            }
            let message = format!("process {place} is there: {text}");
            assert!(start.elapsed() < DEADLINE, "{message}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_silent_program_is_killed_with_its_children_and_answered_504() {
    let file = folder("silent").join("ids");
    let script = with_child(&file, ":");
    let server = serve(move || sh(&script).time_limit(Duration::from_millis(500)));
    let answer = server.exchange(&[GET.as_bytes()]);
    assert!(
        answer.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"),
        "{answer}"
    );
    expect_gone(&ids(&file));
}

#[test]
fn a_program_that_stalls_within_its_body_is_killed_and_cut() {
    let file = folder("stalls").join("ids");
    let script = with_child(&file, r"printf 'Content-Type: a/b\n\nrye'");
    let server = serve(move || sh(&script).time_limit(Duration::from_millis(500)));
    let answer = server.exchange(&[GET.as_bytes()]);
    assert!(answer.ends_with("3\r\nrye\r\n"), "{answer}");
    expect_gone(&ids(&file));
}

#[test]
fn the_time_of_a_slow_client_does_not_count() {
    // More than all buffers hold, so that the program waits for the client that does not read.
    let script = r"cat > /dev/null; printf 'Content-Type: a/b\n\n'; head -c 20000000 /dev/zero";
    let server = serve(move || sh(script).time_limit(Duration::from_millis(300)));
    let mut client = server.client();
    client.send("POST / HTTP/1.0\r\ncontent-length: 3\r\n\r\n");
    thread::sleep(Duration::from_millis(900));
    client.send("rye");
    thread::sleep(Duration::from_millis(900));
    let answer = client.read_to_end();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.len() > 20_000_000, "{}", answer.len());
}

#[test]
fn a_program_is_killed_with_its_children_when_its_client_leaves() {
    for (name, first) in [
        ("early", ":"),
        ("late", r"printf 'Content-Type: a/b\n\nrye'"),
    ] {
        let file = folder(name).join("ids");
        let script = with_child(&file, first);
        let server = serve(move || sh(&script));
        let mut client = server.client();
        client.send(GET);
        let ids = ids(&file);
        rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO)).unwrap();
        drop(client);
        expect_gone(&ids);
    }
}

#[test]
fn a_program_is_killed_with_its_children_when_its_server_ends() {
    let file = folder("server-ends").join("ids");
    let script = with_child(&file, ":");
    let server = serve(move || sh(&script));
    let mut client = server.client();
    client.send(GET);
    let ids = ids(&file);
    drop(server);
    // Its status waits for the next start of a process, so it may be a zombie until then.
    expect_gone(&ids[1..]);
}

#[test]
fn a_child_that_a_program_leaves_behind_does_not_extend_the_answer() {
    let script = r"sleep 20 & echo $! >&2; printf 'Content-Type: a/b\n\nrye'";
    let start = Instant::now();
    let answer = exchange(script, GET);
    assert!(answer.ends_with("3\r\nrye\r\n0\r\n\r\n"), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_program_that_closes_its_output_goes_on() {
    let file = folder("goes-on").join("done");
    let script = format!(
        r"printf 'Content-Type: a/b\n\nrye'; exec 1>&-; sleep 0.5; touch '{}'",
        file.display()
    );
    let server = serve(move || sh(&script));
    let start = Instant::now();
    assert!(server.exchange(&[GET.as_bytes()]).ends_with("0\r\n\r\n"));
    while !file.exists() {
        assert!(start.elapsed() < DEADLINE);
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn programs_beyond_the_limit_wait_in_order() {
    let file = folder("limit").join("running");
    // Fails if another one runs at the same time.
    let script = format!(
        r"mkdir '{0}' || exit 1; sleep 0.05; rmdir '{0}'; printf 'Content-Type: a/b\n\nrye'",
        file.display()
    );
    let handler = shared(sh(&script).programs_max(1));
    block_on(async {
        let server = Server::builder().without_listener();
        let one = async || {
            TestClient::of(&server, handler.clone())
                .get("/")
                .await
                .status
        };
        let ((a, b), c) = join(join(one(), one()), one()).await;
        assert_eq!([a, b, c], [StatusCode::OK; 3]);
    });
}

#[test]
fn a_program_beyond_the_limit_is_answered_503_when_it_has_waited_too_long() {
    let script =
        "for i in 1 2 3 4 5 6 7 8; do sleep 0.1; printf 'X: y\n'; done; printf 'Status: 200\n\n'";
    let handler = shared(
        sh(script)
            .programs_max(1)
            .time_limit(Duration::from_millis(400)),
    );
    block_on(async {
        let server = Server::builder().without_listener();
        let one = async || {
            TestClient::of(&server, handler.clone())
                .get("/")
                .await
                .status
        };
        let (a, b) = join(one(), one()).await;
        assert_eq!((a, b), (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE));
    });
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_standard_error_is_in_the_log() {
    let script = r"printf 'no flour\nno\033 water' >&2; printf 'Content-Type: a/b\n\nrye'";
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    tracing::subscriber::with_default(subscriber.finish(), || {
        block_on(async {
            assert_eq!(TestClient::new(sh(script)).get("/").await.text(), "rye");
            waterwheel::runtime::time::sleep(Duration::from_millis(100)).await;
        });
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("standard error"))
        .collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(
        lines[0].contains("WARN") && lines[0].contains("no flour"),
        "{log}"
    );
    assert!(lines[1].contains(r"x1b water"), "{log}");
}

/// A script of Python, with the standard library's own reader of CGI forms gone since 3.13: it reads by itself.
#[test]
fn a_script_of_python_reads_a_form() {
    let Some(python) = tool("python3") else {
        return;
    };
    let script = "
import os, sys, urllib.parse
form = urllib.parse.parse_qs(sys.stdin.read(int(os.environ['CONTENT_LENGTH'])))
print('Content-Type: text/plain; charset=utf-8')
print()
print(form['flour'][0], os.environ['CONTENT_TYPE'])
";
    let cgi = Cgi::new(python).arg("-c").arg(script);
    block_on(async {
        let mut client = TestClient::new(cgi);
        client
            .send(
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                 content-length: 11\r\n\r\nflour=rye+7",
            )
            .await;
        assert_eq!(
            client.answer().await.text(),
            "rye 7 application/x-www-form-urlencoded\n"
        );
    });
}

/// Runs git in a folder, and returns its output.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]);
    command.current_dir(folder).args(arguments);
    // Not the settings of this machine.
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("no_proxy", "*");
    run(&mut command).expect_success()
}

#[test]
fn git_pushes_and_clones_through_its_program() {
    let Some(_) = tool("git") else {
        return;
    };
    let folder = folder("git");
    git(&folder, &["init", "--bare", "-q", "repository.git"]);
    git(
        &folder.join("repository.git"),
        &["config", "http.receivepack", "true"],
    );
    let backend = git(&folder, &["--exec-path"]).trim().to_owned() + "/git-http-backend";
    let root = folder.clone();
    let server = TestServer::start(Server::builder().max_body(1 << 30), move || {
        let backend = Cgi::new(backend).chunked_body_max(1 << 26);
        Router::new().nest(
            "/git",
            backend
                .env("GIT_PROJECT_ROOT", root)
                .env("GIT_HTTP_EXPORT_ALL", "1"),
        )
    });
    let url = format!("http://{}/git/repository.git", server.address);
    git(&folder, &["init", "-q", "-b", "main", "ours"]);
    let ours = folder.join("ours");
    // More than git sends with a length: the push is chunked.
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    });
    let noise: Vec<u8> = noise.take(3_000_000).collect();
    fs::write(ours.join("noise"), &noise).unwrap();
    git(&ours, &["add", "noise"]);
    git(&ours, &["commit", "-q", "-m", "noise"]);
    git(&ours, &["push", "-q", &url, "main"]);
    git(&folder, &["clone", "-q", "-b", "main", &url, "theirs"]);
    assert!(fs::read(folder.join("theirs/noise")).unwrap() == noise);
}
