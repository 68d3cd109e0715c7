//! Uploads: a form with files, which are written to disk while they arrive.
//!
//! ```text
//! cargo run --example upload [ADDRESS] [FOLDER]
//! curl -F file=@Cargo.lock http://127.0.0.1:8080/
//! ```
//!
//! You should see `Cargo.lock: … bytes`, and the file in the folder `uploads`. A browser gets a page with
//! progress bars. A file appears under its name only when it is complete.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;
use std::{env, fs};

use tempfile::NamedTempFile;
use waterwheel::http::web::multipart::MultipartForm;
use waterwheel::http::web::response::Html;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{ClientError, Error, Limits, Request, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

const FILE_BYTES_MAX: u64 = 4 << 30;

/// Saves each file of the form. Returns their names and lengths.
async fn save(request: &Request<'_>, folder: &str) -> Result<(StatusCode, String)> {
    let mut form = MultipartForm::of(request)?;
    let mut saved = Vec::new();
    while let Some(field) = form.next().await? {
        let Some(name) = field.safe_file_name() else {
            continue; // not a file, or none was chosen
        };
        let part = NamedTempFile::new_in(folder)?; // removed if the client leaves
        let bytes = field.to_file(part.reopen()?, FILE_BYTES_MAX).await?;
        part.persist(Path::new(folder).join(&name))?; // renamed
        saved.push(format!("{name}: {bytes} bytes\n"));
    }
    if saved.is_empty() {
        return Err(ClientError::new(StatusCode::BAD_REQUEST, "the form has no file").into());
    }
    Ok((StatusCode::CREATED, saved.concat()))
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let folder = arguments.next().unwrap_or_else(|| "uploads".to_owned());
    fs::create_dir_all(&folder)
        .map_err(|error| Error::message(format!("cannot make the folder {folder}: {error}")))?;
    let router = Router::new()
        .get("/", async || Html(include_str!("pages/upload.html")))
        .post("/", async move |request: &Request<'_>| {
            save(request, &folder).await
        });
    let limits = Limits::default().with(|limits| limits.body_bytes_max = FILE_BYTES_MAX); // 8 MiB by default
    runtime::block_on(async {
        let server = Server::builder().limits(limits).bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(router, shutdown).await?);
        Ok(())
    })
}
