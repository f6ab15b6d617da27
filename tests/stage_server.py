"""``python -m stages.NAME`` without starting Python, which takes longer than a tiny stage works.

A server has loaded what most stages need; a stand-in for ``python`` asks it to fork and run the
stage. All else that is asked of ``python`` goes to the real one.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT

STAND_IN = """\
#!{python} -IS
import json, os, signal, socket, sys
words = sys.argv[1:]
if words[:1] != ["-m"] or not words[1].startswith("stages.") or "FSR_FER_ARITHMETIC" in os.environ:
    os.execv("{python}", ["{python}", *words])
server = socket.socket(socket.AF_UNIX)
server.connect("{address}")
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: server.send(bytes([number])))
request = {{"words": words[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
content = json.dumps(request).encode()
socket.send_fds(server, [len(content).to_bytes(4)], [0, 1, 2])
server.sendall(content)
sys.exit((server.recv(1) or b"\\x89")[0])
"""


@contextlib.contextmanager
def stage_server(folder: Path) -> Iterator[Path]:
    """Run a server until the end of the context; yielded is the stand-in, ``folder/python``."""
    folder.mkdir()
    address, stand_in = folder / "socket", folder / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable, address=address))
    stand_in.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen()
        command = [sys.executable, "-m", "tests.stage_server", str(listening.fileno())]
        server = subprocess.Popen(command, cwd=ROOT, pass_fds=[listening.fileno()])
    try:
        yield stand_in
    finally:
        server.kill()
        server.wait()


def serve(listening: socket.socket) -> None:
    importlib.import_module("stages")  # fixes arithmetic, so before torch
    for module in ("torch", "dvclive", "dvc.repo"):
        importlib.import_module(module)
    code = importlib.import_module("fsr_fer.pipeline.code_fingerprint")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for what is forked
    while True:
        connection = listening.accept()[0]
        size, descriptors, *_ = socket.recv_fds(connection, 4, 3)
        request = json.loads(connection.recv(int.from_bytes(size), socket.MSG_WAITALL))
        stage = request["words"][0].removeprefix("stages.")
        code.fingerprint(stage)  # parses code once for all
        if stage == "validate":  # seconds, so not for those that run other stages alone
            os.environ["GX_ANALYTICS_ENABLED"] = "false"
            importlib.import_module("great_expectations")
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            ended, alive = os.pipe()
            process = os.fork()
            if process == 0:
                run_stage(request, descriptors)
            os.close(alive)  # the stage alone has it, so it closes when that ends
            wait(process, ended, connection)
        connection.close()
        for descriptor in descriptors:
            os.close(descriptor)


def run_stage(request: dict[str, object], descriptors: list[int]) -> None:
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[:0] = [os.getcwd(), os.path.abspath("src")]
    # The folder's own code; a clone has all of it, others link to src.
    own = ["stages"] if os.path.samefile("src", ROOT / "src") else ["stages", "fsr_fer"]
    for module in [module for module in sys.modules if module.partition(".")[0] in own]:
        del sys.modules[module]
    name, *arguments = request["words"]
    sys.argv = [f"{name.replace('.', '/')}.py", *arguments]
    runpy.run_module(name, run_name="__main__")


def wait(process: int, ended: int, connection: socket.socket) -> None:
    """Send on what signals the stand-in gets, at last the stage's exit code to it."""
    while ended not in select.select([ended, connection], [], [])[0]:
        number = connection.recv(1)
        os.kill(process, number[0] if number else signal.SIGKILL)  # none: it was killed itself
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.send(bytes([status % 256]))
    os._exit(0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
