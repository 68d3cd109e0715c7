//! A page that lists a folder.
//!
//! # Invariants
//!
//! - Never: a name that is not escaped, or a link that leads out of the folder.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{File, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::fs::Dir;
use rustix::io::Errno;

use super::options::DotFiles;
use super::target::is_name;
use crate::web::date::http_date;
use crate::web::html::escape;

/// The highest number of names in a list.
const ENTRIES_MAX: usize = 10_000;

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListEntry {
    kind: EntryKind,
    name: OsString,
    modified: Option<SystemTime>,
}

/// Folders come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EntryKind {
    Folder,
    File { bytes: u64 },
}

/// Reads a folder. `look` returns the metadata of a name, or `None` if it must not be served.
pub(super) fn read(
    folder: &File,
    dot_files: DotFiles,
    look: impl Fn(&OsStr) -> Option<Metadata>,
) -> Result<Vec<ListEntry>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder)?.take(ENTRIES_MAX) {
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        let is_hidden = name.as_bytes().starts_with(b".") && dot_files == DotFiles::Refuse;
        // A name that no request can express would be a link that does not work.
        if is_name(name.as_bytes())
            && !is_hidden
            && let Some(metadata) = look(&name)
        {
            entries.push(ListEntry::new(name, &metadata));
        }
    }
    let is_file = |entry: &ListEntry| entry.kind != EntryKind::Folder;
    entries.sort_by(|one, other| (is_file(one), &one.name).cmp(&(is_file(other), &other.name)));
    Ok(entries)
}

impl ListEntry {
    fn new(name: OsString, metadata: &Metadata) -> Self {
        let kind = if metadata.is_dir() {
            EntryKind::Folder
        } else {
            EntryKind::File {
                bytes: metadata.len(),
            }
        };
        Self {
            kind,
            name,
            modified: metadata.modified().ok(),
        }
    }
}

/// The bytes that stay as they are in a link (RFC 3986, 2.3).
const LINK: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Renders the page. `path` is the folder's path in the request, still encoded.
pub(super) fn page(path: &str, entries: &[ListEntry]) -> String {
    let title = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let title = escape(&title);
    let mut rows = String::new();
    if !path.trim_matches('/').is_empty() {
        rows.push_str("<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    for entry in entries {
        rows.push_str(&entry.to_string());
        rows.push('\n');
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<h1>{title}</h1>\n<table>\n\
         <tr><th>Name<th>Size<th>Changed (UTC)\n{rows}</table>\n"
    )
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1c2733}\
h1{font-size:1.3rem;overflow-wrap:anywhere}table{width:100%;border-collapse:collapse}\
th{text-align:left;font-weight:600;color:#5a6b7c}td,th{padding:.35rem .5rem;border-bottom:1px solid #dde3e9}\
td:first-child{overflow-wrap:anywhere}td+td,th+th{text-align:right;white-space:nowrap;color:#5a6b7c}\
a{color:#0b5cad;text-decoration:none}a:hover{text-decoration:underline}\
@media(max-width:30rem){td+td+td,th+th+th{display:none}}";

impl fmt::Display for ListEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.kind == EntryKind::Folder {
            "/"
        } else {
            ""
        };
        // Because of the dot, a name with a colon is not read as a scheme.
        let link = percent_encode(self.name.as_bytes(), LINK);
        let name = self.name.to_string_lossy();
        let name = escape(&name);
        write!(
            f,
            "<tr><td><a href=\"./{link}{slash}\">{name}{slash}</a><td>"
        )?;
        if let EntryKind::File { bytes } = self.kind {
            write_size(f, bytes)?;
        }
        f.write_str("<td>")?;
        // Cuts `06 Nov 1994 08:49` out of `Sun, 06 Nov 1994 08:49:37 GMT`.
        let date = self.modified.and_then(http_date).unwrap_or_default();
        f.write_str(date.get(5..22).unwrap_or_default())
    }
}

/// Writes at most four digits and a unit.
fn write_size(f: &mut fmt::Formatter<'_>, bytes: u64) -> fmt::Result {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(unit) = bytes
        .checked_ilog2()
        .map(|bits| bits as usize / 10)
        .filter(|unit| *unit > 0)
    else {
        return write!(f, "{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    match (tenths / 10, tenths % 10) {
        (whole @ 0..10, tenth) => write!(f, "{whole}.{tenth} {}", UNITS[unit - 1]),
        (whole, _) => write!(f, "{whole} {}", UNITS[unit - 1]),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn entry(name: &str, kind: EntryKind) -> ListEntry {
        ListEntry {
            kind,
            name: name.into(),
            modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)),
        }
    }

    #[track_caller]
    fn check(name: &str, kind: EntryKind, expected: &str) {
        assert_eq!(entry(name, kind).to_string(), expected);
    }

    #[test]
    fn a_name_is_escaped_in_the_text_and_encoded_in_the_link() {
        check(
            "<b> \"&'.txt",
            EntryKind::File { bytes: 1023 },
            "<tr><td><a href=\"./%3Cb%3E%20%22%26%27.txt\">&lt;b&gt; &quot;&amp;&#39;.txt</a><td>1023 B<td>06 Nov 1994 08:49",
        );
        check(
            "javascript:alert(1)",
            EntryKind::Folder,
            "<tr><td><a href=\"./javascript%3Aalert%281%29/\">javascript:alert(1)/</a><td><td>06 Nov 1994 08:49",
        );
    }

    #[test]
    fn sizes_have_at_least_two_digits_and_a_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 * 1024, "10 KiB"),
            (1024 * 1024 - 1, "1023 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "15 EiB"),
        ] {
            let line = entry("x", EntryKind::File { bytes }).to_string();
            assert!(line.contains(&format!("<td>{text}<td>")), "{line}");
        }
    }

    #[test]
    fn a_page_links_to_its_parent_unless_it_is_the_root() {
        assert!(!page("/", &[]).contains("../"));
        let page = page("/a%20%3Cb/", &[entry("c", EntryKind::Folder)]);
        assert!(page.contains("<h1>/a &lt;b/</h1>"), "{page}");
        assert!(
            page.contains("href=\"../\"") && page.contains("href=\"./c/\""),
            "{page}"
        );
    }
}
