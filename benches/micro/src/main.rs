//! The cost of Waterwheel's parts, in instructions. See `README.md`.
//!
//! ```text
//! benches/micro/check
//! ```
//!
//! Each file is a group of benches; `counted` says what of them counts, `world` and `wire` are what
//! stands around it.

mod answer;
mod body;
mod counted;
mod gate;
mod head;
mod request;
mod route;
mod task;
mod timer;
mod wire;
mod world;

use answer::answers;
use body::bodies;
use gate::gates;
use gungraun::{Callgrind, EntryPoint, LibraryBenchmarkConfig, main};
use head::heads;
use request::requests;
use route::routes;
use task::tasks;
use timer::timers;

/// Callgrind counts each byte of a `rep stosb` as an instruction, which it is not in time: the C library
/// shall clear and copy with vectors instead.
const C_LIBRARY: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS");

fn config() -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.entry_point(EntryPoint::Custom(counted::ENTRY_POINT.to_owned()));
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind).env(C_LIBRARY.0, C_LIBRARY.1);
    config
}

main!(
    config = config();
    library_benchmark_groups = heads, bodies, answers, requests, routes, gates, tasks, timers
);
