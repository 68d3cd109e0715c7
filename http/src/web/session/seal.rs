//! The settings, and sessions inside a cookie: encrypted or signed, with the time of their end.
//!
//! The `cookie` crate does the cryptography: AES-256-GCM, or HMAC with SHA-256.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, CookieJar, Key, SameSite};
use serde_json::Value;

use super::store::Values;

/// The settings of one middleware.
pub(super) struct SessionSettings {
    pub(super) name: String,
    pub(super) timeout: Duration,
    /// The time after which a session ends however often it is used.
    pub(super) lifetime: Option<Duration>,
    pub(super) same_site: SameSite,
    /// `None`: if the connection has TLS.
    pub(super) secure: Option<bool>,
    /// `None`: the values are in a store.
    pub(super) sealing: Option<Sealing>,
}

/// The keys, and what they do.
pub(super) struct Sealing {
    /// The first key seals. Each of them opens.
    pub(super) keys: Vec<Key>,
    pub(super) is_encrypted: bool,
}

/// An opened session.
pub(super) struct OpenedCookie {
    pub(super) values: Values,
    pub(super) left: Duration,
}

impl Sealing {
    pub(super) fn seal(&self, name: &str, values: &Values, timeout: Duration) -> String {
        let end = since_epoch().saturating_add(timeout).as_secs();
        // The name is inside, because a signature covers only the value, and a cookie could be renamed.
        let text = serde_json::json!([name, end, values]).to_string();
        let cookie = Cookie::new(name.to_owned(), URL_SAFE_NO_PAD.encode(text));
        let mut jar = CookieJar::new();
        if self.is_encrypted {
            jar.private_mut(&self.keys[0]).add(cookie);
        } else {
            jar.signed_mut(&self.keys[0]).add(cookie);
        }
        let sealed = jar.get(name).map(Cookie::value).unwrap_or_default();
        sealed.to_owned()
    }

    /// Returns `None` if no key has sealed it, or its time is over.
    pub(super) fn open(&self, name: &str, sealed: &str) -> Option<OpenedCookie> {
        let cookie = Cookie::new(name.to_owned(), sealed.to_owned());
        let open = |key| {
            if self.is_encrypted {
                CookieJar::new().private(key).decrypt(cookie.clone())
            } else {
                CookieJar::new().signed(key).verify(cookie.clone())
            }
        };
        let cookie = self.keys.iter().find_map(open)?;
        let text = URL_SAFE_NO_PAD.decode(cookie.value()).ok()?;
        let (sealed_name, end, values): (String, u64, Values) =
            serde_json::from_slice(&text).ok()?;
        let left = Duration::from_secs(end).checked_sub(since_epoch())?;
        (sealed_name == name && !left.is_zero()).then_some(OpenedCookie { values, left })
    }
}

/// The name of the value that tells when a session has begun, in seconds of Unix time.
pub(super) const BEGUN: &str = "_begun";

/// Returns true if a session is as old as its lifetime. A session that does not tell its begin has begun before there
/// was a lifetime.
pub(super) fn is_over(values: &Values, lifetime: Duration) -> bool {
    let begun = values.get(BEGUN).and_then(Value::as_u64).unwrap_or(0);
    since_epoch() >= Duration::from_secs(begun).saturating_add(lifetime)
}

/// Returns the Unix time.
pub(super) fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
