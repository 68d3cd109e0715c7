//! Compression on the fly: the client chooses the coding.
//!
//! ```text
//! cargo run --example compress [ADDRESS] [FOLDER]
//! curl -s --compressed -w '%{size_download} bytes\n' -o target/page http://127.0.0.1:8080/README.md
//! curl -s -w '%{size_download} bytes\n' -o target/page http://127.0.0.1:8080/README.md
//! ```
//!
//! You should see that the first download has less than half of the bytes of the second one.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::env;

use waterwheel::http::web::compress::compress;
use waterwheel::http::web::files::Files;
use waterwheel::http::{Error, Result, Server};
use waterwheel::runtime::{self, signal};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let files = Files::new(&folder)
        .map_err(|error| Error::message(format!("cannot open the folder {folder}: {error}")))?
        .listing()
        // A smaller file beside the original costs no work for each request.
        .precompressed();
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(compress(files), shutdown).await?);
        Ok(())
    })
}
