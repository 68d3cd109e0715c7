//! The course: its stages, the guide through them, and the tool that makes each start from its solution.

pub mod check;
pub mod guide;
pub mod markers;
pub mod run;
pub mod stages;
pub mod trace;
