"""Python's http.client: http_client.py URL BODY_BYTES_MAX VIA. Fails at the first surprise."""

import sys
from http.client import HTTPConnection

base, limit = sys.argv[1].removeprefix("http://"), int(sys.argv[2])
TOO_LONG = 3 * limit


def pieces(count, size):
    return (b"p" * size for _ in range(count))


def ask(connection, method, target, body=None, headers={}):
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()


def stays_connected(connection):
    connection.connect()
    socket = connection.sock
    for turn in range(20):
        answer, body = ask(connection, "GET", f"/{turn}")
        assert (answer.status, body) == (200, b"")
        assert answer.headers["x-target"] == f"/{turn}"
    assert connection.sock is socket


def posts_with_a_size(connection):
    answer, body = ask(connection, "POST", "/", b"s" * limit)
    assert (answer.status, answer.headers["x-framing"]) == (200, "sized")
    assert body == b"s" * limit


def posts_in_chunks(connection):
    answer, body = ask(connection, "POST", "/", pieces(100, 1000))
    assert (answer.status, answer.headers["x-framing"]) == (200, "chunked")
    assert body == b"p" * 100_000


def asks_for_a_head(connection):
    answer, body = ask(connection, "HEAD", "/big")
    assert (answer.status, body) == (200, b"")
    assert answer.headers["content-length"] == str(8 << 20)


def sees_refusals(connection):
    for body in [b"r" * TOO_LONG, pieces(1000, TOO_LONG // 1000)]:
        try:
            connection.request("POST", "/", body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The answer is there all the same.
        answer = connection.getresponse()
        assert answer.status == 413, answer.status
        answer.read()
        connection.close()


for claim in [
    stays_connected,
    posts_with_a_size,
    posts_in_chunks,
    asks_for_a_head,
    sees_refusals,
    stays_connected,
]:
    connection = HTTPConnection(base, timeout=20)
    claim(connection)
    connection.close()
