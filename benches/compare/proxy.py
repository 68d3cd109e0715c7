#!/usr/bin/env python3
"""CPU time per request of reverse proxies: Waterwheel's, nginx and HAProxy.

    cargo build --release --example proxy
    benches/compare/proxy.py target/release/examples/proxy [ROUNDS] [SECONDS]

Each proxy runs as one process on core 0. The server behind them (nginx, 13 bytes) and the load (wrk, 64 connections)
run on core 1. The proxies have their turns in alternation, each turn in a fresh process that is warmed up first.
"""

import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["PATH"] += ":/usr/sbin:/usr/local/sbin"
FOLDER = tempfile.mkdtemp(prefix="waterwheel-proxy-")
SERVER_PORT = 18081
NGINX = """daemon off; master_process off; pid FOLDER/pid; error_log stderr crit; worker_rlimit_nofile 10000;
events { worker_connections 4000; multi_accept on; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; default_type text/plain;
client_body_temp_path FOLDER/b; proxy_temp_path FOLDER/p; fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u;
scgi_temp_path FOLDER/s; HTTP }"""
HAPROXY = """global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
  option forwardfor
frontend f
  bind 127.0.0.1:PORT
  default_backend b
backend b
  server s 127.0.0.1:SERVER
"""


def write(name, text):
    path = os.path.join(FOLDER, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def nginx(name, http):
    folder = os.path.join(FOLDER, name)
    os.makedirs(folder, exist_ok=True)
    config = write(name + ".conf", NGINX.replace("FOLDER", folder).replace("HTTP", http))
    return ["nginx", "-p", folder, "-c", config, "-e", "stderr"]


def server():
    answer = 'location = /plaintext { return 200 "Hello, World!"; }'
    return nginx("server", f"server {{ listen 127.0.0.1:{SERVER_PORT}; {answer} }}")


def nginx_proxy(port):
    # The work of the others, too: a connection that stays, a field about the client, and Via.
    return nginx(
        "nginx",
        f"""upstream u {{ server 127.0.0.1:{SERVER_PORT}; keepalive 256; keepalive_requests 1000000000; }}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://u; proxy_http_version 1.1;
proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header Via "1.1 nginx"; }} }}""",
    )


def haproxy(port):
    config = HAPROXY.replace("PORT", str(port)).replace("SERVER", str(SERVER_PORT))
    return ["haproxy", "-db", "-f", write("haproxy.cfg", config)]


def start(command, core, port):
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=quiet, stderr=quiet)
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"{command[0]} does not listen")


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_nanoseconds(pid):
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def load(port, seconds):
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}s", f"http://127.0.0.1:{port}/plaintext"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(output)
    return int(re.search(r"(\d+) requests in", output)[1])


def main():
    ours = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    seconds = sys.argv[3] if len(sys.argv) > 3 else "2"
    proxies = {
        "waterwheel": lambda port: [ours, f"127.0.0.1:{port}", f"http://127.0.0.1:{SERVER_PORT}"],
        "nginx": nginx_proxy,
        "haproxy": haproxy,
    }
    costs = {name: [] for name in proxies}
    behind = start(server(), 1, SERVER_PORT)
    try:
        for _ in range(rounds):
            for place, (name, command) in enumerate(proxies.items()):
                port = 18100 + place
                process = start(command(port), 0, port)
                try:
                    load(port, "1")
                    before = cpu_nanoseconds(process.pid)
                    requests = load(port, seconds)
                    costs[name].append((cpu_nanoseconds(process.pid) - before) / requests / 1000)
                finally:
                    end(process)
    finally:
        end(behind)
        shutil.rmtree(FOLDER, ignore_errors=True)
    best = min(statistics.median(cost) for cost in costs.values())
    for name, cost in costs.items():
        median = statistics.median(cost)
        print(f"{name:12} {median:6.2f} us ({min(cost):.2f} to {max(cost):.2f}), {median / best:.2f} of the best")


if __name__ == "__main__":
    main()
