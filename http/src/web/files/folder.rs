//! A folder that no path can leave.
//!
//! # How it works
//!
//! The folder is opened once. Each file is opened relative to it by `openat2(2)`. The flags of that call
//! forbid a path to leave the folder (`RESOLVE_BENEATH`), to follow a symbolic link (`RESOLVE_NO_SYMLINKS`),
//! or to wait for a disk (`RESOLVE_CACHED`). The kernel checks the path while it opens the file, so a link
//! that is made at that moment has no effect.
//!
//! On other systems, on a kernel before 5.6, or in a sandbox that forbids the call, each name of the path is opened
//! by itself, and links are not followed. The folder that was opened last stays open until the next name is. So a
//! link that is made meanwhile has no effect on the names before it.
//!
//! # Invariants
//!
//! - Always: an opened file is read by its descriptor. Its path is not resolved again.
//! - Never: a wait for a FIFO or a device. Files are opened with `O_NONBLOCK`, and only regular files are
//!   served.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::options::Symlinks;
use super::sys::{self, Reach};

#[derive(Debug)]
pub(super) struct Folder {
    root: OwnedFd,
}

const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// `openat2` fails if names are moved during the call. It is repeated up to this number.
const TRIES: usize = 8;

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let root = openat(CWD, path, sys::PASS, Mode::empty())?;
        Ok(Self { root })
    }

    /// Opens the file or folder at `path`, below this folder, for reading.
    pub(super) fn read(
        &self,
        path: &Path,
        symlinks: Symlinks,
        reach: Reach,
    ) -> Result<File, Errno> {
        let open = || sys::open_below(self.root.as_fd(), path, READ, symlinks, reach);
        let tries = match reach {
            Reach::Memory => {
                return match open() {
                    // The kernel does not know the call or the flag.
                    Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Err(Errno::AGAIN),
                    opened => opened.map(File::from),
                };
            }
            Reach::Disk => TRIES,
        };
        for _ in 0..tries {
            match open() {
                Err(Errno::AGAIN) => {}
                Err(Errno::NOSYS | Errno::PERM) => return self.walk(path, symlinks, sys::PASS),
                opened => return opened.map(File::from),
            }
        }
        Err(Errno::AGAIN)
    }

    /// Opens a path without `openat2`. `pass` has the flags for the folders on the way.
    fn walk(&self, path: &Path, symlinks: Symlinks, pass: OFlags) -> Result<File, Errno> {
        // `Within` cannot be checked without `openat2`, so it is as strict as `Refuse` here.
        if symlinks == Symlinks::Anywhere {
            return openat(&self.root, path, READ, Mode::empty()).map(File::from);
        }
        let mut names = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
        let last = names.next_back().unwrap_or_default();
        let mut passed: Option<OwnedFd> = None;
        for name in names {
            let from = passed.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            passed = Some(step(from, name, pass)?);
        }
        let from = passed.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
        step(from, last, READ).map(File::from)
    }
}

