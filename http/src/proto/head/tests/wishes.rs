//! The wishes of a client: the end of the connection, 100 Continue, another protocol.

use super::*;

#[test]
fn persistence_is_read_from_all_connection_fields() {
    check(
        &[
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                Ok("Persist"),
            ),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.1\r\nHost: x\r\nConnection: a, Close\r\n\r\n",
                Ok("Close"),
            ),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.1\r\nHost: x\r\nConnection: a\r\nCONNECTION: close\r\n\r\n",
                Ok("Close"),
            ),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.1\r\nHost: x\r\nConnections: close\r\n\r\n",
                Ok("Persist"),
            ),
            ("RFC 9112, 9.3", b"GET / HTTP/1.0\r\n\r\n", Ok("Close")),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
                Ok("PersistConfirmed"),
            ),
            (
                "RFC 9112, 9.3",
                b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
                Ok("Close"),
            ),
        ],
        persistence,
    );
}

#[test]
fn only_100_continue_is_expected_and_only_with_a_body() {
    check(
        &[
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", Ok("true")),
            ("RFC 9110, 10.1.1", b"PUT / HTTP/1.1\r\nHost: x\r\nexpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n", Ok("true")),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", Ok("false")),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect:\r\nContent-Length: 5\r\n\r\n", Ok("false")),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", Ok("false")),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", Err(Refusal::Expectation)),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue, a\r\n\r\n", Err(Refusal::Expectation)),
            ("RFC 9110, 10.1.1", b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue;a=b\r\n\r\n", Err(Refusal::Expectation)),
        ],
        waiting,
    );
}

#[test]
fn an_upgrade_counts_when_connection_names_it() {
    check(
        &[
            ("RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", Ok("websocket")),
            ("RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n", Ok("a")),
            ("RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n", Ok("-")),
            ("RFC 9110, 7.8", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\r\n", Ok("-")),
            ("RFC 9110, 7.8", b"GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", Ok("-")),
        ],
        upgrade,
    );
}
