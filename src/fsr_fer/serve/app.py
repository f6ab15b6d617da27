"""The service: its routes."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fsr_fer.common.errors import UserError
from fsr_fer.predict.model import Model
from fsr_fer.serve.answer import answer
from fsr_fer.serve.form import Limits, Refused, read_form
from fsr_fer.serve.guard import Guard
from fsr_fer.serve.openapi import describe
from fsr_fer.serve.site import FILES, PAGE, describe_model

MOST_THREADS = 4
"""Each may hold a picture of ``Limits.pixels`` while it decodes it."""


def build_app(
    model: Model,
    hosts: Iterable[str] = (),
    limits: Limits | None = None,
    plain: Model | None = None,
    model_card: bytes | None = None,
) -> Starlette:
    """The service of a model; ``hosts`` are its names besides localhost.

    ``plain``: a model of the same classes, to show beside it what small faces do to another.
    ``model_card``: Markdown about the model, to which the page then links.
    """
    limits = limits or Limits()
    place = "card" if model_card else None
    about = describe_model(model.card, plain.card if plain else None, asdict(limits), place)
    fixed = {
        "/model": about,
        "/health": {"status": "ok"},
        "/openapi.json": describe(model.card, limits, bool(model_card)),
    }
    responses: dict[str, Response] = {path: JSONResponse(said) for path, said in fixed.items()}
    for name, kind in FILES.items():
        path = "/" if name == "index.html" else f"/{name}"
        responses[path] = Response((PAGE / name).read_bytes(), media_type=kind)
    if model_card:
        responses["/card"] = Response(model_card, media_type="text/plain")
    routes = [Route(path, one, methods=["GET"]) for path, one in responses.items()]
    routes.append(Route("/predict", _Service(model, plain, limits).predict, methods=["POST"]))
    guard, handlers = Middleware(Guard, hosts=hosts), {HTTPException: _refuse}
    app = Starlette(routes=routes, middleware=[guard], exception_handlers=handlers)
    app.router.redirect_slashes = False  # its answer to /predict/ would be empty
    return app


class _Service:
    def __init__(self, model: Model, plain: Model | None, limits: Limits) -> None:
        self._model = model
        self._plain = plain
        self._limits = limits
        self._threads = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS))
        self._running = 0

    async def predict(self, request: Request) -> Response:
        limits = self._limits
        if self._running >= limits.requests:
            busy = f"{limits.requests} requests are being answered; try again soon"
            raise Refused(429, busy, {"retry-after": "1"})
        self._running += 1
        over = threading.Event()

        def check() -> None:
            if over.is_set():
                raise TimeoutError

        asked = None
        try:
            async with asyncio.timeout(limits.seconds):
                asked = await read_form(request, limits, self._model.card.smallest_pixels)
                work = partial(answer, self._model, self._plain, *asked, limits, check)
                rows = await self._while_there(request, work)
        except TimeoutError:
            late = "received" if asked is None else "answered"
            raise Refused(
                408,
                f"not {late} within {limits.seconds:g} seconds; send fewer or smaller pictures, "
                "boxes of the faces, or a larger min_face",
            ) from None
        except asyncio.CancelledError:  # uvicorn's, which would print a traceback
            raise Refused(503, "the service was ended") from None
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except UserError as error:  # the model is broken
            raise HTTPException(500, str(error)) from None
        finally:
            over.set()  # ends a face detection that is still running
            self._running -= 1
        return JSONResponse({"predictions": rows})

    async def _while_there(self, request: Request, work: Callable[[], Any]) -> Any:
        """What ``work`` gives, in a thread; ClientDisconnect if the client leaves before."""
        answered = asyncio.get_running_loop().run_in_executor(self._threads, work)
        left = asyncio.ensure_future(request.receive())  # the body was read: nothing else comes
        try:
            await asyncio.wait({answered, left}, return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                raise ClientDisconnect
            return answered.result()
        finally:
            left.cancel()
            answered.cancel()  # if it has not begun


async def _refuse(request: Request, error: Any) -> Response:
    said, path = error.detail, request.scope["path"][:100]
    if error.status_code == 404:
        said = f"there is no {path}; /openapi.json lists what there is"
    elif error.status_code == 405:
        said = f"{path} takes {error.headers['Allow']}, not {request.method}"
    return JSONResponse({"error": said}, error.status_code, error.headers)
