"""Memory that tensors have freed is kept for the next ones.

A batch's feature maps take megabytes; glibc returns them to the system when they are freed, which
has to clear them again for the next batch (benchmarks/threads.json). No result depends on it.
"""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h's; mallopt(3)
LARGEST_KEPT = 32 << 20  # bytes; glibc takes no more
KEPT = 1 << 30  # bytes


def keep_freed_memory() -> None:
    """Make glibc keep freed memory; other C libraries are left as they are."""
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
    library.mallopt(M_TRIM_THRESHOLD, KEPT)
