//! The directory of all runtimes in this process.
//!
//! # How it works
//!
//! A socket or a sleep may be dropped on a thread that is not inside its runtime, and a descriptor may
//! leave its runtime there (`into_std`). The value then knows only the id of its runtime. The directory
//! has the two parts that such a thread needs:
//!
//! - the inbox of the runtime, for a message ([`run_in`]);
//! - a second descriptor of its epoll instance ([`deregister_from`]). `epoll_ctl(2)` may be called while
//!   another thread waits in `epoll_wait(2)`. So the descriptor leaves at once, without a message.
//!
//! # Invariants
//!
//! - Always: a runtime is listed from its start until its executor drops.
//! - Never: a message dropped while the directory is locked, because its destructor is user code.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::local_queue::RuntimeId;
use crate::reactor::EpollHandle;
use crate::remote::{Message, Remote};

struct Listed {
    id: RuntimeId,
    /// Weak, so that the directory keeps no inbox alive.
    remote: Weak<Remote>,
    epoll: EpollHandle,
}

/// A thread locks this for a moment only. The models in loom use no directory, so it is an ordinary lock.
fn lock() -> MutexGuard<'static, Vec<Listed>> {
    static DIRECTORY: Mutex<Vec<Listed>> = Mutex::new(Vec::new());
    DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lists a runtime.
pub(crate) fn add(remote: &Arc<Remote>, epoll: EpollHandle) {
    lock().push(Listed {
        id: remote.id(),
        remote: Arc::downgrade(remote),
        epoll,
    });
}

/// Removes a runtime that ends, and closes its second epoll descriptor.
pub(crate) fn remove(id: RuntimeId) {
    lock().retain(|listed| listed.id != id);
}

/// Runs `f` on the thread of the runtime with this id. Drops `f` if the runtime has ended.
#[cold] // measured: inlined, it costs each sleep 7 instructions
pub(crate) fn run_in(id: RuntimeId, f: impl FnOnce() + Send + 'static) {
    // The lock is released before the message is sent. Sending locks the inbox, and a message that the inbox
    // refuses is dropped here.
    let listed = lock();
    let found = listed.iter().find(|listed| listed.id == id);
    let remote = found.and_then(|listed| listed.remote.upgrade());
    drop(listed);
    if let Some(remote) = remote {
        _ = remote.send(Message::Run(Box::new(f)));
    }
}

/// Deregisters a descriptor that stays open, from any thread. Has no effect if the runtime has ended.
#[cold]
pub(crate) fn deregister_from(id: RuntimeId, fd: BorrowedFd<'_>) -> io::Result<()> {
    let listed = lock();
    let found = listed.iter().find(|listed| listed.id == id);
    found.map_or(Ok(()), |listed| listed.epoll.deregister(fd))
}
