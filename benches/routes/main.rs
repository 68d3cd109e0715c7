//! The cost of finding one of 200 routes.
//!
//! ```sh
//! cargo bench --bench routes
//! ```
//!
//! Beside other frameworks' routers: `benches/compare`, package `routes`.

#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod measure;
mod ours;
mod table;

use std::hint::black_box;

/// The router that ours uses, bare.
fn matchit_bare(all: &[(String, String)]) -> f64 {
    let mut router = matchit::Router::new();
    for (number, (pattern, _)) in all.iter().enumerate() {
        router.insert(pattern, number).expect("no two are the same");
    }
    waterwheel::runtime::block_on(measure::nanos(all.len(), async || {
        for (_, path) in all {
            drop(black_box(router.at(black_box(path))));
        }
    }))
}

fn main() {
    let all = table::routes();
    let without = ours::requests(ours::answer, &all);
    let with = ours::requests(ours::router(&all), &all);
    let values = ours::requests(ours::router_of_values(&all), &all);
    println!("| {} routes | ns |", all.len());
    println!("|---|---|");
    println!("| matchit, bare: to find one | {:.0} |", matchit_bare(&all));
    println!("| waterwheel: to find one | {:.0} |", ours::lookups(&all));
    println!("| waterwheel: a request, all of it, without routes | {without:.0} |");
    println!("| waterwheel: a request, all of it, routed | {with:.0} |");
    println!("| waterwheel: the same, answered with a value | {values:.0} |");
    println!(
        "| **waterwheel: what routing adds to a request** | **{:.0}** |",
        with - without
    );
}
