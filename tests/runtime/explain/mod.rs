//! Claims about a runtime that explains why its tasks wait.
//!
//! | file | claims |
//! |---|---|
//! | `trees.rs` | the futures within a task that wait, the lines that made them, and since when |
//! | `waits.rs` | the text of a wait: its kind, and the thing that the task waits for |
//! | `parts.rs` | parts of a task on a hot path |
//! | `text.rs` | the text and the JSON of a dump |
//! | `anywhere.rs` | the threads, the moments and the runtimes in which a dump can be made |
//! | `harmless.rs` | a program that is explained runs as without, and pays a bounded price |
//! | `findings.rs` | the faults that a dump finds |

mod anywhere;
mod findings;
mod harmless;
mod parts;
mod text;
mod trees;
mod waits;

use std::future::Future;
use std::time::Duration;

use waterwheel::runtime::inspect::{Dump, Explain, Group};
use waterwheel::runtime::task::Builder;
use waterwheel::runtime::{Runtime, yield_now};

use crate::support::runtime::within_deadline;

/// Runs a future as a test, in a runtime that records why its tasks wait.
fn explained<T>(future: impl Future<Output = T>) -> T {
    explained_with(Explain::default(), future)
}

fn explained_with<T>(settings: Explain, future: impl Future<Output = T>) -> T {
    within_deadline(|| {
        let runtime = Runtime::builder().explain(settings).build().unwrap();
        runtime.block_on(future)
    })
}

/// Returns the group of the task with this name.
fn group<'a>(dump: &'a Dump, name: &str) -> &'a Group {
    let mut groups = dump.groups().iter();
    let found = groups.find(|group| group.name() == Some(name));
    found.unwrap_or_else(|| panic!("no task `{name}` in:\n{dump}"))
}

/// Spawns a task with this name, and lets it run until it waits.
async fn start(name: &str, future: impl Future<Output = ()> + 'static) {
    Builder::new().name(name).spawn(future).detach();
    yield_now().await;
    yield_now().await;
}

/// Returns the reasons of a task on one line.
fn chain(dump: &Dump, name: &str) -> String {
    let trees: Vec<_> = group(dump, name)
        .tree()
        .iter()
        .map(ToString::to_string)
        .collect();
    trees.join(" + ")
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
