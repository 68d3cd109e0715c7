//! Challenges of WWW-Authenticate (RFC 9110, 11.6.1).

/// Returns a quoted string (RFC 9110, 5.6.4) of the printable ASCII characters.
pub(super) fn quoted(text: &str) -> String {
    let kept = text.chars().filter(|c| *c == ' ' || c.is_ascii_graphic());
    let escaped: String = kept
        .flat_map(|c| {
            matches!(c, '"' | '\\')
                .then_some('\\')
                .into_iter()
                .chain([c])
        })
        .collect();
    format!("\"{escaped}\"")
}

/// Returns the challenge for a name and a password (RFC 7617, 2).
pub(super) fn basic(realm: &str) -> String {
    format!("Basic realm={}, charset=\"UTF-8\"", quoted(realm))
}
