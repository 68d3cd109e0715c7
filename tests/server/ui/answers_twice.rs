use waterwheel::http::{Request, Responded, Result, StatusCode};

async fn answers_twice(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "once", ()).await?;
    request.respond(StatusCode::OK, "twice", ()).await
}

fn main() {
    drop(waterwheel::http::shared(answers_twice));
}
