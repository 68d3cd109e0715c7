//! A JSON API: typed bodies, validation, and every error as JSON, also those that the server makes itself.
//!
//! ```text
//! cargo run --example json_api [ADDRESS]
//! curl --json '{"flour": "rye", "grains": 7}' http://127.0.0.1:8080/sacks
//! curl --json '{"flour": "rye", "grains": "many"}' http://127.0.0.1:8080/sacks
//! curl http://127.0.0.1:8080/sacks/0
//! curl http://127.0.0.1:8080/nowhere
//! ```
//!
//! You should see the sack, an error that names the field, the sack again, and
//! `{"error":"not found","status":404}`.
#![allow(
    clippy::print_stdout,
    clippy::unused_async,
    reason = "an example prints; handlers are async"
)]

use std::cell::RefCell;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use waterwheel::http::web::input;
use waterwheel::http::web::response::Json;
use waterwheel::http::web::routes::{Router, with};
use waterwheel::http::{ClientError, ErrorAnswer, Request, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Sack {
    flour: String,
    grains: u32,
}

#[derive(Default)]
struct Store(RefCell<Vec<Sack>>);

impl Store {
    async fn list(&self) -> Json<Vec<Sack>> {
        Json(self.0.borrow().clone())
    }

    async fn show(&self, _: &Request<'_>, n: usize) -> Result<Json<Sack>, ClientError> {
        let sack = self.0.borrow().get(n).cloned();
        sack.map(Json)
            .ok_or_else(|| ClientError::new(StatusCode::NOT_FOUND, "no such sack"))
    }

    async fn add(&self, request: &Request<'_>) -> Result<(StatusCode, Json<Sack>)> {
        let sack: Sack = input::json(request).await?; // 415, 413, 400, or 422 and the field
        if sack.grains == 0 {
            let invalid = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(ClientError::new(invalid, "grains: must be at least 1").into());
        }
        self.0.borrow_mut().push(sack.clone());
        Ok((StatusCode::CREATED, Json(sack)))
    }
}

/// Makes the body of every error answer: those above, 404, 405, 500, and refused requests.
fn as_json(error: &ErrorAnswer<'_>) -> Json<Value> {
    let (status, text) = (error.status.as_u16(), error.text);
    Json(json!({ "status": status, "error": text }))
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let store = Rc::new(Store::default());
    let router = Router::new()
        .get("/sacks", with(&store, Store::list))
        .get("/sacks/{n}", with(&store, Store::show))
        .post("/sacks", with(&store, Store::add));
    runtime::block_on(async {
        let server = Server::builder().error_responses(as_json).bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(router, shutdown).await?);
        Ok(())
    })
}
