//! A future that has the address of a part of itself.

use crate::countdown::Countdown;

/// Keeps a reference to one of its own variables across an `.await`.
///
/// Returns the address of the variable before the wait, and the address to which the reference points after it.
pub async fn refers_to_itself(pause: Countdown) -> (usize, usize) {
    let number = 7;
    let reference = &number;
    let before = &raw const number as usize;
    pause.await;
    let after = std::ptr::from_ref(reference) as usize;
    (before, after)
}
