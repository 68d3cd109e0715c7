//! The contract of HttpArena's endpoints, as its validation checks them: with curl, and with literal bytes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, protocol::CloseFrame, protocol::frame::coding::CloseCode};

use support::postgres::Postgres;
use support::programs::{self, Owned};

#[path = "../../../tests/support"]
mod support {
    #![allow(dead_code, reason = "these tests use a part of it")]
    pub(crate) mod postgres;
    pub(crate) mod programs;
    pub(crate) mod skip;
}

/// The program, with a data set, files and a certificate of the test's own.
struct Arena {
    process: Owned,
    data: TempDir,
    http: SocketAddr,
    https: SocketAddr,
    h2: SocketAddr,
    h2c: SocketAddr,
}

/// Returns item `number` of the data set.
fn item(number: i64) -> Value {
    json!({
        "id": number,
        "name": format!("Sack {number}"),
        "category": "grain",
        "price": 7 + 13 * number % 500,
        "quantity": 1 + 31 * number % 90,
        "active": number % 2 == 0,
        "tags": ["rye", "dry"],
        "rating": { "score": number % 50, "count": 3 * number },
    })
}

fn write_data(folder: &Path) {
    let items: Vec<Value> = (1..=50).map(item).collect();
    fs::write(folder.join("dataset.json"), json!(items).to_string()).unwrap();
    let files = folder.join("static");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("reset.css"), "body { margin: 0 }\n".repeat(400)).unwrap();
    fs::write(files.join("app.js"), "grind(\"rye\");\n".repeat(800)).unwrap();
    fs::write(files.join("manifest.json"), "{}").unwrap();
    fs::write(files.join("hero.webp"), [7; 6000]).unwrap();
    // As the harness brings it: the same bytes, compressed beforehand.
    let gzip = Command::new("gzip")
        .arg("--keep")
        .arg(files.join("app.js"))
        .status();
    assert!(gzip.unwrap().success());
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(folder.join("server.crt"), certificate.cert.pem()).unwrap();
    fs::write(
        folder.join("server.key"),
        certificate.signing_key.serialize_pem(),
    )
    .unwrap();
}

