use waterwheel::http::{self, Request, StatusCode};

fn main() {
    drop(http::shared(|request: Request<'_>| async move {
        request.respond(StatusCode::OK, "hello", ()).await
    }));
}
