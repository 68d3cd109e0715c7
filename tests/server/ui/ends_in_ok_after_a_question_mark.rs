use waterwheel::http::Request;
use waterwheel::http::web::routes::Router;

fn main() {
    drop(Router::new().get("/", async |request: &Request<'_>| {
        let number: u32 = request.query().unwrap_or("0").parse()?;
        Ok(number.to_string())
    }));
}
