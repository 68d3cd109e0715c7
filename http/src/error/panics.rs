//! Panics of user code: their texts, and the places where they end.

use std::any::{Any, type_name};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns the text of a panic.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}

/// Drops a value of the user. If the destructor panics, logs the panic, so that other connections go on.
pub(crate) fn drop_contained<T>(value: T) {
    // The value is gone after the panic, so no broken state of it can be seen.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        let text = panic_text(&*payload);
        // The subscriber is user code, too.
        let logged = catch_unwind(AssertUnwindSafe(|| {
            tracing::error!(text, what = type_name::<T>(), "a destructor panicked");
        }));
        // Their destructors may panic, too.
        mem::forget((payload, logged));
    }
}

/// Calls a function and waits for its future. Returns a panic of either as an error.
#[cfg(any(feature = "health", feature = "middleware", feature = "trace"))]
pub(crate) async fn catch_panic<T>(call: impl AsyncFnOnce() -> T) -> std::thread::Result<T> {
    // The function is called inside of the first poll, because the call may panic before there is a future.
    let mut future = std::pin::pin!(async { call().await });
    std::future::poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(payload) => std::task::Poll::Ready(Err(payload)),
        },
    )
    .await
}
