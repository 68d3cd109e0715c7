//! A thread that reports a poll while it holds the runtime's thread.
//!
//! # How it works
//!
//! The thread looks at the board a few times within the limit. It has only a weak reference, so it ends soon after the
//! runtime.
//!
//! # Invariants
//!
//! - Always: each poll is reported once.
//! - Never: a call into the runtime, which may be blocked.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGUSR1;
use signal_hook::{flag, low_level};

use super::dump::Dump;
use super::findings::long_poll_text;
use super::json::Shown;
use crate::board::{Board, LongPoll};
use crate::local_queue::{RuntimeId, TaskId};
use crate::reasons::RunningPoll;

/// A signal and the end of the runtime are noticed after at most this time.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(50);

/// If the watchdog sleeps longer than it wanted by this, the process was stopped, and no task is to blame.
const ABSENCE_MIN: Duration = Duration::from_millis(500);

/// The board keeps this many reports.
const LONG_POLLS_MAX: usize = 16;

/// Starts the thread.
pub(super) fn start(board: &Arc<Board>, dumps_on_sigusr1: bool) {
    // Four looks within the limit, so a report is late by a quarter of it at most.
    let every = (board.poll_max() / 4).clamp(Duration::from_millis(1), LOOK_EVERY_MAX);
    let signal = Arc::new(AtomicBool::new(false));
    let registered = dumps_on_sigusr1.then(|| flag::register(SIGUSR1, signal.clone()));
    // A strong reference would keep the board of a runtime that was dropped.
    let board = Arc::downgrade(board);
    let thread = thread::Builder::new().name("ww-watchdog".to_owned());
    let watch = move || {
        watch(&board, every, &signal);
        // The next runtime registers again, and a flag that no thread reads would stay forever.
        if let Some(Ok(id)) = registered {
            low_level::unregister(id);
        }
    };
    // A runtime without a watchdog works, so this is a warning and no error.
    if let Err(error) = thread.spawn(watch) {
        tracing::warn!("the watchdog has no thread, so long polls are not reported: {error}");
    }
}

fn watch(board: &Weak<Board>, every: Duration, signal: &AtomicBool) {
    let mut reported = None;
    let run_time = |board: Option<Arc<Board>>| board.map(|board| board.run_time());
    while let Some(before) = run_time(board.upgrade()) {
        // A sleep and no condition: the runtime's thread then has no call to make.
        thread::sleep(every);
        let Some(board) = board.upgrade() else {
            return;
        };
        // Both threads have been away: a signal, a debugger or a limit of the container has stopped the process.
        let passed = Duration::from_nanos(board.run_time().saturating_sub(before));
        let absent = passed.saturating_sub(every);
        if absent >= ABSENCE_MIN {
            board.was_absent(u64::try_from(absent.as_nanos()).unwrap_or(u64::MAX));
        }
        // Relaxed, because the flag guards no other memory.
        if signal.swap(false, Ordering::Relaxed) {
            say(&Dump::of(&board).to_string());
        }
        let Some(running) = board.read_running().map(|running| running.clone()) else {
            continue;
        };
        board.note_queued_tasks(running.task);
        let Some(task) = running.task else { continue };
        let held = board.run_time().saturating_sub(running.began);
        // A task may hold the thread twice in a row, and the time tells its polls apart.
        let poll = (task, running.began);
        if Duration::from_nanos(held) >= board.poll_max() && reported != Some(poll) {
            reported = Some(poll);
            report(&board, &running, task, held);
        }
    }
}

/// Stores a report on the board, and prints it.
fn report(board: &Board, running: &RunningPoll, task: TaskId, nanos: u64) {
    let innermost = running.entered.and_then(|index| running.reasons.get(index));
    // The subscriber of `tracing` is foreign code, so the lock is released before it is called.
    let Some(mut census) = board.read_census() else {
        return;
    };
    let tracked = census.tracked(task);
    let poll = LongPoll {
        task,
        name: tracked.as_ref().and_then(|tracked| tracked.name.clone()),
        task_site: tracked.and_then(|tracked| tracked.site),
        label: innermost.map(|reason| reason.label),
        site: innermost.and_then(|reason| reason.site),
        began: running.began,
        nanos,
    };
    census.long_polls.push(poll.clone());
    // The oldest goes: a program that runs for a month keeps a bounded list.
    if census.long_polls.len() > LONG_POLLS_MAX {
        census.long_polls.remove(0);
    }
    drop(census);
    if let Some(hook) = board.on_long_poll.get() {
        hook(&poll);
    }
    let runtime = board.runtime().map_or(0, RuntimeId::number);
    let id = match task {
        TaskId::ROOT => "root".to_owned(),
        task => format!("{runtime}.{}.{}", task.index, task.generation),
    };
    let name = poll
        .name
        .as_ref()
        .map_or_else(String::new, |name| format!(" `{}`", Shown(name)));
    let text = long_poll_text(&poll, &format!("task {id}{name}"), true);
    // Without a subscriber the warning would be lost, and this one must be seen.
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{text}");
    } else {
        say(&format!("waterwheel: {text}\n"));
    }
}

/// Writes to stderr. `eprintln` panics if no process reads it.
fn say(text: &str) {
    // `eprintln` panics if no process reads stderr, and a panic would end the watch.
    let _written = io::stderr().write_all(text.as_bytes());
}
