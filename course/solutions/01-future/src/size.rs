//! The size of a future: all variables that live across an `.await`.

use crate::countdown::Countdown;

/// Fills a buffer, waits, and adds the bytes.
///
/// The buffer is used after the `.await`. So the future must keep all 1,024 bytes while it waits.
pub async fn digest_large(pause: Countdown) -> u32 {
    let buffer = filled();
    pause.await;
    added(&buffer)
}

/// Does the same work, but its future is small.
pub async fn digest_small(pause: Countdown) -> u32 {
    // BEGIN TODO 4
    //> Write the function so that it returns the same value, still awaits `pause`, and its future has less than 100
    //> bytes. The buffer must not be alive at the `.await`. (A variable lives until the end of its block.)
    let digest = added(&filled());
    pause.await;
    digest
    // END TODO
}

fn filled() -> [u8; 1024] {
    [3; 1024]
}

fn added(buffer: &[u8; 1024]) -> u32 {
    buffer.iter().map(|byte| u32::from(*byte)).sum()
}
