//! The environment of a program (RFC 3875, 4.1).

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use http::StatusCode;
use http::uri::Authority;
use waterwheel_runtime::process::Command;

use super::Cgi;
use crate::error::{ClientError, Result};
use crate::exchange::request::Request;
use crate::web::scheme::is_https;
use crate::web::{nested, percent};

/// The fields that have no variable `HTTP_*`, or one without the prefix.
const WITHOUT_VARIABLE: [&str; 11] = [
    "connection",
    "content-length",
    "content-type",
    "keep-alive",
    "proxy",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Cgi {
    /// Returns the command for a request, with its environment.
    ///
    /// # Errors
    ///
    /// 404 if the path is that of another program, and 400 if it is malformed.
    pub(super) fn command(&self, request: &Request<'_>) -> Result<Command> {
        let (script_name, path_info) = self.paths(request)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
        self.set_fields(request, &mut command);
        let connection = request.connection();
        let local = connection.local_address();
        let client = request.client_address().map(|address| address.to_string());
        let client = client.unwrap_or_default();
        let host = request
            .host()
            .and_then(|host| host.parse::<Authority>().ok());
        let host = host.map(|host| host.host().to_owned());
        let name = host.or_else(|| local.map(|address| address.ip().to_string()));
        let is_old = request.version() == http::Version::HTTP_10;
        let protocol = if is_old { "HTTP/1.0" } else { "HTTP/1.1" };
        let variables = [
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            (
                "SERVER_SOFTWARE",
                concat!("waterwheel/", env!("CARGO_PKG_VERSION")),
            ),
            ("SERVER_PROTOCOL", protocol),
            ("SERVER_NAME", name.as_deref().unwrap_or("localhost")),
            ("REQUEST_METHOD", request.method().as_str()),
            ("REQUEST_URI", request.target()),
            ("QUERY_STRING", request.query().unwrap_or_default()),
            ("REMOTE_ADDR", &client),
            ("REMOTE_HOST", &client),
        ];
        for (name, value) in variables {
            command.env(name, value);
        }
        command.env("SCRIPT_NAME", OsStr::from_bytes(&script_name));
        command.env("PATH_INFO", OsStr::from_bytes(&path_info));
        let port = local.map_or(80, |address| address.port());
        command.env("SERVER_PORT", port.to_string());
        if is_https(request) {
            command.env("HTTPS", "on");
        }
        // Last, so that the application has the last word.
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        Ok(command)
    }

    /// Returns the path of the program and the path behind it, both decoded.
    fn paths(&self, request: &Request<'_>) -> Result<(Vec<u8>, Vec<u8>)> {
        let path = nested::path(request);
        let rest = path.strip_prefix(&*self.script_name);
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let rest = rest.ok_or_else(|| ClientError::new(StatusCode::NOT_FOUND, "not found"))?;
        // With the prefixes of outer routers.
        let name = request.path().strip_suffix(rest).unwrap_or_default();
        let decoded = |path| percent::decode(path).filter(|path| is_plain(path));
        let (Some(name), Some(rest)) = (decoded(name), decoded(rest)) else {
            return Err(ClientError::new(StatusCode::BAD_REQUEST, "malformed path").into());
        };
        Ok((name.into_owned(), rest.into_owned()))
    }

    fn set_fields(&self, request: &Request<'_>, command: &mut Command) {
        let mut variables = BTreeMap::<String, Vec<u8>>::new();
        for (name, value) in request.headers().iter() {
            let Some(variable) = self.variable(name) else {
                continue;
            };
            match variables.get_mut(&variable) {
                None => drop(variables.insert(variable, value.to_vec())),
                Some(values) => {
                    // RFC 9110, 5.3; and RFC 6265, 5.4, for cookies.
                    let is_cookie = name.eq_ignore_ascii_case("cookie");
                    values.extend(if is_cookie { b"; " } else { b", " });
                    values.extend(value);
                }
            }
        }
        // The host of an absolute target takes the place of the field's (RFC 9112, 3.2.2).
        if let Some(host) = request.host() {
            variables.insert("HTTP_HOST".to_owned(), host.as_bytes().to_vec());
        }
        for (name, value) in &variables {
            command.env(name, OsStr::from_bytes(value));
        }
        if let Some(content_type) = request.headers().get_bytes("content-type") {
            command.env("CONTENT_TYPE", OsStr::from_bytes(content_type));
        }
    }

    /// Returns the name of a field's variable, if it has one.
    fn variable(&self, name: &str) -> Option<String> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_left_out = WITHOUT_VARIABLE.into_iter().any(is)
            || (is("authorization") && !self.has_authorization)
            || !name.bytes().all(is_plain);
        let variable = || format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
        (!is_left_out).then(variable)
    }
}

/// Returns true if a program may join the path to that of a folder: it has no NUL, and no `.` or `..` as a segment.
fn is_plain(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/');
    !path.contains(&0) && segments.all(|segment| segment != b"." && segment != b"..")
}
