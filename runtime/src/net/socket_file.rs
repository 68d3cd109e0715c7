//! The file of a Unix socket.
//!
//! # How it works
//!
//! A process that is killed leaves its socket file behind. [`SocketFile::make`] replaces such a file: it first
//! removes a socket file at which no process answers. It removes neither a socket at which a process answers,
//! nor a file of another kind. It locks the folder meanwhile (`flock(2)`), so that two servers that start at the
//! same time do not remove each other's files.
//!
//! # Invariants
//!
//! - Always: the drop of a [`SocketFile`] removes the file that it has made, and no other file.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Type};

use crate::sys;

/// The file of a socket. Its drop removes the file.
#[derive(Debug)]
pub(super) struct SocketFile {
    /// Absolute, because the process may change its folder.
    path: PathBuf,
    /// True if the file stays when the socket is dropped.
    stays: bool,
    /// Device and inode. The drop compares them, because another socket may have replaced the file.
    identity: (u64, u64),
}

impl SocketFile {
    /// Calls `bind`, which makes a socket file at `path`. First removes a file of such a socket at which no
    /// process answers.
    pub(super) fn make<T>(
        path: &Path,
        kind: Type,
        bind: impl FnOnce(&SockAddr) -> io::Result<T>,
    ) -> io::Result<(T, Self)> {
        let address = SockAddr::unix(path)?;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Until the end of this function: between the removal of an old file and the binding, another process
        // could bind, and this one would then remove its file.
        let _lock = lock(folder)?;
        remove_dead_socket(path, kind, &address)?;
        let bound = bind(&address)?;
        // A moment later the file could be that of another process, but for the lock.
        let metadata = fs::symlink_metadata(path)?;
        let file = Self {
            stays: false,
            path: std::path::absolute(path)?,
            identity: (metadata.dev(), metadata.ino()),
        };
        Ok((bound, file))
    }

    /// Keeps the file when this value drops.
    pub(super) fn stay(&mut self) {
        self.stays = true;
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The wait for the lock of the folder at most, in hundredths of a second. No server needs the lock for longer.
/// A process that keeps it for ever must not prevent a server from starting.
const LOCK_TRIES: u32 = 100;

/// Locks a folder until the returned file drops. Returns `None` if this process may not read the folder.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let folder = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        folder => folder?,
    };
    // `flock` without a limit could block this thread for ever.
    for _ in 0..LOCK_TRIES {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => thread::sleep(Duration::from_millis(10)),
            locked => return Ok(locked.map(|()| Some(folder))?),
        }
    }
    let text = "another process keeps its folder locked";
    Err(io::Error::new(io::ErrorKind::WouldBlock, text))
}

/// Removes a socket file at which no process answers.
fn remove_dead_socket(path: &Path, kind: Type, address: &SockAddr) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            let text = "a file that is not a socket is there";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(_) => {}
    }
    // Only an attempt to connect shows if a process answers.
    match sys::open(Domain::UNIX, kind, None)?.connect(address) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::CONNREFUSED) => {
            fs::remove_file(path)
        }
        // A full queue also means that a process answers.
        Ok(()) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::ErrorKind::AddrInUse.into())
        }
        Err(error) => Err(error),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        // Another process may have replaced the file while this socket was open.
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if same {
            // A file that cannot be removed does no harm, because the next socket replaces it.
            drop(fs::remove_file(&self.path));
        }
    }
}
