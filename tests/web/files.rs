//! Static files: nginx and this server side by side over one folder, and claims about this server alone.
//!
//! `tests/web/files.md` has a row for each request that the two answer differently, with the reason. Without
//! nginx, the comparison is skipped.

mod answers;
mod requests;
mod scene;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::support::programs::{DEADLINE, Owned, reserve_port, tool, wait_until_it_listens};
use crate::support::server::TestServer;
use answers::{ask, difference};
use requests::REQUESTS;
use waterwheel::http::testing::{Answer, TestClient};
use waterwheel::http::web::files::{DotFiles, Files, Symlinks};
use waterwheel::http::{Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::block_on;

fn start_nginx(program: &Path, served: &Path, address: SocketAddr) -> Owned {
    let folder = served.parent().unwrap().join("nginx");
    fs::create_dir_all(&folder).unwrap();
    let config = include_str!("files/nginx.conf")
        .replace("{FOLDER}", &folder.display().to_string())
        .replace("{SERVED}", &served.display().to_string())
        .replace("{LISTEN}", &address.to_string());
    let file = folder.join("config");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(program);
    let command = command.args(["-e", "stderr", "-c"]).arg(file);
    let mut process = Owned(command.spawn().unwrap());
    wait_until_it_listens(&mut process, address);
    process
}

fn serve(served: &Path, configure: fn(Files) -> Files) -> TestServer {
    let files = configure(Files::new(served).unwrap());
    TestServer::start(Server::builder(), move || files)
}

/// Returns the rows of the table: the differences, by request.
fn explained() -> BTreeMap<String, [String; 2]> {
    let unquoted = |cell: &str| cell.trim().trim_matches('`').replace("\\|", "|");
    include_str!("files.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let bar = line.replace("\\|", "\u{1}");
            let cells: Vec<_> = bar
                .split('|')
                .map(|cell| unquoted(&cell.replace('\u{1}', "|")))
                .collect();
            let [_, request, theirs, ours, why, _] = &cells[..] else {
                panic!("not four cells: {line}");
            };
            assert!(!why.is_empty(), "why? {line}");
            (request.clone(), [theirs.clone(), ours.clone()])
        })
        .collect()
}

#[test]
fn nginx_answers_alike_except_in_the_rows_of_the_table() {
    let Some(program) = tool("nginx") else { return };
    let served = scene::make("beside-nginx");
    let (_reserved, address) = reserve_port();
    let _nginx = start_nginx(&program, &served, address);
    let ours = serve(&served, Files::precompressed);
    let mut seen = BTreeMap::new();
    for request in REQUESTS {
        let answers = [address, ours.address].map(|server| ask(server, request));
        let [theirs, ours] = answers;
        if let Some(difference) = difference(theirs, ours) {
            seen.insert((*request).to_owned(), difference);
        }
    }
    let explained = explained();
    let mut wrong = Vec::new();
    for (request, [theirs, ours]) in &seen {
        if explained.get(request) != Some(&[theirs.clone(), ours.clone()]) {
            let request = request.replace('|', "\\|");
            wrong.push(format!("| `{request}` | {theirs} | {ours} | |"));
        }
    }
    for request in explained
        .keys()
        .filter(|request| !seen.contains_key(*request))
    {
        wrong.push(format!("they agree, or are not asked: {request}"));
    }
    assert!(wrong.is_empty(), "no row explains:\n{}", wrong.join("\n"));
    eprintln!(
        "{} requests, {} of them answered differently",
        REQUESTS.len(),
        seen.len()
    );
}

/// Sends a request to this server, in memory.
fn get(files: &Files, target: &str, fields: &[(&str, &str)]) -> Answer {
    let files = files.clone();
    block_on(async {
        TestClient::new(files)
            .request(&Method::GET, target, fields, b"")
            .await
    })
}

#[test]
fn several_parts_come_in_one_body_of_the_announced_length() {
    let files = Files::new(scene::make("parts")).unwrap();
    let answer = get(&files, "/a.txt", &[("range", "bytes=0-1, -3")]);
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    let content_type = answer.headers["content-type"].to_str().unwrap();
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    // RFC 9110, 14.6
    let expected = format!(
        "\r\n--{boundary}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes 0-1/20\r\n\r\n01\
         \r\n--{boundary}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes 17-19/20\r\n\r\nhij\
         \r\n--{boundary}--\r\n"
    );
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.headers["content-length"], expected.len().to_string());
}

