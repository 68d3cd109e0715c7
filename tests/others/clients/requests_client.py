"""Python's requests: requests_client.py URL BODY_BYTES_MAX VIA. Fails at the first surprise."""

import sys

import requests

base, limit, via = sys.argv[1], int(sys.argv[2]), sys.argv[3]
TOO_LONG = 3 * limit
session = requests.Session()
session.trust_env = False  # No proxy of this machine's stands in between.


def pieces(count, size):
    return (b"p" * size for _ in range(count))


def stays_connected():
    peers = set()
    for turn in range(20):
        answer = session.get(f"{base}/{turn}", timeout=20)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["x-target"] == f"/{turn}"
        peers.add(answer.headers["x-peer"])
    assert via != "Nobody" or len(peers) == 1, peers


def posts_with_a_size():
    answer = session.post(base, data=b"s" * limit, timeout=20)
    assert (answer.status_code, answer.headers["x-framing"]) == (200, "sized")
    assert answer.content == b"s" * limit


def posts_from_a_generator():
    answer = session.post(base, data=pieces(100, 1000), timeout=20)
    assert (answer.status_code, answer.headers["x-framing"]) == (200, "chunked")
    assert answer.content == b"p" * 100_000


def sees_refusals():
    for body in [b"r" * TOO_LONG, pieces(1000, TOO_LONG // 1000)]:
        answer = session.post(base, data=body, timeout=20)
        assert answer.status_code == 413, answer.status_code


for claim in [
    stays_connected,
    posts_with_a_size,
    posts_from_a_generator,
    sees_refusals,
    stays_connected,
]:
    claim()
