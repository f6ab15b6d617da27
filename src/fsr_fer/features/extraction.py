"""Features computed and stored, by one process."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsr_fer.common.arrays import writing_array
from fsr_fer.common.distributed import require_one_process
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
    UserError if torchrun has started several processes.
    """
    require_one_process()
    extractor.to(device).eval()
    batches = batches_of(len(faces), batch_size(device, cpu=32, gpu=256))
    dim, symmetric = extractor.settings.bimap_dim, extractor.settings.pooling == "covariance"
    shape = (len(faces), *((triangle_size(dim),) if symmetric else (dim, dim)))

    def made_of(few: Tensor) -> Tensor:
        features = extractor(standardise(few))
        return pack(features) if symmetric else features

    with writing_array(path, dtype, shape) as append:
        for rows in computed(faces, batches, made_of, device, desc):
            append(rows.numpy())
