//! HTTPS with clients of other projects: openssl, curl, Python and Chromium. The list of what a scanner such as
//! testssl.sh looks for is here, row by row.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::browser::chromium::Browser;
use crate::browser::folder;
use crate::support::programs::{Outcome, python_with, run, tool};
use crate::support::tls::Authority;
use waterwheel::http::tls::{ClientAuth, Identity, TlsConfig, TlsInfo};
use waterwheel::http::web::websocket::{self, WebSocket, WebSocketOptions};
use waterwheel::http::{Request, Responded, Result, Server, ServerThread, StatusCode};

/// Answers with the protocol, the body's length, and 1 if the client has a certificate. Echoes messages at `/socket`.
async fn answer(request: Request<'_>) -> Result<Responded> {
    if request.path() == "/page" {
        let page = "<!doctype html><title>mill</title><p>grist";
        let html = [("content-type", "text/html")];
        return request.respond(StatusCode::OK, page, html).await;
    }
    if request.path() == "/socket" {
        let options = WebSocketOptions::new();
        return websocket::upgrade(request, &options, async |mut socket: WebSocket| {
            while let Some(message) = socket.next().await? {
                socket.send(&message).await?;
            }
            Ok(())
        })
        .await;
    }
    if let Some(count) = request.path().strip_prefix("/bytes/") {
        let body = vec![b'x'; count.parse().unwrap_or(0)];
        return request.respond(StatusCode::OK, body, ()).await;
    }
    let length = request.bytes().await?.len();
    let connection = request.connection();
    let tls: &TlsInfo = connection.get().unwrap();
    // curl sends the root, too.
    let is_known = usize::from(!tls.client_certificates().is_empty());
    let text = format!("{} {length} {is_known}\n", tls.protocol());
    request.respond(StatusCode::OK, text, ()).await
}

/// A server of HTTPS, and the files of its authority and of a client.
struct Site {
    server: ServerThread,
    authority: Authority,
    folder: PathBuf,
}

impl Site {
    fn new(name: &str, auth: impl FnOnce(&Authority) -> Option<ClientAuth>) -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.server(&["localhost", "127.0.0.1"]).pem();
        let config = TlsConfig::builder().identity(Identity::from_pem(certificate, key));
        let config = match auth(&authority) {
            Some(auth) => config.client_auth(auth),
            None => config,
        };
        let builder = Server::builder().tls(config.build().unwrap());
        let site = Self {
            server: builder.stoppable("127.0.0.1:0", || answer).unwrap(),
            authority,
            folder: folder(name),
        };
        fs::write(site.root(), site.authority.root_pem()).unwrap();
        site
    }

    fn address(&self) -> SocketAddr {
        self.server.local_address()
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address().port())
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    /// Writes a certificate and a key of a client, and returns their paths.
    fn client(&self, authority: &Authority) -> [PathBuf; 2] {
        let (certificate, key) = authority.client("anna").pem();
        let paths = ["client.pem", "client.key"].map(|name| self.folder.join(name));
        fs::write(&paths[0], certificate).unwrap();
        fs::write(&paths[1], key).unwrap();
        paths
    }
}

