//! Parameters behind a value: `text/plain; charset="utf-8"` (RFC 9110, 5.6.6).
//!
//! Pure functions: they split the value of a field into names and values.

use std::borrow::Cow;

use crate::headers::white_space::{trim, trim_start};

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    /// As the client sent it. Names are compared in any case.
    pub(super) name: &'a [u8],
    /// Without its quotes, escapes decoded.
    pub(super) value: Cow<'a, [u8]>,
}

/// A parameter without `=` or without its closing quote, or with bytes behind that quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Returns the parameters behind the first value of `field`, up to the first malformed one.
///
/// Within quotes, a backslash escapes a quote and a backslash. Before any other character it is itself,
/// because some senders do not escape the path of a file on Windows.
pub(super) fn parameters(field: &[u8]) -> impl Iterator<Item = Result<Parameter<'_>, Malformed>> {
    let start = semicolon(field);
    let mut rest = &field[start..];
    std::iter::from_fn(move || {
        while let [b';' | b' ' | b'\t', behind @ ..] = rest {
            rest = behind;
        }
        if rest.is_empty() {
            return None;
        }
        let next = parameter(rest);
        rest = next.as_ref().map_or(&[], |(_, behind)| behind);
        Some(next.map(|(parameter, _)| parameter))
    })
}

/// Returns the parameter at the start of `bytes`, and the rest.
fn parameter(bytes: &[u8]) -> Result<(Parameter<'_>, &[u8]), Malformed> {
    let equals = bytes.iter().position(|byte| matches!(byte, b'=' | b';'));
    let equals = equals.filter(|at| bytes[*at] == b'=').ok_or(Malformed)?;
    let name = trim(&bytes[..equals]);
    let behind = trim_start(&bytes[equals + 1..]);
    let (value, rest) = if let [b'"', quoted @ ..] = behind {
        quoted_value(quoted)?
    } else {
        let (value, rest) = behind.split_at(semicolon(behind));
        (Cow::Borrowed(trim(value)), rest)
    };
    Ok((Parameter { name, value }, rest))
}

/// Returns the value before a closing quote, and the rest, which is empty or another parameter.
fn quoted_value(quoted: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Malformed> {
    let mut unescaped = None;
    let mut at = 0;
    loop {
        match &quoted[at..] {
            [] => return Err(Malformed),
            [b'"', ..] => break,
            [b'\\', escaped @ (b'"' | b'\\'), ..] => {
                // Only a value with an escape is copied.
                let value = unescaped.get_or_insert_with(|| quoted[..at].to_vec());
                value.push(*escaped);
                at += 2;
            }
            [byte, ..] => {
                unescaped.iter_mut().for_each(|value| value.push(*byte));
                at += 1;
            }
        }
    }
    let rest = trim(&quoted[at + 1..]);
    if !rest.is_empty() && !rest.starts_with(b";") {
        return Err(Malformed);
    }
    let value = unescaped.map_or(Cow::Borrowed(&quoted[..at]), Cow::Owned);
    Ok((value, rest))
}

/// Returns the position of the first semicolon, or the end.
fn semicolon(bytes: &[u8]) -> usize {
    let found = bytes.iter().position(|byte| *byte == b';');
    found.unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(field: &str, expected: &[(&str, &str)]) {
        let found: Result<Vec<_>, _> = parameters(field.as_bytes()).collect();
        let found = found.expect("none is malformed");
        let seen: Vec<_> = found
            .iter()
            .map(|parameter| {
                let text = |bytes| str::from_utf8(bytes).expect("these are UTF-8");
                (text(parameter.name), text(&*parameter.value))
            })
            .collect();
        assert_eq!(seen, expected, "{field}");
    }

    #[test]
    fn parameters_are_names_and_values() {
        check("text/plain", &[]);
        check("a; b=c", &[("b", "c")]); // RFC 9110, 5.6.6
        check("a;b=c;D=E", &[("b", "c"), ("D", "E")]);
        check("a \t;\tb = c ; d\t=\t\"e\" ", &[("b", "c"), ("d", "e")]);
        check("a;;; b=c;", &[("b", "c")]);
        check("a; b=", &[("b", "")]);
        check("a; b=\"\"", &[("b", "")]);
        check("a; b=c=d", &[("b", "c=d")]);
        check("a; b=c d", &[("b", "c d")]);
        check("a; \u{a0}b=c\u{a0}", &[("\u{a0}b", "c\u{a0}")]);
    }

    #[test]
    fn all_bytes_between_quotes_belong_to_the_value() {
        check("a; b=\"c; d=e\"; f=g", &[("b", "c; d=e"), ("f", "g")]);
        check("a; b=\" c \"", &[("b", " c ")]);
        check(r#"a; b="c\"d"; e=f"#, &[("b", "c\"d"), ("e", "f")]);
        check(r#"a; b="c\\"; e=f"#, &[("b", "c\\"), ("e", "f")]);
        check(r#"a; b="C:\mill\rye.txt""#, &[("b", "C:\\mill\\rye.txt")]);
    }

    #[test]
    fn a_parameter_needs_an_equals_sign_and_both_quotes() {
        for field in [
            "a; b",
            "a; b; c=d",
            "a; b=\"c",
            "a; b=\"",
            "a; b=\"c\"d",
            "a; b=\"c\".html; e=f",
            "a; b=\"c\" d=e",
            r#"a; b="c\""#,
        ] {
            let last = parameters(field.as_bytes()).last();
            assert_eq!(last, Some(Err(Malformed)), "{field}");
        }
    }

    proptest! {
        #[test]
        fn any_quoted_value_is_read_back(value: Vec<u8>, behind in "(; x=y)?") {
            let escaped = value.iter().flat_map(|byte| match byte {
                b'"' | b'\\' => vec![b'\\', *byte],
                _ => vec![*byte],
            });
            let mut field = b"a; b=\"".to_vec();
            field.extend(escaped);
            field.extend_from_slice(b"\"");
            field.extend_from_slice(behind.as_bytes());
            let first = parameters(&field).next();
            let parameter = Parameter { name: b"b", value: value.into() };
            prop_assert_eq!(first, Some(Ok(parameter)));
        }

        #[test]
        fn any_list_of_parameters_ends(field in "[a;= \\t\"\\\\]{0,40}") {
            prop_assert!(parameters(field.as_bytes()).count() <= field.len());
        }
    }
}
