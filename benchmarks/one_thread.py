"""Imported before NumPy and torch, gives each of their libraries one thread."""

import os

os.environ.update({f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")})
