//! The session of one request: its values, its changes, and its cookie.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use cookie::Cookie;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::seal::{BEGUN, SessionSettings, since_epoch};
use super::store::{Changes, SessionStore, Values};
use crate::error::{Error, Result};
use crate::exchange::request::Request;
use crate::web::scheme::is_https;

/// Browsers drop a longer cookie (RFC 6265, 6.1).
const COOKIE_BYTES_MAX: usize = 4096;

/// The session of a request.
///
/// It borrows the request, so all changes are made before the answer begins. A client without a cookie has an empty session. The first value that is inserted makes a cookie for it.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::response::Response;
/// use waterwheel::http::web::session::ClientSession;
/// use waterwheel::http::{Request, Result};
///
/// async fn log_in(request: &Request<'_>) -> Result<Response> {
///     let session = ClientSession::of(request)?;
///     session.rotate()?; // an id from before the login must not be logged in
///     session.insert("user", "anna")?;
///     Ok(Response::see_other("/"))
/// }
///
/// async fn log_out(request: &Request<'_>) -> Result<Response> {
///     ClientSession::of(request)?.destroy()?;
///     Ok(Response::see_other("/"))
/// }
/// ```
pub struct ClientSession<'r, 'c> {
    request: &'r Request<'c>,
    state: Rc<RequestSession>,
}

/// The session of a request, in its extensions.
pub(super) struct RequestSession {
    settings: Rc<SessionSettings>,
    store: Rc<dyn Saves>,
    live: RefCell<Live>,
    /// True if the answer tells caches that it depends on the cookie.
    varies: Cell<bool>,
}

#[derive(Default)]
pub(super) struct Live {
    /// The id in the store, or in the cookie that is to be sent.
    pub(super) id: Option<String>,
    /// The store does not know the id yet.
    pub(super) is_new: bool,
    pub(super) values: Values,
    /// The changes since the last save.
    pub(super) changes: Changes,
    /// The id that is to be removed from the store, because of a new one or the end of the session.
    pub(super) former_id: Option<String>,
    /// The cookie has lived for more than half of its time.
    pub(super) is_half_over: bool,
}

impl<'r, 'c> ClientSession<'r, 'c> {
    /// Returns the session of this request.
    ///
    /// # Errors
    ///
    /// If no [`Sessions::around`](super::Sessions::around) is around the handler.
    pub fn of(request: &'r Request<'c>) -> Result<Self> {
        let state = request.extensions().get::<Rc<RequestSession>>();
        let state =
            state.ok_or_else(|| Error::message("`Sessions::around` is not around this handler"))?;
        let state = Rc::clone(&*state);
        state.vary(request)?;
        Ok(Self { request, state })
    }

    /// Returns the names of the values that begin with this text, in their order.
    pub(super) fn names(&self, start: &str) -> Vec<String> {
        let live = self.state.live.borrow();
        let names = live.values.keys().filter(|name| name.starts_with(start));
        names.cloned().collect()
    }

