//! The choices of a handler for files.

use std::time::Duration;

/// The choices of a [`Files`](super::Files).
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) prefix: String,
    pub(super) index: Vec<String>,
    pub(super) dot_files: DotFiles,
    pub(super) symlinks: Symlinks,
    pub(super) listing: Listing,
    pub(super) precompressed: Precompressed,
    pub(super) max_age: Option<Duration>,
}

/// Decides if names that begin with a dot are served. `/.well-known` is always served (RFC 8615).
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::files::{DotFiles, Files};
///
/// let files = Files::new(".")?.dot_files(DotFiles::Serve);
/// # drop(files);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DotFiles {
    /// They are answered with 404.
    #[default]
    Refuse,
    /// They are served like other files.
    Serve,
}

/// Decides which symbolic links are followed.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::files::{Files, Symlinks};
///
/// let files = Files::new(".")?.symlinks(Symlinks::Anywhere); // for folders that others cannot write
/// # drop(files);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Symlinks {
    /// Links are answered with 404.
    Refuse,
    /// Links within the folder. An absolute link leaves the folder, even if it points back into it.
    ///
    /// This needs `openat2(2)`, Linux 5.6. Without it, and on other systems, links are answered with 404.
    #[default]
    Within,
    /// All links.
    Anywhere,
}

/// Decides if a folder without an index is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Listing {
    #[default]
    Refuse,
    Show,
}

/// Decides if compressed files beside the originals are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Precompressed {
    #[default]
    Ignore,
    Serve,
}