#[test]
fn the_smallest_file_that_a_client_accepts_is_served_unless_it_is_out_of_date() {
    let served = scene::make("precompressed");
    for (ending, text) in [("br", "(br)"), ("zst", "(zstd)")] {
        scene::write(&served.join(format!("site.css.{ending}")), text.as_bytes());
    }
    let files = Files::new(&served).unwrap().precompressed();
    let check = |accepts: &str, body: &str| {
        let answer = get(&files, "/site.css", &[("accept-encoding", accepts)]);
        assert_eq!(answer.text(), body, "{accepts}");
        assert_eq!(answer.headers["vary"], "accept-encoding", "{accepts}");
        assert_eq!(answer.headers["content-type"], "text/css; charset=utf-8");
        (
            answer.headers["etag"].clone(),
            answer.headers.get("content-encoding").cloned(),
        )
    };
    let original = "body { color: black }\n";
    let (plain, none) = check("", original);
    let (zstd, coding) = check("gzip, zstd", "(zstd)");
    assert_eq!((none, coding.unwrap().to_str().unwrap()), (None, "zstd"));
    assert_ne!(plain, zstd, "RFC 9110, 8.8.3.3");
    check("gzip, zstd, br", "(br)");
    check("br;q=0.1, gzip", "(gzip)");
    check("deflate", original);
    // The file has changed since the smaller ones were made.
    scene::touch(&served.join("site.css"), scene::CHANGED_SECONDS + 1);
    let answer = get(&files, "/site.css", &[("accept-encoding", "gzip, br")]);
    assert_eq!(answer.text(), original);
    assert!(
        !answer.headers.contains_key("vary"),
        "there is no other file to choose"
    );
    // A compressed file is not served unless the client accepts it.
    let answer = get(
        &Files::new(&served).unwrap(),
        "/a.txt",
        &[("accept-encoding", "gzip")],
    );
    assert!(!answer.headers.contains_key("vary"));
}

#[test]
fn options_decide_which_files_are_served() {
    let files = Files::new(scene::make("choices")).unwrap();
    let status = |files: &Files, target| get(files, target, &[]).status.as_u16();
    let statuses = |files: &Files| {
        ["/.hidden", "/inside.txt", "/outside.txt"].map(|target| status(files, target))
    };
    assert_eq!(statuses(&files), [404, 200, 404]);
    assert_eq!(
        statuses(&files.clone().dot_files(DotFiles::Serve)),
        [200, 200, 404]
    );
    assert_eq!(
        statuses(&files.clone().symlinks(Symlinks::Refuse)),
        [404, 404, 404]
    );
    assert_eq!(
        statuses(&files.clone().symlinks(Symlinks::Anywhere)),
        [404, 200, 200]
    );
    let page = files.clone().index(["nothing.html", "page.html"]);
    assert_eq!(get(&page, "/deep/", &[]).text(), "<h1>page</h1>\n");
    let kept = get(
        &files.clone().max_age(Duration::from_secs(3600)),
        "/a.txt",
        &[],
    );
    assert_eq!(kept.headers["cache-control"], "public, max-age=3600");
    let below = files.below("/static/");
    for (target, expected) in [
        ("/static/a.txt", 200),
        ("/static/", 200),
        ("/a.txt", 404),
        ("/statica.txt", 404),
    ] {
        assert_eq!(status(&below, target), expected, "{target}");
    }
    assert_eq!(
        get(&below, "/static/deep", &[]).headers["location"],
        "/static/deep/"
    );
    assert_eq!(get(&below, "/static", &[]).headers["location"], "/static/");
    assert!(Files::new("no such folder").is_err());
}

