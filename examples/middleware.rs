//! Middleware: functions from a handler to a handler. One logs, and one hands the user to the handler.
//!
//! ```text
//! cargo run --example middleware [ADDRESS]
//! curl -i http://127.0.0.1:8080/private
//! curl -u anna:flour http://127.0.0.1:8080/private
//! ```
//!
//! You should see a 401, then `good morning, anna`. The server prints a line for each request.
#![allow(clippy::print_stdout, reason = "an example prints")]

use waterwheel::http::web::input;
use waterwheel::http::web::response::Response;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Error, Handler, Request, Responded, Result, Server};
use waterwheel::runtime::{self, signal, time::Instant};

struct User {
    name: String,
}

fn authenticate(request: &Request<'_>) -> Option<User> {
    let credentials = input::basic_auth(request)?;
    let is_known = credentials.is("anna", "flour");
    is_known.then_some(User {
        name: credentials.name,
    })
}

/// Answers 401, or lets the inner handler answer, which finds the user by its type.
fn for_users(inner: impl Handler) -> impl Handler {
    async move |request: Request<'_>| {
        let Some(user) = authenticate(&request) else {
            return Response::unauthorized("the mill").send(request).await;
        };
        request.extensions().insert(user);
        inner.call(request).await
    }
}

/// Prints a line after each answer.
fn timed(inner: impl Handler) -> impl Handler {
    async move |request: Request<'_>| {
        let (start, target) = (Instant::now(), request.target().to_owned());
        let answered = inner.call(request).await;
        let status = answered.as_ref().ok().and_then(Responded::status);
        println!("{target}: {status:?} after {:?}", start.elapsed());
        answered
    }
}

async fn greet(request: &Request<'_>) -> Result<String> {
    let user = request.extensions().get::<User>();
    let user = user.ok_or_else(|| Error::message("`for_users` must be around this handler"))?;
    Ok(format!("good morning, {}\n", user.name))
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let private = Router::new().get("/", greet);
    let router = Router::new()
        .get("/", async || "open to all\n")
        .nest("/private", for_users(private));
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(timed(router), shutdown).await?);
        Ok(())
    })
}
