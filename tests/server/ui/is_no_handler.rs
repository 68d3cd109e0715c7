use waterwheel::http::{self, StatusCode};

fn main() {
    drop(http::shared(StatusCode::OK));
}
