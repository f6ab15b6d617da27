"""The methods of the table: each predicts the expression of a face."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fsr_fer.common.errors import UserError
from fsr_fer.data.face_stream import Faces, batch_size, batches_of, computed
from fsr_fer.evaluation.method_settings import MethodSettings
from fsr_fer.models.classifier import FaceClassifier
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.models.generator import Generator
from fsr_fer.models.image_tensors import Restorer
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.networks import NETWORKS
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.weights import load_network


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method's networks in eval mode; a generator restores the features of small faces.

    With a generator the network is a CovPoolFER.
    """

    network: FaceClassifier
    generator: Generator | None = None

    def to(self, device: torch.device) -> None:
        self.network.to(device)
        if self.generator is not None:
            self.generator.to(device)

    def logits(self, faces: Tensor, small: bool) -> Tensor:
        """Logits [B, classes] of uint8 [B, 100, 100, 3]; ``small``: once downsampled."""
        values = standardise(faces)
        if self.generator is None or not small:
            return self.network.logits(values)
        assert isinstance(self.network, CovPoolFER)
        features = self.generator(self.network.extractor(values)[:, None])
        _, logits = self.network.classifier(features)
        return torch.as_tensor(logits)

    def predict(
        self, faces: Faces, small: bool, bias: Tensor, device: torch.device, desc: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Each face's most probable class, int64 [N], and its probability, float64 [N].

        ``bias``, float64 [classes], is added to the logits.
        """
        self.to(device)
        batches = batches_of(len(faces), batch_size(device, cpu=32, gpu=256))
        made = computed(faces, batches, lambda images: self.logits(images, small), device, desc)
        logits = torch.cat(list(made)).to(torch.float64) + bias
        confidence, classes = logits.softmax(dim=1).max(dim=1)
        return classes.numpy(), confidence.numpy()


def load_method(settings: MethodSettings, models: Path) -> Method:
    """A method's networks: one from faces to classes, or a generator and the pretrained CovPoolFER.

    UserError if a network is missing or cannot be read.
    """
    kinds: tuple[type[nn.Module], ...] = (CovPoolFER, *NETWORKS.values(), Generator)
    own = load_network(models / f"{settings.model}.safetensors", *kinds)
    if isinstance(own, FaceClassifier):
        return Method(network=own)
    pretrained = load_network(models / "pretrain.safetensors", CovPoolFER)
    assert isinstance(own, Generator)
    return Method(network=pretrained, generator=own)


def load_restorers(name: str, models: Path, scales: Sequence[int]) -> dict[int, Restorer]:
    """The networks ``name``, which restore small faces to full size, by scale.

    In ``models/sr`` or ``models/sr_faces`` is one network for all scales, NAME.safetensors, or one
    for each of some, NAME_x2.safetensors and so on. UserError if no network is there, or one cannot
    be read.
    """
    files = {path.stem: path for path in models.glob("sr*/*.safetensors")}
    load = functools.cache(lambda path: Restorer(load_network(path, Rcan, MetaSr)))
    found = {scale: files.get(f"{name}_x{scale}", files.get(name)) for scale in scales}
    restorers = {scale: load(path) for scale, path in found.items() if path is not None}
    if not restorers:
        raise UserError(f"{models} has no network {name} in sr or sr_faces: `dvc repro`")
    return restorers
