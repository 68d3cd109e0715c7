//! The source itself: the layers, the names, the sizes and the words that STYLE asks for.
//!
//! These tests read the tree and run no code of it. Each prints all places that break its rule.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the numbers are for readers")]

mod callers;
mod comments;
mod doc_examples;
mod features;
mod houses;
mod imports;
mod layers;
mod reading_order;
mod skips;
mod source;
mod type_names;
mod way;
mod words;
