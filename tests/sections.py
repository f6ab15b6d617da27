"""Settings of the default profile with networks and trainings made small.

Each is called with the values that a test replaces: ``fsr(iterations=3)``.
"""

from dataclasses import replace
from functools import partial

from fsr_fer.common.settings import build
from fsr_fer.data.settings import DownsampleSettings
from fsr_fer.pipeline.profiles import profile_values, read_yaml
from fsr_fer.training.settings.finetuning import FinetuneSettings
from fsr_fer.training.settings.fsr import FsrSettings, LossSettings, ReweightSettings
from fsr_fer.training.settings.pretraining import PretrainSettings
from tests import ROOT

_VALUES = profile_values(read_yaml(ROOT / "params.yaml"), "small")
_PRETRAIN = build(PretrainSettings, _VALUES["pretrain"], "pretrain")
_FSR = build(FsrSettings, _VALUES["fsr"], "fsr")
_FINETUNE = build(FinetuneSettings, _VALUES["finetune"]["mixed_resolution"], "finetune")

losses = partial(replace, build(LossSettings, _VALUES["losses"], "losses"))
reweight = partial(replace, build(ReweightSettings, _VALUES["reweight"], "reweight"))
downsample = partial(replace, build(DownsampleSettings, _VALUES["downsample"], "downsample"))

extractor = partial(
    replace,
    _PRETRAIN.extractor,
    widths=(4, 6, 8, 8, 12, 12),
    bimap_dim=8,
    hidden_dim=16,
    embedding_dim=8,
)
pretrain = partial(
    replace,
    _PRETRAIN,
    extractor=extractor(),
    epochs=2,
    batch_size=8,
    learning_rate=0.05,
    learning_rate_milestones=(1,),
    adam_epsilon=0.1,
    weight_decay=0.005,
)

generator = partial(
    replace, _FSR.generator, filters=4, growth=2, blocks=1, long_skip=False, init_scale=0.1
)
# For maps of 8.
discriminator = partial(replace, _FSR.discriminator, filters=(4, 6), hidden_dim=10)
fsr = partial(
    replace,
    _FSR,
    generator=generator(),
    discriminator=discriminator(),
    iterations=6,
    batch_size=4,
    learning_rate=2e-4,
    learning_rate_milestones=(4,),
    l2_decay_iterations=100,
    validation_every=2,
)

# Every kind of variation and of size.
augment = partial(replace, _FINETUNE.augment, zoom=0.1, shift_pixels=4.0, hidden_share=0.3)
sizes = partial(replace, _FINETUNE.sizes, full_size_share=0.2, any_size_share=0.3)
teacher = partial(replace, _FINETUNE.teacher)
finetune = partial(
    replace,
    _FINETUNE,
    epochs=2,
    batch_size=8,
    learning_rate=0.01,
    final_learning_rate=0.001,
    augment=augment(),
    sizes=sizes(),
    validation_every=1,
)
