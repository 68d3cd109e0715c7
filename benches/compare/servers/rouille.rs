//! rouille, which serves from a pool of threads. All of them run on one core here.

mod contract;

use rouille::{Request, Response, Server};
use std::io::Read;

fn main() {
    let server = Server::new(contract::address(), answer);
    server.expect("the address is free").run();
}

fn answer(request: &Request) -> Response {
    match request.url().as_str() {
        "/plaintext" => Response::from_data("text/plain", contract::TEXT),
        "/json" => Response::from_data("application/json", contract::json()),
        "/echo" => {
            let mut body = Vec::new();
            let read = request.data().map(|mut data| data.read_to_end(&mut body));
            match read {
                Some(Ok(_)) => Response::from_data("application/octet-stream", body),
                _ => Response::empty_400(),
            }
        }
        _ => Response::empty_404(),
    }
}
