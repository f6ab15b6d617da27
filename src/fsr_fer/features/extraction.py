"""Features made from faces and stored, by one process or several: the bytes are the same."""

import contextlib
import os
from pathlib import Path

import numpy as np
import torch

from fsr_fer.common.distributed import barrier, is_first, share
from fsr_fer.common.files import PART_SUFFIX, replacing
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
    """Write the packed features of all faces, [N, d * (d + 1) / 2], as one ``.npy`` file.

    Several processes share the batches; where a batch ends depends on the faces alone. The first
    one makes the file and renames it when all have written their rows.
    """
    extractor.to(device).eval()
    batches = batches_of(len(faces), batch_size(device, cpu=32, gpu=256))
    own = batches[share(len(batches))]
    shape = len(faces), triangle_size(extractor.settings.bimap_dim)

    part = path.with_name(path.name + PART_SUFFIX)
    with replacing(path) if is_first() else contextlib.nullcontext():
        if is_first():
            np.lib.format.open_memmap(part, "w+", dtype, shape)  # a header, and room for all rows
        barrier()
        # Written, not memory-mapped: a full disk is then an error, not a crash.
        with open(part, "r+b") as file:
            before = own[0].start if own else 0
            file.seek((before - shape[0]) * shape[1] * dtype.itemsize, os.SEEK_END)
            made = computed(faces, own, lambda few: pack(extractor(standardise(few))), device, desc)
            for rows in made:
                file.write(rows.numpy().astype(dtype).tobytes())
        barrier()
