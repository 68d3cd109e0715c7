//! The HTTP client: a request, a stream in each direction, redirects, and an error that says what happened.
//!
//! ```sh
//! cargo run --example client -- http://example.org/
//! cargo run --example client -- PUT http://127.0.0.1:8080/ < file
//! ```
//!
//! You should see the head of the answer and then its body, or an error that says what happened and where.

use std::error::Error;
use std::time::Duration;

use futures_lite::io::copy;
use waterwheel::http::Method;
use waterwheel::http::client::{Client, Redirects};
use waterwheel::runtime::block_on;
use waterwheel::runtime::io::{stdin, stdout};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let uri = arguments.pop().ok_or("usage: client [METHOD] URI")?;
    let method = arguments.pop().unwrap_or_else(|| "GET".to_owned());
    block_on(ask(&method.parse()?, &uri))
}

async fn ask(method: &Method, uri: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirects(Redirects::follow(10))
        .build();
    let request = client
        .request(method.clone(), uri)
        .header("user-agent", "waterwheel");
    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(method);
    let response = if has_body {
        // In chunks, because the length of the input is not known.
        request.body_reader(stdin(), None).await?
    } else {
        request.await?
    };
    eprintln!("{:?} {}", response.version(), response.status());
    for (name, value) in response.headers().iter() {
        eprintln!("{name}: {}", String::from_utf8_lossy(value));
    }
    // Not the whole body at once: it may be larger than the memory.
    copy(response, &mut stdout()).await?;
    Ok(())
}
