"""Who may ask: programs and the page on this machine, not the pages of other sites.

A browser runs whatever any site sends it, also requests to this machine. Such a request names its
page in ``Origin`` or ``Sec-Fetch-Site``. A site whose name is made to lead to this machine (DNS
rebinding) looks like our own page, but for the name in ``Host``.
"""

import asyncio
import contextlib
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = ("0.0.0.0", "::")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
DRAIN_SECONDS = 2


class Guard:
    """Refuses what other sites' pages ask, and adds the headers that keep them out."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = LOCAL.union(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ended = False

        async def receive_body() -> Message:
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A client that is still sending would not see the answer. Cancelled it is at the
                # service's end.
                with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        while not ended:
                            await receive_body()
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._app
        if refusal := self._refusal(scope["method"], Headers(scope=scope)):
            app = JSONResponse({"error": refusal}, 403)
        await app(scope, receive_body, send_after_body)

    def _refusal(self, method: str, headers: Headers) -> str:
        """Why the request is refused; empty if it is not."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return (
                f"the Host {host[:100]!r} is not this service's; ask for 127.0.0.1 or localhost, "
                "or start it with --host NAME"
            )
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if site is None:
            foreign = origin is not None and origin.partition("://")[2] != host
        else:  # the browser's own word, whatever Host a proxy before us has put in
            opened = method == "GET" and headers.get("sec-fetch-mode") == "navigate"  # a link to us
            foreign = site in ("cross-site", "same-site") and not opened
        return "requests from the pages of other sites are refused" if foreign else ""

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._hosts:
                return True
            ipaddress.ip_address(name)  # no name, so nobody's name was made to lead here
        except ValueError:
            return False
        return not self._hosts.isdisjoint(EVERYWHERE)
