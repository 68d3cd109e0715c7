//! The page that shows a recording, as one file of HTML without a network.
//!
//! # How it works
//!
//! `player.html` has a stand-in for a recording. [`Trace::to_html`] puts a recording there. `waterwheel-http` serves
//! the same file as it is, and the page then asks the server for what happens.

use super::dump::Dump;
use super::json::JsonText;
use super::trace::Trace;

/// The page without a recording.
#[doc(hidden)]
pub const PLAYER: &str = include_str!("player.html");

/// The stand-in for a recording.
const STAND_IN: &str = "\"@waterwheel-data@\"";

impl Trace {
    /// Writes a page that plays this trace. It is one file, which needs no server and no network.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect};
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// let recorder = runtime.block_on(async { inspect::recorder() }).expect("it records");
    /// let html = recorder.trace().to_html();
    /// assert!(html.contains("waterwheel-trace") && !html.contains("@waterwheel-data@"));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn to_html(&self) -> String {
        html(&format!(r#"{{"trace":{}}}"#, self.to_json()))
    }

    /// Writes a page that plays this trace, and shows the reasons and the findings of a dump.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect};
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// let html = runtime.block_on(async {
    ///     let recorder = inspect::recorder().expect("it records");
    ///     recorder.trace().to_html_with(&inspect::dump())
    /// });
    /// assert!(html.contains("waterwheel-dump"));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn to_html_with(&self, dump: &Dump) -> String {
        let (trace, dump) = (self.to_json(), dump.to_json());
        html(&format!(r#"{{"trace":{trace},"dump":{dump}}}"#))
    }
}

/// Writes a page that plays several traces, each with a title: a course, or the parts of a bug report. A trace is the
/// text of [`Trace::to_json`].
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let recorder = runtime.block_on(async { inspect::recorder() }).expect("it records");
/// let json = recorder.trace().to_json();
/// let html = inspect::player([("before", &json), ("after", &json)]);
/// assert!(html.contains("\"title\":\"after\""));
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn player<T: AsRef<str>, J: AsRef<str>>(traces: impl IntoIterator<Item = (T, J)>) -> String {
    let entry = |(title, trace): (T, J)| {
        let title = JsonText(title.as_ref());
        format!(r#"{{"title":{title},"trace":{}}}"#, trace.as_ref())
    };
    let entries: Vec<_> = traces.into_iter().map(entry).collect();
    html(&format!(r#"{{"traces":[{}]}}"#, entries.join(",")))
}

/// Puts a recording into the page.
fn html(data: &str) -> String {
    // `<` could end the script element. In JSON it stands only inside strings, where this escape means the same.
    PLAYER.replacen(STAND_IN, &data.replace('<', "\\u003c"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_recording_cannot_end_the_script() {
        let page = html(r#"{"name":"</script><!--"}"#);
        assert!(page.contains(r#"{"name":"\u003c/script>\u003c!--"}"#));
        assert!(!page.contains(STAND_IN));
    }

    #[test]
    fn the_page_asks_no_other_server() {
        let links = PLAYER
            .match_indices("://")
            .map(|(at, _)| &PLAYER[at - 5..at]);
        // The name space of SVG is a name, and no address.
        let links = links.filter(|scheme| scheme.ends_with("http") || scheme.ends_with("https"));
        assert_eq!(links.count(), 1);
        assert_eq!(PLAYER.matches(STAND_IN).count(), 1);
    }
}
