//! One part of a form: its head, and the ways to read its data.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};

use bytes::Bytes;
use http::StatusCode;
use waterwheel_runtime::spawn_blocking;

use super::MultipartForm;
use super::fault::bad;
use super::parts::FormParser;
use crate::error::{ClientError, Result};

/// The number of bytes of a file that are collected before they are written.
const SAVED_BYTES: usize = 128 * 1024;

/// One part of a form.
///
/// ```
/// use waterwheel::http::Result;
/// use waterwheel::http::web::multipart::MultipartForm;
///
/// async fn length(form: &mut MultipartForm<'_>) -> Result<usize> {
///     let mut length = 0;
///     if let Some(mut field) = form.next().await? {
///         while let Some(chunk) = field.chunk().await? {
///             length += chunk.len();
///         }
///     }
///     Ok(length)
/// }
/// ```
///
/// # Examples
///
/// ```
/// use waterwheel::http::Result;
/// use waterwheel::http::web::multipart::FormField;
///
/// /// Saves a file, and prints any other field.
/// async fn take(field: FormField<'_, '_>) -> Result<()> {
///     let Some(name) = field.safe_file_name() else {
///         let name = field.name().to_owned();
///         println!("{name}: {}", field.text(1024).await?);
///         return Ok(());
///     };
///     println!("{:?}, which is {:?}", field.file_name(), field.content_type());
///     if name.ends_with(".txt") {
///         println!("{} bytes", field.bytes(64 * 1024).await?.len());
///     } else {
///         field.to_file(std::fs::File::create_new(name)?, 1 << 30).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct FormField<'f, 'c> {
    pub(super) form: &'f mut MultipartForm<'c>,
}

impl FormField<'_, '_> {
    /// Returns the name of the part's input.
    pub fn name(&self) -> &str {
        let head = self.form.head.as_ref();
        head.map_or("", |head| &head.name)
    }

    /// Returns the sender's name for the file, or `None` if the part is not a file.
    ///
    /// The name may be any text: never use it as a path. It is empty if the user has chosen no file in a
    /// browser's form.
    ///
    /// Bytes that are not UTF-8 become replacement characters. A name in the extended notation
    /// (`filename*`, RFC 8187) is preferred. Browsers write `%22` for a quote and `%0D%0A` for a line end.
    /// That is not decoded, because browsers do not escape the `%` itself.
    pub fn file_name(&self) -> Option<&str> {
        self.form.head.as_ref()?.file_name.as_deref()
    }

    /// Returns a safe name for the file: the last part of the path, without control characters, without leading
    /// dots and spaces, and at most 255 bytes long. Returns `None` if that is empty.
    pub fn safe_file_name(&self) -> Option<String> {
        safe_name(self.file_name()?)
    }

    /// Returns the sender's media type of the part.
    pub fn content_type(&self) -> Option<&str> {
        self.form.head.as_ref()?.content_type.as_deref()
    }

    /// Returns the next piece of the data, or `None` at its end.
    ///
    /// # Errors
    ///
    /// A [`ClientError`] if the form is malformed; and the errors of
    /// [`Request::bytes`](crate::Request::bytes).
    ///
    /// # Cancel safety
    ///
    /// Safe: no data is lost.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.form.until(FormParser::next_data).await
    }

    /// Returns all data of the part.
    ///
    /// # Errors
    ///
    /// 413 if the data is longer than `bytes_max`; and the errors of [`chunk`](Self::chunk).
    pub async fn bytes(mut self, bytes_max: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            // Checked before the copy, so that a refused part never takes more than the limit.
            if chunk.len() > bytes_max - all.len() {
                return Err(self.too_long())?;
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// Returns all data of the part as text.
    ///
    /// # Errors
    ///
    /// 400 if the data is not UTF-8; and the errors of [`bytes`](Self::bytes).
    pub async fn text(self, bytes_max: usize) -> Result<String> {
        let name = self.name().to_owned();
        let bytes = self.bytes(bytes_max).await?;
        Ok(String::from_utf8(bytes).map_err(|_| bad(format!("{name:?} is not UTF-8")))?)
    }

    /// Writes the data into a file, at the file's position. Returns the number of bytes. A thread of the
    /// pool writes the file.
    ///
    /// # Errors
    ///
    /// 413 if the data is longer than `bytes_max`; the errors of [`chunk`](Self::chunk) and of `write(2)`.
    /// On an error the file holds only a part of the data.
    ///
    /// # Cancel safety
    ///
    /// Not safe: the file then holds only a part of the data.
    pub async fn to_file(mut self, file: File, bytes_max: u64) -> Result<u64> {
        let (mut file, mut gathered, mut total) = (file, Vec::new(), 0);
        loop {
            let chunk = self.chunk().await?;
            let is_over = chunk.is_none();
            let chunk = chunk.unwrap_or_default();
            total += chunk.len() as u64;
            if total > bytes_max {
                return Err(self.too_long())?;
            }
            gathered.extend_from_slice(&chunk);
            // A job of the pool for each small piece would cost more than the write itself.
            if is_over || gathered.len() >= SAVED_BYTES {
                (file, gathered) = spawn_blocking(move || {
                    file.write_all(&gathered)?;
                    gathered.clear();
                    io::Result::Ok((file, gathered))
                })
                .await??;
            }
            if is_over {
                return Ok(total);
            }
        }
    }

    fn too_long(&self) -> ClientError {
        let text = format!("{:?} is too long", self.name());
        ClientError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }
}

impl fmt::Debug for FormField<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormField")
            .field("name", &self.name())
            .field("file_name", &self.file_name())
            .finish_non_exhaustive()
    }
}

/// Returns a name without a path, and without characters that mislead a shell or a reader.
fn safe_name(name: &str) -> Option<String> {
    const NAME_BYTES_MAX: usize = 255;
    // Browsers once sent the whole path of a file, with the separator of their system.
    let last = name.rsplit(['/', '\\']).next()?;
    let kept = last.chars().filter(|character| !character.is_control());
    let mut safe = String::new();
    for character in kept.skip_while(|character| matches!(character, '.' | ' ')) {
        if safe.len() + character.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        safe.push(character);
    }
    (!safe.is_empty()).then_some(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_made_safe() {
        for (name, expected) in [
            ("a.txt", Some("a.txt")),
            ("C:\\fakepath\\a b.txt", Some("a b.txt")),
            ("/etc/passwd", Some("passwd")),
            ("../../x", Some("x")),
            ("..", None),
            (". .", None),
            ("", None),
            ("a/", None),
            ("a\0\nb", Some("ab")),
            ("é", Some("é")),
        ] {
            assert_eq!(safe_name(name).as_deref(), expected, "{name}");
        }
        assert_eq!(
            safe_name(&"é".repeat(200)).map(|name| name.len()),
            Some(254)
        );
    }
}
