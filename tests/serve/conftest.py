"""The service with the model of colours, on a free port, in a thread of its own."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fsr_fer.predict.model import Model, load
from fsr_fer.serve.app import build_app
from fsr_fer.serve.form import Limits
from fsr_fer.serve.server import server_of
from tests.predict.conftest import model_file  # noqa: F401
from tests.serve.client import Client


@contextmanager
def serving(
    model: Model, plain: Model | None = None, model_card: bytes | None = None, **limits: Any
) -> Iterator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app = build_app(model, limits=Limits(**limits), plain=plain, model_card=model_card)
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Client(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


def always_blue(model: Model) -> Model:
    """Another network of the same classes: to the plain one all faces are blue, at 75 %."""
    card = replace(model.card, pixels=(10, 20), accuracy=(0.2, 0.6))
    return Model(card, lambda faces, pixels: np.tile([0.125, 0.125, 0.75], (len(faces), 1)))


@pytest.fixture(scope="module")
def client(model_file) -> Iterator[Client]:  # noqa: F811
    with serving(load(model_file)) as one:
        yield one
