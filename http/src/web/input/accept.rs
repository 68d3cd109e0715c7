//! Content negotiation: the offer that a client prefers (RFC 9110, 12).

use std::cmp::Reverse;

use http::StatusCode;

use crate::error::ClientError;
use crate::exchange::request::Request;
use crate::headers::white_space::trim_text;
use crate::web::weight::Weight;

/// Returns the offered media type that the client prefers by its Accept field.
///
/// Returns the first of several that it prefers equally, and the first of all if the field is absent. Send
/// `Vary: Accept` with the answer, so that caches keep the types apart (RFC 9110, 12.5.5).
///
/// ```
/// use waterwheel::http::web::input;
/// use waterwheel::http::web::response::Response;
/// use waterwheel::http::{Request, Result};
///
/// async fn grain(request: &Request<'_>) -> Result<Response> {
///     let response = match input::negotiate(request, &["text/html", "application/json"])? {
///         "application/json" => Response::data("application/json", r#"{"grains":7}"#),
///         _ => Response::html("<p>7 grains"),
///     };
///     Ok(response.with_header("vary", "accept"))
/// }
/// ```
///
/// # Errors
///
/// 406 if the client accepts no offer. [`preferred`] returns `None` instead.
#[doc(alias = "accept")]
pub fn negotiate<'o>(request: &Request<'_>, offers: &[&'o str]) -> Result<&'o str, ClientError> {
    let fields = request.headers().get_all("accept");
    let fields: Vec<_> = fields.map(String::from_utf8_lossy).collect();
    let field = if fields.is_empty() {
        "*/*".to_owned()
    } else {
        fields.join(",")
    };
    preferred(&field, offers)
        .map(|at| offers[at])
        .ok_or_else(|| {
            let text = format!("available as {}", offers.join(", "));
            ClientError::new(StatusCode::NOT_ACCEPTABLE, text)
        })
}

/// Returns the position of the offer that a list prefers: the value of Accept, Accept-Language or
/// Accept-Encoding. Returns `None` if it accepts no offer.
///
/// An entry counts for all offers that it matches (`text/*`, `*/*`, `*`; `en` for `en-GB`). The longest
/// matching entry decides, so `text/*, text/html;q=0` accepts any text but HTML.
///
/// ```
/// use waterwheel::http::web::input;
///
/// let offers = ["en", "de"];
/// assert_eq!(input::preferred("de, en;q=0.5", &offers), Some(1));
/// assert_eq!(input::preferred("fr", &offers), None);
/// ```
#[doc(alias = "priority_header_preferred")]
pub fn preferred(field: &str, offers: &[&str]) -> Option<usize> {
    let weighed = offers.iter().map(|offer| weight(field, offer)).enumerate();
    let accepted = weighed.filter(|(_, weight)| *weight > 0);
    // `max_by_key` returns the last of equals, so positions count in reverse.
    let best = accepted.max_by_key(|(at, weight)| (*weight, Reverse(*at)));
    best.map(|(at, _)| at)
}

/// Returns the entries of such a list with their weights, from 0 to 1 (RFC 9110, 12.4.2). A malformed weight
/// counts as 1.
///
/// ```
/// use waterwheel::http::web::input;
///
/// let listed: Vec<_> = input::priorities("text/html, */*;q=0.5").collect();
/// assert_eq!(listed, [("text/html", 1.0), ("*/*", 0.5)]);
/// ```
#[doc(alias = "parse_priority_header")]
pub fn priorities(field: &str) -> impl Iterator<Item = (&str, f32)> {
    entries(field).map(|(range, thousandths)| (range, f32::from(thousandths) / 1000.0))
}

/// Returns the entries with their weights in thousandths.
fn entries(field: &str) -> impl Iterator<Item = (&str, u16)> {
    let entries = field.split(',').map(trim_text);
    entries.filter(|entry| !entry.is_empty()).map(|entry| {
        let (range, parameters) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = match Weight::parse(parameters.as_bytes()) {
            Weight::Given(thousandths) => thousandths,
            Weight::Absent | Weight::Malformed => 1000,
        };
        (trim_text(range), weight)
    })
}

/// Returns the weight of the entry that matches an offer most closely, and 0 if no entry matches.
fn weight(field: &str, offer: &str) -> u16 {
    let matching = entries(field).filter_map(|(range, weight)| {
        let closeness = closeness(range, offer)?;
        Some((closeness, weight))
    });
    matching.max().map_or(0, |(_, weight)| weight)
}

/// Returns how closely a range matches an offer, or `None` if it does not match.
fn closeness(range: &str, offer: &str) -> Option<usize> {
    let starts = |with: &str| {
        let start = offer.get(..with.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    match range {
        "*" | "*/*" => Some(0),
        _ if range.eq_ignore_ascii_case(offer) => Some(range.len() + 1),
        _ if range.ends_with("/*") => starts(&range[..range.len() - 1]).then_some(range.len()),
        _ => (starts(range) && offer[range.len()..].starts_with('-')).then_some(range.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(field: &str, offers: &[&str], expected: Option<usize>) {
        assert_eq!(preferred(field, offers), expected, "{field:?}");
    }

    #[test]
    fn the_preferred_offer_is_found() {
        let offers = ["text/html", "application/json", "text/plain"];
        check("application/json", &offers, Some(1));
        check("*/*", &offers, Some(0));
        check("text/*;q=0.5, application/json;q=0.4", &offers, Some(0));
        check("text/*, text/html;q=0", &offers, Some(2));
        check("*/*, text/html;q=0.1", &offers, Some(1));
        check("TEXT/PLAIN", &offers, Some(2));
        check("image/png", &offers, None);
        check("*/*;q=0", &offers, None);
        check("", &offers, None);
        check("*/*", &[], None);
    }

    #[test]
    fn languages_and_codings_are_negotiated_in_the_same_way() {
        check("de, en;q=0.5", &["en-GB", "de-AT"], Some(1)); // RFC 4647, 3.3.1
        check("en-US", &["en"], None);
        check("br;q=0.9, gzip", &["br", "gzip"], Some(1));
        check("*, br;q=0", &["br", "gzip"], Some(1));
    }

    proptest::proptest! {
        #[test]
        fn the_choice_from_any_list_is_one_of_the_offers(
            field in "[a-c*/;,=q.0-9é \\-]{0,40}",
            offers in proptest::collection::vec("[a-cé/\\-]{0,6}", 0..4),
        ) {
            let offers: Vec<&str> = offers.iter().map(String::as_str).collect();
            if let Some(at) = preferred(&field, &offers) {
                proptest::prop_assert!(weight(&field, offers[at]) > 0);
            }
            for (_, weight) in priorities(&field) {
                proptest::prop_assert!((0.0..=1.0).contains(&weight));
            }
        }
    }

    #[test]
    fn a_malformed_weight_counts_as_one() {
        for weight in [
            "1.5", "x", "NaN", "inf", "-1", "-0.5", "+0.5", "5e-1", "0x0", "", ".",
        ] {
            let field = format!("a;q={weight}");
            assert_eq!(
                priorities(&field).collect::<Vec<_>>(),
                [("a", 1.0)],
                "{weight}"
            );
        }
        let seen: Vec<_> = priorities("d;level=1;q=0.25, ,e;q=.2").collect();
        assert_eq!(seen, [("d", 0.25), ("e", 0.2)]);
    }

    #[test]
    fn only_space_and_tab_are_stripped_from_an_entry() {
        for white in ["\u{a0}", "\u{2003}", "\u{3000}"] {
            let field = format!("{white}de{white}, en;q=0.5");
            check(&field, &["de", "en"], Some(1));
            check(&format!("de;{white}q=0, en;q=0.5"), &["de", "en"], Some(0));
        }
        check("\tde \t; \tq\t=\t0 , en", &["de", "en"], Some(1));
    }
}