/// Runs `openssl s_client` with this input.
fn s_client(openssl: &Path, site: &Site, arguments: &[&str], input: &str) -> Outcome {
    let (address, root) = (site.address().to_string(), site.root());
    let mut command = Command::new(openssl);
    command
        .args(["s_client", "-connect", &address, "-servername", "localhost"])
        .arg("-CAfile")
        .arg(root)
        .args(arguments)
        .stdin(Stdio::piped());
    // The program waits for its input, so a file is the simplest one that has an end.
    let path = site.folder.join("input");
    fs::write(&path, input).unwrap();
    run(command.stdin(fs::File::open(path).unwrap()))
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn openssl_finds_two_protocols_and_only_strong_suites() {
    let Some(openssl) = tool("openssl") else {
        return;
    };
    let site = Site::new("openssl-suites", |_| None);
    let weak = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
    for (arguments, accepted) in [
        (&["-tls1_3"][..], true),
        (&["-tls1_2"], true),
        (&["-tls1_1", "-cipher", weak], false),
        (&["-tls1", "-cipher", weak], false),
        // Forward secrecy and an AEAD.
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
            true,
        ),
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            true,
        ),
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
            true,
        ),
        (
            &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
            true,
        ),
        (
            &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
            true,
        ),
        // CBC (Lucky 13, BEAST), no forward secrecy, no encryption, no authentication, a short block, PSK, DHE.
        (
            &[
                "-tls1_2",
                "-cipher",
                "ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0",
            ],
            false,
        ),
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
            false,
        ),
        (
            &[
                "-tls1_2",
                "-cipher",
                "AES256-GCM-SHA384:AES128-SHA:@SECLEVEL=0",
            ],
            false,
        ),
        (&["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"], false),
        (&["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"], false),
        (&["-tls1_2", "-cipher", "PSK:@SECLEVEL=0"], false),
        (&["-tls1_2", "-cipher", "DHE:@SECLEVEL=0"], false),
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"],
            false,
        ),
        (&["-tls1_2", "-cipher", "CAMELLIA:ARIA:@SECLEVEL=0"], false),
        // Curves.
        (&["-groups", "X25519"], true),
        (&["-groups", "P-256"], true),
        (&["-groups", "P-521"], false),
        // The first share does not fit, so the server asks for another one (RFC 8446, 4.1.4).
        (&["-tls1_3", "-groups", "P-521:X25519"], true),
        // A fallback that no client of TLS 1.3 would need (RFC 7507).
        (&["-tls1_2", "-fallback_scsv"], false),
    ] {
        let quiet = [&["-quiet", "-verify_return_error"], arguments].concat();
        let outcome = s_client(&openssl, &site, &quiet, REQUEST);
        let is_answered = outcome.stdout.starts_with("HTTP/1.1 200 OK");
        assert_eq!(is_answered, accepted, "{arguments:?}: {outcome:?}");
    }
}

#[test]
fn openssl_finds_no_compression_and_no_renegotiation_and_resumes() {
    let Some(openssl) = tool("openssl") else {
        return;
    };
    let site = Site::new("openssl-features", |_| None);
    let session = site.folder.join("session");
    let session = session.to_str().unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [
            version,
            "-status",
            "-alpn",
            "http/1.1",
            "-sess_out",
            session,
        ];
        let first = s_client(&openssl, &site, &arguments, "Q\n");
        for expected in [
            "Compression: NONE",
            "OCSP response: no response sent",
            "ALPN protocol: http/1.1",
            "Verification: OK",
            "New, TLSv1",
        ] {
            assert!(first.stdout.contains(expected), "{expected}: {first:?}");
        }
        let indicates = first.stdout.contains("Secure Renegotiation IS supported");
        assert_eq!(indicates, version == "-tls1_2", "RFC 5746, 3.6: {first:?}");
        // In TLS 1.3 the tickets come after the handshake, with the first answer.
        let arguments = [version, "-ign_eof", "-sess_out", session];
        let second = s_client(&openssl, &site, &arguments, REQUEST);
        assert!(second.stdout.contains("HTTP/1.1 200 OK"), "{second:?}");
        let third = s_client(&openssl, &site, &[version, "-sess_in", session], "Q\n");
        assert!(third.stdout.contains("Reused, TLSv1"), "{third:?}");
    }
    // R asks for another handshake.
    let again = s_client(&openssl, &site, &["-tls1_2"], &format!("R\n{REQUEST}"));
    assert!(!again.stdout.contains("HTTP/1.1 200"), "{again:?}");
    assert!(again.stderr.contains("no renegotiation"), "{again:?}");
}

