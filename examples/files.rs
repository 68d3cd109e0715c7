//! Serves a folder: its files, ranges of them, and lists of its contents.
//!
//! ```text
//! cargo run --release --example files [ADDRESS] [FOLDER]
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::io;

use waterwheel::http::Server;
use waterwheel::http::web::files::Files;
use waterwheel::runtime::{self, signal};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let files = Files::new(&folder)
        .map_err(|error| io::Error::new(error.kind(), format!("the folder {folder}: {error}")))?;
    let files = files.listing().precompressed();
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(files, shutdown).await?);
        Ok(())
    })
}
