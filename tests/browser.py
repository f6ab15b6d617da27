"""A real browser for the pages. Any Chromium will do; none is downloaded.

$FSR_FER_CHROMIUM names one that is not found by itself.
"""

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell", "chrome")
FLAGS = ["--disable-gpu", "--disable-background-networking", "--disable-component-update"]
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, with a webcam that shows a pattern."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("FSR_FER_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed; $FSR_FER_CHROMIUM names one elsewhere")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS + CAMERA)
        yield browser
        browser.close()


def logged_page(chromium: Any, **options: Any) -> Any:
    """A page that has what it asks for and complains of on its ``log``."""
    page = chromium.new_page(**options)
    page.set_default_timeout(120_000)  # on a busy machine
    page.log = []
    page.on("request", lambda request: page.log.append(request.url))
    page.on("console", lambda message: page.log.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: page.log.append(f"error: {error}"))
    return page


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of a folder's files."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def node_modules() -> Path | None:
    """The folder $FSR_FER_ORT_WEB/node_modules, if npm has brought onnxruntime-web there."""
    folder = Path(os.environ.get("FSR_FER_ORT_WEB", "no folder")).absolute() / "node_modules"
    return folder if (folder / "onnxruntime-web").is_dir() else None
