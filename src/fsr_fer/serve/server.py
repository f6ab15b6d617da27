"""The HTTP server: uvicorn, with time limits for slow clients, which it lacks."""

import asyncio
import logging

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 20.0


class InTime(H11Protocol):
    """Closes a connection whose client is late: with a request's head, or in taking an answer."""

    seconds = SECONDS
    _timer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take what came; if no request is at work then, its head is still to come."""
        super().data_received(data)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_waiting()
        self._taken()

    def pause_writing(self) -> None:
        """Begin to wait for a client that takes its answer."""
        super().pause_writing()
        self._wait_for_taker(None)

    def resume_writing(self) -> None:
        """Stop waiting: it did."""
        super().resume_writing()
        self._taken()

    def _wait_for_taker(self, before: int | None) -> None:
        left = self.transport.get_write_buffer_size()
        if left == before:  # it has taken nothing meanwhile
            self.transport.abort()
            return
        self._unread = self.loop.call_later(self.seconds, self._wait_for_taker, left)

    def _taken(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait_for_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._close)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


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
