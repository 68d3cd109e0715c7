//! Atomics, locks and threads: those of the standard library. In the models, they are loom's.
//!
//! # How it works
//!
//! loom runs a piece of code in every order in which its threads can take their steps, and with every value
//! that a load may return. For this, loom must see each atomic, lock, condition variable and thread. So the
//! modules in which threads meet (`remote`, `waker`, `pool`, `blocking`) import these from here.
//!
//! Only one build uses loom's types: the unit tests of this crate with `--cfg loom`. They include the models in
//! `models/`, and `tests/runtime/loom/run` builds and runs them. All other builds use the standard library's types,
//! also those of a crate that depends on this one and has models of its own.
//!
//! `Arc` and `Weak` are always the standard library's, because `futures_task::ArcWake` requires them. So loom
//! sees no reference count. Only `TaskWaker::renew` relies on one: `Arc::get_mut` acquires the data that the
//! drop of the last clone has released. The models spawn no task after another one has ended, so they do not
//! depend on it.
//!
//! # Invariants
//!
//! - Never: a wrapper of ours around a type of the standard library in an ordinary build.

#[cfg(all(test, loom))]
pub(crate) use modelled::{
    Condvar, Mutex, MutexGuard, Unpark, atomic, modelled_thread_local as thread_local, thread,
};
#[cfg(not(all(test, loom)))]
pub(crate) use ordinary::{Condvar, Mutex, MutexGuard, Unpark, atomic, thread, thread_local};

/// The types of all builds but the models.
#[cfg(not(all(test, loom)))]
mod ordinary {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use std::{thread, thread_local};

    /// The eventfd that ends the executor's wait in the reactor.
    pub(crate) use mio::Waker as Unpark;
}

/// The types of the models.
#[cfg(all(test, loom))]
#[allow(clippy::unnecessary_wraps, reason = "the types stand for others")]
mod modelled {
    use std::sync::{Arc, LockResult, PoisonError};
    use std::time::Duration;
    use std::{io, sync};

    use atomic::{AtomicBool, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard, atomic};
    pub(crate) use loom::thread;

    /// Declares a thread-local with the syntax of the standard library. loom's own macro is needed, because all
    /// threads of a model share one thread of the system.
    macro_rules! modelled_thread_local {
        (static $name:ident: $type:ty = const $value:block;) => {
            loom::thread_local! { static $name: $type = $value; }
        };
    }
    pub(crate) use modelled_thread_local;

    /// A condition variable whose timeouts end when the model ends them.
    #[derive(Default)]
    pub(crate) struct Condvar {
        notified: loom::sync::Condvar,
        /// True once the time of all waits is over. It changes only while the lock is held.
        time_is_over: sync::atomic::AtomicBool,
    }

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn notify_one(&self) {
            self.notified.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.notified.notify_all();
        }

        pub(crate) fn wait_timeout_while<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            _: Duration,
            mut condition: impl FnMut(&mut T) -> bool,
        ) -> LockResult<(MutexGuard<'a, T>, bool)> {
            while condition(&mut guard) {
                if self.time_is_over.load(Ordering::Relaxed) {
                    return Ok((guard, true));
                }
                let waited = self.notified.wait(guard);
                guard = waited.unwrap_or_else(PoisonError::into_inner);
            }
            Ok((guard, false))
        }

        /// Ends the timeouts of all present and later waits.
        pub(crate) fn end_time<T>(&self, lock: &MutexGuard<'_, T>) {
            _ = lock;
            self.time_is_over.store(true, Ordering::Relaxed);
            self.notify_all();
        }
    }

    /// An eventfd and the wait for it. It is relaxed, because the runtime must not rely on the kernel to order
    /// memory.
    #[derive(Clone, Default)]
    pub(crate) struct Unpark {
        written: Arc<AtomicBool>,
    }

    impl Unpark {
        pub(crate) fn new(_: &mio::Registry, _: mio::Token) -> io::Result<Self> {
            Ok(Self::default())
        }

        pub(crate) fn wake(&self) -> io::Result<()> {
            self.written.swap(true, Ordering::Relaxed);
            Ok(())
        }

        /// Waits until the eventfd is written, and clears it.
        pub(crate) fn wait(&self) {
            while !self.written.swap(false, Ordering::Relaxed) {
                // loom must know that this waits for another thread. Otherwise it would explore the loop for ever.
                thread::yield_now();
            }
        }
    }
}
