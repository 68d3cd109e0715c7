//! `may_minihttp`: coroutines on one worker thread.

mod contract;

use may_minihttp::{HttpServer, HttpService, Request, Response};
use std::io::{self, Read};

#[derive(Clone)]
struct Contract;

impl HttpService for Contract {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        match request.path().split('?').next().unwrap_or_default() {
            "/plaintext" => {
                response.header("content-type: text/plain");
                response.body(contract::TEXT);
            }
            "/json" => {
                response.header("content-type: application/json");
                response.body_vec(contract::json());
            }
            "/echo" => {
                let mut body = Vec::new();
                request.body().read_to_end(&mut body)?;
                response.header("content-type: application/octet-stream");
                response.body_vec(body);
            }
            _ => drop(response.status_code(404, "Not Found")),
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    may::config().set_workers(1);
    let server = HttpServer(Contract).start(contract::address())?;
    server
        .join()
        .map_err(|_| io::Error::other("the server panicked"))
}
