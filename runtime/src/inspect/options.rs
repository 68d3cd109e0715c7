//! The settings of the inspection of a runtime.

/// The settings of [`RuntimeBuilder::inspect`](crate::RuntimeBuilder::inspect).
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect};
///
/// let options = inspect::Options::default().events(1024);
/// let runtime = Runtime::builder().inspect(options).build()?;
/// # drop(runtime);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "pass it to RuntimeBuilder::inspect"]
pub struct Options {
    pub(crate) events: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { events: 65_536 }
    }
}

impl Options {
    /// Sets the number of events that the ring holds. The default is 65,536, which take 2.6 MB. The ring has the next
    /// power of two, and at least 64. When it is full, each new event overwrites the oldest one.
    pub fn events(mut self, events: usize) -> Self {
        self.events = events.clamp(64, 1 << 24);
        self
    }
}
