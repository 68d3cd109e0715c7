//! Values that a task has, without passing them along: the number of a request, for example.
//!
//! # How it works
//!
//! The key is a thread-local. [`TaskLocal::provide`] wraps a future, and puts the value into the key for each poll
//! of that future. After the poll, the key has the value from before.
//!
//! # Invariants
//!
//! - Always: the value from before is restored, also if the poll panics.
//! - Never: a borrow of the key while a future is polled, or a value is dropped.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread::LocalKey;

use pin_project_lite::pin_project;

/// A key for a value that futures have while they are polled. Declare it as a thread-local.
///
/// A task that is spawned inside does not inherit the value. Provide it there again if you need it.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, task::TaskLocal, yield_now};
///
/// thread_local! {
///     static REQUEST: TaskLocal<u64> = const { TaskLocal::new() };
/// }
///
/// fn log(text: &str) -> String {
///     let request = REQUEST.with(TaskLocal::get);
///     format!("{request:?}: {text}")
/// }
///
/// block_on(async {
///     let line = TaskLocal::provide(&REQUEST, 7, async {
///         yield_now().await; // other tasks have other values, or none, meanwhile
///         log("done")
///     });
///     assert_eq!(line.await, "Some(7): done");
///     assert_eq!(log("outside"), "None: outside");
/// });
/// ```
pub struct TaskLocal<T> {
    value: RefCell<Option<Rc<T>>>,
}

impl<T> TaskLocal<T> {
    /// Makes a key without a value.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            value: RefCell::new(None),
        }
    }

    /// Returns the value of the innermost [`provide`](Self::provide) around the code that runs.
    #[must_use]
    pub fn get(&self) -> Option<Rc<T>> {
        // A clone of the `Rc`, because a `provide` inside replaces the value while the caller uses it.
        self.value.borrow().clone()
    }

    /// Runs `future` with a value for the key. Calls within each other nest.
    ///
    /// # Cancel safety
    ///
    /// The same as that of the future inside. Its destructor also sees the value.
    pub fn provide<F: Future>(key: &'static LocalKey<Self>, value: T, future: F) -> Provided<T, F> {
        Provided {
            future: Some(future),
            key,
            value: Some(Rc::new(value)),
        }
    }
}

impl<T> Default for TaskLocal<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for TaskLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocal").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`TaskLocal::provide`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Ready, ready};
    /// use waterwheel::runtime::{block_on, task::{Provided, TaskLocal}};
    ///
    /// thread_local! {
    ///     static REQUEST: TaskLocal<u64> = const { TaskLocal::new() };
    /// }
    ///
    /// let line: Provided<u64, Ready<&str>> = TaskLocal::provide(&REQUEST, 7, ready("done"));
    /// assert_eq!(block_on(line), "done");
    /// ```
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Provided<T: 'static, F> {
        #[pin]
        future: Option<F>,
        key: &'static LocalKey<TaskLocal<T>>,
        // The value while the future is not polled.
        value: Option<Rc<T>>,
    }

    impl<T, F> PinnedDrop for Provided<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _inside = WithValue::enter(this.key, this.value);
            this.future.set(None);
        }
    }
}

/// Puts the value into the key, and takes it out again when it drops.
struct WithValue<'a, T: 'static> {
    key: &'static LocalKey<TaskLocal<T>>,
    /// The value of the future, or that from before, whichever is not in the key.
    other: &'a mut Option<Rc<T>>,
}

impl<'a, T> WithValue<'a, T> {
    fn enter(key: &'static LocalKey<TaskLocal<T>>, value: &'a mut Option<Rc<T>>) -> Self {
        let mut inside = Self { key, other: value };
        inside.swap();
        inside
    }

    fn swap(&mut self) {
        let other = mem::take(self.other);
        // While a thread ends, the key may be gone. Then the future is dropped without the value.
        if let Ok(before) = self.key.try_with(|key| key.value.replace(other)) {
            *self.other = before;
        }
    }
}

impl<T> Drop for WithValue<'_, T> {
    fn drop(&mut self) {
        self.swap();
    }
}

impl<T, F: Future> Future for Provided<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _inside = WithValue::enter(this.key, this.value);
        let future = this.future.as_mut().as_pin_mut();
        let poll = future
            .expect("a future is not polled after its drop")
            .poll(cx);
        if poll.is_ready() {
            // Its destructor sees the value, too.
            this.future.set(None);
        }
        poll
    }
}

impl<T, F> fmt::Debug for Provided<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provided").finish_non_exhaustive()
    }
}
