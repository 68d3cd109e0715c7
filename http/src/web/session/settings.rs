//! The middleware that reads sessions and saves them, and its settings.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use cookie::{Key, SameSite};

use super::handle::{Live, RequestSession, is_id};
use super::seal::{OpenedCookie, Sealing, SessionSettings, is_over};
use super::store::{Changes, SessionStore, Values};
use crate::error::Result;
use crate::exchange::handle::HeldAnswer;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::web::input;

/// The most cookies of the session's name that are tried. A page of another host of the domain can set more of them,
/// and each one costs a look into the store.
const CANDIDATES_MAX: usize = 4;

/// Makes sessions for a handler. [`around`](Self::around) makes the middleware.
///
/// The cookie has `HttpOnly`, `SameSite=Lax` and `Path=/`, and `Secure` over TLS. Without more settings it is named
/// `session`, ends with the browser, and a session ends 30 minutes after its last request.
///
/// An answer for which the session was looked at, or that renews the cookie, has `Vary: cookie`. So no cache keeps the
/// page of one client for another.
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
                lifetime: None,
                same_site: SameSite::Lax,
                secure: None,
                sealing: None,
            },
        }
    }

    /// Sets the name of the cookie. Browsers hold `__Host-…` to `Secure` and to this host, so such a cookie has `Secure`
    /// on each connection. No page of another host of the domain can then set a session of its own (RFC 6265bis, 4.1.3).
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

    /// Sets the time from the begin of a session, or from its last [`rotate`](super::ClientSession::rotate), to its end,
    /// however often it is used. So a copied cookie is of no use after that. The default has no such end.
    ///
    /// The session has one more value for it, named `_begun`. A session that was made without this setting ends at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::web::session::{MemoryStore, Sessions};
    ///
    /// // A day of work, and half an hour without a request.
    /// let sessions = Sessions::in_store(MemoryStore::new(10_000)).lifetime(Duration::from_secs(10 * 3600));
    /// # drop(sessions);
    /// ```
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.lifetime = Some(lifetime);
        self
    }

    /// Sets `Secure`, in place of the default: if the connection has TLS, or if browsers refuse the cookie without it
    /// ([`name`](Self::name), [`same_site`](Self::same_site)). Set it behind a proxy that has TLS.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::{MemoryStore, Sessions};
    ///
    /// let behind_nginx = Sessions::in_store(MemoryStore::new(10_000)).secure(true);
    /// # drop(behind_nginx);
    /// ```
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.settings.secure = Some(secure);
        self
    }

    /// Sets `SameSite`. With `None`, the cookie has `Secure` on each connection.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.settings.same_site = same_site;
        self
    }

    /// Makes the middleware. The handler gets the session by [`ClientSession::of`](super::ClientSession::of).
    ///
    /// If the store fails, the answer is 500, without a cookie. An answer that has left in part before its handler ended
    /// cannot be taken back: then the connection closes after it.
    ///
    /// # Panics
    ///
    /// If [`secure(false)`](Self::secure) meets a name or a `SameSite` that browsers take only with `Secure`.
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
        assert!(
            settings.secure != Some(false) || !settings.needs_secure(),
            "browsers refuse the cookie {} without Secure",
            settings.name
        );
        let (store, settings) = (Rc::new(store), Rc::new(settings));
        async move |request: Request<'_>| {
            let named = input::cookies(&request).filter(|(name, _)| *name == settings.name);
            let mut live = None;
            for (_, text) in named.take(CANDIDATES_MAX) {
                live = settings.read(text, &*store).await?;
                if live.is_some() {
                    break;
                }
            }
            let (live, store) = (live.unwrap_or_default(), store.clone());
            let state = Rc::new(RequestSession::new(settings.clone(), store, live));
            request.extensions().insert(state.clone());
            state.renew_if_half_over(&request);
            let exchange = request.exchange();
            let answered = handler.call(request).await;
            // The client must not come back before the store knows its session.
            let held = HeldAnswer::new(exchange);
            if let Err(error) = state.save().await {
                exchange.remove_cookie(&settings.name);
                return Err(error);
            }
            held.release();
            answered
        }
    }
}

impl SessionSettings {
    /// Returns the session of a cookie, or `None` if the cookie is not valid, or no longer.
    async fn read(&self, text: &str, store: &impl SessionStore) -> Result<Option<Live>> {
        let live = match &self.sealing {
            Some(sealing) => {
                let opened = sealing.open(&self.name, text);
                opened.map(|OpenedCookie { values, left }| Live {
                    is_half_over: left < self.timeout / 2,
                    values,
                    ..Live::default()
                })
            }
            None if !is_id(text) => None,
            None => {
                let values = store.load(text, self.timeout).await?;
                values.map(|values| Live {
                    id: Some(text.to_owned()),
                    values,
                    ..Live::default()
                })
            }
        };
        match (self.lifetime, live) {
            (Some(lifetime), Some(live)) if is_over(&live.values, lifetime) => {
                if let Some(id) = &live.id {
                    store.remove(id).await?;
                }
                Ok(None)
            }
            (_, live) => Ok(live),
        }
    }

    /// Returns true if browsers drop the cookie without `Secure` (RFC 6265bis, 5.7).
    pub(super) fn needs_secure(&self) -> bool {
        let has_prefix = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        self.same_site == SameSite::None || has_prefix("__host-") || has_prefix("__secure-")
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
