//! Faults in certificates, keys and settings, with the file in which each is.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A fault in the files or the settings of TLS. Its text names the file and the cause.
///
/// # Examples
///
/// ```
/// use waterwheel::http::tls::TlsConfig;
///
/// let fault = TlsConfig::from_pem_files("missing.pem", "key.pem").unwrap_err();
/// assert_eq!(fault.to_string(), "missing.pem: No such file or directory (os error 2)");
/// assert_eq!(fault.file(), Some("missing.pem".as_ref()));
/// ```
pub struct TlsConfigError {
    file: Option<PathBuf>,
    cause: TlsFault,
}

/// The cause of a [`TlsConfigError`].
#[derive(Debug)]
pub(super) enum TlsFault {
    Read(io::Error),
    /// The text says what is wrong, and what would be right.
    Text(String),
    Rustls(&'static str, rustls::Error),
}

impl TlsFault {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn in_file(self, file: Option<&Path>) -> TlsConfigError {
        TlsConfigError {
            file: file.map(Path::to_owned),
            cause: self,
        }
    }
}

impl TlsConfigError {
    /// Returns the file with the fault, or `None` if the fault is not in a file.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl From<TlsFault> for TlsConfigError {
    fn from(cause: TlsFault) -> Self {
        cause.in_file(None)
    }
}

/// So that `?` works in a `main` that returns [`io::Result`].
impl From<TlsConfigError> for io::Error {
    fn from(error: TlsConfigError) -> Self {
        let kind = match &error.cause {
            TlsFault::Read(cause) => cause.kind(),
            _ => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        match &self.cause {
            TlsFault::Read(error) => fmt::Display::fmt(error, f),
            TlsFault::Text(text) => f.write_str(text),
            TlsFault::Rustls(text, error) => write!(f, "{text}: {error}"),
        }
    }
}

/// Writes the text of `Display`, because a `main` that returns this error prints the form of `Debug`.
impl fmt::Debug for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for TlsConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            TlsFault::Read(error) => Some(error),
            TlsFault::Text(_) => None,
            TlsFault::Rustls(_, error) => Some(error),
        }
    }
}
