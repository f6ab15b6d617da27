"""Run the stage that was packed here: ``python run.py``, on several GPUs ``torchrun ... run.py``.

Needs Python, torch, NumPy and safetensors. Run it again after an interruption and it goes on. What
goes back is result.tar, for ``fsr-fer unpack``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the stage in a process of its own, then write its checkpoint into result.tar."""
    here = Path(__file__).resolve().parent
    os.chdir(here)
    packed = json.loads((here / "packed.json").read_text(encoding="utf-8"))
    paths = [str(here / "src"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.environ.pop("DVC_ROOT", None)
    process = subprocess.Popen([sys.executable, *packed["command"]])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the stage, which hears it too
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    if os.environ.get("RANK", "0") != "0":
        return code
    sys.path.insert(0, paths[0])
    from fsr_fer.portable import write_result

    written = write_result(packed["stage"], Path("result.tar"))
    if written:
        state = "finished" if code == 0 else "not finished"
        print(f"{packed['stage']} is {state}; take {here / written} back: `fsr-fer unpack`")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
