"""Stages one after the other, each a fork of one process that has loaded what most of them need.

    cd FOLDER; python .../tests/pipeline/forks.py code settings 'synthesize small' ...

Starting Python, loading torch and dvclive and reading the code take longer than a very small stage
works.
"""

import importlib
import os
import runpy
import sys
from collections.abc import Iterable


def run_stages(commands: Iterable[str]) -> None:
    """Run stages of the current folder; exit with a line if one fails."""
    sys.path.insert(0, os.getcwd())
    importlib.import_module("stages")  # fixes arithmetic, so before torch
    for module in ("torch", "dvclive", "dvc.repo"):
        importlib.import_module(module)
    code = importlib.import_module("fsr_fer.pipeline.code_fingerprint")

    for command in commands:
        name, *arguments = command.split()
        code.fingerprint(name)
        child = os.fork()
        if child == 0:
            sys.argv = [f"stages/{name}.py", *arguments]
            runpy.run_module(f"stages.{name}", run_name="__main__")
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{command} failed")


if __name__ == "__main__":
    run_stages(sys.argv[1:])
