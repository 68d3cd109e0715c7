//! `may_minihttp`: coroutines on one worker thread.

use may_minihttp::{HttpServer, HttpService, Request, Response};
use std::error::Error;
use std::io::{self, Read};

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

#[derive(Clone)]
struct Contract;

impl HttpService for Contract {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        let path = request.path().split('?').next();
        match path.unwrap_or_default() {
            "/plaintext" => {
                response
                    .header("content-type: text/plain")
                    .body("Hello, World!");
            }
            "/json" => {
                response.header("content-type: application/json");
                let body = serde_json::to_vec(&Message {
                    message: "Hello, World!",
                })?;
                response.body_vec(body);
            }
            "/echo" => {
                let mut body = Vec::new();
                request.body().read_to_end(&mut body)?;
                response
                    .header("content-type: application/octet-stream")
                    .body_vec(body);
            }
            _ => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    may::config().set_workers(1);
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = HttpServer(Contract).start(address.as_str())?;
    println!("listening on http://{address}");
    server.join().map_err(|_| "the server panicked")?;
    Ok(())
}
