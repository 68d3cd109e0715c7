use waterwheel::http::StatusCode;
use waterwheel::http::web::routes::Router;

fn main() {
    drop(Router::new().get("/", StatusCode::OK));
}
