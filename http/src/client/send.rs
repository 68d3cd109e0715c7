//! `send`: the connection, the retry, the redirects.

use bytes::Bytes;
use http::Method;
use waterwheel_runtime::time::Instant;

use super::clock::ExchangeClock;
use super::connect::connect;
use super::error::{RequestError, RequestErrorKind};
use super::exchange::ClientExchange;
use super::pool::{Link, Origin, checkout};
use super::redirect::{next_method, resolve};
use super::request::ClientRequest;
use super::response::ClientResponse;
use super::upload::{Upload, UploadSource};
use crate::proto::request_head::{RequestFraming, RequestStart, is_target, push_head};

impl<'b> ClientRequest<'b> {
    /// Sends the request, and waits for the head of its answer. Both directions move meanwhile: the answer may arrive
    /// before the whole body is sent, and then the [`ClientResponse`] sends the rest while it is read.
    ///
    /// A request on a connection that was used before is sent again, once and on a new connection, if that connection
    /// ends before the first byte of an answer, the method is idempotent (RFC 9110, 9.2.2) and the body is not a
    /// stream.
    ///
    /// # Errors
    ///
    /// [`RequestErrorKind`] lists them. A status 4xx or 5xx is no error.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection. The server may have processed the request.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, RequestError};
    ///
    /// async fn title() -> Result<String, RequestError> {
    ///     Client::new().get("http://example.org/title").send().await?.text().await
    /// }
    /// # drop(title);
    /// ```
    pub async fn send(mut self) -> Result<ClientResponse<'b>, RequestError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let mut clock = ExchangeClock::new(self.total_timeout);
        let mut redirects = 0;
        loop {
            let origin = Origin::of(&self.uri)?;
            // A clone of `Bytes` is a count, so each request can afford it.
            let replay = match &self.source {
                UploadSource::Whole(bytes) => Some(bytes.clone()),
                UploadSource::Frames(_) => None,
            };
            let sent = self.send_once(&origin, &mut clock, replay.as_ref()).await;
            let response = sent.map_err(|error| error.at(&self.method, &self.uri))?;
            let max = self.shared.options.redirects.max();
            let Some((method, keeps_body)) =
                next_method(response.status(), &self.method).filter(|_| max > 0)
            else {
                // Another answer, or the client follows no redirects.
                return Ok(response);
            };
            redirects += 1;
            if redirects > max {
                return Err(self.no_redirect("there were too many"));
            }
            let location = response.headers().get_bytes("location");
            let Some(location) = location.map(<[u8]>::to_vec) else {
                return Ok(response); // a page without a place to go to
            };
            // The time of the whole exchange goes on over redirects.
            clock = response.0.into_clock();
            self.source = match replay {
                _ if !keeps_body => UploadSource::Whole(Bytes::new()),
                Some(bytes) => UploadSource::Whole(bytes),
                None => return Err(self.no_redirect("its body is a stream, which is sent once")),
            };
            self.go_to(method, &location, keeps_body, &origin)?;
        }
    }

    fn no_redirect(&self, text: &'static str) -> RequestError {
        RequestError::with(RequestErrorKind::Redirect, text).at(&self.method, &self.uri)
    }

    /// Makes this the request to the place of a redirect.
    fn go_to(
        &mut self,
        method: Method,
        location: &[u8],
        keeps_body: bool,
        before: &Origin,
    ) -> Result<(), RequestError> {
        let resolved = resolve(&self.uri, location);
        let (uri, origin) = resolved.map_err(|error| error.at(&self.method, &self.uri))?;
        // Bytes that were secret would be readable on the way.
        let is_weaker = before.is_tls && uri.scheme_str() != Some("https");
        if is_weaker {
            return Err(self.no_redirect("it leads from https to another scheme"));
        }
        self.uri = uri;
        self.method = method;
        // It was for the old place: an absolute target would lead back to it.
        self.target = None;
        self.content_type = self.content_type.filter(|_| keeps_body);
        let is_other = !origin.is_same(before);
        // A body that is left out takes its Content-Type with it. Credentials belong to one origin.
        self.fields.retain(|name| match name {
            "authorization" | "cookie" | "proxy-authorization" | "host" => !is_other,
            _ => keeps_body || !name.starts_with("content-"),
        });
        Ok(())
    }

    /// Returns the framing of the body.
    fn framing(&self) -> Result<RequestFraming, RequestError> {
        let wrong = || {
            let text = "its Content-Length is not the length of its body";
            RequestError::with(RequestErrorKind::Request, text)
        };
        let framing = match (self.source.framing(), self.fields.length()) {
            // The application knows the length of a stream that does not know it.
            (RequestFraming::Chunked, Some(length)) => RequestFraming::Sized(length),
            (RequestFraming::Sized(length), Some(said)) if said != length => return Err(wrong()),
            (RequestFraming::None, Some(1..)) => return Err(wrong()),
            (framing, _) => framing,
        };
        // A method with a meaning for content announces its absence (RFC 9110, 8.6).
        let expects_content = [Method::POST, Method::PUT, Method::PATCH].contains(&self.method);
        Ok(match framing {
            RequestFraming::None if expects_content => RequestFraming::Sized(0),
            framing => framing,
        })
    }

    /// Writes the head.
    fn push_head(&self, out: &mut Vec<u8>, framing: RequestFraming) -> Result<(), RequestError> {
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let with_slash;
        let target = match &self.target {
            Some(target) => target,
            None if self.method == Method::CONNECT => authority,
            // `http://mill?q` has an empty path, which a request line cannot have (RFC 9112, 3.2.1).
            None if path.starts_with('?') => {
                with_slash = format!("/{path}");
                &with_slash
            }
            None => path,
        };
        if !is_target(target) {
            let text = "its target has a byte that must be percent-encoded";
            return Err(RequestError::with(RequestErrorKind::Request, text));
        }
        let host = match &self.target {
            // The end of the tunnel, and not the proxy (RFC 9110, 9.3.6).
            Some(target) if self.method == Method::CONNECT => target,
            _ => authority,
        };
        let start = RequestStart {
            method: &self.method,
            target,
            host,
            content_type: self.content_type,
            framing,
            expects_continue: self.pause.is_some() && framing != RequestFraming::None,
        };
        push_head(out, &start, &self.fields);
        Ok(())
    }

    /// Sends the request on one connection, or on a second one if the first was stale.
    async fn send_once(
        &mut self,
        origin: &Origin,
        clock: &mut ExchangeClock,
        replay: Option<&Bytes>,
    ) -> Result<ClientResponse<'b>, RequestError> {
        let framing = self.framing()?;
        let shared = self.shared.clone();
        let can_retry = self.method.is_idempotent() && replay.is_some();
        let mut may_reuse = true;
        loop {
            let mut scratch = shared.spares.borrow_mut().pop().unwrap_or_default();
            let mut out = std::mem::take(&mut scratch.out);
            out.clear();
            // Before the connection, because a target that cannot be sent must not cost one of the pool.
            self.push_head(&mut out, framing)?;
            let idle = if may_reuse {
                checkout(&shared, origin).await
            } else {
                None
            };
            let link = match idle {
                Some(link) => link,
                None => self.connect(origin, clock).await?,
            };
            // On a new connection, the end has another cause than the server's time limit. So there are at most two
            // rounds.
            let may_retry = can_retry && link.is_reused;
            may_reuse = false;
            // The exchange takes the body. A second round has its bytes again.
            let source = std::mem::replace(&mut self.source, UploadSource::Whole(Bytes::new()));
            // The pause begins with the connection, and not with `send`, which may have waited for it.
            let pause = self.pause.map(|pause| Instant::now() + pause);
            let upload = Upload::new(out, source, framing, pause);
            // The clock goes along, and comes back for a second round or a redirect.
            let time = std::mem::replace(clock, ExchangeClock::new(None));
            let mut exchange = ClientExchange::new(
                (shared.clone(), origin.clone(), link),
                (self.method.clone(), self.uri.clone()),
                (scratch, upload, time),
                self.fields.is_last(),
            );
            let head = exchange.receive_head(self.on_interim.as_mut(), &self.fields);
            match head.await {
                Ok(()) => return Ok(ClientResponse(exchange)),
                Err(error) if error.kind() == RequestErrorKind::Closed && may_retry => {
                    *clock = exchange.into_clock();
                    if let Some(bytes) = replay {
                        self.source = UploadSource::Whole(bytes.clone());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens a connection within the time of the exchange.
    async fn connect(&self, origin: &Origin, clock: &ExchangeClock) -> Result<Link, RequestError> {
        let limit = clock.left(self.shared.options.connect_timeout);
        let connected = connect(&self.shared, origin, &self.uri, limit).await;
        // The nearer limit decides the kind of the error.
        connected.map_err(|error| match error.kind() {
            RequestErrorKind::ConnectTimeout if clock.is_over() => {
                RequestError::new(RequestErrorKind::TotalTimeout)
            }
            _ => error,
        })
    }
}
