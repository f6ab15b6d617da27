"""What is freed is used again, and not given back to the system to be cleared."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from fsr_fer.common.memory import keep_freed_memory
{}
bytearray(20 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    bytearray(20 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(call: str) -> int:
    """How often the system had to clear a page for ten blocks of 20 MiB, one after the other."""
    words = (sys.executable, "-c", PROGRAM.format(call))
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_blocks_are_cleared_once() -> None:
    assert faults("keep_freed_memory()") < 100 < 1000 < faults("")
