//! A file that is read and written in pieces.

use std::fs::{self, Metadata, OpenOptions};
use std::future::poll_fn;
use std::io::{self, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};

use super::whole::with_path;
use crate::blocking::spawn_blocking;
use crate::io::on_pool::OnPool;

/// An open file. It is read, written and moved through the `futures-io` traits.
///
/// A write completes when its bytes are copied, and a job of the pool writes them. So flush or close the file to
/// see the error of the last write. If the file is dropped instead, the bytes are still written, and an error is
/// lost. After an error the unwritten bytes stay, and the next call writes them again.
///
/// The position is always behind the bytes that were returned, also after a read that was dropped.
///
/// # Cancel safety
///
/// A dropped read loses no bytes, because the next read returns them. A dropped seek may have moved the position
/// or not. A dropped `write_all` may have accepted a part of its bytes.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
/// use std::io::SeekFrom;
/// use waterwheel::runtime::{block_on, fs::{self, File}};
///
/// let path = std::env::temp_dir().join(format!("waterwheel-file-{}", std::process::id()));
/// block_on(async {
///     let mut file = File::create(&path).await?;
///     file.write_all(b"water under the wheel").await?;
///     file.close().await?;
///
///     let mut file = File::open(&path).await?;
///     file.seek(SeekFrom::End(-5)).await?;
///     let mut text = String::new();
///     file.read_to_string(&mut text).await?;
///     assert_eq!(text, "wheel");
///     fs::remove_file(&path).await
/// })?;
/// # std::io::Result::Ok(())
/// ```
///
/// A file is also opened with the options of the standard library, and changes into its file and back:
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use waterwheel::runtime::{block_on, fs::{self, File}};
///
/// # let path = std::env::temp_dir().join(format!("waterwheel-options-{}", std::process::id()));
/// block_on(async {
///     let mut options = std::fs::OpenOptions::new();
///     let mut log = File::open_with(options.append(true).create(true), &path).await?;
///     log.write_all(b"a line\n").await?;
///     log.sync_data().await?; // the disk has the bytes
///     assert_eq!(log.metadata().await?.len(), 7);
///
///     let mut log = File::from_std(log.into_std().await?);
///     log.set_len(0).await?;
///     log.sync_all().await?;
///     assert_eq!(fs::read(&path).await?, b"");
///     fs::remove_file(&path).await
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct File {
    inner: OnPool<fs::File>,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`std::fs::File::open`].
    ///
    /// # Panics
    ///
    /// Panics outside a runtime, as all methods that wait do.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with(OpenOptions::new().read(true), path).await
    }

    /// Opens a file for writing. Makes the file, or removes its content.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`std::fs::File::create`].
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        Self::open_with(options.write(true).create(true).truncate(true), path).await
    }

    /// Opens a file with the options of the standard library: for appending, only if it is new, and so on.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`std::fs::OpenOptions::open`].
    pub async fn open_with(options: &OpenOptions, path: impl AsRef<Path>) -> io::Result<Self> {
        // The job may outlive the caller's options.
        let options = options.clone();
        let open = with_path(path.as_ref().to_owned(), move |path| options.open(path));
        open.await.map(Self::from_std)
    }

    /// Makes a file of one of the standard library.
    #[must_use]
    pub fn from_std(file: fs::File) -> Self {
        Self {
            inner: OnPool::new(file),
        }
    }

    /// Waits until all bytes are written, and returns the file of the standard library.
    ///
    /// # Errors
    ///
    /// Returns the error of the last write, and the errors of `dup(2)` and `lseek(2)`.
    pub async fn into_std(mut self) -> io::Result<fs::File> {
        poll_fn(|cx| self.inner.poll_flush(cx)).await?;
        // A dropped read may still run, or may have moved the position too far.
        if self.inner.is_ahead() {
            poll_fn(|cx| self.inner.poll_seek(cx, SeekFrom::Current(0))).await?;
        }
        // A job that was dropped may have the descriptor for a moment longer, so it is duplicated.
        self.inner.io().try_clone()
    }

    /// Returns the facts about the file, with all written bytes.
    ///
    /// # Errors
    ///
    /// Returns the error of the last write, and the errors of `fstat(2)`.
    pub async fn metadata(&mut self) -> io::Result<Metadata> {
        self.after_flush(fs::File::metadata).await
    }

    /// Cuts the file, or extends it with zeros. The position stays.
    ///
    /// # Errors
    ///
    /// Returns the error of the last write, and the errors of `ftruncate(2)`.
    pub async fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.after_flush(move |file| file.set_len(bytes)).await
    }

    /// Waits until the disk has all bytes and facts (`fsync(2)`).
    ///
    /// # Errors
    ///
    /// Returns the error of the last write, and the errors of `fsync(2)`.
    pub async fn sync_all(&mut self) -> io::Result<()> {
        self.after_flush(fs::File::sync_all).await
    }

    /// Waits until the disk has all bytes (`fdatasync(2)`).
    ///
    /// # Errors
    ///
    /// Returns the error of the last write, and the errors of `fdatasync(2)`.
    pub async fn sync_data(&mut self) -> io::Result<()> {
        self.after_flush(fs::File::sync_data).await
    }

    /// Calls `job` on the pool after all bytes are written.
    async fn after_flush<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        // Accepted bytes may still be in the buffer. Without them, the length would be wrong and a sync would
        // miss them.
        poll_fn(|cx| self.inner.poll_flush(cx)).await?;
        // The calls of this kind take no buffer, so they need no turn in `OnPool`.
        let file = Arc::clone(self.inner.io());
        let job = spawn_blocking(move || job(&file));
        job.await.map_err(io::Error::other)?
    }
}

impl AsyncRead for File {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_read(cx, buffer)
    }
}

impl AsyncWrite for File {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write(cx, bytes)
    }

    /// Waits until the kernel has all bytes. [`sync_data`](File::sync_data) waits for the disk.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    /// Waits until the kernel has all bytes. The descriptor is closed by the drop.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        self.inner.poll_seek(cx, to)
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.io().as_fd()
    }
}
