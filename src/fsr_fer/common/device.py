"""The device that torch computes on: set by the environment, never by params.yaml."""

import os

import torch

from fsr_fer.common.errors import UserError

VARIABLE = "FSR_FER_DEVICE"


def choose_device(name: str | None = None) -> torch.device:
    """The device called ``name``: auto (CUDA if there is one), cpu, cuda[:n], mps.

    Without ``name``, FSR_FER_DEVICE decides, or auto. Of several processes of torchrun each takes a
    GPU of its own, unless one is named by number. On a GPU this also makes torch's kernels
    deterministic (the CPU's are anyway) and turns TF32 off, which is too coarse for the smallest
    eigenvalues. UserError if the name is unknown, this machine has no such device, or
    FSR_FER_ARITHMETIC is unknown.
    """
    if (arithmetic := os.environ.get("FSR_FER_ARITHMETIC", "")) not in ("", "pinned", "native"):
        raise UserError(f"FSR_FER_ARITHMETIC={arithmetic} is unknown; use native or leave it out")
    said = f"device {name}"
    if name is None:
        name = os.environ.get(VARIABLE, "auto")
        said = f"{VARIABLE}={name}"
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and torch.cuda.is_available():
        rank = int(os.environ.get("LOCAL_RANK", "0"))
        name = f"cuda:{rank % torch.cuda.device_count()}"
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # read back: `meta` keeps no values
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{said} cannot be used here ({reason}); use auto, cpu, cuda or cuda:N"
        ) from error
    if device.type != "cpu":
        # cuBLAS needs its workspace fixed before the first call to be deterministic.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return device