/// Opens one name of a path, and follows no link.
fn step(from: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    if name == b".." {
        return Err(Errno::XDEV);
    }
    openat(from, name, flags | OFlags::NOFOLLOW, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    /// A folder with files and links, which is deleted when it is dropped.
    struct ServedFolder(PathBuf);

    impl ServedFolder {
        fn new(name: &str) -> Self {
            let scene =
                std::env::temp_dir().join(format!("waterwheel-{name}-{}", std::process::id()));
            let folder = scene.join("served");
            drop(fs::remove_dir_all(&scene));
            fs::create_dir_all(folder.join("deep/er")).expect("a folder can be made");
            for file in ["served/a", "served/deep/er/b", "secret"] {
                fs::write(scene.join(file), file).expect("a file can be written");
            }
            for (link, to) in [
                ("in", "a"),
                ("deep/up", "../a"),
                ("folder", "deep"),
                ("out", "../secret"),
                ("absolute", "/etc/hostname"),
                ("loop", "loop"),
            ] {
                symlink(to, folder.join(link)).expect("a link can be made");
            }
            Self(scene)
        }
    }

    impl Drop for ServedFolder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn text(file: Result<File, Errno>) -> Option<String> {
        let mut text = String::new();
        file.ok()?.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// The text of each path, if links are refused, followed within, and followed anywhere.
    const PATHS: &[(&str, [Option<&str>; 3])] = &[
        ("a", [Some("served/a"); 3]),
        ("deep/er/b", [Some("served/deep/er/b"); 3]),
        ("in", [None, Some("served/a"), Some("served/a")]),
        ("deep/up", [None, Some("served/a"), Some("served/a")]),
        (
            "folder/er/b",
            [None, Some("served/deep/er/b"), Some("served/deep/er/b")],
        ),
        ("out", [None, None, Some("secret")]),
        ("loop", [None; 3]),
        ("nothing", [None; 3]),
        ("a/b", [None; 3]),
    ];

    const CHOICES: [Symlinks; 3] = [Symlinks::Refuse, Symlinks::Within, Symlinks::Anywhere];

    #[test]
    fn links_are_followed_only_as_far_as_allowed() {
        let scene = ServedFolder::new("links");
        let folder = Folder::open(&scene.0.join("served")).expect("it is there");
        for (path, expected) in PATHS {
            let seen =
                CHOICES.map(|choice| text(folder.read(Path::new(path), choice, Reach::Disk)));
            assert_eq!(seen.each_ref().map(Option::as_deref), *expected, "{path}");
        }
        for choice in [Symlinks::Refuse, Symlinks::Within] {
            for path in [
                "../secret",
                "deep/../../secret",
                "/etc/hostname",
                "absolute",
            ] {
                let opened = folder.read(Path::new(path), choice, Reach::Disk);
                assert!(opened.is_err(), "{path}");
            }
        }
    }

    /// The flags for folders of each system.
    const PASSES: [OFlags; 2] = [sys::PASS, sys::other::PASS];

    #[test]
    fn without_openat2_links_are_followed_only_if_they_may_lead_anywhere() {
        let scene = ServedFolder::new("walk");
        let folder = Folder::open(&scene.0.join("served")).expect("it is there");
        for pass in PASSES {
            for (path, [refused, _, anywhere]) in PATHS {
                let seen = CHOICES.map(|choice| text(folder.walk(Path::new(path), choice, pass)));
                let expected = [*refused, *refused, *anywhere];
                assert_eq!(seen.each_ref().map(Option::as_deref), expected, "{path}");
            }
        }
    }

    #[test]
    fn without_openat2_no_path_leaves_the_folder() {
        let scene = ServedFolder::new("walk-out");
        // The folder itself may be named by a link: its owner has chosen it.
        let link = scene.0.join("link");
        symlink("served", &link).expect("a link can be made");
        for root in [scene.0.join("served"), link] {
            let folder = Folder::open(&root).expect("it is there");
            for (choice, pass) in [Symlinks::Refuse, Symlinks::Within]
                .into_iter()
                .flat_map(|choice| PASSES.map(|pass| (choice, pass)))
            {
                for path in [
                    "..",
                    "../secret",
                    "deep/../../secret",
                    "deep/er/../../../secret",
                    "folder/../../secret",
                    "/etc/hostname",
                    "absolute",
                    "out",
                    "folder/up",
                    "",
                ] {
                    let opened = folder.walk(Path::new(path), choice, pass);
                    assert!(opened.is_err(), "{path}");
                }
                let inside = text(folder.walk(Path::new("deep/er/b"), choice, pass));
                assert_eq!(inside.as_deref(), Some("served/deep/er/b"));
                assert!(folder.walk(Path::new("."), choice, pass).is_ok());
            }
        }
    }

    #[test]
    fn a_file_that_was_just_read_is_cached() {
        let scene = ServedFolder::new("memory");
        let folder = Folder::open(&scene.0.join("served")).expect("it is there");
        let read = |reach| text(folder.read(Path::new("a"), Symlinks::Within, reach));
        assert!(read(Reach::Disk).is_some());
        // A kernel without the flag returns this error, and no other.
        match folder.read(Path::new("a"), Symlinks::Within, Reach::Memory) {
            Ok(file) => assert_eq!(text(Ok(file)).as_deref(), Some("served/a")),
            Err(error) => assert_eq!(error, Errno::AGAIN),
        }
    }
}
