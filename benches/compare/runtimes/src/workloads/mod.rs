//! The workloads: a file for each kind of work, and the list of all rows.

mod blocking;
mod bytes;
mod spawns;
mod sync;
mod tcp;
mod threads;
mod timers;
mod udp;
mod wakes;
mod yields;

use crate::runtimes::{LocalPool, Runtime, Smol, Tokio, Waterwheel, WithIo, WithSync};
use serde::Serialize;
use std::time::Duration;

/// The names of the columns.
pub(crate) const RUNTIMES: [&str; 5] = [
    Waterwheel::NAME,
    Tokio::<false>::NAME,
    Tokio::<true>::NAME,
    Smol::NAME,
    LocalPool::NAME,
];

/// How much of the work is done: all of it, or a fraction to see that it works.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// The full number of operations is divided by this.
    pub(crate) divisor: u32,
}

impl Size {
    /// The number of operations to do, at least one.
    fn of(self, operations: u32) -> u32 {
        (operations / self.divisor).max(1)
    }
}

/// Work that every runtime can do.
trait Workload: Copy + 'static {
    /// Does it once in a fresh runtime, checks that all of it was done, and returns the cost of an
    /// operation.
    fn run<R: Runtime>(self, size: Size) -> f64;
}

/// Work that needs timers, sockets or threads.
trait IoWorkload: Copy + 'static {
    /// As [`Workload::run`].
    fn run<R: WithIo>(self, size: Size) -> f64;
}

/// Work with channels, semaphores or sets of tasks.
trait SyncWorkload: Copy + 'static {
    /// As [`Workload::run`].
    fn run<R: WithSync>(self, size: Size) -> f64;
}

/// Does a row's work in one runtime and returns the cost of an operation.
pub(crate) type Cell = Box<dyn Fn(Size) -> f64>;

/// The unit of a row.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// Nanoseconds for each operation.
    Ns,
    /// Resident bytes for each task. Measured in a process of its own, whose memory is fresh.
    Bytes,
}

/// A row of the table.
pub(crate) struct Row {
    /// Its name.
    pub(crate) title: &'static str,
    /// The unit of its cells.
    pub(crate) unit: Unit,
    /// In the order of [`RUNTIMES`]; `None` if the runtime cannot do this work.
    pub(crate) cells: [Option<Cell>; RUNTIMES.len()],
}

fn cell<R: Runtime>(work: impl Workload) -> Cell {
    Box::new(move |size| work.run::<R>(size))
}

fn io_cell<R: WithIo>(work: impl IoWorkload) -> Cell {
    Box::new(move |size| work.run::<R>(size))
}

fn sync_cell<R: WithSync>(work: impl SyncWorkload) -> Cell {
    Box::new(move |size| work.run::<R>(size))
}

impl Row {
    fn new(title: &'static str, work: impl Workload) -> Self {
        let tokio = [cell::<Tokio<false>>(work), cell::<Tokio<true>>(work)];
        let [tokio, local_set] = tokio.map(Some);
        let others = [
            cell::<Waterwheel>(work),
            cell::<Smol>(work),
            cell::<LocalPool>(work),
        ];
        let [ours, smol, local_pool] = others.map(Some);
        Self {
            title,
            unit: Unit::Ns,
            cells: [ours, tokio, local_set, smol, local_pool],
        }
    }

    fn io(title: &'static str, work: impl IoWorkload) -> Self {
        let tokio = [io_cell::<Tokio<false>>(work), io_cell::<Tokio<true>>(work)];
        let [tokio, local_set] = tokio.map(Some);
        let [ours, smol] = [io_cell::<Waterwheel>(work), io_cell::<Smol>(work)].map(Some);
        Self {
            title,
            unit: Unit::Ns,
            cells: [ours, tokio, local_set, smol, None],
        }
    }

    fn sync(title: &'static str, work: impl SyncWorkload) -> Self {
        let tokio = [
            sync_cell::<Tokio<false>>(work),
            sync_cell::<Tokio<true>>(work),
        ];
        let [tokio, local_set] = tokio.map(Some);
        let others = [
            sync_cell::<Waterwheel>(work),
            sync_cell::<Smol>(work),
            sync_cell::<LocalPool>(work),
        ];
        let [ours, smol, local_pool] = others.map(Some);
        Self {
            title,
            unit: Unit::Ns,
            cells: [ours, tokio, local_set, smol, local_pool],
        }
    }

    fn in_bytes(self) -> Self {
        Self {
            unit: Unit::Bytes,
            ..self
        }
    }
}