impl Arena {
    fn start(database: Option<&str>) -> Self {
        let data = tempfile::tempdir().unwrap();
        write_data(data.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_waterwheel-arena"));
        command
            .env("ARENA_ADDRESS", "127.0.0.1")
            .env("ARENA_THREADS", "2");
        for port in ["HTTP", "HTTPS", "H2", "H2C"] {
            command.env(format!("ARENA_PORT_{port}"), "0");
        }
        command
            .env("ARENA_DATA", data.path())
            .env("ARENA_CERTIFICATES", data.path());
        command
            .env_remove("DATABASE_URL")
            .env("DATABASE_MAX_CONN", "8");
        if let Some(url) = database {
            command.env("DATABASE_URL", url);
        }
        let mut process = Owned(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let mut address = |name: &str| {
            let line = lines.next().unwrap().unwrap();
            let address = line.strip_prefix(&format!("{name} on ")).unwrap();
            address.parse().unwrap()
        };
        let (http, https, h2, h2c) = (
            address("http"),
            address("https"),
            address("h2"),
            address("h2c"),
        );
        Self {
            process,
            data,
            http,
            https,
            h2,
            h2c,
        }
    }

    /// Returns the answer of a path on the port for HTTP/1.1, with its head.
    fn answer(&self, path: &str, arguments: &[&str]) -> String {
        let url = format!("http://{}{path}", self.http);
        curl(&[&["--include", &url], arguments].concat())
    }

    fn get(&self, path: &str) -> String {
        self.body(path, &[])
    }

    fn body(&self, path: &str, arguments: &[&str]) -> String {
        curl(&[&[format!("http://{}{path}", self.http).as_str()], arguments].concat())
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).unwrap()
    }

    /// Sends these pieces with pauses between them. Returns the body of the answer.
    fn in_pieces(&self, pieces: &[&str]) -> String {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(programs::DEADLINE)).unwrap();
        for piece in pieces {
            stream.write_all(piece.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(30));
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--insecure", "--max-time", "20"]);
    programs::run(command.args(arguments)).expect_success()
}

/// Asserts that an answer has the first `count` items, each with its total.
fn assert_totals(answer: &Value, count: i64, factor: i64) {
    assert_eq!(answer["count"], count);
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len() as i64, count);
    for (number, found) in (1..).zip(items) {
        let mut expected = item(number);
        let [price, quantity] = ["price", "quantity"].map(|name| expected[name].as_i64().unwrap());
        expected["total"] = json!(price * quantity * factor);
        assert_eq!(*found, expected);
    }
}

#[test]
fn baseline_adds_the_numbers_of_the_query_and_of_the_body() {
    let arena = Arena::start(None);
    let path = "/baseline11?a=13&b=42";
    let answer = arena.answer(path, &[]);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.to_lowercase().contains("content-type: text/plain"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\n55"), "{answer}");
    let text = ["--header", "content-type: text/plain"];
    for body in ["20", "731", "-8"] {
        let sum = (55 + body.parse::<i64>().unwrap()).to_string();
        let sized = [&text[..], &["--data", body]].concat();
        assert_eq!(arena.body(path, &sized), sum);
        let chunked = [&sized[..], &["--header", "transfer-encoding: chunked"]].concat();
        assert_eq!(arena.body(path, &chunked), sum);
    }
    assert_eq!(arena.get("/baseline11?a=618&b=907"), "1525");
    assert_eq!(arena.get("/pipeline"), "ok");
}

#[test]
fn requests_in_pieces_are_put_together() {
    let arena = Arena::start(None);
    let end = "Host: arena\r\nConnection: close\r\n";
    let sum = |pieces: &[&str]| arena.in_pieces(pieces);
    assert_eq!(
        sum(&[
            "GET /baseli",
            &format!("ne11?a=13&b=42 HTTP/1.1\r\n{end}\r\n")
        ]),
        "55"
    );
    let lines = [
        "GET /baseline11?a=13&b=42 HTTP/1.1\r\n",
        "Host: arena\r\n",
        "Connection: close\r\n",
        "\r\n",
    ];
    assert_eq!(sum(&lines), "55");
    let post = format!("POST /baseline11?a=13&b=42 HTTP/1.1\r\n{end}Content-Length: 2\r\n\r\n");
    assert_eq!(sum(&[&post, "20"]), "75");
    assert_eq!(sum(&[&post, "2", "0"]), "75");
}

#[test]
fn sixteen_pipelined_requests_have_sixteen_answers() {
    let arena = Arena::start(None);
    let mut stream = TcpStream::connect(arena.http).unwrap();
    let requests = "GET /pipeline HTTP/1.1\r\nHost: arena\r\n\r\n".repeat(15)
        + "GET /pipeline HTTP/1.1\r\nHost: arena\r\nConnection: close\r\n\r\n";
    stream.write_all(requests.as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("\r\n\r\nok").count(), 16);
}

#[test]
fn json_has_the_total_of_each_item() {
    let arena = Arena::start(None);
    for (count, factor) in [(12, 3), (22, 7), (31, 2), (50, 5), (1, 1)] {
        assert_totals(
            &arena.json(&format!("/json/{count}?m={factor}")),
            count,
            factor,
        );
    }
    assert!(
        arena
            .answer("/json/50?m=1", &[])
            .to_lowercase()
            .contains("content-type: application/json\r\n")
    );
}

#[test]
fn json_is_compressed_only_for_a_client_that_accepts_it() {
    let arena = Arena::start(None);
    for (count, factor) in [(25, 3), (40, 7), (50, 2)] {
        let path = format!("/json/{count}?m={factor}");
        let accept = ["--header", "accept-encoding: gzip, br"];
        let head = arena.answer(
            &path,
            &[
                &accept[..],
                &["--output", "-", "--head", "--request", "GET"],
            ]
            .concat(),
        );
        assert!(head.to_lowercase().contains("content-encoding: "), "{head}");
        let whole = arena.body(&path, &["--compressed"]); // the codings that this curl can decode
        assert_totals(&serde_json::from_str(&whole).unwrap(), count, factor);
        assert!(
            !arena
                .answer(&path, &[])
                .to_lowercase()
                .contains("content-encoding")
        );
    }
}

#[test]
fn json_over_tls_is_http_1() {
    let arena = Arena::start(None);
    for (count, factor) in [(7, 2), (23, 11), (50, 1)] {
        let url = format!("https://{}/json/{count}?m={factor}", arena.https);
        let answer = curl(&["--write-out", "\n%{http_version}", &url]);
        let (answer, version) = answer.rsplit_once('\n').unwrap();
        assert_eq!(version, "1.1");
        assert_totals(&serde_json::from_str(answer).unwrap(), count, factor);
    }
}

#[test]
fn http_2_has_the_same_answers_with_tls_and_without() {
    let arena = Arena::start(None);
    let ask = |path: &str| {
        let secure = format!("https://{}{path}", arena.h2);
        let plain = format!("http://{}{path}", arena.h2c);
        let version = ["--write-out", "\n%{http_version}"];
        let secure = curl(&[&version[..], &["--http2", &secure]].concat());
        let plain = curl(&[&version[..], &["--http2-prior-knowledge", &plain]].concat());
        assert_eq!(secure, plain);
        let (answer, version) = plain.rsplit_once('\n').unwrap();
        assert_eq!(version, "2");
        answer.to_owned()
    };
    assert_eq!(ask("/baseline2?a=13&b=42"), "55");
    assert_eq!(ask("/baseline2?a=618&b=907"), "1525");
    for (count, factor) in [(12, 3), (50, 5)] {
        let answer = ask(&format!("/json/{count}?m={factor}"));
        assert_totals(&serde_json::from_str(&answer).unwrap(), count, factor);
    }
    assert_eq!(ask("/static/app.js").len(), 14 * 800);
    // The port without TLS speaks HTTP/2 alone.
    let url = format!("http://{}/baseline2?a=1&b=1", arena.h2c);
    let mut http1 = Command::new("curl");
    http1.args([
        "--silent",
        "--http1.1",
        "--max-time",
        "5",
        "--output",
        "-",
        &url,
    ]);
    assert!(!programs::run(&mut http1).stdout.contains("200"));
}

#[test]
fn an_upload_is_counted() {
    let arena = Arena::start(None);
    let file = arena.data.path().join("body");
    for length in [17, 500 << 10, 2 << 20, 10 << 20, 20 << 20] {
        fs::write(&file, vec![0x5a; length]).unwrap();
        let data = format!("@{}", file.display());
        let octets = [
            "--header",
            "content-type: application/octet-stream",
            "--data-binary",
            &data,
        ];
        assert_eq!(arena.body("/upload", &octets), length.to_string());
        let chunked = [&octets[..], &["--header", "transfer-encoding: chunked"]].concat();
        assert_eq!(arena.body("/upload", &chunked), length.to_string());
    }
}

#[test]
fn files_have_their_types_and_sizes() {
    let arena = Arena::start(None);
    for (name, kind) in [
        ("reset.css", "text/css"),
        ("app.js", "text/javascript"),
        ("manifest.json", "application/json"),
        ("hero.webp", "image/webp"),
    ] {
        let length = fs::metadata(arena.data.path().join("static").join(name))
            .unwrap()
            .len();
        let shown = [
            "--output",
            "/dev/null",
            "--write-out",
            "%{size_download} %{content_type}",
        ];
        let found = arena.body(&format!("/static/{name}"), &shown);
        assert!(found.starts_with(&format!("{length} {kind}")), "{found}");
    }
    let accept = ["--header", "accept-encoding: br;q=1, gzip;q=0.8"];
    let head = arena.answer("/static/app.js", &[&accept[..], &["--head"]].concat());
    assert!(
        head.to_lowercase().contains("content-encoding: gzip"),
        "{head}"
    );
    assert!(
        arena
            .answer("/static/nonexistent.txt", &[])
            .starts_with("HTTP/1.1 404 ")
    );
}

#[test]
fn a_websocket_is_an_echo() {
    let arena = Arena::start(None);
    let (mut socket, _) = tungstenite::connect(format!("ws://{}/ws", arena.http)).unwrap();
    let messages = [
        Message::text("hello"),
        Message::binary((0..=255).collect::<Vec<u8>>()),
        Message::text("one"),
        Message::text("two"),
    ];
    for message in &messages {
        socket.write(message.clone()).unwrap();
    }
    socket.flush().unwrap();
    for message in messages {
        assert_eq!(socket.read().unwrap(), message);
    }
    let close = CloseFrame {
        code: CloseCode::Normal,
        reason: "validate done".into(),
    };
    socket.close(Some(close)).unwrap();
    let Message::Close(Some(close)) = socket.read().unwrap() else {
        panic!("no close frame")
    };
    assert_eq!(close.code, CloseCode::Normal);
    assert!(arena.answer("/ws", &[]).starts_with("HTTP/1.1 4"));
}

#[test]
fn without_a_database_a_query_finds_nothing() {
    let arena = Arena::start(None);
    let nothing = json!({ "items": [], "count": 0 });
    assert_eq!(arena.json("/async-db?min=10&max=50&limit=5"), nothing);
    // A database that cannot be reached.
    let arena = Arena::start(Some("postgres://miller@127.0.0.1:1/mill"));
    assert_eq!(arena.json("/async-db?min=10&max=50&limit=5"), nothing);
    assert!(
        arena
            .answer("/crud/items/1", &[])
            .starts_with("HTTP/1.1 500 ")
    );
}

/// Makes the table of the contract, with fewer rows.
const TABLE: &str = "create table items (id integer primary key, name text not null, category text not null, \
    price integer not null, quantity integer not null, active boolean not null, tags jsonb not null, \
    rating_score integer not null, rating_count integer not null); \
    insert into items select n, 'Sack ' || n, case when n % 2 = 0 then 'electronics' else 'office' end, \
    n % 500, n % 1000, n % 3 = 0, '[\"rye\", \"dry\"]', n % 50, n % 400 from generate_series(1, 5000) n;";

fn with_database() -> Option<(Postgres, Arena)> {
    let postgres = Postgres::start()?;
    postgres.execute("mill", TABLE);
    let arena = Arena::start(Some(&format!(
        "postgres://miller@{}/mill",
        postgres.address()
    )));
    Some((postgres, arena))
}

#[test]
fn a_query_of_the_database_keeps_its_limits() {
    let Some((_postgres, arena)) = with_database() else {
        return;
    };
    for (min, max, limit) in [(5, 80, 7), (20, 150, 18), (100, 400, 33), (10, 50, 50)] {
        let found = arena.json(&format!("/async-db?min={min}&max={max}&limit={limit}"));
        assert_eq!(found["count"], limit);
        let items = found["items"].as_array().unwrap();
        assert_eq!(items.len(), limit);
        for item in items {
            assert!(
                (min..=max).contains(&item["price"].as_i64().unwrap()),
                "{item}"
            );
            assert!(
                item["rating"]["score"].is_i64() && item["active"].is_boolean(),
                "{item}"
            );
            assert_eq!(item["tags"], json!(["rye", "dry"]));
        }
    }
    assert_eq!(
        arena.json("/async-db?min=9999&max=9999&limit=50")["count"],
        0
    );
    assert_eq!(arena.json("/async-db?min=1&max=400&limit=900")["count"], 50);
}

#[test]
fn crud_lists_shows_adds_and_changes_items() {
    let Some((_postgres, arena)) = with_database() else {
        return;
    };
    let page = arena.json("/crud/items?category=electronics&page=1&limit=5");
    assert_eq!(page["items"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&page["total"], &page["page"], &page["limit"]),
        (&json!(5), &json!(1), &json!(5))
    );
    assert!(page["items"][0]["rating"].is_object());
    let next = arena.json("/crud/items?category=electronics&page=2&limit=5");
    assert_eq!(next["items"][0]["id"], 12);

    assert_eq!(arena.json("/crud/items/1")["id"], 1);
    let found = |id: i32| {
        arena
            .answer(&format!("/crud/items/{id}"), &[])
            .to_lowercase()
    };
    assert!(found(42).contains("x-cache: miss\r\n"));
    assert!(found(42).contains("x-cache: hit\r\n"));
    thread::sleep(Duration::from_millis(250));
    assert!(found(42).contains("x-cache: miss\r\n"));
    assert!(found(999_999).starts_with("http/1.1 404 "));

    let new = json!({ "id": 200_001, "name": "Bench Test", "category": "test", "price": 25, "quantity": 10 });
    let added = arena.answer("/crud/items", &["--json", &new.to_string()]);
    assert!(added.starts_with("HTTP/1.1 201 "), "{added}");
    assert_eq!(arena.json("/crud/items/200001")["name"], "Bench Test");
    let change = json!({ "name": "Rye", "price": 30, "quantity": 5 }).to_string();
    let put = ["--request", "PUT", "--json", &change];
    assert!(
        arena
            .answer("/crud/items/200001", &put)
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(found(200_001).contains("x-cache: miss\r\n"));
    let changed = arena.json("/crud/items/200001");
    assert_eq!(
        (&changed["name"], &changed["category"]),
        (&json!("Rye"), &json!("test"))
    );
    assert!(
        arena
            .answer("/crud/items/999999", &put)
            .starts_with("HTTP/1.1 404 ")
    );
}

#[test]
fn a_signal_ends_the_program_and_no_request() {
    let mut arena = Arena::start(None);
    let mut stream = TcpStream::connect(arena.http).unwrap();
    let head = "POST /upload HTTP/1.1\r\nHost: arena\r\nContent-Length: 4\r\n\r\n12";
    stream.write_all(head.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(100)); // until the request is under way
    kill_process(Pid::from_child(&arena.process.0), Signal::TERM).unwrap();
    thread::sleep(Duration::from_millis(100));
    stream.write_all(b"34").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\n4"), "{answer}");
    assert!(arena.process.0.wait().unwrap().success());
}