    /// Returns the value of this name.
    ///
    /// # Errors
    ///
    /// If the value is of another type.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::ClientSession;
    /// use waterwheel::http::{Request, Result};
    ///
    /// async fn example(request: &Request<'_>) -> Result<()> {
    ///     let visits: Option<u32> = ClientSession::of(request)?.get("visits")?;
    ///     println!("{visits:?}");
    ///     Ok(())
    /// }
    /// ```
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let live = self.state.live.borrow();
        Ok(live.values.get(name).map(T::deserialize).transpose()?)
    }

    /// Sets a value. A value that is equal to the present one has no effect.
    ///
    /// # Errors
    ///
    /// - If the value has no form in JSON.
    /// - If the cookie would be longer than 4096 bytes. Then the session stays as it was.
    pub fn insert(&self, name: &str, value: impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value)?;
        if self.state.live.borrow().values.get(name) == Some(&value) {
            return Ok(());
        }
        self.change(name, Some(value)).map(drop)
    }

    /// Removes a value. Returns true if there was one.
    ///
    /// # Errors
    ///
    /// If the system has no random bytes for an id.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::ClientSession;
    /// use waterwheel::http::{Request, Result};
    ///
    /// async fn example(request: &Request<'_>) -> Result<()> {
    ///     let was_there: bool = ClientSession::of(request)?.remove("visits")?;
    ///     println!("{was_there}");
    ///     Ok(())
    /// }
    /// ```
    pub fn remove(&self, name: &str) -> Result<bool> {
        if !self.state.live.borrow().values.contains_key(name) {
            return Ok(false);
        }
        self.change(name, None).map(|()| true)
    }

    /// Gives the session a new id and keeps its values. The old id is no longer valid. Call this at each login and
    /// each change of rights, so that an id that an attacker has planted or seen before gets none.
    ///
    /// A [lifetime](super::Sessions::lifetime) begins again. A request at the same time with the old id loses its
    /// changes. In a cookie there is no id.
    ///
    /// # Errors
    ///
    /// If the system has no random bytes.
    pub fn rotate(&self) -> Result<()> {
        let is_begun = self.state.live.borrow().values.contains_key(BEGUN);
        if is_begun {
            self.change(BEGUN, Some(since_epoch().as_secs().into()))?;
        }
        let mut live = self.state.live.borrow_mut();
        if self.state.settings.sealing.is_some() || live.id.is_none() || live.is_new {
            return Ok(());
        }
        let id = new_id()?;
        self.send_cookie(&id)?;
        live.former_id = live.id.replace(id);
        live.is_new = true;
        Ok(())
    }

    /// Ends the session: removes all values and the cookie, and at the end of the request also the session in the
    /// store. Values that are inserted afterwards are in a new session.
    ///
    /// In a cookie, a copy of the cookie stays valid until its time is over.
    ///
    /// # Errors
    ///
    /// If the field cannot be sent.
    pub fn destroy(&self) -> Result<()> {
        let mut cookie = self.state.cookie(self.request, "");
        cookie.make_removal();
        let name = &self.state.settings.name;
        self.state.vary(self.request)?;
        self.request.replace_cookie(name, &cookie.to_string())?;
        let mut live = self.state.live.borrow_mut();
        let known = live.id.take().filter(|_| !live.is_new);
        let former_id = live.former_id.take().or(known);
        *live = Live {
            former_id,
            ..Live::default()
        };
        Ok(())
    }

    /// Writes the changes to the store now, and not at the end of the request.
    ///
    /// # Errors
    ///
    /// If the store fails.
    ///
    /// # Cancel safety
    ///
    /// If this is dropped, the store may have the changes or not. They are not written again.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::ClientSession;
    /// use waterwheel::http::{Request, Result};
    ///
    /// async fn example(request: &Request<'_>) -> Result<()> {
    ///     let session = ClientSession::of(request)?;
    ///     session.insert("job", 7)?;
    ///     session.save().await?; // before an answer in pieces
    ///     Ok(())
    /// }
    /// ```
    pub async fn save(&self) -> Result<()> {
        self.state.save().await
    }

    pub(super) fn change(&self, name: &str, value: Option<Value>) -> Result<()> {
        let is_unbegun = self.state.settings.lifetime.is_some()
            && name != BEGUN
            && !self.state.live.borrow().values.contains_key(BEGUN);
        if is_unbegun {
            self.change(BEGUN, Some(since_epoch().as_secs().into()))?;
        }
        let mut live = self.state.live.borrow_mut();
        let before = match value.clone() {
            Some(value) => live.values.insert(name.to_owned(), value),
            None => live.values.remove(name),
        };
        if let Err(error) = self.send_change(&mut live) {
            match before {
                Some(before) => live.values.insert(name.to_owned(), before),
                None => live.values.remove(name),
            };
            return Err(error);
        }
        live.changes.insert(name.to_owned(), value);
        Ok(())
    }

    /// Sends the cookie if the change needs one.
    fn send_change(&self, live: &mut Live) -> Result<()> {
        let settings = &self.state.settings;
        if let Some(sealing) = &settings.sealing {
            return self.send_cookie(&sealing.seal(&settings.name, &live.values, settings.timeout));
        }
        if live.id.is_none() {
            let id = new_id()?;
            self.send_cookie(&id)?;
            (live.id, live.is_new) = (Some(id), true);
        }
        Ok(())
    }

    fn send_cookie(&self, value: &str) -> Result<()> {
        self.state.send_cookie(self.request, value)
    }
}

