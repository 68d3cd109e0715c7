//! A login: a session, one message after a redirect, an id that changes, and no request of another site.
//!
//! ```text
//! cargo run --example login [ADDRESS]
//! curl -L -c jar -b jar -d 'name=anna&password=flour' http://127.0.0.1:8080/login
//! curl -b jar http://127.0.0.1:8080/
//! ```
//!
//! You should see `welcome` and `good morning, anna`, and then only `good morning, anna`. A page of another site cannot
//! log anybody in or out, because `csrf` refuses what browsers send for it:
//!
//! ```text
//! curl -b jar -d '' -H 'Sec-Fetch-Site: cross-site' http://127.0.0.1:8080/logout
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use serde::Deserialize;
use waterwheel::http::web::input::{self, is_same_secret};
use waterwheel::http::web::middleware::csrf;
use waterwheel::http::web::response::Response;
use waterwheel::http::web::routes::Router;
use waterwheel::http::web::session::{ClientSession, MemoryStore, Sessions};
use waterwheel::http::web::trace::traces;
use waterwheel::http::{Request, Result, Server};
use waterwheel::runtime::{self, signal};

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

async fn log_in(request: &Request<'_>) -> Result<Response> {
    let login: Login = input::form(request).await?;
    let session = ClientSession::of(request)?;
    // A site of your own compares a hash of the password, on the thread pool.
    if login.name == "anna" && is_same_secret(&login.password, "flour") {
        session.rotate()?; // the id from before the login is no longer valid
        session.insert("user", &login.name)?;
        session.flash("info", "welcome")?;
    } else {
        session.flash("error", "wrong name or password")?;
    }
    Ok(Response::see_other("/"))
}

async fn log_out(request: &Request<'_>) -> Result<Response> {
    ClientSession::of(request)?.destroy()?;
    Ok(Response::see_other("/"))
}

async fn home(request: &Request<'_>) -> Result<String> {
    let session = ClientSession::of(request)?;
    let user: Option<String> = session.get("user")?;
    let mut page: String = session
        .flashes()?
        .into_iter()
        .map(|flash| flash.text + "\n")
        .collect();
    match user {
        Some(user) => page.extend(["good morning, ", &user, "\n"]),
        None => page += "log in with POST /login\n",
    }
    Ok(page)
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let router = Router::new()
        .get("/", home)
        .post("/login", log_in)
        .post("/logout", log_out);
    let sessions =
        Sessions::in_store(MemoryStore::new(10_000)).lifetime(Duration::from_secs(10 * 3600));
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        // Outside of the sessions, so that a refused request costs no look into the store.
        let handler = traces(csrf(sessions.around(router)));
        println!("{}", server.serve_until(handler, shutdown).await?);
        Ok(())
    })
}
