//! The cost of finding one of 200 routes, for several routers in one run.
//!
//! ```sh
//! cargo run --release --manifest-path benches/compare/Cargo.toml -p routes
//! ```
//!
//! *To find one* is the look-up alone. *Added to a request* is a request through the router less the
//! same request to the handler of all routes. It contains the parameters, the boxes, and all other work
//! of a framework for a route. Each framework gets a request in its own form:
//! ours as bytes over a connection in memory, axum's as a value.

#[path = "../../../routes/measure.rs"]
mod measure;
#[path = "../../../routes/ours.rs"]
mod ours;
#[path = "../../../routes/table.rs"]
mod table;

use std::convert::Infallible;
use std::hint::black_box;

use actix_router::{Path, Router as ActixRouter};
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use axum::routing::get;
use futures_lite::future::block_on;
use measure::nanos;
use tower_service::Service;

/// Pattern and path of each route.
type Routes = [(String, String)];

fn matchit_lookups(all: &Routes) -> f64 {
    let mut router = matchit::Router::new();
    for (number, (pattern, _)) in all.iter().enumerate() {
        router.insert(pattern, number).expect("no two are the same");
    }
    block_on(nanos(all.len(), async || {
        for (_, path) in all {
            drop(black_box(router.at(black_box(path))));
        }
    }))
}

fn actix_lookups(all: &Routes) -> f64 {
    let mut router = ActixRouter::<usize>::build();
    for (number, (pattern, _)) in all.iter().enumerate() {
        router.path(pattern.as_str(), number);
    }
    let router = router.finish();
    block_on(nanos(all.len(), async || {
        for (_, path) in all {
            let mut path = Path::new(black_box(path.as_str()));
            assert!(black_box(router.recognize(&mut path)).is_some());
        }
    }))
}

async fn ok() -> &'static str {
    "ok"
}

/// Requests to all paths; making them is counted with them.
fn axum_requests<S>(mut service: S, all: &Routes) -> f64
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
{
    block_on(nanos(all.len(), async || {
        for (_, path) in all {
            let request = Request::builder().uri(path.as_str()).body(Body::empty());
            let answer = service.call(request.expect("it is sound")).await;
            let Ok(answer) = answer;
            assert!(black_box(answer).status().is_success());
        }
    }))
}

fn main() {
    let all = table::routes();
    let ours = {
        let with = ours::requests(ours::router(&all), &all);
        with - ours::requests(ours::answer, &all)
    };
    let axum = {
        let add =
            |router: axum::Router, (pattern, _): &(String, String)| router.route(pattern, get(ok));
        let router: axum::Router = all.iter().fold(axum::Router::new(), add);
        axum_requests(router, &all) - axum_requests(get(ok), &all)
    };
    println!(
        "| {} routes, ns each | to find one | added to a request |",
        all.len()
    );
    println!("|---|---|---|");
    println!("| waterwheel | {:.0} | {ours:.0} |", ours::lookups(&all));
    println!("| axum | | {axum:.0} |");
    println!("| actix-router | {:.0} | |", actix_lookups(&all));
    println!("| matchit | {:.0} | |", matchit_lookups(&all));
}
