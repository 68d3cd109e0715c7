//! Error answers with the look of the application.

use bytes::Bytes;
use http::HeaderMap;

use super::{IntoResponse, ResponseBody};
use crate::error::{Error, Result};
use crate::server::builder::Builder;
use crate::shared::error_answer::{ErrorAnswer, ErrorHookOfAll};

/// The look of error answers.
impl Builder {
    /// Sets a function that makes the body of each error answer that the server itself sends, such as JSON or a page.
    /// By default, the body is one line of text.
    ///
    /// These are the answers to errors that handlers return, to handlers that panic, of the router and of `Files`
    /// (404, 405 …), and to requests that the server refuses (400, 413, 431 …), if their request line is known. A
    /// response that a handler itself sends is not changed.
    ///
    /// The status, Content-Length and Connection stay those of the answer without the function, and an answer to
    /// HEAD has no body. Allow, Retry-After, WWW-Authenticate, Upgrade and other fields of that answer stay, unless
    /// the returned response has a field of the same name. The status, Content-Length and Connection of the returned
    /// response are not used.
    ///
    /// The value that the function returns cannot borrow from the [`ErrorAnswer`], so copy its texts. The body must be
    /// in memory. If the function fails or panics, the server logs that, and sends the line of text.
    ///
    /// A router can have a function of its own: see
    /// [`Router::error_responses`](crate::web::routes::Router::error_responses).
    ///
    /// # Examples
    ///
    /// ```
    /// use serde::Serialize;
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::response::Json;
    /// use waterwheel::http::web::routes::Router;
    /// use waterwheel::http::{ErrorAnswer, Server};
    /// use waterwheel::runtime::block_on;
    ///
    /// #[derive(Serialize)]
    /// struct Problem {
    ///     status: u16,
    ///     detail: String,
    /// }
    ///
    /// fn problem(error: &ErrorAnswer<'_>) -> Json<Problem> {
    ///     Json(Problem { status: error.status.as_u16(), detail: error.text.to_owned() })
    /// }
    ///
    /// block_on(async {
    ///     let server = Server::builder().error_responses(problem);
    ///     let mut client = TestClient::with(server, Router::new().get("/", async || "hello"));
    ///     let answer = client.post("/", "").await;
    ///     assert_eq!(answer.text(), r#"{"status":405,"detail":"method not allowed"}"#);
    ///     assert_eq!(answer.headers["content-type"], "application/json");
    ///     assert_eq!(answer.headers["allow"], "GET, HEAD, OPTIONS");
    /// });
    /// ```
    #[doc(alias = "catcher")]
    #[doc(alias = "error_handler")]
    pub fn error_responses<T: IntoResponse>(
        mut self,
        make: impl Fn(&ErrorAnswer<'_>) -> T + Send + Sync + 'static,
    ) -> Self {
        let hook = ErrorHookOfAll::new(move |answer| page(make(answer)));
        self.settings.error_hook = Some(hook);
        self
    }
}

/// Takes the fields and the body of a response.
pub(crate) fn page(value: impl IntoResponse) -> Result<(HeaderMap, Bytes)> {
    let response = value.into_response()?.checked()?;
    let body = match response.body {
        ResponseBody::Empty => Bytes::new(),
        ResponseBody::Bytes(bytes) => bytes,
        // The connection may close behind this answer, so it has no time for a stream.
        _ => {
            return Err(Error::message(
                "the body of an error answer must be in memory",
            ));
        }
    };
    Ok((response.headers, body))
}