#[test]
fn a_list_shows_only_names_that_can_be_served() {
    let served = scene::make("list");
    fs::write(served.join("bare/<b>.txt"), "").unwrap();
    fs::write(served.join("bare/.hidden"), "").unwrap();
    std::os::unix::fs::symlink("../../secret.txt", served.join("bare/out")).unwrap();
    fs::create_dir(served.join("bare/z folder")).unwrap();
    let files = Files::new(&served).unwrap();
    assert_eq!(get(&files, "/bare/", &[]).status, StatusCode::NOT_FOUND);
    let answer = get(&files.listing(), "/bare/", &[]);
    let links: Vec<_> = answer
        .text()
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(links, ["../", "./z%20folder/", "./%3Cb%3E.txt", "./x.txt"]);
    assert!(answer.text().contains("&lt;b&gt;.txt") && !answer.text().contains("<b>"));
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
}

#[test]
fn a_list_shows_only_names_that_can_be_fetched() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    /// A name, and whether it can be fetched, with dot files refused and with dot files served.
    const NAMES: &[(&[u8], [bool; 2])] = &[
        (b"plain.txt", [true, true]),
        (b"100%.txt", [true, true]),
        (b"%4.txt", [true, true]),
        (b"a b#c?d;e&f'g\"h+i~j:k", [true, true]),
        ("m\u{fc}hle.txt".as_bytes(), [true, true]),
        (b"caf\xe9.txt", [true, true]),
        (b"%41.txt", [false, false]), // it would be read twice
        (b"a%2fb", [false, false]),
        (b"a%5Cb", [false, false]),
        (b"back\\slash", [false, false]),
        (b"line\nend", [false, false]),
        (b"tab\tin", [false, false]),
        (b"\x7f", [false, false]),
        (b".hidden", [false, true]),
        (b"...", [false, true]),
    ];

    let served = scene::make("shown");
    for (name, _) in NAMES {
        scene::write(&served.join("odd").join(OsStr::from_bytes(name)), b"x");
        fs::create_dir_all(served.join("odder").join(OsStr::from_bytes(name))).unwrap();
    }
    for (choice, dot_files) in [DotFiles::Refuse, DotFiles::Serve].into_iter().enumerate() {
        let files = Files::new(&served).unwrap().listing().dot_files(dot_files);
        for folder in ["/odd/", "/odder/"] {
            let page = get(&files, folder, &[]).text();
            let links = page.split("href=\"./").skip(1);
            let links: Vec<_> = links.map(|rest| rest.split('"').next().unwrap()).collect();
            for link in &links {
                let answer = get(&files, &format!("{folder}{link}"), &[]);
                assert_eq!(
                    answer.status,
                    StatusCode::OK,
                    "{dot_files:?} {folder}{link}"
                );
            }
            let shown = NAMES.iter().filter(|(_, shown)| shown[choice]).count();
            assert_eq!(links.len(), shown, "{dot_files:?} {folder}: {links:?}");
        }
        for (name, fetched) in NAMES {
            let encoded: Vec<_> = name.iter().map(|byte| format!("%{byte:02x}")).collect();
            let encoded = encoded.concat();
            let status = get(&files, &format!("/odd/{encoded}"), &[]).status;
            assert_eq!(status == StatusCode::OK, fetched[choice], "{encoded}");
        }
    }
}

#[test]
fn a_redirect_never_leads_to_another_host() {
    let served = scene::make("redirect");
    fs::create_dir_all(served.join("evil.example")).unwrap();
    let files = Files::new(&served).unwrap();
    let anywhere = async move |request: Request<'_>| -> Result<Responded> {
        // A handler that checks its paths less carefully.
        match files
            .find_path(&request, request.path().trim_start_matches('/'))
            .await?
        {
            Some(found) => found.respond(request).await,
            None => request.respond(StatusCode::NOT_FOUND, "", ()).await,
        }
    };
    let answer = block_on(async { TestClient::new(anywhere).get("//evil.example").await });
    assert_eq!(answer.headers["location"], "/evil.example/");
}

#[test]
fn a_file_that_changed_just_now_has_a_weak_tag_and_no_ranges() {
    let served = scene::make("fresh");
    let file = served.join("fresh.txt");
    fs::write(&file, "fresh").unwrap();
    let files = Files::new(&served).unwrap();
    // The next two seconds count as "just now", too, because a machine may be slow.
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(SystemTime::now() + Duration::from_secs(60))
        .unwrap();
    let answer = get(&files, "/fresh.txt", &[]);
    let tag = answer.headers["etag"].to_str().unwrap();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert!(
        answer.headers["last-modified"] <= answer.headers["date"],
        "RFC 9110, 8.8.2.1"
    );
    let range = [("range", "bytes=0-1"), ("if-range", tag)];
    assert_eq!(get(&files, "/fresh.txt", &range).status, StatusCode::OK);
    assert_eq!(
        get(&files, "/fresh.txt", &[("if-none-match", tag)]).status,
        StatusCode::NOT_MODIFIED
    );
}

