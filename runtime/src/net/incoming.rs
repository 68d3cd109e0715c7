//! A listener as a stream of connections.
//!
//! # How it works
//!
//! Each item is an [`accept`](Listener::accept). An error is an item and not the end, because the next accept may
//! succeed. Any number of tasks may have a `&Listener` as a stream at once.
//!
//! # Invariants
//!
//! - Always: the stream never ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::listener::{Accept, Listener};

impl<L: Accept> Stream for &Listener<L> {
    type Item = io::Result<L::Accepted>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_accept(cx).map(Some)
    }
}

impl<L: Accept + Unpin> Stream for Listener<L> {
    type Item = io::Result<L::Accepted>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_accept(cx).map(Some)
    }
}
