//! Patterns of paths, as they are written and as they are looked up.
//!
//! ```text
//! written     /users/{id}/files/{*path}      for errors and logs
//! key         /users/{0}/files/{*1}          names are numbers, so patterns that match the same paths are equal
//! names       id, path
//! ```

use std::fmt;
use std::panic::Location;

use http::Method;

/// The reason why a route cannot be added.
///
/// ```
/// use waterwheel::http::Method;
/// use waterwheel::http::web::routes::{RouteError, Router};
///
/// fn sacks() -> Result<Router, RouteError> {
///     Router::new().try_route(Method::GET, "/sacks/{n}", async |_: &waterwheel::http::Request<'_>, n: u8| n.to_string())
/// }
/// assert!(sacks().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    pub(super) pattern: String,
    pub(super) reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    NoSlash,
    Character(char),
    Brace,
    Name,
    NameRepeated(String),
    CatchAllNotLast,
    CatchAllNotAlone,
    TwoInOneSegment,
    Conflict(String),
    Arguments {
        handler: usize,
        pattern: usize,
    },
    Duplicate {
        method: Option<Method>,
        first: String,
        first_place: &'static Location<'static>,
        place: &'static Location<'static>,
    },
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the route `{}`: ", self.pattern)?;
        match &self.reason {
            Reason::NoSlash => f.write_str("a pattern begins with a slash"),
            Reason::Character(c) => write!(f, "a path cannot contain {c:?}"),
            Reason::Brace => f.write_str("a brace has no partner; write a literal brace twice"),
            Reason::Name => {
                f.write_str("the name of a parameter has letters, digits and underscores")
            }
            Reason::NameRepeated(name) => write!(f, "two parameters have the name `{name}`"),
            Reason::CatchAllNotLast => f.write_str("`{*…}` must be the last segment"),
            Reason::CatchAllNotAlone => f.write_str("`{*…}` must be a segment of its own"),
            Reason::TwoInOneSegment => f.write_str("a segment has at most one parameter"),
            Reason::Conflict(other) => write!(f, "it conflicts with `{other}`"),
            Reason::Arguments { handler, pattern } => write!(
                f,
                "its handler takes {handler} parameters, the pattern has {pattern}"
            ),
            Reason::Duplicate {
                method,
                first,
                first_place,
                place,
            } => {
                let method = method.as_ref().map_or("each method", Method::as_str);
                write!(
                    f,
                    "{method} is answered already by `{first}`, added at {first_place}; this one, added at \
                     {place}, would get no request"
                )
            }
        }
    }
}

impl std::error::Error for RouteError {}

/// A valid pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) key: String,
    pub(super) names: Vec<Box<str>>,
    /// True if the last parameter matches several segments.
    pub(super) catches_all: bool,
    /// The number of segments of the prefix, if the pattern leads to a handler that reads the rest by itself.
    pub(super) nested: Option<usize>,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, RouteError> {
        let mut pattern = Self {
            text: text.to_owned(),
            key: String::new(),
            names: Vec::new(),
            catches_all: false,
            nested: None,
        };
        match pattern.read() {
            Ok(()) => Ok(pattern),
            Err(reason) => Err(RouteError {
                pattern: pattern.text,
                reason,
            }),
        }
    }

    /// Appends `text` to `prefix`: `/` below `/api` is `/api`.
    pub(super) fn join(prefix: &str, text: &str) -> String {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        match text {
            "/" if !prefix.is_empty() => prefix.to_owned(),
            _ => format!("{prefix}{text}"),
        }
    }

    /// Returns the patterns of a prefix itself, and of all paths below it, for a handler that reads the path below
    /// the prefix by itself.
    pub(super) fn at_and_below(prefix: &str) -> Result<Vec<Self>, RouteError> {
        let prefix = prefix.trim_end_matches('/');
        let mut rests = ["", "/", "/{*nested_path}"].as_slice();
        if prefix.is_empty() {
            rests = &rests[1..]; // no path is empty
        }
        let parse = |rest: &&str| {
            let pattern = Self::parse(&format!("{prefix}{rest}"))?;
            Ok(Self {
                // The handler decodes the path, so it may tell a slash that is escaped from others.
                catches_all: false,
                nested: Some(segments(prefix)),
                ..pattern
            })
        };
        rests.iter().map(parse).collect()
    }

    /// Returns this pattern below a prefix.
    pub(super) fn below(&self, prefix: &str) -> Result<Self, RouteError> {
        let pattern = Self::parse(&Self::join(prefix, &self.text))?;
        Ok(Self {
            catches_all: self.catches_all,
            nested: self.nested.map(|inner| segments(prefix) + inner),
            ..pattern
        })
    }

    fn read(&mut self) -> Result<(), Reason> {
        let text = self.text.clone();
        let segments = text.strip_prefix('/').ok_or(Reason::NoSlash)?;
        for segment in segments.split('/') {
            if self.catches_all {
                return Err(Reason::CatchAllNotLast);
            }
            self.key.push('/');
            self.read_segment(segment)?;
        }
        Ok(())
    }

    fn read_segment(&mut self, segment: &str) -> Result<(), Reason> {
        let names_before = self.names.len();
        let mut rest = segment;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '{' | '}' if rest.starts_with(c) => {
                    self.key.extend([c, c]);
                    rest = &rest[1..];
                }
                '{' => {
                    let (parameter, behind) = rest.split_once('}').ok_or(Reason::Brace)?;
                    if self.names.len() > names_before {
                        return Err(Reason::TwoInOneSegment);
                    }
                    self.read_parameter(parameter)?;
                    rest = behind;
                }
                '}' => return Err(Reason::Brace),
                '?' | '#' => return Err(Reason::Character(c)),
                _ if c.is_control() => return Err(Reason::Character(c)),
                '%' => self.key.push_str("%25"), // as in a path that has been unescaped
                _ => self.key.push(c),
            }
        }
        // matchit accepts a catch-all only behind a slash.
        let is_alone = segment.starts_with("{*") && segment.ends_with('}');
        if self.catches_all && !is_alone {
            return Err(Reason::CatchAllNotAlone);
        }
        Ok(())
    }

    fn read_parameter(&mut self, parameter: &str) -> Result<(), Reason> {
        let name = parameter.strip_prefix('*').unwrap_or(parameter);
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(Reason::Name);
        }
        if self.names.iter().any(|known| **known == *name) {
            return Err(Reason::NameRepeated(name.to_owned()));
        }
        self.catches_all = parameter.starts_with('*');
        let star = if self.catches_all { "*" } else { "" };
        let number = self.names.len().to_string();
        self.key.extend(["{", star, &number, "}"]);
        self.names.push(name.into());
        Ok(())
    }
}

