"""``fsr-fer serve``: the service and its page on this machine."""

import errno
import importlib.util
import ipaddress
import shlex
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from fsr_fer.common.errors import UserError

PACKAGES = ("starlette", "uvicorn", "python_multipart")


def serve_command(
    context: typer.Context,
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
    static: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Do not serve: write the page to this folder, for any web server; it predicts in "
            "the browser. --model then is an .onnx file.",
        ),
    ] = None,
) -> None:
    """Predict over HTTP, with a web page to try it: a picture, or the webcam.

    \b
    fsr-fer serve                          then open http://127.0.0.1:8000
    curl -F pictures=@face.png http://127.0.0.1:8000/predict
    fsr-fer serve --static site            after npm install onnxruntime-web@1.30

    Nothing leaves this machine, nothing is stored. A label is an expression as annotators named
    it in a picture, not what somebody feels. For research and teaching; not for workplaces,
    schools, hiring, policing, borders or health: the EU prohibits emotion recognition at work
    and in education (Regulation 2024/1689, Art. 5(1)(f)). Whoever deploys it is responsible.
    """  # noqa: D301
    from fsr_fer.serve.site import PLAIN, shipped_model_card, write_site

    if static:
        for name in ("port", "host"):
            given = context.get_parameter_source(name)
            if given and given.name != "DEFAULT":
                raise UserError(f"--{name} is for the service; --static writes a folder")
        try:
            write_site(static, model)
        except FileNotFoundError as error:
            raise UserError(f"--static {static} cannot be written: {error.strerror}") from None
        server = f"python -m http.server -d {shlex.quote(str(static))}"
        typer.echo(f"{static}: open it through a web server: {server}")
        return
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"{missing[0]} is not installed: pip install 'fsr-fer[serve]'")

    from fsr_fer.predict.model import load
    from fsr_fer.serve.app import build_app
    from fsr_fer.serve.server import server_of

    loaded = load(model)
    with _listen(host, port) as listening, warnings.catch_warnings():
        address = listening.getsockname()[0]
        known: dict[str, Any] = (
            {} if model else {"plain": load(PLAIN), "model_card": shipped_model_card()}
        )
        app = build_app(loaded, (host, address), **known)
        warnings.filterwarnings("ignore", module="PIL")  # a damaged picture has its row
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"http://{shown}:{listening.getsockname()[1]} (Ctrl-C ends it)")
        # A name of this machine may be one that it alone knows, as 127.0.1.1 on Debian.
        if not ipaddress.ip_address(address).is_loopback:
            typer.echo("note: other machines can ask, without a password", err=True)
        # uvicorn sends itself the signal again in the end; the default would drop answers.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            server_of(app).run(sockets=[listening])
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


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
