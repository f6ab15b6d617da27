"""``fsr-fer serve``: the service and its page on this machine."""

import errno
import importlib.util
import ipaddress
import socket
import warnings
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from fsr_fer.common.errors import UserError

PACKAGES = ("starlette", "uvicorn", "python_multipart")
PLAIN = Path(__file__).with_name("plain.onnx")
"""A network of the same shape that has seen full-size faces alone, which the page shows beside the
shipped model; docs/results.md, The shipped model."""


def serve_command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Another lets other machines ask; there is no password.")
    ] = "127.0.0.1",
    model: Annotated[
        Path | None,
        typer.Option(
            help="An .onnx file by fsr-fer, a packed network, or a method of the pipeline "
            "[default: the shipped one]."
        ),
    ] = None,
) -> None:
    """Predict over HTTP, with a web page to try it: a picture, or the webcam.

    \b
    fsr-fer serve                          then open http://127.0.0.1:8000
    curl -F pictures=@face.png http://127.0.0.1:8000/predict

    Nothing leaves this machine, nothing is stored. A label is an expression as annotators named
    it in a picture, not what somebody feels. For research and teaching; not for workplaces,
    schools, hiring, policing, borders or health: the EU prohibits emotion recognition at work
    and in education (Regulation 2024/1689, Art. 5(1)(f)). Whoever deploys it is responsible.
    """  # noqa: D301
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"{missing[0]} is not installed: pip install 'fsr-fer[serve]'")

    from fsr_fer.predict.model import load
    from fsr_fer.serve.app import build_app
    from fsr_fer.serve.server import server_of

    loaded = load(model)
    with _listen(host, port) as listening, warnings.catch_warnings():
        address = listening.getsockname()[0]
        known: dict[str, Any] = {} if model else {"plain": load(PLAIN), "model_card": _model_card()}
        app = build_app(loaded, (host, address), **known)
        warnings.filterwarnings("ignore", module="PIL")  # a damaged picture has its row
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"http://{shown}:{listening.getsockname()[1]} (Ctrl-C ends it)")
        # A name of this machine may be one that it alone knows, as 127.0.1.1 on Debian.
        if not ipaddress.ip_address(address).is_loopback:
            typer.echo("note: other machines can ask, without a password", err=True)
        try:
            server_of(app).run(sockets=[listening])
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


def _model_card() -> bytes | None:
    """The shipped model's card, which is installed as one of the licences."""
    files = metadata.files("fsr-fer") or []
    return next((file.read_binary() for file in files if file.name == "model-card.md"), None)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        hint = "an address of this machine: --host 127.0.0.1"
        if getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES):
            hint = "another port: --port 8001"
        raise UserError(f"cannot listen on {host}, port {port}: {said}; {hint}") from None
