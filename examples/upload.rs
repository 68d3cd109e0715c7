//! Receives files: a page with a progress bar, and a form that is written to disk while it arrives.
//!
//! ```text
//! cargo run --release --example upload [ADDRESS] [FOLDER]
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use waterwheel::http::web::multipart::MultipartForm;
use waterwheel::http::{
    ClientError, Limits, Method, Request, Responded, Result, Server, StatusCode,
};
use waterwheel::runtime::{self, signal};

const HTML: [(&str, &str); 1] = [("content-type", "text/html; charset=utf-8")];
const TEXT: [(&str, &str); 1] = [("content-type", "text/plain; charset=utf-8")];
const BYTES_MAX: u64 = 4 << 30;

async fn upload(request: Request<'_>, folder: &Path) -> Result<Responded> {
    match (request.method(), request.path()) {
        (&Method::GET | &Method::HEAD, "/") => {
            let page = include_str!("pages/upload.html");
            request.respond(StatusCode::OK, page, HTML).await
        }
        (&Method::POST, "/") => {
            let saved = save(&request, folder).await?;
            request.respond(StatusCode::CREATED, saved, TEXT).await
        }
        _ => {
            request
                .respond(StatusCode::NOT_FOUND, "not here\n", TEXT)
                .await
        }
    }
}

/// A file that is not whole yet. If it stays so, for example because the client leaves, it is removed.
struct Part {
    path: PathBuf,
}

impl Part {
    fn new(folder: &Path) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{}-{number}.part", std::process::id());
        Self {
            path: folder.join(name),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // A whole file has been renamed, so the path does not exist.
        drop(fs::remove_file(&self.path));
    }
}

/// Writes each file of the form into the folder. Returns their names and lengths.
async fn save(request: &Request<'_>, folder: &Path) -> Result<String> {
    let mut form = MultipartForm::of(request)?;
    let mut saved = Vec::new();
    while let Some(field) = form.next().await? {
        // A browser sends an empty name if no file has been chosen.
        if field.file_name().is_none_or(str::is_empty) {
            continue;
        }
        let nameless = || ClientError::new(StatusCode::BAD_REQUEST, "no name to save a file under");
        let name = field.safe_file_name().ok_or_else(nameless)?;
        let part = Part::new(folder);
        let bytes = field.to_file(File::create(&part.path)?, BYTES_MAX).await?;
        fs::rename(&part.path, folder.join(&name))?;
        saved.push(format!("{name}: {bytes} bytes\n"));
    }
    Ok(saved.concat())
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| "uploads".to_owned()));
    fs::create_dir_all(&folder).map_err(|error| {
        let text = format!("the folder {}: {error}", folder.display());
        io::Error::new(error.kind(), text)
    })?;
    let limits = Limits {
        body_bytes_max: BYTES_MAX,
        ..Limits::DEFAULT
    };
    runtime::block_on(async {
        let server = Server::builder().limits(limits).bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        let handler = async move |request: Request<'_>| upload(request, &folder).await;
        println!("{}", server.serve_until(handler, shutdown).await?);
        Ok(())
    })
}