/// All rows, in the order of the table.
pub(crate) fn rows() -> Vec<Row> {
    use blocking::ThereAndBack;
    use bytes::{Parked, Sleeping};
    use spawns::{AtOnce, OneByOne, Spawner};
    use sync::{Channel, Oneshot, OneshotOfOne, Permits, Sets};
    use tcp::PingPong;
    use threads::{CrossThread, Meanwhile};
    use timers::{InsertAndCancel, InsertAndFire};
    use udp::Datagrams;
    use wakes::Pairs;
    use yields::{Way, Yields};

    let pairs = |pairs, turns| Pairs { pairs, turns };
    let channel = |capacity, pairs| Channel { capacity, pairs };
    let yields = |way, tasks, times| Yields { way, tasks, times };
    vec![
        Row::new("wake chain: 2 tasks wake each other", pairs(1, 100_000)),
        Row::new("wake crowd: 100 such pairs", pairs(100, 1_000)),
        Row::new("yield_now, 1 task", yields(Way::Own, 1, 100_000)),
        Row::new("yield_now, 100 tasks", yields(Way::Own, 100, 2_000)),
        Row::new("yield_now, 1,000 tasks", yields(Way::Own, 1_000, 200)),
        Row::new("self-wake, 1 task", yields(Way::SelfWake, 1, 100_000)),
        Row::new("self-wake, 1,000 tasks", yields(Way::SelfWake, 1_000, 200)),
        Row::new("spawn + join one by one", OneByOne(Spawner::Task)),
        Row::new(
            "spawn + join one by one, by block_on",
            OneByOne(Spawner::Root),
        ),
        Row::new("spawn 300,000 at once, then join", AtOnce),
        Row::new("wake from a thread, busy", CrossThread(Meanwhile::Busy)),
        Row::new("wake from a thread, asleep", CrossThread(Meanwhile::Asleep)),
        Row::io("timer insert + cancel, 100,000 armed", InsertAndCancel),
        Row::io("timer insert + fire, 100,000 armed", InsertAndFire),
        Row::io("TCP ping-pong, 1 pair", PingPong { pairs: 1 }),
        Row::io("TCP ping-pong, 64 pairs", PingPong { pairs: 64 }),
        Row::io("UDP ping-pong, 1 pair", Datagrams { pairs: 1 }),
        Row::io("UDP ping-pong, 64 pairs", Datagrams { pairs: 64 }),
        Row::sync("channel of 1, 1 pair", channel(1, 1)),
        Row::sync("channel of 1, 100 pairs", channel(1, 100)),
        Row::sync("channel of 100, 1 pair", channel(100, 1)),
        Row::sync("channel of 100, 100 pairs", channel(100, 100)),
        Row::sync("oneshot, sent first", OneshotOfOne),
        Row::sync("oneshot, awaited first, 1 pair", Oneshot { pairs: 1 }),
        Row::sync("oneshot, awaited first, 100 pairs", Oneshot { pairs: 100 }),
        Row::sync("semaphore, 1 task", Permits { tasks: 1 }),
        Row::sync("semaphore, 2 tasks in line", Permits { tasks: 2 }),
        Row::sync("semaphore, 100 tasks in line", Permits { tasks: 100 }),
        Row::sync("JoinSet of 1,000 tasks", Sets),
        Row::io("spawn_blocking and back", ThereAndBack),
        Row::new("parked task with its handle", Parked { handles: true }).in_bytes(),
        Row::new("parked task, detached", Parked { handles: false }).in_bytes(),
        Row::io("sleeping task, detached", Sleeping).in_bytes(),
    ]
}

/// The sum of all numbers below `count`.
fn sum_below(count: u32) -> u64 {
    u64::from(count) * u64::from(count - 1) / 2
}

/// Nanoseconds for each operation.
fn nanos_each(time: Duration, operations: u32) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(operations)
}

#[cfg(test)]
mod tests {
    use super::{RUNTIMES, Size, rows};

    /// Each workload checks its own counts.
    #[test]
    fn every_workload_ends_with_the_right_count_on_every_runtime() {
        for row in rows() {
            for (cell, runtime) in row.cells.iter().zip(RUNTIMES) {
                let Some(cell) = cell else { continue };
                let cost = cell(Size { divisor: 500 });
                assert!(cost.is_finite(), "{} on {runtime}: {cost}", row.title);
            }
        }
    }

    #[test]
    fn no_two_rows_have_the_same_title() {
        let titles: std::collections::BTreeSet<_> = rows().iter().map(|row| row.title).collect();
        assert_eq!(titles.len(), rows().len());
    }
}
