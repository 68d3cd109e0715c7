//! Results as tables, in Markdown.

mod full;
mod goals;
mod grid;
mod readme;
mod sections;
mod tail;

pub(crate) use full::render;
pub(crate) use readme::write as write_readme;
