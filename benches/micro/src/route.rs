//! Finding one of 200 routes, and what that adds to a request.

#[path = "../../routes/table.rs"]
mod table;

use gungraun::{library_benchmark, library_benchmark_group};
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Method, Request, Responded, Result, StatusCode};

use crate::counted;
use crate::wire::served;

/// A route with three parameters, in the midst of them.
const PATH: &str = "/api/v1/labels/4711/members/ada/roles/owner";

fn router() -> Router {
    let add = |router: Router, (pattern, _): &(String, String)| router.get(pattern, answer);
    table::routes().iter().fold(Router::new(), add)
}

async fn answer(request: Request<'_>) -> Result<Responded> {
    request.respond(StatusCode::OK, "ok", ()).await
}

// Each of the 200 once, and as many paths without a route.
#[library_benchmark]
#[bench::found("", true)]
#[bench::missing("/none/of/these", false)]
fn look_up_200(end: &str, there: bool) {
    let router = router();
    for (_, path) in table::routes() {
        let path = path + end;
        let pattern = counted::call(|| router.pattern(&Method::GET, &path));
        assert_eq!(pattern.is_some(), there, "{path}");
    }
}

#[library_benchmark]
fn request_routed() {
    served(router(), format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n"));
}

// The same without routes.
#[library_benchmark]
fn request_not_routed() {
    served(answer, format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n"));
}

library_benchmark_group!(
    name = routes,
    benchmarks = [look_up_200, request_routed, request_not_routed]
);
