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

use crate::nodes::{self, EnteredReason, Origin, Subject};

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
    let detail = || Subject::Named(Some(detail().into()));
    nodes::enter(cx, Origin::unknown(name), detail, poll)
}

/// Polls a part of a task under a name, with a phase that is known after the poll: for example `idle`. `phase` is called
/// in an inspected runtime, and returns `None` if the part is over. Tasks in different phases are different groups of a
/// dump.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::task::Poll;
/// use waterwheel::runtime::{block_on, inspect};
///
/// let mut left = 3;
/// block_on(poll_fn(|cx| {
///     let phase = || Some("counting");
///     inspect::poll_in_phase("countdown", cx, phase, |cx| {
///         left -= 1;
///         if left == 0 {
///             return Poll::Ready(());
///         }
///         cx.waker().wake_by_ref();
///         Poll::Pending
///     })
/// }));
/// ```
pub fn poll_in_phase<'a, T>(
    name: &'static str,
    cx: &mut Context<'a>,
    phase: impl FnOnce() -> Option<&'static str>,
    poll: impl FnOnce(&mut Context<'a>) -> Poll<T>,
) -> Poll<T> {
    let entered = EnteredReason::begin(cx, Origin::unknown(name), || Subject::None);
    let poll = poll(cx);
    if poll.is_pending()
        && records_parts()
        && let Some(phase) = phase()
    {
        entered.leave_described(|| Subject::Phase(phase));
    }
    poll
}

/// A part of a task that is polled now, for a future whose poll is on a hot path. All others use [`named()`] or
/// [`poll_named()`].
///
/// Enter it before the poll, and call [`waits`](Self::waits) if the poll has returned `Pending`. A part that is over
/// needs no call: it ends with the part around it, and when a part of the same name is entered in its place. So a part
/// must not have one of its own name directly inside.
///
/// Outside an inspected runtime it is one check at the entry and one in `waits`.
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
///         return Poll::Ready(());
///     }
///     cx.waker().wake_by_ref();
///     part.waits();
///     Poll::Pending
/// }));
/// assert_eq!(left, 0);
/// ```
#[derive(Debug)]
pub struct NamedPart {
    name: &'static str,
}

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
            Subject::Named((!text.is_empty()).then(|| text.into()))
        };
        nodes::enter_part(cx, name, detail);
        Self { name }
    }

    /// Leaves the part, because it has to wait. A dump shows it.
    ///
    /// # Examples
    ///
    /// See [`NamedPart`].
    #[inline]
    pub fn waits(self) {
        nodes::part_waits(self.name);
    }

    /// Removes the last part with this name beside the present code, and all inside. It was left as one that waits, and
    /// does not wait after all.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::task::Poll;
    /// use waterwheel::runtime::{block_on, inspect::NamedPart};
    ///
    /// block_on(poll_fn(|cx| {
    ///     NamedPart::enter("first try", String::new, cx).waits();
    ///     NamedPart::take_back("first try");
    ///     Poll::Ready(())
    /// }));
    /// ```
    #[inline]
    pub fn take_back(name: &'static str) {
        nodes::take_back(name);
    }
}

/// Returns true during a poll whose parts are recorded: that of a task of an inspected runtime.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect};
///
/// let runtime = Runtime::builder().explain(inspect::Explain::default()).build()?;
/// assert!(runtime.block_on(async { inspect::records_parts() }));
/// assert!(!inspect::records_parts());
/// # std::io::Result::Ok(())
/// ```
#[inline]
#[must_use]
pub fn records_parts() -> bool {
    nodes::are_recorded()
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
        let detail = || Subject::Named(this.detail.clone());
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
