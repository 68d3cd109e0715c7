//! rustls-acme orders a certificate for a server of ours, from an authority that this test is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ChildStdout, Command};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};
use waterwheel::http::tls::TlsConfig;
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::spawn_blocking;

use crate::support::programs::{Owned, tool};
use crate::support::start_example;

const DEADLINE: Duration = Duration::from_secs(30);
const NAME: &str = "mill.test";

/// An authority as in RFC 8555, which knows one account and one order, and verifies no signature.
struct Authority {
    folder: tempfile::TempDir,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The address at which NAME is served.
    address: Option<String>,
    orders: usize,
    is_verified: bool,
    chain: Option<String>,
}

impl Authority {
    fn new() -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
            state: Mutex::default(),
        };
        this.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=root \
             -keyout root.key -out root.pem",
        );
        this.openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=directory \
             -addext subjectAltName=DNS:localhost -keyout own.key -out own.csr",
        );
        this.issue("PEM", "own");
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) -> String {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.folder);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Issues a certificate for a request in a file.
    fn issue(&self, form: &str, name: &str) {
        self.openssl(&format!(
            "x509 -req -inform {form} -in {name}.csr -CA root.pem -CAkey root.key -days 2 \
             -copy_extensions copyall -out {name}.pem"
        ));
    }

    /// Checks the answer to the challenge (RFC 8737, 3).
    fn verify(&self) {
        let began = Instant::now();
        let address = loop {
            if let Some(address) = self.state.lock().unwrap().address.clone() {
                break address;
            }
            assert!(began.elapsed() < DEADLINE);
            thread::sleep(Duration::from_millis(5));
        };
        // The server closes after the handshake, and openssl may call that an error.
        let mut command = Command::new("openssl");
        let output = command
            .args(["s_client", "-alpn", "acme-tls/1", "-servername", NAME])
            .args(["-connect", &address])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("ALPN protocol: acme-tls/1"), "{text}");
        fs::write(self.path("shown"), text).unwrap();
        let shown = self.openssl("x509 -in shown -noout -text");
        assert!(shown.contains("1.3.6.1.5.5.7.1.31: critical"), "{shown}");
        self.state.lock().unwrap().is_verified = true;
    }

    /// Issues the certificate of the order.
    fn finalize(&self, body: &[u8]) {
        let decoded = |value: &Value, key: &str| {
            let text = value[key].as_str().unwrap();
            BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
        };
        let message: Value = serde_json::from_slice(body).unwrap();
        let payload: Value = serde_json::from_slice(&decoded(&message, "payload")).unwrap();
        fs::write(self.path("mill.csr"), decoded(&payload, "csr")).unwrap();
        self.issue("DER", "mill");
        let files = ["mill.pem", "root.pem"].map(|file| fs::read_to_string(self.path(file)));
        let chain = files.map(|file| file.unwrap()).concat();
        self.state.lock().unwrap().chain = Some(chain);
    }
}

async fn answer(shared: Arc<Authority>, request: Request<'_>) -> Result<Responded> {
    let at = |path: &str| format!("https://{}{path}", request.host().unwrap_or_default());
    let [nonce, account, order] = ["/nonce", "/account", "/order"].map(at);
    let [authorization, challenge, finalize, certificate] =
        ["/authorization", "/challenge", "/finalize", "/certificate"].map(at);
    let path = request.path().to_owned();
    let body = request.bytes().await?;
    let status = |is_done: bool, otherwise| if is_done { "valid" } else { otherwise };
    let of_order = |state: &State| {
        let pending = if state.is_verified {
            "ready"
        } else {
            "pending"
        };
        json!({
            "status": status(state.chain.is_some(), pending),
            "authorizations": [authorization],
            "finalize": finalize,
            "certificate": certificate,
        })
    };
    let text = match &*path {
        "/directory" => {
            json!({ "newNonce": nonce, "newAccount": account, "newOrder": order }).to_string()
        }
        // A client that reads the content of an answer to HEAD would wait for it.
        "/nonce" => String::new(),
        "/account" => "{}".to_owned(),
        "/order" => {
            let mut state = shared.state.lock().unwrap();
            state.orders += 1;
            of_order(&state).to_string()
        }
        "/order/1" => of_order(&shared.state.lock().unwrap()).to_string(),
        "/authorization" => {
            let is_verified = shared.state.lock().unwrap().is_verified;
            json!({
                "status": status(is_verified, "pending"),
                "identifier": { "type": "dns", "value": NAME },
                "challenges": [{ "type": "tls-alpn-01", "url": challenge, "token": "grist" }],
            })
            .to_string()
        }
        "/challenge" => {
            let authority = shared.clone();
            spawn_blocking(move || authority.verify()).await.unwrap();
            "{}".to_owned()
        }
        "/finalize" => {
            let (authority, body) = (shared.clone(), body.to_vec());
            spawn_blocking(move || authority.finalize(&body))
                .await
                .unwrap();
            of_order(&shared.state.lock().unwrap()).to_string()
        }
        "/certificate" => shared.state.lock().unwrap().chain.clone().unwrap(),
        _ => return request.respond(StatusCode::NOT_FOUND, "", ()).await,
    };
    // The address of what a request has made.
    let fields = [
        ("replay-nonce", "n".to_owned()),
        ("location", at(&format!("{path}/1"))),
    ];
    request.respond(StatusCode::OK, text, fields).await
}

/// Reads lines up to this one. Ends the example, and with it its output, if it does not come.
fn wait_for(example: &Owned, output: &mut BufReader<ChildStdout>, expected: &str) {
    let (found, waits) = mpsc::channel::<()>();
    let id = rustix::process::Pid::from_child(&example.0);
    let watch = thread::spawn(move || {
        if waits.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
        }
    });
    let is_there = output.lines().any(|line| line.unwrap() == expected);
    drop(found);
    watch.join().unwrap();
    assert!(is_there, "the output ended without {expected}");
}

fn curl(authority: &Authority, address: &str) -> String {
    let port = address.rsplit(':').next().unwrap();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "10", "--cacert"])
        .arg(authority.path("root.pem"))
        .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .arg(format!("https://{NAME}:{port}/"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_server_orders_its_certificate_and_keeps_it_over_a_restart() {
    if tool("openssl").is_none() || tool("curl").is_none() {
        return;
    }
    let authority = Arc::new(Authority::new());
    let config = TlsConfig::from_pem_files(authority.path("own.pem"), authority.path("own.key"));
    let directory = Server::builder().tls(config.unwrap());
    let handler = {
        let authority = authority.clone();
        move || {
            let authority = authority.clone();
            async move |request: Request<'_>| answer(authority.clone(), request).await
        }
    };
    let directory = directory.stoppable("127.0.0.1:0", handler).unwrap();
    let url = format!(
        "https://localhost:{}/directory",
        directory.local_address().port()
    );
    let [cache, root] = ["cache", "root.pem"].map(|name| authority.path(name));
    let [cache, root] = [&cache, &root].map(|path| path.to_str().unwrap());
    for event in ["DeployedNewCert", "DeployedCachedCert"] {
        let arguments = [NAME, cache, "127.0.0.1:0", &url, root];
        let (example, mut output, address) = start_example("acme", &arguments);
        authority.state.lock().unwrap().address = Some(address.clone());
        wait_for(&example, &mut output, event);
        assert_eq!(curl(&authority, &address), "hello\n");
        if event == "DeployedNewCert" {
            wait_for(&example, &mut output, "CertCacheStore");
        }
    }
    assert_eq!(authority.state.lock().unwrap().orders, 1);
}
