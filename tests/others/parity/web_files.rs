//! Files, by the features of rouille and `micro_http_async` (R-48, M-14).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::web::files::Files;
use waterwheel::http::{Method, StatusCode};
use waterwheel::runtime::block_on;

/// Makes a folder with these files in it, and a secret file beside it.
fn folder(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let around = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("parity")
        .join(name);
    drop(fs::remove_dir_all(&around));
    let folder = around.join("static");
    fs::create_dir_all(&folder).unwrap();
    fs::write(around.join("secret"), "secret").unwrap();
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        changed(&path, 1_000_000_000);
    }
    folder
}

fn changed(path: &Path, seconds: u64) {
    let file = File::options().write(true).open(path).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    file.set_modified(time).unwrap();
}

fn get(files: &Files, target: &str, fields: &[(&str, &str)]) -> Answer {
    let files = files.clone();
    block_on(async {
        TestClient::new(files)
            .request(&Method::GET, target, fields, b"")
            .await
    })
}

/// Paths out of the folder. Each has been a hole in some server.
const WAYS_OUT: &[&str] = &[
    "/../secret",
    "/%2e%2e/secret",
    "/%2E%2E%2Fsecret",
    "/..%2fsecret",
    "/..%5csecret",
    "/..\\secret",
    "/%252e%252e/secret",
    "/a/../../secret",
    "/./../secret",
    "//../secret",
    "/%00/../secret",
    "/a.css/../../secret",
    "/....//secret",
    "//etc/hostname",
    "/%2fetc%2fhostname",
];

#[test]
fn r_48_a_folder_is_served_and_nothing_beside_it() {
    let served = folder(
        "assets",
        &[
            ("a.css", b"body {}"),
            ("deep/page.html", b"<p>"),
            ("picture.jpg", b"jpg"),
            ("code.js", b"1"),
            ("module.wasm", b"wasm"),
            ("drawing.svg", b"<svg/>"),
            ("unknown.xyz123", b"?"),
        ],
    );
    let files = Files::new(&served)
        .unwrap()
        .max_age(Duration::from_secs(3600));
    for way in WAYS_OUT {
        // No target has a backslash (RFC 3986, 2).
        let expected = if way.contains('\\') { 400 } else { 404 };
        assert_eq!(get(&files, way, &[]).status.as_u16(), expected, "{way}");
    }
    for (target, content_type) in [
        ("/a.css", "text/css; charset=utf-8"),
        ("/deep/page.html", "text/html; charset=utf-8"),
        ("/picture.jpg", "image/jpeg"),
        ("/code.js", "text/javascript; charset=utf-8"),
        ("/module.wasm", "application/wasm"),
        ("/drawing.svg", "image/svg+xml"),
        ("/unknown.xyz123", "application/octet-stream"),
    ] {
        let answer = get(&files, target, &[]);
        assert_eq!(answer.status, StatusCode::OK, "{target}");
        assert_eq!(answer.headers["content-type"], content_type, "{target}");
        assert_eq!(answer.headers["cache-control"], "public, max-age=3600");
    }
    // The tag follows the time of the last change.
    let tag = |files: &Files| {
        get(files, "/a.css", &[]).headers["etag"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let before = tag(&files);
    let same = get(&files, "/a.css", &[("if-none-match", &before)]);
    assert_eq!(
        (same.status, same.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    changed(&served.join("a.css"), 1_000_000_001);
    assert_ne!(tag(&files), before);
    assert_eq!(
        get(&files, "/a.css", &[("if-none-match", &before)]).status,
        StatusCode::OK
    );
    // The original has no ranges.
    let part = get(&files, "/a.css", &[("range", "bytes=0-3")]);
    assert_eq!(
        (part.status, part.text().as_str()),
        (StatusCode::PARTIAL_CONTENT, "body")
    );
}

#[test]
fn m_14_a_file_comes_whole_and_typed_and_a_missing_one_is_a_404() {
    let photo: Vec<u8> = (0..=255).cycle().take(1_000_003).collect();
    let served = folder("photos", &[("photo.jpeg", &photo), ("static.css", b"a {}")]);
    let files = Files::new(served).unwrap().below("/static");
    let answer = get(&files, "/static/photo.jpeg", &[]);
    assert!(answer.body == photo);
    assert_eq!(answer.headers["content-type"], "image/jpeg");
    assert_eq!(answer.headers["content-length"], "1000003");
    assert_eq!(
        get(&files, "/static/static.css", &[]).headers["content-type"],
        "text/css; charset=utf-8"
    );
    for target in [
        "/static/missing.css",
        "/photo.jpeg",
        "/else?static",
        "/static/../static.css",
    ] {
        let missing = get(&files, target, &[]);
        assert_eq!(
            (missing.status, missing.text().as_str()),
            (StatusCode::NOT_FOUND, "not found\n"),
            "{target}"
        );
    }
}
