//! Pages beside the reference: they have text and no items.
//!
//! | page | for |
//! |---|---|
//! | [`ecosystem`] | libraries that work with it, how to connect them, and what cannot work |
//! | [`production`] | what to set before a server meets the internet |
//! | [`compile_errors`] | compile errors that puzzle |
//! | [`comparison`] | what differs from tokio, smol, monoio, embassy, Nim and Python, and when to use those |

pub mod comparison;
pub mod compile_errors;
pub mod ecosystem;
pub mod production;
