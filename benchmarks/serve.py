"""How many requests `fsr-fer serve` answers, how fast, and whether its memory grows.

    python benchmarks/serve.py [--requests 1000] [--mixed 10000]

First a face of 100 pixels a request, at 1, 8 and 64 clients: requests a second, and the seconds
within which half (p50) and 99 of 100 (p99) were answered. Then 8 clients send many, of which every
tenth is broken: a picture or a form that is cut off, a picture of far too many pixels, what is no
picture or no form, a form that is left half open until the service ends it. Every answer is
compared with what it must be. Clients and service share the machine. Results:
benchmarks/serve.json.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from machine import describe_machine, write_results

from fsr_fer import load
from fsr_fer.serve.app import PAGE
from tests.serve.client import KIND, Client, form, huge

FACES = [(PAGE / f"example-{number}.png").read_bytes() for number in (1, 2)]
REFUSED = (  # what is sent as what; the answer's status, and words of it
    (form([("pictures", FACES[0][:5000])]), KIND, 200, b'"unreadable"'),
    (form([("pictures", b"%PDF-1.7 and so on")]), KIND, 200, b'"unreadable"'),
    (form([("pictures", huge())]), KIND, 413, b"too large"),
    (form([("pictures", FACES[0])])[:-30], KIND, 400, b"cut off"),
    (b"{}", "text/plain", 415, b"expected a form"),
)
BROKEN = 10
"""Every tenth request is."""
HALF_OPEN = 16
"""Forms that are half open at a time; the service answers 64 requests at a time."""


def start() -> tuple[subprocess.Popen[str], Client]:
    command = [Path(sys.executable).with_name("fsr-fer"), "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    address = process.stdout.readline().split()[0]
    client = Client(int(address.rpartition(":")[2]))
    while True:
        try:
            client.ask("GET", "/health")
            return process, client
        except OSError:
            time.sleep(0.05)


class Requests:
    """Requests by their number, each with the answer that it must get."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._half_open: deque[socket.socket] = deque()
        model = load()
        rows = [next(model.predict(face)) for face in FACES]
        self._expected = [row.to_dict() | {"source": "1.png"} for row in rows]

    def good(self, number: int) -> bool:
        """Whether a face is read as ``fsr_fer.load`` reads it."""
        which = number % len(FACES)
        status, said = self._client.predict(("pictures", FACES[which]))
        return status == 200 and said["predictions"] == [self._expected[which]]

    def mixed(self, number: int) -> bool:
        """The same, or for every tenth whether it is refused as it must be."""
        if number % BROKEN:
            return self.good(number)
        kind = number // BROKEN % (len(REFUSED) + 1)
        if kind == len(REFUSED):
            return self._leave_half_open()
        body, content_type, expected, words = REFUSED[kind]
        status, said, _ = self._client.ask("POST", "/predict", body, Content_Type=content_type)
        return status == expected and words in said

    def end_half_open(self) -> int:
        """Wait for the answers to all forms that are half open; how many were wrong."""
        wrong = 0
        while self._half_open:
            wrong += not self._is_told(self._half_open.popleft())
        return wrong

    def _leave_half_open(self) -> bool:
        self._half_open.append(self._client.half_open())
        return len(self._half_open) <= HALF_OPEN or self._is_told(self._half_open.popleft())

    @staticmethod
    def _is_told(connection: socket.socket) -> bool:
        with connection, connection.makefile("rb") as answer:
            return answer.readline().startswith(b"HTTP/1.1 408 ")


def send(ask: Callable[[int], bool], requests: int, clients: int) -> tuple[float, np.ndarray, int]:
    """Seconds for all, seconds of each, and how many answers were wrong."""

    def timed(number: int) -> tuple[float, bool]:
        started = time.perf_counter()
        try:
            right = ask(number)
        except Exception as error:  # whatever it is, this request was not answered rightly
            print(f"request {number}: {error!r}", flush=True)
            right = False
        return time.perf_counter() - started, right

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(timed, range(requests)))
    seconds, right = zip(*answers, strict=True)
    return time.perf_counter() - started, np.array(seconds), right.count(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000, help="at each number of clients")
    parser.add_argument("--mixed", type=int, default=10_000, help="of which a tenth is broken")
    options = parser.parse_args()
    process, client = start()
    try:
        requests = Requests(client)
        send(requests.mixed, 600, 8)  # first use costs memory that stays
        requests.end_half_open()
        results: dict[str, Any] = {}
        for clients in (1, 8, 64):
            total, each, wrong = send(requests.good, options.requests, clients)
            results[f"clients_{clients}"] = {
                "requests": options.requests,
                "per_second": round(options.requests / total, 1),
                "p50_ms": round(1000 * float(np.quantile(each, 0.5)), 1),
                "p99_ms": round(1000 * float(np.quantile(each, 0.99)), 1),
                "wrong": wrong,
            }
            print(clients, results[f"clients_{clients}"], flush=True)
        served = psutil.Process(process.pid)
        memory = []
        wrong = 0
        for _ in range(10):
            wrong += send(requests.mixed, options.mixed // 10, 8)[2]
            wrong += requests.end_half_open()
            memory.append(round(served.memory_info().rss / 2**20, 1))
        results["mixed"] = {"requests": options.mixed // 10 * 10, "wrong": wrong}
        results["mib_after_each_tenth"] = memory
    finally:
        process.terminate()
        process.wait()
    machine = describe_machine("onnxruntime", "starlette", "uvicorn", "python-multipart")
    machine |= {"load_average": round(os.getloadavg()[0], 1), "niceness": os.nice(0)}
    write_results(__file__, {"machine": machine, **results})


if __name__ == "__main__":
    main()