#[test]
fn openssl_changes_the_keys_and_sends_large_and_small_records() {
    let Some(openssl) = tool("openssl") else {
        return;
    };
    let site = Site::new("openssl-keys", |_| None);
    // k changes the client's keys, and K asks the server to change its own, too. Only a line that comes alone is a
    // command.
    let script = r#"(for key in K k K; do sleep 0.2; echo $key; done; sleep 0.2
        printf 'GET /bytes/300000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'; sleep 1) | "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(&openssl);
    let address = site.address().to_string();
    command.args(["s_client", "-tls1_3", "-msg", "-connect", &address]);
    let outcome = run(&mut command);
    assert!(
        outcome.stdout.contains("HTTP/1.1 200 OK"),
        "{}",
        outcome.stderr
    );
    let updates = |direction: &str| {
        let lines = outcome.stdout.lines();
        lines
            .filter(|line| line.starts_with(direction) && line.contains("KeyUpdate"))
            .count()
    };
    // The server answers both questions, also while it only reads.
    assert_eq!(updates(">>>"), 3);
    assert_eq!(updates("<<<"), 2);
    let body: usize = outcome
        .stdout
        .lines()
        .map(|line| line.matches("xxxxxxxx").count())
        .sum();
    assert!(body * 8 + 100 > 300_000, "{body}");
    for fragment in ["512", "1000", "16384"] {
        let split = [
            "-quiet",
            "-max_send_frag",
            fragment,
            "-split_send_frag",
            fragment,
        ];
        let body = "z".repeat(100_000);
        let request = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let outcome = s_client(&openssl, &site, &split, &request);
        assert!(
            outcome.stdout.ends_with("TLSv1.3 100000 0\n"),
            "{outcome:?}"
        );
    }
}

fn curl(site: &Site, path: &str, arguments: &[&str]) -> Option<Outcome> {
    let mut command = Command::new(tool("curl")?);
    command
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(site.root())
        .args(arguments)
        .arg(site.url(path));
    Some(run(&mut command))
}

#[test]
fn curl_downloads_and_uploads_over_https() {
    let site = Site::new("curl-https", |_| None);
    let upload = site.folder.join("upload");
    fs::write(&upload, vec![b'y'; 5_000_000]).unwrap();
    let upload = format!("@{}", upload.display());
    for (arguments, path, expected) in [
        (&["--http1.1"][..], "/", "TLSv1.3 0 0\n"),
        // It offers h2, too.
        (&[], "/", "TLSv1.3 0 0\n"),
        (&["--no-alpn"], "/", "TLSv1.3 0 0\n"),
        (&["--tls-max", "1.2"], "/", "TLSv1.2 0 0\n"),
        (&["--data-binary", &upload], "/", "TLSv1.3 5000000 0\n"),
        (
            &["--data-binary", &upload, "--tls-max", "1.2"],
            "/",
            "TLSv1.2 5000000 0\n",
        ),
        (
            &["--write-out", "%{num_connects}", "--output", "/dev/null"],
            "/bytes/[1-9]",
            "100000000",
        ),
        (
            &["--write-out", "%{size_download} ", "--output", "/dev/null"],
            "/bytes/8000000",
            "8000000 ",
        ),
    ] {
        let Some(outcome) = curl(&site, path, arguments) else {
            return;
        };
        assert_eq!(outcome.expect_success(), expected, "{arguments:?}");
    }
    let Some(refused) = curl(&site, "/", &["--tls-max", "1.1"]) else {
        return;
    };
    assert!(!refused.status.success(), "{refused:?}");
}

#[test]
fn curl_shows_its_certificate() {
    let required =
        |authority: &Authority| Some(ClientAuth::required_from_pem(authority.root_pem()).unwrap());
    let site = Site::new("curl-certificate", required);
    let stranger = Authority::new();
    let own = site.client(&site.authority);
    let own = own.map(|path| path.to_str().unwrap().to_owned());
    for version in ["1.2", "1.3"] {
        let arguments = ["--tls-max", version, "--cert", &own[0], "--key", &own[1]];
        let Some(known) = curl(&site, "/", &arguments) else {
            return;
        };
        assert_eq!(known.expect_success(), format!("TLSv{version} 0 1\n"));
        let without = curl(&site, "/", &["--tls-max", version]).unwrap();
        assert!(!without.status.success(), "{without:?}");
        assert!(without.stderr.contains("certificate"), "{without:?}");
    }
    site.client(&stranger);
    let arguments = ["--cert", &own[0], "--key", &own[1]];
    let strange = curl(&site, "/", &arguments).unwrap();
    assert!(!strange.status.success(), "{strange:?}");
    assert!(strange.stderr.contains("unknown ca"), "{strange:?}");
}

