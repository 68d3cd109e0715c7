//! The entries of a folder.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, DirEntry};
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::whole::with_path;
use crate::blocking::{Blocking, spawn_blocking};
use crate::budget;

/// The entries that one job reads at most.
const BATCH: usize = 64;

/// Opens a folder to list it, in the order of the file system.
///
/// # Errors
///
/// Returns the errors of [`std::fs::read_dir`].
///
/// # Panics
///
/// Panics outside a runtime.
///
/// # Cancel safety
///
/// Safe.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, fs};
///
/// block_on(async {
///     let mut entries = fs::read_dir("src").await?;
///     let mut names = Vec::new();
///     while let Some(entry) = entries.next_entry().await? {
///         names.push(entry.file_name());
///     }
///     assert!(names.contains(&"lib.rs".into()));
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let open = with_path(path.as_ref().to_owned(), |path| fs::read_dir(path));
    Ok(ReadDir {
        read: VecDeque::new(),
        rest: Rest::Idle(open.await?),
    })
}

/// The entries of a folder; see [`read_dir`]. It is also a [`Stream`].
///
/// [`Stream`]: https://docs.rs/futures-core/0.3/futures_core/stream/trait.Stream.html
///
/// A job reads up to 64 entries at a time. [`DirEntry::file_type`] usually needs no system call, and
/// [`DirEntry::metadata`] needs one.
///
/// # Examples
///
/// ```
/// use futures_lite::StreamExt;
/// use waterwheel::runtime::{block_on, fs::{ReadDir, read_dir}};
///
/// async fn files(mut entries: ReadDir) -> std::io::Result<usize> {
///     let mut files = 0;
///     while let Some(entry) = entries.next_entry().await? {
///         files += usize::from(entry.file_type()?.is_file());
///     }
///     Ok(files)
/// }
///
/// block_on(async {
///     assert!(files(read_dir("src").await?).await? > 1);
///     assert!(read_dir("src").await?.count().await > 1); // as a stream
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub struct ReadDir {
    /// The entries that were read and not returned.
    read: VecDeque<io::Result<DirEntry>>,
    rest: Rest,
}

/// The part of the folder that is not read yet.
enum Rest {
    Idle(fs::ReadDir),
    /// A job reads entries.
    Busy(Blocking<(VecDeque<io::Result<DirEntry>>, fs::ReadDir)>),
    End,
}

impl ReadDir {
    /// Returns the next entry, and `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns the errors of `readdir(3)`.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped call loses no entry.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        let next = poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await;
        next.transpose()
    }
}

impl Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // A batch of entries is ready without a wait.
        ready!(budget::poll_spend(cx, 1));
        loop {
            if let Some(entry) = self.read.pop_front() {
                return Poll::Ready(Some(entry));
            }
            match &mut self.rest {
                Rest::End => return Poll::Ready(None),
                Rest::Idle(_) => {
                    // The job owns the folder meanwhile, and returns it with the entries.
                    let Rest::Idle(mut rest) = std::mem::replace(&mut self.rest, Rest::End) else {
                        continue;
                    };
                    self.rest = Rest::Busy(spawn_blocking(move || {
                        (rest.by_ref().take(BATCH).collect(), rest)
                    }));
                }
                Rest::Busy(job) => {
                    let done = ready!(Pin::new(job).poll(cx));
                    // An error ends the list, so that a loop that skips errors ends, too.
                    self.rest = Rest::End;
                    let (read, rest) = done.map_err(io::Error::other)?;
                    // A batch that is not full is the last one.
                    if read.len() == BATCH {
                        self.rest = Rest::Idle(rest);
                    }
                    self.read = read;
                }
            }
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").finish_non_exhaustive()
    }
}