/// Returns the number of segments of a prefix.
fn segments(prefix: &str) -> usize {
    prefix.trim_end_matches('/').matches('/').count()
}

/// A prefix, which knows the paths at and below it.
#[derive(Clone)]
pub(super) struct Prefix {
    pub(super) text: String,
    /// The number of its segments.
    pub(super) segments: usize,
    // Looked up like a route, so that a prefix with parameters has the paths of its routes.
    paths: matchit::Router<()>,
}

impl Prefix {
    /// Returns the prefix of all paths.
    pub(super) fn root() -> Self {
        Self {
            text: "/".to_owned(),
            segments: 0,
            paths: matchit::Router::new(),
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, RouteError> {
        let mut paths = matchit::Router::new();
        for pattern in Pattern::at_and_below(text)? {
            let inserted = paths.insert(pattern.key, ());
            inserted.map_err(|error| RouteError {
                pattern: pattern.text,
                reason: Reason::Conflict(error.to_string()),
            })?;
        }
        Ok(Self {
            text: text.to_owned(),
            segments: segments(text),
            paths,
        })
    }

    /// Returns true if a path of [`path::unescape`](super::path::unescape) is this prefix or lies below it.
    pub(super) fn has(&self, path: &str) -> bool {
        self.segments == 0 || self.paths.at(path).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, key: &str, names: &[&str]) {
        let pattern = Pattern::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(pattern.key, key);
        let found: Vec<&str> = pattern.names.iter().map(|name| &**name).collect();
        assert_eq!(found, names);
    }

    fn check_bad(text: &str, reason: &Reason) {
        let error = Pattern::parse(text).expect_err(text);
        assert_eq!(error.reason, *reason, "{text}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("the route `{text}`: "))
        );
    }

    #[test]
    fn patterns_of_one_shape_have_one_key() {
        check("/", "/", &[]);
        check("/a/b", "/a/b", &[]);
        check("/a/", "/a/", &[]);
        check("/users/{id}", "/users/{0}", &["id"]);
        check("/{a}/x/{b_2}", "/{0}/x/{1}", &["a", "b_2"]);
        check("/pic-{n}.png", "/pic-{0}.png", &["n"]);
        check("/{*rest}", "/{*0}", &["rest"]);
        check("/a.b+c", "/a.b+c", &[]);
        check("/{{a}}", "/{{a}}", &[]);
        check("/100%", "/100%25", &[]);
        check("/ä b", "/ä b", &[]);
    }

    #[test]
    fn an_invalid_pattern_has_a_reason() {
        check_bad("", &Reason::NoSlash);
        check_bad("a", &Reason::NoSlash);
        check_bad("/a?b", &Reason::Character('?'));
        check_bad("/a#b", &Reason::Character('#'));
        check_bad("/a\n", &Reason::Character('\n'));
        check_bad("/{a", &Reason::Brace);
        check_bad("/a}", &Reason::Brace);
        check_bad("/{}", &Reason::Name);
        check_bad("/{*}", &Reason::Name);
        check_bad("/{a-b}", &Reason::Name);
        check_bad("/{a}/{a}", &Reason::NameRepeated("a".into()));
        check_bad("/{*a}/b", &Reason::CatchAllNotLast);
        check_bad("/{*a}/", &Reason::CatchAllNotLast);
        check_bad("/x{*a}", &Reason::CatchAllNotAlone);
        check_bad("/{a}{b}", &Reason::TwoInOneSegment);
    }

    #[test]
    fn a_prefix_is_joined_and_recognized() {
        assert_eq!(Pattern::join("/api", "/users"), "/api/users");
        assert_eq!(Pattern::join("/api/", "/users"), "/api/users");
        assert_eq!(Pattern::join("/api", "/"), "/api");
        assert_eq!(Pattern::join("/", "/"), "/");
        assert_eq!(Pattern::join("/", "/a"), "/a");
        let is_below = |path, prefix| Prefix::parse(prefix).is_ok_and(|prefix| prefix.has(path));
        assert!(is_below("/api", "/api") && is_below("/api/x/y", "/api"));
        assert!(is_below("/api/", "/api") && is_below("/api//x", "/api/"));
        assert!(!is_below("/apis", "/api") && !is_below("/", "/api"));
        assert!(is_below("/a/7/x", "/a/{id}") && !is_below("/a/", "/a/{id}"));
        assert!(is_below("/v7/x", "/v{n}") && !is_below("/w7/x", "/v{n}"));
        assert!(is_below("/x", "/") && is_below("/", "/"));
    }
}
