//! The memory of a message that was sent, for the next one that arrives.

use std::cell::Cell;

use crate::web::websocket::frame::SMALL_MEMORY_BYTES;

/// Memory for one small message. The sockets of a thread share it. It is empty if no message has left its memory.
///
/// To allocate and free a message would cost 139 of its 450 instructions (LOG W6).
#[derive(Default)]
pub(super) struct SpareMemory(Cell<Vec<u8>>);

impl SpareMemory {
    /// Takes the memory, as an empty vector.
    #[inline]
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.take()
    }

    /// Keeps the memory of a message that is no longer needed, unless it is more than a small message needs. So a message
    /// that a handler keeps never has much more memory than bytes.
    #[inline]
    pub(super) fn put(&self, mut bytes: Vec<u8>) {
        if (1..=SMALL_MEMORY_BYTES).contains(&bytes.capacity()) {
            bytes.clear();
            self.0.set(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_more_than_a_small_message_is_not_kept() {
        let spare = SpareMemory::default();
        for (bytes, kept) in [(0, 0), (1, 1), (128, 128), (129, 0), (1 << 20, 0)] {
            let mut message = Vec::with_capacity(bytes);
            message.resize(bytes, 7);
            spare.put(message);
            let taken = spare.take();
            assert_eq!((taken.capacity(), taken.len()), (kept, 0), "{bytes}");
            assert_eq!(spare.take().capacity(), 0, "it is taken once");
        }
    }
}
