//! The decision whether a connection serves another request, or another protocol.
//!
//! [`ConnectionOptions`] collects the members of all Connection fields. They and the version decide
//! (RFC 9112, 9.3):
//!
//! | version | `close` | `keep-alive` | |
//! |---|---|---|---|
//! | any | yes | either | close |
//! | 1.1 | no | either | persist |
//! | 1.0 | no | yes | persist, and say so: its default is to close |
//! | 1.0 | no | no | close |
//!
//! **Always**: only the client's wish and the version count here. The connection adds its own reasons:
//! the server stops, or a body is unread. **Never**: another option that overrules `close`.

use http::Version;

use super::scan::is_word;
use crate::headers::white_space::members;

/// The members of all Connection fields that mean something to us (RFC 9110, 7.6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

/// The fate of a connection after an answer, and the Connection field of that answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It serves the next request. The answer needs no field, because this is the default of its version.
    Persist,
    /// It serves the next request, and `connection: keep-alive` confirms it to HTTP/1.0.
    PersistConfirmed,
    /// It closes, and `connection: close` announces this.
    #[default]
    Close,
}

impl ConnectionOptions {
    /// Adds one Connection field.
    pub(super) fn add(&mut self, value: &[u8]) {
        if is_word(value, b"keep-alive") {
            self.keep_alive = true; // most who send it send no more than that
            return;
        }
        for member in members(value) {
            self.close |= is_word(member, b"close");
            self.keep_alive |= is_word(member, b"keep-alive");
            self.upgrade |= is_word(member, b"upgrade");
        }
    }

    /// Returns the client's wish.
    #[inline]
    pub(crate) fn persistence(self, version: Version) -> Persistence {
        // `close` wins over all else, because a client that sends it may send no more and wait for the end (RFC 9112,
        // 9.6).
        match (self.close, version) {
            (true, _) => Persistence::Close,
            (false, Version::HTTP_11) => Persistence::Persist,
            (false, _) if self.keep_alive => Persistence::PersistConfirmed,
            (false, _) => Persistence::Close,
        }
    }

    /// Returns true if an Upgrade field counts: Connection must name it, and HTTP/1.0 has none
    /// (RFC 9110, 7.8).
    pub(crate) fn allows_upgrade(self, version: Version) -> bool {
        self.upgrade && version == Version::HTTP_11
    }
}

impl Persistence {
    /// Returns true if another request may follow.
    pub(crate) const fn persists(self) -> bool {
        matches!(self, Self::Persist | Self::PersistConfirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Persistence::{Close, Persist, PersistConfirmed};

    fn options(fields: &[&str]) -> ConnectionOptions {
        let mut options = ConnectionOptions::default();
        fields
            .iter()
            .for_each(|value| options.add(value.as_bytes()));
        options
    }

    fn check(fields: &[&str], in_11: Persistence, in_10: Persistence) {
        let options = options(fields);
        assert_eq!(options.persistence(Version::HTTP_11), in_11, "{fields:?}");
        assert_eq!(options.persistence(Version::HTTP_10), in_10, "{fields:?}");
    }

    #[test]
    fn close_in_any_member_of_any_field_wins() {
        // RFC 9112, 9.3 and 9.6
        check(&[], Persist, Close);
        check(&[""], Persist, Close);
        check(&["close"], Close, Close);
        check(&["Close"], Close, Close);
        check(&["closed"], Persist, Close);
        check(&["close;q=1"], Persist, Close);
        check(&["foo, close"], Close, Close);
        check(&["foo,,\tCLOSE\t,"], Close, Close);
        check(&["foo close"], Persist, Close);
        check(&["foo", "close"], Close, Close);
        check(&["keep-alive, close"], Close, Close);
        check(&["close", "keep-alive"], Close, Close);
    }

    #[test]
    fn http_1_0_persists_only_where_it_asks_and_is_told_so() {
        // RFC 9112, 9.3 and C.2.2
        check(&["keep-alive"], Persist, PersistConfirmed);
        check(&["Keep-Alive"], Persist, PersistConfirmed);
        check(&["foo, keep-alive"], Persist, PersistConfirmed);
        check(&["foo", "keep-alive"], Persist, PersistConfirmed);
        check(&["keepalive"], Persist, Close);
        check(&["keep-alive-not"], Persist, Close);
    }

    #[test]
    fn an_upgrade_needs_its_member_and_http_1_1() {
        // RFC 9110, 7.8
        assert!(options(&["keep-alive, Upgrade"]).allows_upgrade(Version::HTTP_11));
        assert!(!options(&["keep-alive, Upgrade"]).allows_upgrade(Version::HTTP_10));
        assert!(!options(&["keep-alive"]).allows_upgrade(Version::HTTP_11));
        assert!(!options(&["upgrades"]).allows_upgrade(Version::HTTP_11));
    }
}
