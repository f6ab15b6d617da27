"""The HTTP server: uvicorn, with time limits for slow clients, which it lacks."""

import asyncio
import logging

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 20.0
"""Between two looks at a connection; one that waits for its client at both is closed."""


class InTime(H11Protocol):
    """Closes a connection whose client is late: with a request's head, or in taking an answer."""

    seconds = SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._timer.cancel()

    def _look_later(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self._look, self._state())

    def _state(self) -> tuple[object, bool, int]:
        """The last request, whether it is done with, and the bytes that the client has to take."""
        done = self.cycle is None or self.cycle.response_complete
        return self.cycle, done, self.transport.get_write_buffer_size()

    def _look(self, before: tuple[object, bool, int]) -> None:
        if before == (now := self._state()):
            _, done, unread = now
            if unread:
                self.transport.abort()
            elif done:
                self.transport.close()
        self._look_later()


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