#[test]
fn python_verifies_the_name_and_keeps_its_connection() {
    let Some(python) = python_with("ssl") else {
        return;
    };
    let site = Site::new("python-https", |_| None);
    let script = "
import http.client, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
client = http.client.HTTPSConnection('localhost', int(sys.argv[2]), context=context, timeout=10)
for count in (1, 20000, 3000000):
    client.request('GET', f'/bytes/{count}')
    assert len(client.getresponse().read()) == count
client.sock.unwrap().close() # waits for the close_notify of the server
print('good')
";
    let mut command = Command::new(python);
    command.args(["-c", script]).arg(site.root());
    let outcome = run(command.arg(site.address().port().to_string()));
    assert_eq!(outcome.expect_success(), "good\n");
}

#[test]
fn chromium_loads_a_page_and_posts_over_https() {
    let Some(chromium) = tool("chromium") else {
        return;
    };
    let site = Site::new("chromium-https", |_| None);
    let trusting = ["--ignore-certificate-errors"];
    let mut browser = Browser::start_with(&chromium, &site.folder.join("profile"), &trusting);
    let tab = browser.open(&site.url("/page"), 800, 600);
    browser.wait_for(&tab, "document.title === 'mill' && isSecureContext");
    let post = "fetch('/', {method: 'POST', body: 'y'.repeat(3000000)})\
        .then(answer => answer.text()).then(text => document.title = text)";
    browser.act(&tab, post);
    browser.wait_for(&tab, "document.title.trim() === 'TLSv1.3 3000000 0'");
    let many = "Promise.all([...Array(30).keys()].map(count => \
        fetch('/bytes/' + count * 10000).then(answer => answer.text())))\
        .then(all => document.title = all.reduce((sum, text) => sum + text.length, 0))";
    browser.act(&tab, many);
    browser.wait_for(&tab, "document.title === '4350000'");
    browser.close(&tab);
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[test]
fn chromium_talks_over_wss_and_sees_a_clean_end_of_the_server() {
    let Some(chromium) = tool("chromium") else {
        return;
    };
    let site = Site::new("chromium-wss", |_| None);
    let trusting = ["--ignore-certificate-errors"];
    let mut browser = Browser::start_with(&chromium, &site.folder.join("profile"), &trusting);
    let tab = browser.open(&site.url("/page"), 800, 600);
    let open = "window.texts = []; window.socket = new WebSocket('wss://' + location.host + '/socket');\
        socket.binaryType = 'arraybuffer';\
        socket.onmessage = event => texts.push(event.data);\
        socket.onclose = event => document.title = 'closed ' + event.code + ' ' + event.wasClean;\
        socket.onopen = () => document.title = 'open'";
    browser.act(&tab, open);
    browser.wait_for(&tab, "document.title === 'open'");
    let send = "for (const size of [0, 5, 70000, 900000])\
        { socket.send('y'.repeat(size)); socket.send(new Uint8Array(size)); }";
    browser.act(&tab, send);
    browser.wait_for(&tab, "texts.length === 8");
    browser.wait_for(
        &tab,
        "texts.map(text => text.length ?? text.byteLength).join() === '0,0,5,5,70000,70000,900000,900000'",
    );
    site.server.stopper().stop();
    browser.wait_for(&tab, "document.title === 'closed 1001 true'");
    let report = site.server.join().unwrap();
    assert_eq!((report.upgraded, report.cut), (1, 0), "{report}");
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}