impl RequestSession {
    pub(super) fn new(
        settings: Rc<SessionSettings>,
        store: Rc<impl SessionStore>,
        live: Live,
    ) -> Self {
        Self {
            settings,
            store,
            live: RefCell::new(live),
            varies: Cell::new(false),
        }
    }

    /// Sends a cookie in place of one that has lived for half of its time.
    pub(super) fn renew_if_half_over(&self, request: &Request<'_>) {
        let (settings, live) = (&self.settings, self.live.borrow());
        if let Some(sealing) = settings.sealing.as_ref().filter(|_| live.is_half_over) {
            let sealed = sealing.seal(&settings.name, &live.values, settings.timeout);
            // Other settings than before may make it too long. Then the client keeps the one that it has.
            let _sent = self.send_cookie(request, &sealed);
        }
    }

    /// Tells caches that the answer depends on the cookie.
    fn vary(&self, request: &Request<'_>) -> Result<()> {
        if self.varies.replace(true) {
            return Ok(());
        }
        request.add_header("vary", "cookie")
    }

    pub(super) async fn save(&self) -> Result<()> {
        let is_saved = {
            let live = self.live.borrow();
            live.changes.is_empty() && live.former_id.is_none() && !live.is_new
        };
        if is_saved || self.settings.sealing.is_some() {
            return Ok(());
        }
        self.store.save(self).await
    }

    fn send_cookie(&self, request: &Request<'_>, value: &str) -> Result<()> {
        let field = self.cookie(request, value).to_string();
        if field.len() > COOKIE_BYTES_MAX {
            return Err(Error::message("the session is larger than a cookie"));
        }
        self.vary(request)?;
        request.replace_cookie(&self.settings.name, &field)
    }

    fn cookie(&self, request: &Request<'_>, value: &str) -> Cookie<'static> {
        let settings = &self.settings;
        let secure = settings.secure;
        let secure = secure.unwrap_or_else(|| settings.needs_secure() || is_https(request));
        Cookie::build((settings.name.clone(), value.to_owned()))
            .path("/")
            .http_only(true)
            .same_site(settings.same_site)
            .secure(secure)
            .build()
    }
}

/// The part of a store that sessions need, so that [`ClientSession`] does not name the store's type.
pub(super) trait Saves {
    fn save<'a>(
        &'a self,
        state: &'a RequestSession,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;
}

impl<S: SessionStore> Saves for S {
    fn save<'a>(
        &'a self,
        state: &'a RequestSession,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>> {
        Box::pin(async move {
            let timeout = state.settings.timeout;
            // Everything is taken out first, because no borrow may be alive while the store is polled.
            let (former_id, id, is_new, changes, values) = {
                let mut live = state.live.borrow_mut();
                let is_new = std::mem::take(&mut live.is_new);
                let changes = std::mem::take(&mut live.changes);
                let values = if is_new {
                    live.values.clone()
                } else {
                    Values::new()
                };
                (
                    live.former_id.take(),
                    live.id.clone(),
                    is_new,
                    changes,
                    values,
                )
            };
            if let Some(former_id) = former_id {
                // Another request has destroyed the session: a new id must not bring it back.
                if !self.remove(&former_id).await? && is_new {
                    return Ok(());
                }
            }
            match id {
                Some(id) if is_new => self.create(&id, &values, timeout).await,
                Some(id) => self.update(&id, &changes, timeout).await.map(drop),
                None => Ok(()),
            }
        })
    }
}

/// Returns true if the text can be an id of [`new_id`].
pub(super) fn is_id(text: &str) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 64 && text.bytes().all(is_digit)
}

/// Returns 256 random bits as 64 hexadecimal digits.
fn new_id() -> Result<String> {
    let (mut high, mut low) = ([0; 16], [0; 16]);
    for half in [&mut high, &mut low] {
        getrandom::fill(half).map_err(|error| Error::message(error.to_string()))?;
    }
    let [high, low] = [high, low].map(u128::from_be_bytes);
    Ok(format!("{high:032x}{low:032x}"))
}

/// Leaves id and values out, because they must not appear in a log.
impl fmt::Debug for ClientSession<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.state.live.borrow().values.keys().cloned().collect();
        f.debug_struct("ClientSession")
            .field("names", &names)
            .finish_non_exhaustive()
    }
}
