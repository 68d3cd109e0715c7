use std::cell::Cell;

use waterwheel::http::{Request, Server, StatusCode};

async fn accept_loop(server: Server) {
    let count = Cell::new(0);
    let counted = async move |request: Request<'_>| {
        count.set(count.get() + 1);
        request.respond(StatusCode::OK, "", ()).await
    };
    loop {
        drop(server.accept_request(counted).await);
    }
}

fn main() {
    drop(accept_loop);
}
