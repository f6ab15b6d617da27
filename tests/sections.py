"""Small valid settings for tests; any value can be replaced."""

from typing import Any

from fsr_fer.settings import (
    AugmentSettings,
    DiscriminatorSettings,
    DownsampleSettings,
    ExtractorSettings,
    FinetuneSettings,
    FsrSettings,
    GeneratorSettings,
    LossSettings,
    PretrainSettings,
    ReweightSettings,
    SizesSettings,
    TeacherSettings,
)


def extractor(**changes: Any) -> ExtractorSettings:
    """A very small CovPoolFER."""
    values: dict[str, Any] = {
        "widths": (4, 6, 8, 8, 12, 12),
        "bimap_dim": 8,
        "hidden_dim": 16,
        "embedding_dim": 8,
        "covariance_ridge": 1e-4,
        "eigenvalue_min": 1e-4,
        "eigenvalue_max": 1e4,
        "batch_norm_momentum": 0.1,
        "batch_norm_eps": 1e-3,
        "init_std": 0.1,
    }
    return ExtractorSettings(**values | changes)


def pretrain(**changes: Any) -> PretrainSettings:
    """A short training of the very small CovPoolFER."""
    values: dict[str, Any] = {
        "extractor": extractor(),
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 0.05,
        "learning_rate_milestones": (1,),
        "learning_rate_factor": 0.1,
        "beta1": 0.9,
        "beta2": 0.999,
        "adam_epsilon": 0.1,
        "weight_decay": 0.005,
        "center_loss_weight": 0.01,
        "center_rate": 0.1,
        "rotation_degrees": 10.0,
        "flip": True,
        "selection": "total_accuracy",
    }
    return PretrainSettings(**values | changes)


def generator(**changes: Any) -> GeneratorSettings:
    """A very small generator."""
    values: dict[str, Any] = {
        "filters": 4,
        "growth": 2,
        "blocks": 1,
        "residual_scale": 0.2,
        "channel_affine": False,
        "tail_kernel": 3,
        "long_skip": False,
        "init_scale": 0.1,
    }
    return GeneratorSettings(**values | changes)


def discriminator(**changes: Any) -> DiscriminatorSettings:
    """A very small discriminator for maps of 8."""
    values: dict[str, Any] = {"filters": (4, 6), "bias": True, "hidden_dim": 10}
    return DiscriminatorSettings(**values | changes)


def fsr(**changes: Any) -> FsrSettings:
    """A short training of the very small generator."""
    values: dict[str, Any] = {
        "generator": generator(),
        "discriminator": discriminator(),
        "iterations": 6,
        "l2_iterations": 0,
        "batch_size": 4,
        "learning_rate": 2e-4,
        "learning_rate_milestones": (4,),
        "learning_rate_factor": 0.5,
        "l2_learning_rate": 2e-4,
        "l2_decay_iterations": 100,
        "beta1": 0.0,
        "beta2": 0.9,
        "discriminator_steps": 1,
        "validation_every": 2,
        "precision": "float32",
    }
    return FsrSettings(**values | changes)


def losses(**changes: Any) -> LossSettings:
    """Equations 8 and 10 as the paper has them."""
    values: dict[str, Any] = {
        "gan_weight": 1.0,
        "perceptual_weight": 1.0,
        "feature_l2_weight": 1.0,
        "feature_l2_reduction": "sum",
        "penalty_k": 2.0,
        "penalty_p": 6.0,
    }
    return LossSettings(**values | changes)


def reweight(**changes: Any) -> ReweightSettings:
    """Equation 11 as the paper has it."""
    values: dict[str, Any] = {
        "sigma": 1.5,
        "r": 1.0,
        "probability_from": "sr",
        "detach": True,
        "discriminator": False,
    }
    return ReweightSettings(**values | changes)


def downsample(**changes: Any) -> DownsampleSettings:
    """Small faces as the paper makes them."""
    values: dict[str, Any] = {"form": "scale", "boundary": "symmetric", "restore": "resize"}
    return DownsampleSettings(**values | changes)


def augment(**changes: Any) -> AugmentSettings:
    """Every kind of variation switched on."""
    values: dict[str, Any] = {
        "rotation_degrees": 10.0,
        "flip": True,
        "zoom": 0.1,
        "shift_pixels": 4.0,
        "hidden_share": 0.3,
    }
    return AugmentSettings(**values | changes)


def sizes(**changes: Any) -> SizesSettings:
    """Full size, scales and any number of pixels."""
    values: dict[str, Any] = {"full_size_share": 0.2, "any_size_share": 0.3, "smallest_pixels": 8}
    return SizesSettings(**values | changes)


def teacher(**changes: Any) -> TeacherSettings:
    """No teacher."""
    values: dict[str, Any] = {
        "network": "none",
        "logits_weight": 1.0,
        "temperature": 2.0,
        "embedding_weight": 0.5,
        "features_weight": 0.25,
    }
    return TeacherSettings(**values | changes)


def finetune(**changes: Any) -> FinetuneSettings:
    """A short training of the very small CovPoolFER on faces of all sizes."""
    values: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 0.01,
        "final_learning_rate": 0.001,
        "beta1": 0.9,
        "beta2": 0.999,
        "adam_epsilon": 1e-5,
        "weight_decay": 1e-4,
        "label_smoothing": 0.0,
        "class_balance": 0.0,
        "average_decay": 0.0,
        "augment": augment(),
        "sizes": sizes(),
        "teacher": teacher(),
        "validation_every": 1,
        "selection": "both",
        "repeat": 0,
    }
    return FinetuneSettings(**values | changes)
