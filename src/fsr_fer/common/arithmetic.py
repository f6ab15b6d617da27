"""Fixed arithmetic: the same bytes on every x86-64 processor with AVX2.

Loaded before NumPy and torch, which read these variables when they load. Everything is then what a
processor with AVX2 computes on one thread: results do not depend on the number of cores. Measured
in benchmarks/same_bytes.json. ``FSR_FER_ARITHMETIC=native`` leaves the choice to the libraries:
all threads and the processor's widest instructions, for other last digits.
"""

import os
import platform

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Sums over threads round differently."""

INSTRUCTIONS = {
    "MKL_CBWR": "COMPATIBLE",  # MKL_CBWR=AVX2 still differs between Intel and AMD
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # NumPy's names for AVX-512
}


def pin() -> None:
    """Set these variables for this process and its children; call it before NumPy is loaded."""
    # Idle threads of NumPy's linear algebra spin, on cores that torch's threads need.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if is_pinned():
        os.environ.update(THREADS)
        if platform.machine() in ("x86_64", "AMD64"):
            os.environ.update(INSTRUCTIONS)


def is_pinned() -> bool:
    """Whether arithmetic is fixed: FSR_FER_ARITHMETIC is not ``native``."""
    return os.environ.get("FSR_FER_ARITHMETIC") != "native"
