//! The functions that do all of their work in one job.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::blocking::spawn_blocking;

/// Calls `job` with a path on the pool.
pub(super) async fn with_path<T: Send + 'static>(
    path: PathBuf,
    job: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    // The path is the caller's text, so it may be borrowed there and must be owned here.
    let job = spawn_blocking(move || job(&path));
    job.await.map_err(io::Error::other)?
}

/// Reads a whole file.
///
/// # Errors
///
/// Returns the errors of [`std::fs::read`].
///
/// # Panics
///
/// Panics outside a runtime, as all functions of this module do.
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
/// let path = std::env::temp_dir().join(format!("waterwheel-fs-{}", std::process::id()));
/// block_on(async {
///     fs::write(&path, "water").await?;
///     assert_eq!(fs::read(&path).await?, b"water");
///     assert_eq!(fs::metadata(&path).await?.len(), 5);
///     fs::remove_file(&path).await
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    with_path(path.as_ref().to_owned(), |path| fs::read(path)).await
}

/// Reads a whole file of UTF-8 text.
///
/// # Errors
///
/// Returns the errors of [`std::fs::read_to_string`].
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
/// let text = block_on(fs::read_to_string("Cargo.toml"))?;
/// assert!(text.contains("[package]"));
/// # std::io::Result::Ok(())
/// ```
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    with_path(path.as_ref().to_owned(), |path| fs::read_to_string(path)).await
}

/// Writes a whole file, and replaces its content if it exists.
///
/// # Errors
///
/// Returns the errors of [`std::fs::write`].
///
/// # Cancel safety
///
/// The file may have the old content, the new one, or a part of the new one.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, fs};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-write-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("sack");
/// block_on(fs::write(&path, b"rye"))?;
/// assert_eq!(std::fs::read(&path)?, b"rye");
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub async fn write(path: impl AsRef<Path>, content: impl Into<Vec<u8>>) -> io::Result<()> {
    // Converted on this thread, because the caller's type need not be `Send`.
    let content = content.into();
    with_path(path.as_ref().to_owned(), |path| fs::write(path, content)).await
}

/// Returns the facts about a file or a folder. Follows symbolic links.
///
/// # Errors
///
/// Returns the errors of [`std::fs::metadata`].
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
/// assert!(block_on(fs::metadata("Cargo.toml"))?.is_file());
/// # std::io::Result::Ok(())
/// ```
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<fs::Metadata> {
    with_path(path.as_ref().to_owned(), |path| fs::metadata(path)).await
}

/// Returns the facts about a file or a folder. Does not follow symbolic links.
///
/// # Errors
///
/// Returns the errors of [`std::fs::symlink_metadata`].
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
/// # let folder = std::env::temp_dir().join(format!("waterwheel-symlink_metadata-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let link = folder.join("link");
/// std::os::unix::fs::symlink("nowhere", &link)?;
/// block_on(async {
///     assert!(fs::symlink_metadata(&link).await?.is_symlink());
///     assert!(fs::metadata(&link).await.is_err()); // follows the link
///     std::io::Result::Ok(())
/// })?;
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<fs::Metadata> {
    with_path(path.as_ref().to_owned(), |path| fs::symlink_metadata(path)).await
}

/// Returns the absolute path, without symbolic links.
///
/// # Errors
///
/// Returns the errors of [`std::fs::canonicalize`].
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
/// let path = block_on(fs::canonicalize("src/../Cargo.toml"))?;
/// assert!(path.is_absolute() && path.ends_with("Cargo.toml"));
/// # std::io::Result::Ok(())
/// ```
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    with_path(path.as_ref().to_owned(), |path| fs::canonicalize(path)).await
}

/// Makes a folder. Its parent must exist.
///
/// # Errors
///
/// Returns the errors of [`std::fs::create_dir`].
///
/// # Cancel safety
///
/// The folder may have been made.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, fs};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-create_dir-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// block_on(fs::create_dir(folder.join("mill")))?;
/// assert!(folder.join("mill").is_dir());
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path.as_ref().to_owned(), |path| fs::create_dir(path)).await
}

/// Makes a folder, and its parents if they are missing.
///
/// # Errors
///
/// Returns the errors of [`std::fs::create_dir_all`].
///
/// # Cancel safety
///
/// Some of the folders may have been made.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, fs};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-create_dir_all-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// block_on(fs::create_dir_all(folder.join("mill/wheel/axle")))?;
/// assert!(folder.join("mill/wheel/axle").is_dir());
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path.as_ref().to_owned(), |path| fs::create_dir_all(path)).await
}

/// Removes a file.
///
/// # Errors
///
/// Returns the errors of [`std::fs::remove_file`].
///
/// # Cancel safety
///
/// The file may have been removed.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, fs};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-remove_file-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("sack");
/// std::fs::write(&path, "rye")?;
/// block_on(fs::remove_file(&path))?;
/// assert!(!path.exists());
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path.as_ref().to_owned(), |path| fs::remove_file(path)).await
}

/// Removes an empty folder.
///
/// # Errors
///
/// Returns the errors of [`std::fs::remove_dir`].
///
/// # Cancel safety
///
/// The folder may have been removed.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, fs};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-remove_dir-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("mill");
/// std::fs::create_dir(&path)?;
/// block_on(fs::remove_dir(&path))?;
/// assert!(!path.exists());
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path.as_ref().to_owned(), |path| fs::remove_dir(path)).await
}

/// Removes a folder with all that is in it.
///
/// # Errors
///
/// Returns the errors of [`std::fs::remove_dir_all`].
///
/// # Cancel safety
///
/// A part of the folder may have been removed.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, fs};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-remove_dir_all-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("mill");
/// std::fs::create_dir_all(path.join("wheel"))?;
/// block_on(fs::remove_dir_all(&path))?;
/// assert!(!path.exists());
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    with_path(path.as_ref().to_owned(), |path| fs::remove_dir_all(path)).await
}

/// Gives a file or a folder another name, and replaces a file that has this name.
///
/// # Errors
///
/// Returns the errors of [`std::fs::rename`].
///
/// # Cancel safety
///
/// It may have either name.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, fs};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-rename-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// // A file that is replaced at once: a reader sees the old content or the new one.
/// let (draft, sack) = (folder.join("draft"), folder.join("sack"));
/// block_on(async {
///     fs::write(&draft, "rye").await?;
///     fs::rename(&draft, &sack).await
/// })?;
/// assert_eq!(std::fs::read(&sack)?, b"rye");
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    // The second path moves into the job, as the first one does in `with_path`.
    let to = to.as_ref().to_owned();
    with_path(from.as_ref().to_owned(), move |from| fs::rename(from, to)).await
}

/// Copies a file with its permissions. Returns the number of bytes.
///
/// # Errors
///
/// Returns the errors of [`std::fs::copy`].
///
/// # Cancel safety
///
/// The copy may be complete or not.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, fs};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-copy-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("copy");
/// let bytes = block_on(fs::copy("Cargo.toml", &path))?;
/// assert_eq!(bytes, std::fs::metadata(&path)?.len());
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let to = to.as_ref().to_owned();
    // The standard library uses `copy_file_range(2)` on Linux. So the bytes do not pass through this process.
    with_path(from.as_ref().to_owned(), move |from| fs::copy(from, to)).await
}
