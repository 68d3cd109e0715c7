//! rouille, which serves from a pool of threads, here pinned to one core.

use rouille::{Request, Response, Server};
use std::error::Error;
use std::io::Read;

#[derive(serde::Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let server = Server::new(address, answer).map_err(|error| error.to_string())?;
    println!("listening on http://{}", server.server_addr());
    server.run();
    Ok(())
}

fn answer(request: &Request) -> Response {
    match request.url().as_str() {
        "/plaintext" => Response::from_data("text/plain", "Hello, World!"),
        "/json" => match serde_json::to_vec(&Message {
            message: "Hello, World!",
        }) {
            Ok(body) => Response::from_data("application/json", body),
            Err(error) => Response::text(error.to_string()).with_status_code(500),
        },
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
