//! Cross-origin resource sharing: which pages of other origins may read answers (Fetch standard, 3.2).

use std::fmt;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderName,
    HeaderValue,
};
use http::{HeaderMap, Method, StatusCode};

use crate::error::Result;
use crate::exchange::handler::{Handler, Responded};
use crate::exchange::request::Request;
use crate::web::single::only;

/// Lets pages of other origins read the answers of a handler.
///
/// Without it, a browser shows the answers of this server only to the server's own pages. An answer that is not shown
/// has been made all the same, so this protects no server: see [`csrf`](super::csrf()).
///
/// | a request | gets |
/// |---|---|
/// | of any page, with [`Cors::any`] | the handler's answer, also an error, with `Access-Control-Allow-Origin: *`. So has a request without Origin, because a cache may keep its answer for a page |
/// | without Origin | the handler's answer, and `Vary: Origin` |
/// | of an allowed origin | the handler's answer, also an error, with `Access-Control-Allow-Origin` |
/// | of another origin | the handler's answer without such a field, so the browser withholds it |
/// | a preflight (OPTIONS with Access-Control-Request-Method) | 204, with the fields that allow the request if all of it is allowed. The handler does not see it |
///
/// Put it outside of middleware that asks for credentials: a preflight has none, and a page must see a 401 to act on it.
/// A refusal of the server before there is a handler has no such field, such as a 413 for a length above
/// [`Limits::body_bytes_max`](crate::Limits::body_bytes_max). Browsers report it as an error of CORS.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::Cors;
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// let shared = Cors::of(["https://app.example.org"])
///     .methods([Method::GET, Method::PUT])
///     .headers(["content-type"])
///     .credentials()
///     .max_age(Duration::from_secs(3600))
///     .around(hello);
/// let answer = block_on(async {
///     let page = [("origin", "https://app.example.org")];
///     TestClient::new(shared).request(&Method::GET, "/", &page, b"").await
/// });
/// assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.org");
/// ```
#[derive(Clone)]
#[must_use = "`around` makes a handler of it"]
pub struct Cors {
    origins: AllowedOrigins,
    methods: Vec<Method>,
    /// `None` allows any.
    headers: Option<Vec<HeaderName>>,
    exposed: Vec<HeaderName>,
    has_credentials: bool,
    max_age: Option<Duration>,
    is_private: bool,
}

#[derive(Clone)]
enum AllowedOrigins {
    Any,
    Some(Rc<dyn Fn(&str) -> bool>),
}

impl Cors {
    fn new(origins: AllowedOrigins) -> Self {
        Self {
            origins,
            methods: vec![Method::GET, Method::HEAD, Method::POST],
            headers: Some(Vec::new()),
            exposed: Vec::new(),
            has_credentials: false,
            max_age: None,
            is_private: false,
        }
    }

    /// Allows these origins, such as `https://app.example.org` or `http://localhost:3000`. Behind this,
    /// [`csrf`](fn@super::csrf) still refuses their POST, PUT and DELETE: see [`Csrf::trust`](super::Csrf::trust).
    ///
    /// # Panics
    ///
    /// If a text is not an origin as browsers send it: a scheme, `://`, a host in small letters and perhaps a port, and
    /// no `/` behind them. A browser leaves out the port of the scheme (`:443` of https), and sends a host of other
    /// letters in its form of `xn--`. There are no stars: see [`matching`](Self::matching).
    pub fn of<O: Into<String>>(origins: impl IntoIterator<Item = O>) -> Self {
        let origins: Vec<String> = origins.into_iter().map(Into::into).collect();
        for origin in &origins {
            assert!(
                is_origin(origin),
                "{origin:?} is no origin, such as https://app.example.org"
            );
        }
        Self::matching(move |origin| origins.iter().any(|allowed| allowed == origin))
    }

