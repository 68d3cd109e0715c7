//! HTTPS: a certificate that can be replaced while the server runs, and a redirect from HTTP.
//!
//! ```text
//! cargo run --example https [ADDRESS] [ADDRESS_OF_HTTP] [CERTIFICATE KEY]
//! curl --insecure https://127.0.0.1:8443/
//! curl --insecure --location http://127.0.0.1:8080/
//! ```
//!
//! You should see `hello over TLSv1.3 …` both times. Without the names of two PEM files, the example makes a
//! certificate for `localhost`, which no client trusts: hence `--insecure`. The page of the module `http::tls` has a
//! command that makes two such files. With files, `kill -HUP` makes the server read them again. Requests under way do
//! not notice. Under systemd, add `with_systemd` to the reloader, and `systemctl reload` waits for the new certificate
//! (`Type=notify-reload`); the guide about production has the unit. A certificate that has expired is a warning in the
//! log of `tracing` when it is read.
#![allow(clippy::print_stdout, reason = "an example prints")]
#![allow(clippy::print_stderr, reason = "an example prints errors")]

use std::env;

use waterwheel::http::tls::redirect_to_https_port;
use waterwheel::http::tls::{TlsConfig, TlsConfigError, TlsInfo, TlsReloader};
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::signal::{self, Signal};
use waterwheel::runtime::{block_on, join, spawn};

async fn hello(request: Request<'_>) -> Result<Responded> {
    let connection = request.connection();
    let tls = connection
        .get()
        .map_or_else(String::new, TlsInfo::to_string);
    let text = format!("hello over {tls}\n");
    request.respond(StatusCode::OK, text, ()).await
}

/// Reads the files, or makes a certificate that is good enough for this machine.
fn configure(files: Option<&[String; 2]>) -> Result<TlsConfig, TlsConfigError> {
    if let Some([certificate, key]) = files {
        return TlsConfig::from_pem_files(certificate, key);
    }
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("the names are valid");
    TlsConfig::from_pem(made.cert.pem(), made.signing_key.serialize_pem())
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let secure_address = arguments.next().unwrap_or("127.0.0.1:8443".to_owned());
    let plain_address = arguments.next().unwrap_or("127.0.0.1:8080".to_owned());
    let files = arguments.next().zip(arguments.next());
    let files = files.map(|(certificate, key)| [certificate, key]);
    block_on(async {
        let tls = TlsReloader::new(move || configure(files.as_ref()))?;
        let https = Server::builder().tls(tls.clone()).bind(&secure_address)?;
        let http = Server::bind(&plain_address)?;
        let port = https.local_address().port();
        let redirect =
            async move |request: Request<'_>| redirect_to_https_port(request, port).await;

        let mut hangups = signal::listen(&[Signal::HANGUP])?;
        spawn(async move {
            while hangups.recv().await.is_ok() {
                match tls.reload() {
                    Ok(()) => println!("the next handshakes use the new certificate"),
                    Err(error) => eprintln!("the old certificate stays in use: {error}"),
                }
            }
        })
        .detach();

        println!("listening on https://{}", https.local_address());
        let (https, http) = join(
            https.serve_until(hello, signal::shutdown()),
            http.serve_until(redirect, signal::shutdown()),
        )
        .await;
        println!("https: {}\nhttp: {}", https?, http?);
        Ok(())
    })
}
