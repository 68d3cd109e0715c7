//! Decides if a request may see the page.
//!
//! # How it works
//!
//! Three checks, in this order:
//!
//! | check | refuses |
//! |---|---|
//! | `Host` is `localhost` or an IP address | a site whose name was pointed at this machine (DNS rebinding) |
//! | `Origin`, if there is one, is that of the page | a script of another site |
//! | the token is right | all who have not seen the URL |
//!
//! # Invariants
//!
//! - Always: the comparison of the token takes the same time for all wrong tokens of the right length.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

/// The facts of a request that decide.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claim<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
    pub(super) token: Option<&'a str>,
}

/// The secret in the URL of the page.
#[derive(Clone, Debug)]
pub(super) struct PageToken(String);

impl PageToken {
    /// Makes a token that cannot be predicted.
    pub(super) fn random() -> Self {
        Self(random_text())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the reason to refuse a request, in words for its sender.
    pub(super) fn refusal(&self, claim: Claim<'_>) -> Option<&'static str> {
        let Some(host) = claim.host.filter(|host| is_address(host)) else {
            return Some("open this page by an IP address or as localhost\n");
        };
        let is_own = |origin: &str| origin.strip_prefix("http://") == Some(host);
        if !claim.origin.is_none_or(is_own) {
            return Some("the pages of another site may not ask\n");
        }
        // Each byte counts, so that the time tells nothing about the first wrong one.
        let difference = |token: &str| {
            let pairs = self.0.bytes().zip(token.bytes());
            pairs.fold(0, |sum, (own, other)| sum | (own ^ other))
        };
        let is_right = |token: &str| token.len() == self.0.len() && difference(token) == 0;
        if !claim.token.is_some_and(is_right) {
            return Some(
                "the token is missing or wrong: open the URL that the program has printed\n",
            );
        }
        None
    }
}

/// Returns 32 hexadecimal digits that cannot be predicted.
pub(super) fn random_text() -> String {
    // The keys are from the system's random numbers, and the hash does not reveal them.
    let secrets = [RandomState::new(), RandomState::new()];
    let [high, low] = secrets.map(|secret| secret.hash_one(0_u8));
    format!("{high:016x}{low:016x}")
}

/// Returns true if the host is `localhost` or an IP address, with or without a port. No other site can have such a
/// name.
fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let in_brackets = |name: &str| Some(name.strip_prefix('[')?.strip_suffix(']')?.to_owned());
    let address = in_brackets(name).unwrap_or_else(|| name.to_owned());
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "127.0.0.1:6669";

    #[track_caller]
    fn check(host: &str, origin: Option<&str>, token: &str, is_allowed: bool) {
        let claim = Claim {
            host: Some(host),
            origin,
            token: Some(token),
        };
        let refusal = PageToken("5ec7e7".to_owned()).refusal(claim);
        assert_eq!(refusal.is_none(), is_allowed, "{claim:?}: {refusal:?}");
    }

    #[test]
    fn the_name_of_another_site_is_refused() {
        for host in [
            "127.0.0.1:6669",
            "127.0.0.1",
            "localhost:80",
            "LOCALHOST",
            "[::1]:6669",
            "[::1]",
            "192.168.1.7:1",
        ] {
            check(host, None, "5ec7e7", true);
        }
        for host in [
            "evil.example:6669",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "127.0.0.1:6669:evil",
        ] {
            check(host, None, "5ec7e7", false);
        }
        let token = PageToken("5ec7e7".to_owned());
        let claim = Claim {
            token: Some("5ec7e7"),
            ..Claim::default()
        };
        assert!(token.refusal(claim).is_some());
    }

    #[test]
    fn a_script_of_another_site_is_refused() {
        check(OWN, Some("http://127.0.0.1:6669"), "5ec7e7", true);
        for origin in [
            "http://127.0.0.1:8080",
            "http://localhost:6669",
            "https://127.0.0.1:6669",
            "null",
            "",
        ] {
            check(OWN, Some(origin), "5ec7e7", false);
        }
    }

    #[test]
    fn only_the_right_token_is_accepted() {
        for token in ["", "5", "5ec7e", "5ec7e70", "5ec7e8", "6ec7e7"] {
            check(OWN, None, token, false);
        }
        let claim = Claim {
            host: Some(OWN),
            ..Claim::default()
        };
        assert!(PageToken("5ec7e7".to_owned()).refusal(claim).is_some());
        // An empty secret would let everybody in.
        assert_eq!(PageToken::random().as_str().len(), 32);
        assert_ne!(PageToken::random().as_str(), PageToken::random().as_str());
    }
}
