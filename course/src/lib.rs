//! The course: its stages, and the tool that makes each start from its solution.

pub mod markers;
pub mod stages;