#[test]
fn a_time_that_http_cannot_express_is_not_sent() {
    let served = scene::make("times");
    let minute = Duration::from_secs(60);
    let far = Duration::from_secs(253_402_300_800);
    for time in [
        SystemTime::UNIX_EPOCH - minute,
        SystemTime::UNIX_EPOCH + far,
    ] {
        let file = fs::File::options()
            .write(true)
            .open(served.join("bare/x.txt"));
        // Some file systems cannot hold this time either.
        if file.unwrap().set_modified(time).is_err() {
            continue;
        }
        let files = Files::new(&served).unwrap().listing();
        let answer = get(&files, "/bare/x.txt", &[]);
        assert_eq!(answer.text(), "x");
        assert!(answer.headers.contains_key("etag"));
        let date = answer.headers.get("last-modified");
        // A date in the future is replaced by that of the answer (RFC 9110, 8.8.2.1).
        assert_eq!(date.is_some(), time > SystemTime::now());
        assert!(get(&files, "/bare/", &[]).text().contains("x.txt"));
    }
}

#[test]
fn a_fifo_or_device_is_answered_with_404_without_a_wait() {
    let served = scene::make("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        served.join("fifo"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    assert_eq!(
        get(&Files::new(&served).unwrap(), "/fifo", &[]).status,
        StatusCode::NOT_FOUND
    );
}

#[test]
fn a_slow_reader_receives_a_large_file_whole_and_its_descriptor_is_closed() {
    use std::io::Read;
    let served = scene::make("slow");
    let large: Vec<u8> = (0..=250).cycle().take(32 << 20).collect();
    fs::write(served.join("large.bin"), &large).unwrap();
    let running = serve(&served, |files| files);
    let is_open = || {
        let mut open = fs::read_dir("/proc/self/fd").unwrap();
        let is_it = |path: &Path| path.ends_with("slow/served/large.bin");
        open.any(|entry| fs::read_link(entry.unwrap().path()).is_ok_and(|path| is_it(&path)))
    };
    let mut client = running.client();
    client.send("GET /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    // Other clients are served meanwhile.
    let other = running.exchange(&[b"GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert!(other.ends_with("0123456789abcdefghij"), "{other}");
    let start = Instant::now();
    while !is_open() {
        assert!(start.elapsed() < DEADLINE, "the file is not open");
        thread::yield_now();
    }
    let mut answer = Vec::new();
    let mut piece = vec![0; 50_000];
    loop {
        let count = client.stream.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..count]);
        thread::yield_now();
    }
    assert!(answer.ends_with(&large) && answer.len() < large.len() + 500);
    drop(client);
    let start = Instant::now();
    while is_open() {
        assert!(start.elapsed() < DEADLINE, "a descriptor is kept");
        thread::yield_now();
    }
}

#[test]
fn without_a_descriptor_for_the_file_the_answer_is_503() {
    crate::support::process::alone(|| {
        let files = Files::new(scene::make("scarce")).unwrap();
        block_on(async {
            let server = Server::builder().without_listener();
            let files = waterwheel::http::shared(files);
            let client = || TestClient::of(&server, files.clone());
            assert_eq!(client().get("/a.txt").await.status, StatusCode::OK);
            let limit = rustix::process::Rlimit {
                current: Some(64),
                maximum: Some(64),
            };
            rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
            let mut hoard = Vec::new();
            while let Ok(file) = fs::File::open("/dev/null") {
                hoard.push(file);
            }
            let refused = client().get("/a.txt").await;
            assert_eq!(
                (refused.status, refused.text().as_str()),
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the server takes no requests now\n"
                )
            );
            hoard.clear();
            assert_eq!(client().get("/a.txt").await.text(), "0123456789abcdefghij");
        });
    });
}
