//! From a request's path to the names on the way to a file.
//!
//! # Invariants
//!
//! - Always: decoded once. What is still encoded then, was so to get past somebody.
//! - Never: a name that leads anywhere but down.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::DotFiles;
use crate::web::percent::{decode, has_escape};

/// A path below the folder that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileTarget {
    path: PathBuf,
    /// Whether it ends in a slash: then only a folder can be meant.
    pub(super) means_folder: bool,
}

impl FileTarget {
    /// Reads a path as it came. `None` for whatever names no file that could be served.
    pub(super) fn parse(path: &str, dot_files: DotFiles) -> Option<Self> {
        let means_folder = path.ends_with('/');
        let path = path.strip_prefix('/').unwrap_or(path);
        let names = path.strip_suffix('/').unwrap_or(path);
        let mut relative = Vec::new();
        // A lone slash names the folder itself; any other empty name is one too many.
        if !path.is_empty() {
            for (place, encoded) in names.split('/').enumerate() {
                let name = decode(encoded)?;
                let allows_dot = dot_files == DotFiles::Serve || place == 0 && is_well_known(&name);
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

    /// For the system: never empty, never absolute.
    pub(super) fn path(&self) -> &Path {
        if self.path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.path
        }
    }
}

/// RFC 8615: what is in there is meant to be found.
fn is_well_known(name: &[u8]) -> bool {
    name == b".well-known"
}

/// Whether it names something within a folder, and nothing else to anybody who reads it.
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
        fn whatever_is_asked_for_the_way_leads_down(path in "(/|\\.|%2e|%2f|%25|\\\\|[a-z%0-9]){0,24}") {
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
    fn a_path_names_a_file_or_with_a_slash_behind_it_a_folder() {
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
    fn no_name_leads_anywhere_but_down() {
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
    fn an_empty_name_is_none() {
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
