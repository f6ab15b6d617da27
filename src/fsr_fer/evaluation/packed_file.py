"""The file that the stage ``pack`` leaves: a network and its calibration, checked."""

import json
import math
from pathlib import Path
from typing import Any

from safetensors import safe_open

from fsr_fer.common.errors import UserError
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.weights import HEADER, PACKED, load_network
from fsr_fer.predict.model_file import FORMAT, card_of


def read_packed(path: Path, licence: str) -> tuple[CovPoolFER, dict[str, Any]]:
    """The network, and the metadata of the model file that ``fsr-fer export`` makes of it.

    UserError if the file is missing or damaged, or holds no packed network.
    """
    network = load_network(path, CovPoolFER)
    with safe_open(path, framework="pt") as file:
        packed = json.loads(file.metadata()[HEADER]).get(PACKED)
    try:
        if packed is None:
            raise ValueError("it has no calibration")
        metadata = {
            **packed,
            "format": FORMAT,
            "class_names": list(network.class_names),
            "licence": licence,
            "provenance": packed["inputs"],
        }
        del metadata["inputs"]
        card_of(metadata)
        coefficients = [packed["temperature"][key] for key in ("classes", "size")]
        finite = all(math.isfinite(value) for values in coefficients for value in values)
        if not finite or list(map(len, coefficients)) != [len(network.class_names), 2]:
            raise ValueError(f"temperature is {packed['temperature']}")
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise UserError(
            f"{path} is no packed model of this release: {error!r}; `dvc repro pack` makes one"
        ) from None
    return network, metadata
