//! The path of a request as a path below a folder.
//!
//! # Invariants
//!
//! - Always: decoded once. A name that is still encoded is refused, because another server may decode it
//!   again.
//! - Never: a name that leads up or out of the folder.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::options::DotFiles;
use crate::web::percent::{decode, has_escape};

/// A path below the served folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileTarget {
    path: PathBuf,
    /// True if the path ends in a slash, so that it can only name a folder.
    pub(super) means_folder: bool,
}

impl FileTarget {
    /// Reads the path of a request. Returns `None` if no servable file can have that path.
    pub(super) fn parse(path: &str, dot_files: DotFiles) -> Option<Self> {
        let means_folder = path.ends_with('/');
        let path = path.strip_prefix('/').unwrap_or(path);
        let names = path.strip_suffix('/').unwrap_or(path);
        let mut relative = Vec::new();
        // A single slash names the folder itself. Any other empty name is refused.
        if !path.is_empty() {
            for (place, encoded) in names.split('/').enumerate() {
                let name = decode(encoded)?;
                // Files in `/.well-known` are meant to be found (RFC 8615).
                let is_well_known = place == 0 && *name == *b".well-known";
                let allows_dot = dot_files == DotFiles::Serve || is_well_known;
                if !is_name(&name) || name[0] == b'.' && !allows_dot {
                    return None;
                }
                if place > 0 {
                    relative.push(b'/');
                }
                relative.extend_from_slice(&name);
            }
        }
        Some(Self {
            path: PathBuf::from(OsString::from_vec(relative)),
            means_folder,
        })
    }

    /// Returns the path for system calls. It is never empty and never absolute.
    pub(super) fn path(&self) -> &Path {
        if self.path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.path
        }
    }
}

/// Returns true if the name is a plain name of a file, which no reader takes for a path or an escape.
pub(super) fn is_name(name: &[u8]) -> bool {
    let is_odd = |byte: &u8| matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f);
    !name.is_empty()
        && name != b"."
        && name != b".."
        && !name.iter().any(is_odd)
        && !has_escape(name)
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_path_stays_below_the_folder(path in "(/|\\.|%2e|%2f|%25|\\\\|[a-z%0-9]){0,24}") {
            for dot_files in [DotFiles::Refuse, DotFiles::Serve] {
                if let Some(target) = FileTarget::parse(&path, dot_files) {
                    let mut names = target.path().components();
                    let leads_down = |name| matches!(name, Component::Normal(_) | Component::CurDir);
                    prop_assert!(names.all(leads_down), "{:?}", target.path());
                }
            }
        }
    }

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, bool)>) {
        let target = FileTarget::parse(path, DotFiles::Refuse);
        let seen = target.as_ref().map(|target| {
            let path = target.path().to_str().expect("these are UTF-8");
            (path, target.means_folder)
        });
        assert_eq!(seen, expected, "{path}");
    }

    #[test]
    fn a_path_names_a_file_or_with_a_final_slash_a_folder() {
        check("/a.txt", Some(("a.txt", false)));
        check("/a/b.txt", Some(("a/b.txt", false)));
        check("/a/", Some(("a", true)));
        check("/", Some((".", true)));
        check("", Some((".", false)));
        check("a.txt", Some(("a.txt", false)));
    }

    #[test]
    fn names_are_decoded_once() {
        check("/%61%20b.txt", Some(("a b.txt", false)));
        check("/100%25", Some(("100%", false)));
        check("/%25zz", Some(("%zz", false)));
        check("/%C3%A9", Some(("é", false)));
        check("/a+b", Some(("a+b", false)));
        check("/%2561", None);
        check("/%252e%252e/x", None);
        for malformed in ["/%", "/%6", "/%zz", "/%+1", "/a%"] {
            check(malformed, None); // RFC 3986, 2.1
        }
        let bytes = FileTarget::parse("/%ff", DotFiles::Refuse).expect("names are bytes");
        assert_eq!(bytes.path().as_os_str().as_encoded_bytes(), b"\xff");
    }

    #[test]
    fn a_name_that_leads_up_or_out_is_refused() {
        for path in [
            "/..",
            "/../",
            "/../x",
            "/a/../b",
            "/a/..",
            "/.",
            "/./x",
            "/a/./b",
            "/%2e%2e/x",
            "/.%2e/x",
            "/a/%2e%2e/%2e%2e/x",
            "/..%2fx",
            "/a%2fb",
            "/a%2Fb",
            "/..%5cx",
            "/a\\b",
            "/a%5cb",
            "/%00",
            "/a.txt%00.png",
            "/a%0ab",
            "/%7f",
        ] {
            check(path, None);
        }
    }

    #[test]
    fn an_empty_name_is_refused() {
        for path in ["//", "//a", "/a//b", "/a//", "///"] {
            check(path, None);
        }
    }

    #[test]
    fn dot_files_are_hidden_unless_they_are_well_known() {
        for path in [
            "/.git",
            "/.git/config",
            "/a/.env",
            "/%2egit",
            "/...",
            "/.well-known2",
        ] {
            check(path, None);
            if path != "/.well-known2" {
                assert!(FileTarget::parse(path, DotFiles::Serve).is_some(), "{path}");
            }
        }
        check(
            "/.well-known/security.txt",
            Some((".well-known/security.txt", false)),
        );
        check("/a/.well-known/x", None); // RFC 8615, 3: at the root
        check("/.well-known/.env", None);
        assert_eq!(FileTarget::parse("/..", DotFiles::Serve), None);
    }
}
