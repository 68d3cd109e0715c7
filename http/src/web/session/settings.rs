//! The middleware that reads sessions and saves them, and its settings.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use cookie::{Key, SameSite};

use super::handle::{Live, RequestSession, is_id};
use super::seal::{OpenedCookie, Sealing, SessionSettings};
use super::store::{Changes, SessionStore, Values};
use crate::error::Result;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::web::input;

/// Makes sessions for a handler. [`around`](Self::around) makes the middleware.
///
/// The cookie has `HttpOnly`, `SameSite=Lax` and `Path=/`, and `Secure` over TLS. Without more settings it is named
/// `session`, ends with the browser, and a session ends 30 minutes after its last request.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::web::session::{Key, SameSite, Sessions};
///
/// let (new, old) = (Key::from(&[1; 64]), Key::from(&[2; 64])); // yours are random, and secret
/// let sessions = Sessions::in_cookie(new)
///     .key_before(old)
///     .name("__Host-mill")
///     .secure(true)
///     .same_site(SameSite::Strict)
///     .timeout(Duration::from_secs(3600));
/// # drop(sessions);
/// ```
pub struct Sessions<S> {
    store: S,
    settings: SessionSettings,
}

/// The place of sessions that are in cookies: [`Sessions::in_cookie`].
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::session::{InCookie, Key, Sessions};
///
/// let sessions: Sessions<InCookie> = Sessions::in_cookie(Key::generate());
/// # drop(sessions);
/// ```
#[derive(Debug)]
pub struct InCookie(());

impl<S: SessionStore> Sessions<S> {
    /// Keeps the values in a store. The cookie has an id of 64 random hexadecimal digits.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::{MemoryStore, Sessions};
    ///
    /// let sessions = Sessions::in_store(MemoryStore::new(10_000));
    /// assert!(format!("{sessions:?}").contains("session"));
    /// ```
    pub fn in_store(store: S) -> Self {
        Self {
            store,
            settings: SessionSettings {
                name: "session".to_owned(),
                timeout: Duration::from_secs(30 * 60),
                same_site: SameSite::Lax,
                secure: None,
                sealing: None,
            },
        }
    }

    /// Sets the name of the cookie. Browsers hold `__Host-…` to `Secure` and to this host.
    ///
    /// # Panics
    ///
    /// If the name is not a token (RFC 9110, 5.6.2).
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(
            !name.is_empty() && name.bytes().all(is_token),
            "a cookie's name is a token"
        );
        name.clone_into(&mut self.settings.name);
        self
    }

    /// Sets the time from the last request to the end of a session. In a cookie, the time is renewed when half of it
    /// is over.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Sets `Secure`, in place of the default: if the connection has TLS. Set it behind a proxy that has TLS.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.settings.secure = Some(secure);
        self
    }

    /// Sets `SameSite`. `None` needs `Secure`.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.settings.same_site = same_site;
        self
    }

    /// Makes the middleware. The handler gets the session by [`ClientSession::of`](super::ClientSession::of).
    ///
    /// If the store fails before the handler is called, the answer is 500. If it fails afterwards, the request fails,
    /// which is a 500 unless a part of the answer was sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::{MemoryStore, Sessions};
    /// use waterwheel::http::Handler;
    ///
    /// fn with_sessions(router: impl Handler) -> impl Handler {
    ///     Sessions::in_store(MemoryStore::new(10_000)).around(router)
    /// }
    /// ```
    pub fn around(self, handler: impl Handler) -> impl Handler {
        let Self { store, settings } = self;
        let (store, settings) = (Rc::new(store), Rc::new(settings));
        async move |request: Request<'_>| {
            let live = match input::cookie(&request, &settings.name) {
                Some(text) => settings.read(text, &*store).await?,
                None => Live::default(),
            };
            let state = Rc::new(RequestSession::new(settings.clone(), store.clone(), live));
            request.extensions().insert(state.clone());
            state.renew_if_half_over(&request)?;
            let answered = handler.call(request).await;
            state.save().await?;
            answered
        }
    }
}

impl SessionSettings {
    /// Reads the session of a cookie. A cookie that is not valid, or no longer, is taken for none.
    async fn read(&self, text: &str, store: &impl SessionStore) -> Result<Live> {
        if let Some(sealing) = &self.sealing {
            let opened = sealing.open(&self.name, text);
            return Ok(
                opened.map_or_else(Live::default, |OpenedCookie { values, left }| Live {
                    is_half_over: left < self.timeout / 2,
                    values,
                    ..Live::default()
                }),
            );
        }
        let values = if is_id(text) {
            store.load(text, self.timeout).await?
        } else {
            None
        };
        Ok(values.map_or_else(Live::default, |values| Live {
            id: Some(text.to_owned()),
            values,
            ..Live::default()
        }))
    }
}

/// Never asked, because the values are in the cookie.
impl SessionStore for InCookie {
    async fn load(&self, _: &str, _: Duration) -> Result<Option<Values>> {
        Ok(None)
    }

    async fn create(&self, _: &str, _: &Values, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn update(&self, _: &str, _: &Changes, _: Duration) -> Result<bool> {
        Ok(false)
    }

    async fn remove(&self, _: &str) -> Result<bool> {
        Ok(false)
    }
}

/// Leaves the keys out, because they must not appear in a log.
impl<S> fmt::Debug for Sessions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Sessions");
        shown.field("name", &self.settings.name);
        shown
            .field("timeout", &self.settings.timeout)
            .finish_non_exhaustive()
    }
}

impl Sessions<InCookie> {
    /// Keeps the values in the cookie, encrypted with this key, which is secret and random. All values together have
    /// some 2,900 bytes of JSON.
    ///
    /// A key of `Key::generate` ends all sessions at each restart, and each process has another one. To keep sessions,
    /// make a key once (`head -c 64 /dev/urandom > session.key`), and read it with `Key::try_from`:
    ///
    /// ```no_run
    /// use waterwheel::http::web::session::{Key, Sessions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let key = std::fs::read("session.key")?;
    /// let sessions = Sessions::in_cookie(Key::try_from(&key[..])?);
    /// # drop(sessions);
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_cookie(key: Key) -> Self {
        let mut sessions = Self::in_store(InCookie(()));
        let (keys, is_encrypted) = (vec![key], true);
        sessions.settings.sealing = Some(Sealing { keys, is_encrypted });
        sessions
    }

    /// Signs the values and does not encrypt them. The client can read them, and cannot change them.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::{Key, Sessions};
    ///
    /// let sessions = Sessions::in_cookie(Key::generate()).signed();
    /// # drop(sessions);
    /// ```
    #[must_use]
    pub fn signed(mut self) -> Self {
        if let Some(sealing) = &mut self.settings.sealing {
            sealing.is_encrypted = false;
        }
        self
    }

    /// Also reads cookies of an earlier key. To change keys, keep the old one here for the time of a session.
    #[must_use]
    pub fn key_before(mut self, key: Key) -> Self {
        if let Some(sealing) = &mut self.settings.sealing {
            sealing.keys.push(key);
        }
        self
    }
}
