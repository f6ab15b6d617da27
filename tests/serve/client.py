"""A client of the service, as small as can be: one connection for each request."""

import http.client
import json
import socket
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from tests.data.raw_faces import encoded

BOUNDARY = "b0undary"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
Part = tuple[str, str | bytes]


def form(parts: Iterable[Part]) -> bytes:
    """Fields of a form: text, or the bytes of a file."""
    lines = []
    for number, (name, value) in enumerate(parts, 1):
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, bytes):
            head += f'; filename="{number}.png"'
        content = value if isinstance(value, bytes) else value.encode()
        lines.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()


def picture(colour: tuple[int, int, int], side: int = 20) -> bytes:
    """A PNG of one colour."""
    return encoded(np.full((side, side, 3), colour, np.uint8))


def huge() -> bytes:
    """A bomb: a PNG of some kilobytes whose 13,000 x 13,000 pixels would take 169 megabytes."""
    return encoded(Image.new("1", (13_000, 13_000)))


class Client:
    """Asks the service on a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers, their names in lower case."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            content = response.read()
            return response.status, content, {k.lower(): v for k, v in response.getheaders()}
        finally:
            connection.close()

    def predict(self, *parts: Part, **headers: str) -> tuple[int, Any]:
        """Status and JSON of ``POST /predict`` with these fields."""
        headers = {"Content_Type": KIND, **headers}
        status, content, _ = self.ask("POST", "/predict", form(parts), **headers)
        return status, json.loads(content)

    def half_open(self, head_only: bool = False) -> socket.socket:
        """A connection whose request does not come to its end, in its head or in its body."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(120)
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {KIND}\r\n"
        head += "Content-Length: 1000\r\n"
        connection.sendall(head.encode() + (b"" if head_only else b"\r\n--" + BOUNDARY.encode()))
        return connection
