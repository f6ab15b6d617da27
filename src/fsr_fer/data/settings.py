"""Settings of faces, their features and natural pictures, as params.yaml gives them."""

import unicodedata
from dataclasses import dataclass
from typing import Annotated, Literal

from fsr_fer.common.settings import (
    LR_PIXELS,
    NotNegativeFloat,
    NotNegativeInt,
    PositiveInt,
    Range,
    require,
)

SourceName = Literal["synthetic", "rafdb", "fer2013", "folder", "csv"]
VoteRule = Literal["ferplus", "strict", "plurality"]
Duplicates = Literal["refuse", "drop"]


@dataclass(frozen=True, kw_only=True)
class SynthesizeSettings:
    """Synthetic faces: how many are drawn, of how many people."""

    train_faces: PositiveInt
    test_faces: PositiveInt
    faces_per_subject: PositiveInt


@dataclass(frozen=True, kw_only=True)
class DatasetSettings:
    """Where the faces come from and how the validation part is held out of train."""

    source: Literal[SourceName, "several"]
    class_names: tuple[str, ...]
    validation_fraction: Annotated[
        float, Range("above 0, at most 0.5", lambda share: 0 < share <= 0.5)
    ]
    train_share: Annotated[float, Range("above 0, at most 1", lambda share: 0 < share <= 1)]
    votes: VoteRule
    duplicates: Duplicates

    def __post_init__(self) -> None:
        names = self.class_names
        require(len(names) >= 2, "class_names", list(names), "two names or more")
        alike = {unicodedata.normalize("NFC", name) for name in names}
        require(len(alike) == len(names), "class_names", list(names), "each name once")
        for name in names:
            require(name == name.strip() != "", "class_names", name, "no blank at either end")
            folder = not name.startswith(".") and not {"/", "\\"} & set(name)
            require(folder, "class_names", name, "a name that a folder can have")
            for character in name:  # names that differ in invisible characters look the same
                unseen = unicodedata.category(character)[0] in "CZ" and character != " "
                code = f"no character U+{ord(character):04X}"
                require(not unseen, "class_names", name, code)


@dataclass(frozen=True, kw_only=True)
class ValidateSettings:
    """What the data must fulfil before any other stage uses it."""

    minimum_per_class: PositiveInt
    minimum_contrast: NotNegativeFloat
    train_faces: NotNegativeInt
    test_faces: NotNegativeInt


@dataclass(frozen=True, kw_only=True)
class DownsampleSettings:
    """How faces are downsampled and resized back to full size."""

    form: Literal["scale", "size"]
    boundary: Literal["symmetric", "replicate"]
    restore: Literal["resize", "crop"]


@dataclass(frozen=True, kw_only=True)
class NaturalSettings:
    """The natural pictures that image super-resolution is trained on."""

    pictures: Annotated[str, Range("scikit-image or a folder", bool)]
    rcan_patch_pixels: Annotated[int, LR_PIXELS]
    meta_sr_patch_pixels: Annotated[int, LR_PIXELS]


@dataclass(frozen=True, kw_only=True)
class FeaturesSettings:
    """How second-order features are stored."""

    dtype: Literal["float32", "float16"]
