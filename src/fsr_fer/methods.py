"""The methods of the table: each predicts the expression of a face, all in the same way."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fsr_fer.data.face_stream import Faces, batch_size, batches_of, computed
from fsr_fer.errors import UserError
from fsr_fer.models.covpool import CovPoolFER, standardise
from fsr_fer.models.generator import Generator
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.super_resolution import FOLDERS, Restorer, network_files
from fsr_fer.models.weights import load_network
from fsr_fer.predictions import Predictions
from fsr_fer.progress import progress
from fsr_fer.settings import FULL_SIZE


@dataclass(frozen=True, kw_only=True)
class Method:
    """The networks that predict an expression from a face at full size, in eval mode.

    Small faces are brought to full size before: with bicubic (``downsampling.restore``), or with
    the networks of ``load_restorers`` for the image super-resolution methods. The generator, if
    there is one, works on features of faces that were small.
    """

    network: CovPoolFER
    generator: Generator | None = None

    def logits(self, faces: Tensor, pixels: int) -> Tensor:
        """Logits [B, classes] of faces uint8 [B, 100, 100, 3], on their device.

        ``pixels`` is the height that they had before they were brought to full size, 100 for those
        that had it: there is nothing for the generator to restore then.
        """
        features = self.network.extractor(standardise(faces))
        if self.generator is not None and pixels < FULL_SIZE:
            features = self.generator(features[:, None])
        _, logits = self.network.classifier(features)
        return logits

    def predict(
        self, faces: Faces, pixels: int, device: torch.device, desc: str = "predict"
    ) -> Predictions:
        """The most probable class of each face; memory does not grow with their number."""
        for network in (self.network, self.generator):
            if network is not None:
                network.to(device)
        batches = batches_of(len(faces), batch_size(device, cpu=32, gpu=256))
        made = computed(faces, batches, lambda images: self.logits(images, pixels), device)
        none = torch.empty(0, self.network.classifier.logits.out_features)
        logits = torch.cat([none, *progress(made, total=len(batches), desc=desc)])
        confidence, classes = logits.to(torch.float64).softmax(dim=1).max(dim=1)
        return Predictions(classes.numpy(), confidence.numpy())


def load_method(name: str, models: Path) -> Method:
    """A method by the networks that the pipeline trained for it below ``models``.

    Raises:
        UserError: there are none for a method of this name, or they cannot be read.
    """
    finetuned = models / f"finetune/{name}.safetensors"
    if finetuned.exists():
        return Method(network=load_network(finetuned, CovPoolFER))
    network = load_network(models / "pretrain.safetensors", CovPoolFER)
    if name == "bicubic" or name in FOLDERS:
        return Method(network=network)
    if name.startswith("fsr_"):
        path = models / f"fsr/{name.removeprefix('fsr_')}.safetensors"
        return Method(network=network, generator=load_network(path, Generator))
    raise UserError(f"no network of {name!r} is known; {finetuned} does not exist")


def load_restorers(name: str, models: Path) -> Mapping[int, Restorer]:
    """What brings small faces of each scale to full size for a method of image super-resolution.

    Empty for all other methods, which use bicubic.

    Raises:
        UserError: a network is missing or cannot be read.
    """
    files = network_files(name, models) if name in FOLDERS else {}
    loaded = {path: Restorer(load_network(path, Rcan, MetaSr)) for path in set(files.values())}
    return {scale: loaded[path] for scale, path in files.items()}
