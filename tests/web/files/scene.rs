//! The folder that both servers serve.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The time of the last change of all files: Sun, 06 Nov 1994, 08:49:37.
pub(crate) const CHANGED_SECONDS: u64 = 784_111_777;

/// The files in it.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("index.html", "<h1>the mill</h1>\n"),
    ("a.txt", "0123456789abcdefghij"),
    ("empty.txt", ""),
    ("site.css", "body { color: black }\n"),
    ("site.css.gz", "(gzip)"),
    ("picture.png", "(picture)"),
    ("noending", "(bytes)"),
    ("sp ace.txt", "space"),
    ("100%.txt", "percent"),
    ("%41.txt", "encoded"),
    ("deep/index.html", "<h1>deep</h1>\n"),
    ("deep/page.html", "<h1>page</h1>\n"),
    ("bare/x.txt", "x"),
    (".hidden", "hidden"),
    (".git/config", "config"),
    (".well-known/security.txt", "contact"),
    ("../secret.txt", "secret"),
];

const LINKS: &[(&str, &str)] = &[("inside.txt", "a.txt"), ("outside.txt", "../secret.txt")];

/// Makes the folder anew, below a folder of that name.
pub(crate) fn make(name: &str) -> PathBuf {
    let around = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("files")
        .join(name);
    drop(fs::remove_dir_all(&around));
    let served = around.join("served");
    for (name, text) in FILES {
        write(&served.join(name), text.as_bytes());
    }
    write(&served.join("big.bin"), &big());
    for (name, to) in LINKS {
        symlink(to, served.join(name)).unwrap();
    }
    served
}

/// Writes a file with an old time of change.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    touch(path, CHANGED_SECONDS);
}

/// Sets the time of a file's last change.
pub(crate) fn touch(path: &Path, seconds: u64) {
    let file = File::options().write(true).open(path).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    file.set_modified(time).unwrap();
}

/// Returns 300,000 bytes that depend on their position.
pub(crate) fn big() -> Vec<u8> {
    (0..=250).cycle().take(300_000).collect()
}
