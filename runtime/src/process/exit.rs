//! The end of a child process.
//!
//! # How it works
//!
//! ```text
//!  Exit, owned by a Child ── dropped before the end ──► Exit, owned by a task ── the runtime ends ──► ORPHANS
//!    └── the child has ended: its status is known         └── the child has ended         the next start asks ─┘
//! ```

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::{Child as StdChild, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use crate::context;
use crate::net::AsyncFd;
use crate::nodes::{self, Origin, Subject};
use crate::signal::{self, Signal, Signals};
use crate::sys;
use crate::watch::Place;

/// A child process, and the news of its end. It is also the future of that end. If it is dropped before the end,
/// the child becomes an orphan.
#[derive(Debug)]
pub(super) struct Exit {
    /// `None` once the status is known and its owner has gone, and in the drop.
    child: Option<StdChild>,
    news: News,
    /// True for an orphan. If its task is dropped, the child goes to the list.
    is_orphan: bool,
}

/// The way in which the end of a child is reported.
#[derive(Debug)]
enum News {
    /// A descriptor that is readable from the end on.
    Pidfd(AsyncFd<OwnedFd>),
    /// SIGCHLD, for any child. Each signal is a reason to ask.
    Signal(Signals),
}

impl News {
    fn of(child: &StdChild) -> io::Result<Self> {
        match sys::open_pidfd(child) {
            Ok(pidfd) => Ok(Self::Pidfd(AsyncFd::new(pidfd))),
            // An old kernel, another system, or a sandbox that forbids the call.
            Err(_) => Ok(Self::Signal(signal::listen(&[Signal::CHILD])?)),
        }
    }
}

impl Exit {
    /// # Errors
    ///
    /// Fails if this process has no descriptor left for the news. The child is then killed, so that an error means
    /// that no child runs.
    pub(super) fn of(mut child: StdChild) -> io::Result<Self> {
        match News::of(&child) {
            Ok(news) => Ok(Self {
                child: Some(child),
                news,
                is_orphan: false,
            }),
            Err(error) => {
                // It has just been started, so its number is its own.
                drop(child.kill());
                orphans().push(child);
                Err(error)
            }
        }
    }

    /// Returns the child, which is there until the drop.
    pub(super) fn child(&mut self) -> &mut StdChild {
        self.child.as_mut().expect("only the drop takes it out")
    }
}

impl Future for Exit {
    type Output = io::Result<ExitStatus>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (origin, id) = (Origin::unknown("end of process"), self.child().id());
        nodes::enter(
            cx,
            origin,
            || Subject::Process(id),
            |cx| loop {
                // The status first. SIGCHLD may have come before its receiver was made, and the standard library
                // keeps a status that is known.
                if let Some(status) = self.child().try_wait()? {
                    return Poll::Ready(Ok(status));
                }
                match &mut self.news {
                    News::Pidfd(pidfd) => ready!(pidfd.poll_readable(cx))?,
                    News::Signal(signals) => drop(ready!(signals.poll_recv(cx))?),
                }
            },
        )
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        // If the status is known, the standard library returns it again, and the child is only dropped.
        let Some(mut child) = self.child.take() else {
            return;
        };
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        // Its task was dropped, so the runtime is about to end, and a new task would be dropped as well.
        if self.is_orphan {
            orphans().push(child);
            return;
        }
        adopt(child);
    }
}

/// Makes a task wait for the end of a child. Outside a runtime, the child goes to the list.
fn adopt(child: StdChild) {
    // News of its own, because those of the `Child` belong to the runtime in which it first waited.
    let Ok(news) = News::of(&child) else {
        return orphans().push(child);
    };
    let exit = Exit {
        child: Some(child),
        news,
        is_orphan: true,
    };
    let task = async move { drop(exit.await) };
    // Outside a runtime, this drops the task, and the task drops the child onto the list.
    context::try_with(move |executor| executor.spawn_detached(task, Place::here()));
}

/// The children that were dropped before their end, and that no task waits for.
fn orphans() -> MutexGuard<'static, Vec<StdChild>> {
    static ORPHANS: Mutex<Vec<StdChild>> = Mutex::new(Vec::new());
    ORPHANS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for the status of all children on the list.
pub(super) fn reap_orphans() {
    // A few at most: those of runtimes that have ended.
    orphans().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::runtime::block_on;

    #[test]
    fn a_child_is_waited_for_by_its_signal_where_it_has_no_descriptor() {
        block_on(async {
            for code in ["3", "4"] {
                let mut command = Command::new("sh");
                let child = command.args(["-c", &format!("sleep 0.02; exit {code}")]);
                let exit = Exit {
                    news: News::Signal(signal::listen(&[Signal::CHILD]).unwrap()),
                    child: Some(child.spawn().unwrap()),
                    is_orphan: false,
                };
                assert_eq!(exit.await.unwrap().code().unwrap().to_string(), code);
            }
        });
    }
}
