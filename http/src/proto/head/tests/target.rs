//! The target: its forms and its bytes.

use super::*;

#[test]
fn a_target_is_taken_apart_by_its_form() {
    check(
        &[
            (
                "RFC 9112, 3.2.1",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin / - x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a/b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a/b - x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a ?b=c x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a? HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a ? x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a?b?c HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a ?b?c x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /?/a/b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin / ?/a/b x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET //a HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin //a - x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET /a:b@c HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin /a:b@c - x"),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET ?a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.1",
                b"GET x/a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute /a - y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y/a HTTP/1.1\r\n\r\n",
                Err(Refusal::HostMissing),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y/a HTTP/1.0\r\n\r\n",
                Ok("Absolute /a - y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET HTTPS://y:1/a?b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute /a ?b y:1"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute / - y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y?b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute / ?b y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://y?/b HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute / ?/b y"),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http://[::1]:8/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Absolute / - [::1]:8"),
            ),
            (
                "RFC 9110, 4.2.1",
                b"GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 4.2.1",
                b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 4.2.1",
                b"GET http://?a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 4.2.1",
                b"GET http://:80/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 4.2.4",
                b"GET http://u@y/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 3986, 3.2.3",
                b"GET http://y:z/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http:/y/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET http?://y HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.2",
                b"GET ftp://y/ HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT y:443 HTTP/1.1\r\nHost: y\r\n\r\n",
                Ok("Authority  - y:443"),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT [::1]:443 HTTP/1.1\r\nHost: y\r\n\r\n",
                Ok("Authority  - [::1]:443"),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT y HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT y: HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT y:0 HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9110, 9.3.6",
                b"CONNECT y:65536 HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT / HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT http://y:1/ HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"CONNECT y:1?a HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.3",
                b"GET y:443 HTTP/1.1\r\nHost: y\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.4",
                b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Asterisk * - x"),
            ),
            (
                "RFC 9112, 3.2.4",
                b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Origin / - x"),
            ),
            (
                "RFC 9112, 3.2.4",
                b"OPTIONS ** HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.4",
                b"OPTIONS *?a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.4",
                b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
            (
                "RFC 9112, 3.2.4",
                b"options * HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::TargetForm),
            ),
        ],
        parts,
    );
}

#[test]
fn a_target_is_visible_ascii_without_fragment() {
    check(
        &[
            (
                "RFC 3986, 2.1",
                b"GET /%20%2f?%00 HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET /%20%2f?%00 HTTP/1.1"),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /-._~!$&'()*+,;=:@ HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET /-._~!$&'()*+,;=:@ HTTP/1.1"),
            ),
            (
                "what browsers send",
                b"GET /[a]|^?{b}|`\\ HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("GET /[a]|^?{b}|`\\ HTTP/1.1"),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /?a#b HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET http://x/#a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /\\a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /{a} HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /<a> HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.4",
                b"GET /?<a> HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 3986, 3.3",
                b"GET /\"a HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /?\xff HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /?\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::ControlByte),
            ),
            (
                "RFC 9112, 3.2",
                b"GET /\r HTTP/1.1\r\nHost: x\r\n\r\n",
                Err(Refusal::Target),
            ),
            (
                "refused when it arrives",
                b"GET /\x00",
                Err(Refusal::ControlByte),
            ),
            ("refused when it arrives", b"GET /a#", Err(Refusal::Target)),
        ],
        line,
    );
}
