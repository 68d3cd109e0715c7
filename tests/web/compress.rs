//! Compressed answers as other programs read them.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;

use waterwheel::http::testing::TestClient;
use waterwheel::http::web::compress::{Compress, compress};
use waterwheel::http::web::files::Files;
use waterwheel::http::web::middleware::access_log;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Method, Request, Server, StatusCode};
use waterwheel::runtime::block_on;

use crate::support::programs::tool;
use crate::support::server::TestServer;

/// A text of two megabytes that compresses neither to almost no bytes nor hardly.
fn long_text() -> String {
    let mut state = 1_u32;
    let words = (0..300_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{:x} ", state >> 12)
    });
    words.collect()
}

#[test]
fn curl_decodes_each_coding_of_files_and_of_answers() {
    let Some(curl) = tool("curl") else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = long_text();
    fs::write(folder.path().join("long.txt"), &text).unwrap();
    let root = folder.path().to_owned();
    let shown_text = text.clone();
    let server = TestServer::start(Server::builder(), move || {
        let files = Files::new(&root).unwrap();
        compress(
            Router::new()
                .get("/text", async move || shown_text.clone())
                .nest("/files", files),
        )
    });
    for coding in ["gzip", "deflate", "br", "zstd", "identity"] {
        for path in ["text", "files/long.txt"] {
            let out = folder.path().join("out");
            let status = Command::new(&curl)
                .args(["-s", "-S", "--max-time", "30", "--compressed"])
                .args(["-H", &format!("accept-encoding: {coding}")])
                .args(["-w", "%{size_download} %header{content-encoding}", "-o"])
                .arg(&out)
                .arg(format!("http://{}/{path}", server.address))
                .output()
                .unwrap();
            let shown = String::from_utf8(status.stdout).unwrap();
            assert!(status.status.success(), "{coding} {path}: {shown}");
            let (sent, coded) = shown.split_once(' ').unwrap();
            let sent: usize = sent.parse().unwrap();
            if coding == "identity" {
                assert_eq!((sent, coded), (text.len(), ""), "{path}");
            } else {
                assert!(sent < text.len() * 2 / 3, "{coding} {path}: {shown}");
                assert_eq!(coded, coding, "{path}");
            }
            assert!(fs::read_to_string(&out).unwrap() == text, "{coding} {path}");
        }
    }
}

/// Returns the status and the named field of each answer.
fn ask(rows: &[(&str, &[(&str, &str)])], name: &str) -> Vec<(u16, Option<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let page = "The mill turns. ".repeat(1000);
    fs::write(folder.path().join("page.html"), &page).unwrap();
    let files = Files::new(folder.path()).unwrap();
    block_on(async {
        let mut client = TestClient::new(compress(files));
        let mut found = Vec::new();
        for (path, fields) in rows {
            let answer = client.request(&Method::GET, path, fields, b"").await;
            let value = answer.headers.get(name);
            let value = value.map(|value| value.to_str().unwrap().to_owned());
            found.push((answer.status.as_u16(), value));
        }
        found
    })
}

#[test]
fn a_range_of_a_file_is_of_the_file_itself() {
    let range = ("range", "bytes=0-3");
    let gzip = ("accept-encoding", "gzip");
    let found = ask(&[("/page.html", &[range, gzip])], "content-encoding");
    assert_eq!(found, [(206, None)]);
    // The weak tag of a compressed answer does not continue a download (RFC 9110, 13.1.5).
    let etag = ask(&[("/page.html", &[gzip])], "etag").remove(0).1.unwrap();
    assert!(etag.starts_with("W/"), "{etag}");
    let if_range = ("if-range", etag.as_str());
    let found = ask(
        &[("/page.html", &[range, gzip, if_range])],
        "content-encoding",
    );
    assert_eq!(found, [(200, Some("gzip".to_owned()))]);
}

#[test]
fn a_client_that_has_the_compressed_page_gets_a_304() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    let mut file = File::create(&path).unwrap();
    file.write_all("The mill turns. ".repeat(1000).as_bytes())
        .unwrap();
    let files = Files::new(folder.path()).unwrap();
    block_on(async {
        let mut client = TestClient::new(compress(files));
        let gzip = ("accept-encoding", "gzip");
        let first = client
            .request(&Method::GET, "/page.html", &[gzip], b"")
            .await;
        let etag = first.headers["etag"].to_str().unwrap();
        let fields = [gzip, ("if-none-match", etag)];
        let again = client
            .request(&Method::GET, "/page.html", &fields, b"")
            .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers["etag"], etag);
        assert_eq!(again.headers["vary"], "accept-encoding");
    });
}

#[test]
fn the_access_log_has_the_bytes_that_were_sent() {
    let (sender, lines) = std::sync::mpsc::channel();
    let page = async |request: Request<'_>| {
        let headers = [("content-type", "text/plain")];
        let mut body = request.start(StatusCode::OK, headers).await?;
        body.write("mill ".repeat(50_000)).await?;
        body.finish().await
    };
    let handler = access_log(Compress::new().around(page), move |entry| {
        sender.send(entry.combined().to_string()).unwrap();
    });
    block_on(async {
        let fields = [("accept-encoding", "gzip")];
        let mut client = TestClient::new(handler);
        let answer = client.request(&Method::GET, "/", &fields, b"").await;
        let line = lines.recv().unwrap();
        let sent = format!(" 200 {} ", answer.body.len());
        assert!(line.contains(&sent), "{line}");
    });
}
