#!/usr/bin/env python3
"""CPU time per request of HTTP clients: Waterwheel's, hyper-util's and ureq.

    cargo build --release --manifest-path benches/compare/Cargo.toml -p clients
    benches/compare/clients.py benches/compare/target/release/clients [ROUNDS] [REQUESTS]

Each client runs as one process on core 0, and the server (nginx) on core 1. The clients have their turns in
alternation, each turn in a fresh process that is warmed up first. ureq blocks, so it has one connection only.
"""

import os
import shutil
import statistics
import subprocess
import sys

import proxy

SHAPES = {"GET 13 B": ("small", 13, 0, 1), "GET 64 KiB": ("large", 65536, 0, 4), "POST 1 KiB": ("small", 13, 1024, 1)}


def server():
    with open(os.path.join(proxy.FOLDER, "large"), "wb") as file:
        file.write(b"x" * 65536)
    small = 'location = /small { return 200 "Hello, World!"; }'
    large = f"location = /large {{ root {proxy.FOLDER}; open_file_cache max=10; }}"
    return proxy.nginx("server", f"server {{ listen 127.0.0.1:{proxy.SERVER_PORT}; {small} {large} }}")


def main():
    program = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    requests = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    costs = {}
    behind = proxy.start(server(), 1, proxy.SERVER_PORT)
    try:
        for _ in range(rounds):
            for shape, (path, expected, posted, less) in SHAPES.items():
                for connections in (1, 32):
                    for peer in ("waterwheel", "hyper-util", "ureq")[: 3 if connections == 1 else 2]:
                        uri = f"http://127.0.0.1:{proxy.SERVER_PORT}/{path}"
                        work = [expected, posted, connections, requests // less]
                        command = ["taskset", "-c", "0", program, peer, uri, *map(str, work)]
                        cost = int(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout) / 1000
                        costs.setdefault((shape, connections), {}).setdefault(peer, []).append(cost)
    finally:
        proxy.end(behind)
        shutil.rmtree(proxy.FOLDER, ignore_errors=True)
    for (shape, connections), peers in costs.items():
        best = min(statistics.median(cost) for cost in peers.values())
        for peer, cost in peers.items():
            median = statistics.median(cost)
            spread = f"({min(cost):.2f} to {max(cost):.2f}), {median / best:.2f} of the best"
            print(f"{shape:10} {connections:2} {peer:10} {median:6.2f} us {spread}")


main()
