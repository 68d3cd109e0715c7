//! Watch the runtime run.
