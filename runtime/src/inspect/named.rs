//! A future with a name, for the tree of reasons.
//!
//! # Invariants
//!
//! - Always: the future is polled in the same way as without the name.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::nodes::{self, Detail, EnteredReason, Origin};

/// Gives a part of a task a name. While the future waits, a [dump](super::dump()) shows the name with all that is
/// inside.
///
/// Outside an inspected runtime this costs a branch for each poll.
///
/// # Cancel safety
///
/// The same as that of the future inside.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{Runtime, inspect, race, spawn, time::sleep, yield_now};
///
/// let runtime = Runtime::builder().explain(inspect::Explain::default()).build()?;
/// let text = runtime.block_on(async {
///     let parts = async {
///         race(sleep(Duration::from_secs(5)), sleep(Duration::from_secs(9))).await;
///     };
///     spawn(inspect::named("import", parts)).detach();
///     yield_now().await;
///     inspect::dump().to_string()
/// });
/// assert!(text.contains("import > race > [sleep("), "{text}");
/// # std::io::Result::Ok(())
/// ```
#[track_caller]
pub fn named<F: Future>(name: &'static str, future: F) -> Named<F> {
    Named {
        future,
        origin: Origin::here(name),
        detail: None,
    }
}

/// Polls a part of a task under a name, in a future of one's own. `detail` is called only in an inspected runtime.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::pin::pin;
/// use waterwheel::runtime::{block_on, inspect};
///
/// block_on(async {
///     let mut resize = pin!(async { /* … */ });
///     let detail = || "mill.png".to_owned();
///     poll_fn(|cx| inspect::poll_named("resize", detail, cx, |cx| resize.as_mut().poll(cx))).await;
/// });
/// ```
#[inline]
pub fn poll_named<'a, T>(
    name: &'static str,
    detail: impl FnOnce() -> String,
    cx: &mut Context<'a>,
    poll: impl FnOnce(&mut Context<'a>) -> Poll<T>,
) -> Poll<T> {
    // A closure, so that a runtime that is not watched formats no text.
    let detail = || Detail::named(Some(&detail().into()));
    nodes::enter(cx, Origin::unknown(name), detail, poll)
}

/// A part of a task that is polled now, for a future that cannot use [`named()`] or [`poll_named()`]: one whose subject is
/// known after the poll, or whose poll is on a hot path.
///
/// Enter it before the poll, and leave it with the result. Its drop leaves it like a future that is ready, so a panic
/// may pass. Parts are left in the opposite order of their entries.
///
/// Outside an inspected runtime it is one check at the entry and one at the end.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::task::Poll;
/// use waterwheel::runtime::{block_on, inspect::NamedPart};
///
/// let mut left = 3;
/// block_on(poll_fn(|cx| {
///     let part = NamedPart::enter("countdown", String::new, cx);
///     left -= 1;
///     if left == 0 {
///         part.leave(false);
///         return Poll::Ready(());
///     }
///     cx.waker().wake_by_ref();
///     part.leave_in_phase(|| if left > 1 { "early" } else { "late" });
///     Poll::Pending
/// }));
/// assert_eq!(left, 0);
/// ```
#[derive(Debug)]
#[must_use = "a part is left when it is dropped"]
pub struct NamedPart(EnteredReason);

impl NamedPart {
    /// Enters a part. `detail` is called only in an inspected runtime. It may be empty.
    ///
    /// # Examples
    ///
    /// See [`NamedPart`].
    #[inline]
    pub fn enter(name: &'static str, detail: impl FnOnce() -> String, cx: &Context<'_>) -> Self {
        // A closure, so that a runtime that is not watched formats no text.
        let detail = || {
            let text = detail();
            Detail::named((!text.is_empty()).then(|| text.into()).as_ref())
        };
        Self(EnteredReason::begin(cx, Origin::unknown(name), detail))
    }

    /// Leaves the part. `is_pending` is true if it has to wait, and then a dump shows it.
    ///
    /// # Examples
    ///
    /// See [`NamedPart`].
    // Call it once in each arm of a match on the result: then the compiler sees a constant, and the result stays in
    // registers. // LOG S7
    #[inline]
    pub fn leave(self, is_pending: bool) {
        self.0.leave(is_pending);
    }

    /// Leaves a part that has to wait, in a phase that is known after the poll. `phase` is called only in an inspected
    /// runtime. Tasks in different phases are different groups of a dump.
    ///
    /// # Examples
    ///
    /// See [`NamedPart`].
    #[inline]
    pub fn leave_in_phase(self, phase: impl FnOnce() -> &'static str) {
        self.0.leave_described(|| Detail::phase(phase()));
    }
}

pin_project! {
    /// The future of [`named`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::{Ready, ready};
    /// use waterwheel::runtime::{block_on, inspect::{Named, named}};
    ///
    /// let parse: Named<Ready<u8>> = named("parse", ready(7)).detail("line 3");
    /// assert_eq!(block_on(parse), 7);
    /// ```
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Named<F> {
        #[pin]
        future: F,
        origin: Origin,
        detail: Option<Arc<str>>,
    }
}

impl<F> Named<F> {
    /// Adds a text that is shown behind the name. Tasks that differ only in it are one group of a dump.
    pub fn detail(mut self, detail: impl Into<Arc<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl<F: Future> Future for Named<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let detail = || Detail::named(this.detail.as_ref());
        nodes::enter(cx, *this.origin, detail, |cx| this.future.poll(cx))
    }
}

impl<F> fmt::Debug for Named<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