    /// Allows the origins for which the function returns true.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::middleware::Cors;
    ///
    /// // With the dot, so that `https://notexample.org` is another one.
    /// let ours = Cors::matching(|origin| origin.starts_with("https://") && origin.ends_with(".example.org"));
    /// # drop(ours);
    /// ```
    pub fn matching(is_allowed: impl Fn(&str) -> bool + 'static) -> Self {
        Self::new(AllowedOrigins::Some(Rc::new(is_allowed)))
    }

    /// Allows all pages, also those in files. Cookies stay out of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::middleware::Cors;
    ///
    /// let public = Cors::any().any_header();
    /// # drop(public);
    /// ```
    pub fn any() -> Self {
        Self::new(AllowedOrigins::Any)
    }

    /// Sets the allowed methods. The defaults are GET, HEAD and POST.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        self
    }

    /// Sets the fields that a page may set, beyond those of each form (Accept, Accept-Language, Content-Language, and
    /// Content-Type with the types of forms). The default is an empty list.
    ///
    /// # Panics
    ///
    /// If a name is invalid, or a star: see [`any_header`](Self::any_header).
    pub fn headers<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        let names = named(names);
        assert!(
            names.iter().all(|name| name != "*"),
            "a star is no name of a field: `Cors::any_header` allows all"
        );
        self.headers = Some(names);
        self
    }

    /// Lets a page set any field.
    pub fn any_header(mut self) -> Self {
        self.headers = None;
        self
    }

    /// Sets the fields of an answer that a page may read, beyond the usual ones such as Content-Type.
    ///
    /// # Panics
    ///
    /// If a name is invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::middleware::Cors;
    ///
    /// let paged = Cors::any().expose(["link", "x-total"]);
    /// # drop(paged);
    /// ```
    pub fn expose<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.exposed = named(names);
        self
    }

    /// Lets a page send cookies and client certificates.
    ///
    /// # Panics
    ///
    /// With [`any`](Self::any): the Fetch standard forbids it, because each page could then act as each visitor.
    pub fn credentials(mut self) -> Self {
        assert!(
            matches!(self.origins, AllowedOrigins::Some(_)),
            "credentials for any origin: name the origins with `Cors::of`"
        );
        self.has_credentials = true;
        self
    }

    /// Sets how long a browser keeps the answer of a preflight. Browsers limit it, to 2 hours or a day.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Lets pages of the internet reach this server in a private network or on the visitor's own machine. Some browsers
    /// ask for it in a preflight, by Access-Control-Request-Private-Network (Private Network Access).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::middleware::Cors;
    ///
    /// // A program that listens on the visitor's machine, and a site that talks to it.
    /// let local = Cors::of(["https://app.example.org"]).private_network();
    /// # drop(local);
    /// ```
    pub fn private_network(mut self) -> Self {
        self.is_private = true;
        self
    }

    /// Puts the rules around a handler.
    ///
    /// # Panics
    ///
    /// If a star is [exposed](Self::expose) with [`credentials`](Self::credentials): it is a name then, and allows no
    /// field.
    pub fn around(self, handler: impl Handler) -> impl Handler {
        assert!(
            !self.has_credentials || self.exposed.iter().all(|name| name != "*"),
            "a star is exposed with credentials: name the fields"
        );
        async move |request: Request<'_>| {
            let preflight = request.headers().get("access-control-request-method");
            match preflight.filter(|_| *request.method() == Method::OPTIONS) {
                Some(method) => {
                    let answer = self.preflight(&request, method);
                    request.respond(StatusCode::NO_CONTENT, "", answer).await
                }
                None => self.pass(request, &handler).await,
            }
        }
    }

    async fn pass(&self, request: Request<'_>, handler: &impl Handler) -> Result<Responded> {
        if let AllowedOrigins::Some(_) = self.origins {
            request.add_header("vary", "origin")?;
        }
        if let Some(origin) = self.allowed(&request) {
            request.add_header(ACCESS_CONTROL_ALLOW_ORIGIN, origin)?;
            if self.has_credentials {
                request.add_header(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true")?;
            }
            if !self.exposed.is_empty() {
                request.add_header(ACCESS_CONTROL_EXPOSE_HEADERS, list(&self.exposed))?;
            }
        }
        handler.call(request).await
    }

    /// Returns the value that allows the origin of this request, if it is allowed.
    fn allowed<'c>(&self, request: &Request<'c>) -> Option<&'c str> {
        match &self.origins {
            AllowedOrigins::Any => Some("*"),
            AllowedOrigins::Some(is_allowed) => {
                let origin = str::from_utf8(only(request.headers(), "origin")?).ok()?;
                is_allowed(origin).then_some(origin)
            }
        }
    }

    /// Returns the fields of the answer to a preflight. Without the fields that allow it, the browser sends no request.
    fn preflight(&self, request: &Request<'_>, method: &str) -> HeaderMap {
        let mut answer = HeaderMap::new();
        let vary = "origin, access-control-request-method, access-control-request-headers, \
            access-control-request-private-network";
        answer.insert("vary", HeaderValue::from_static(vary));
        // A browser sends one list, and a proxy may split it.
        let lists = request.headers().get_all("access-control-request-headers");
        let asked =
            String::from_utf8_lossy(&lists.collect::<Vec<_>>().join(&b", "[..])).into_owned();
        let is_allowed = |name: &str| match &self.headers {
            None => true,
            Some(headers) => headers
                .iter()
                .any(|header| name.eq_ignore_ascii_case(header.as_str())),
        };
        let mut names = asked
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let Some(origin) = self.allowed(request) else {
            return answer;
        };
        if !self
            .methods
            .iter()
            .any(|allowed| allowed.as_str() == method)
            || !names.all(is_allowed)
        {
            return answer;
        }
        let mut insert = |name: HeaderName, value: &str| {
            // The values are of this server, or have been compared with such.
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.insert(name, value);
            }
        };
        insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        insert(ACCESS_CONTROL_ALLOW_METHODS, &list(&self.methods));
        if !asked.is_empty() {
            insert(ACCESS_CONTROL_ALLOW_HEADERS, &asked);
        }
        if self.has_credentials {
            insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        if self.is_private
            && request
                .headers()
                .contains("access-control-request-private-network")
        {
            let name = HeaderName::from_static("access-control-allow-private-network");
            insert(name, "true");
        }
        if let Some(age) = self.max_age {
            insert(ACCESS_CONTROL_MAX_AGE, &age.as_secs().to_string());
        }
        answer
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cors")
            .field("methods", &self.methods)
            .field("headers", &self.headers)
            .field("has_credentials", &self.has_credentials)
            .finish_non_exhaustive()
    }
}

