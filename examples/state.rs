//! State that requests share: a struct, whose methods are the handlers.
//!
//! ```text
//! cargo run --example state [ADDRESS]
//! curl http://127.0.0.1:8080/
//! curl -d 'seven sacks of rye' http://127.0.0.1:8080/notes
//! curl http://127.0.0.1:8080/notes
//! ```
//!
//! You should see `counter: 0`, `note 0`, and the note. The counter grows with each request to `/`.
#![allow(
    clippy::print_stdout,
    clippy::unused_async,
    reason = "an example prints; handlers are async"
)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use waterwheel::http::web::routes::{Router, with};
use waterwheel::http::{Request, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

/// All handlers run on one thread, so `Cell` and `RefCell` suffice. With more threads, this would need an
/// `Arc` and a `Mutex`.
#[derive(Default)]
struct Mill {
    visits: Cell<u64>,
    notes: RefCell<Vec<String>>,
}

impl Mill {
    async fn count(&self) -> String {
        format!("counter: {}\n", self.visits.replace(self.visits.get() + 1))
    }

    async fn list(&self) -> String {
        self.notes.borrow().concat()
    }

    async fn add(&self, request: &Request<'_>) -> Result<(StatusCode, String)> {
        let note = String::from_utf8(request.bytes().await?)?;
        // Borrow after the `await`: other requests run during it, and would find the notes borrowed.
        let mut notes = self.notes.borrow_mut();
        notes.push(note + "\n");
        Ok((StatusCode::CREATED, format!("note {}\n", notes.len() - 1)))
    }
}

pub(crate) fn mill() -> Router {
    let mill = Rc::new(Mill::default());
    Router::new()
        .get("/", with(&mill, Mill::count))
        .get("/notes", with(&mill, Mill::list))
        .post("/notes", with(&mill, Mill::add))
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(mill(), shutdown).await?);
        Ok(())
    })
}
