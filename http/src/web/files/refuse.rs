//! Answers without a file.

use http::StatusCode;

use crate::error::Result;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::headers::AnswerHeaders;

pub(super) const NO_FIELDS: [(&str, &str); 0] = [];

/// Answers with the reason phrase as text, and with these fields.
pub(super) async fn refuse<N, V>(
    request: Request<'_>,
    status: StatusCode,
    fields: impl IntoIterator<Item = (N, V)>,
) -> Result<Responded>
where
    N: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let text = status.canonical_reason().unwrap_or_default().to_lowercase() + "\n";
    let fields = Plain(fields.into_iter().collect());
    request.respond(status, text, fields).await
}

/// Header fields, and the content type of plain text.
struct Plain<N, V>(Vec<(N, V)>);

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> AnswerHeaders for Plain<N, V> {
    fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(b"content-type", b"text/plain; charset=utf-8")?;
        self.0.try_for_each(visit)
    }
}