/// Returns true for the form in which browsers send an origin (RFC 6454, 6.2). A text of another form would match none
/// of them.
pub(super) fn is_origin(text: &str) -> bool {
    let Some((scheme, place)) = text.split_once("://") else {
        return false;
    };
    let is_small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| is_small(byte) || b"+-.".contains(&byte));
    let bracketed = place
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    let (is_host, port) = if let Some((address, port)) = bracketed {
        (address.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        let (host, port) = place.split_at(place.find(':').unwrap_or(place.len()));
        let is_host = |byte| is_small(byte) || b"-._".contains(&byte);
        (!host.is_empty() && host.bytes().all(is_host), port)
    };
    // A browser leaves out the port of the scheme.
    let is_usual = matches!((scheme, port), ("https", ":443") | ("http", ":80"));
    let number = port.strip_prefix(':').and_then(|port| port.parse().ok());
    let is_number = number.is_some_and(|number: u16| number > 0 && format!(":{number}") == port);
    is_scheme && is_host && (port.is_empty() || is_number && !is_usual)
}

fn named<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<HeaderName> {
    let parse = |name: &str| match HeaderName::try_from(name) {
        Ok(name) => name,
        Err(error) => panic!("the field name {name:?}: {error}"),
    };
    names.into_iter().map(parse).collect()
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    names
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(", ")
}
