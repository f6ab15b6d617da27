"""The HTTP server: uvicorn, with time limits for slow clients, which it lacks."""

import asyncio
import json
import logging

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol


class InTime(H11Protocol):
    """Closes a connection whose client is late: with a request's head, or in taking an answer.

    It is late if nothing has changed between two checks, which are ``seconds`` apart.
    """

    seconds = 20.0
    _before: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._check()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the form of the service's other refusals."""
        headers = [("content-type", "application/json"), ("connection", "close")]
        body = json.dumps({"error": msg}).encode()
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _check(self) -> None:
        at_work = self.cycle is not None and not self.cycle.response_complete
        unread = self.transport.get_write_buffer_size()
        now = self.cycle, at_work, unread
        if now == self._before and (unread or not at_work):
            self.transport.abort()
        self._before = now
        self._timer = self.loop.call_later(self.seconds, self._check)


def server_of(app: Starlette) -> uvicorn.Server:
    """A server that logs errors of ours and nothing about requests."""
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        http=InTime,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)
