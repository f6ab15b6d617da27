"""Features computed and stored by one process or several, with the same bytes."""

import contextlib
import math
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsr_fer.common.distributed import barrier, is_first, share
from fsr_fer.common.files import part_of, replacing
from fsr_fer.data.face_stream import Faces, batch_size, batches_of, computed
from fsr_fer.features.packing import pack, triangle_size
from fsr_fer.models.covpool import FeatureExtractor, standardise


def write_features(
    extractor: FeatureExtractor,
    faces: Faces,
    path: Path,
    dtype: np.dtype,
    device: torch.device,
    desc: str = "features",
) -> None:
    """Write the features of all faces as one ``.npy`` file.

    Those of covariances are symmetric and packed, [N, d * (d + 1) / 2]; means are [N, d, d].
    Several processes share the batches; where a batch ends depends on the faces alone. The first
    one makes the file and renames it when all have written their rows.
    """
    extractor.to(device).eval()
    batches = batches_of(len(faces), batch_size(device, cpu=32, gpu=256))
    own = batches[share(len(batches))]
    dim, symmetric = extractor.settings.bimap_dim, extractor.settings.pooling == "covariance"
    shape = (len(faces), *((triangle_size(dim),) if symmetric else (dim, dim)))

    def made_of(few: Tensor) -> Tensor:
        features = extractor(standardise(few))
        return pack(features) if symmetric else features

    part = part_of(path)
    with replacing(path) if is_first() else contextlib.nullcontext():
        if is_first():
            np.lib.format.open_memmap(part, "w+", dtype, shape)  # a header, and room for all rows
        barrier()
        # Written, not memory-mapped: a full disk is then an error, not a crash.
        with open(part, "r+b") as file:
            before = own[0].start if own else 0
            size = math.prod(shape[1:]) * dtype.itemsize
            file.seek((before - shape[0]) * size, os.SEEK_END)
            for rows in computed(faces, own, made_of, device, desc):
                file.write(rows.numpy().astype(dtype).tobytes())
        barrier()
