"""What every stage script shares: arguments, errors in one line, and the record of the run.

``python -m stages.NAME`` runs the code that lies in the current folder (stages/__init__.py).
"""

import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from fsr_fer.common.errors import UserError, refusal
from fsr_fer.pipeline.code_fingerprint import require_own_code
from fsr_fer.pipeline.provenance.record import write_record
from fsr_fer.pipeline.stage import Stage

_STARTED = time.time()  # here, so that loading the libraries counts


def run_stage(main: Callable[..., Stage | None]) -> NoReturn:
    """Call ``main`` with the command's arguments and exit.

    Exit code 1 and one line for a user's mistake, 2 for wrong arguments, 130 for Ctrl-C. The stage
    that ``main`` returns is recorded.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        stage = main(*_arguments(main))
        require_own_code(Path(sys.argv[0]).stem)
        if stage is not None:
            stage.require_unchanged()
            _record(stage)
    except UserError as error:
        _exit(1, f"error: {error}")
    except OSError as error:
        if not (line := refusal(error)):
            raise
        _exit(1, f"error: {line}")
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _is_out_of_memory(error):
            raise
        _exit(
            1,
            "error: out of memory; end other programs, or run one stage at a time (`fsr-fer repro "
            "--jobs 1`), which changes no result, as a smaller batch_size does",
        )
    except KeyboardInterrupt:
        _exit(130, "interrupted; `dvc repro` goes on from here")
    _exit(0)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Torch's own way to say so, of a GPU or of the machine."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _arguments(main: Callable[..., Stage | None]) -> list[str]:
    """The command's arguments; if they do not fit ``main``, print the usage and exit."""
    arguments = sys.argv[1:]
    try:
        inspect.signature(main).bind(*arguments)
        fits = not any(argument.startswith("-") for argument in arguments)
    except TypeError:
        fits = False
    if fits:
        return arguments
    usage = (sys.modules["__main__"].__doc__ or "").splitlines()
    print(*usage[:1], file=sys.stderr)
    sys.exit(0 if arguments in (["-h"], ["--help"]) else 2)


def _exit(code: int, last_words: str = "") -> NoReturn:
    """Say why and exit at once, without the half second in which the interpreter takes torch down.

    It ignores Ctrl-C in that time, and `dvc repro` would go on to the next stage; and threads by
    which processes talk to one another abort a process that ends around them.
    """
    if last_words:
        print(last_words, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _record(stage: Stage) -> None:
    try:
        write_record(stage, _STARTED)
    except Exception as error:  # whatever it is: the work is done, and nothing reads the record
        print(f"note: this run was not recorded ({error!r})", file=sys.stderr)


def _terminate(signum: int, frame: object) -> None:
    raise KeyboardInterrupt
