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

use crate::nodes::{self, Detail, Origin};

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
