use waterwheel::http::{Request, Responded, Result};

async fn forgets(request: Request<'_>) -> Result<Responded> {
    drop(request.path());
}

fn main() {
    drop(waterwheel::http::shared(forgets));
}
