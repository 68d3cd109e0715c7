//! Pages beside the reference: they have text and no items.
//!
//! | page | for |
//! |---|---|
//! | [`ecosystem`] | libraries that work with it, how to connect them, and what cannot work |
//! | [`compile_errors`] | compile errors that puzzle |

pub mod compile_errors;
pub mod ecosystem;
