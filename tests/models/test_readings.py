"""Both readings at full size, as params.yaml has them: layers, arithmetic, first values.

Networks are built on torch's meta device where only shapes count: nothing is stored or computed.
"""

import itertools
import json
import math

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from fsr_fer.common.settings import build
from fsr_fer.evaluation.cost import work_of
from fsr_fer.models import covpool
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.discriminator import Discriminator
from fsr_fer.models.generator import Generator
from fsr_fer.models.settings import DiscriminatorSettings, ExtractorSettings, GeneratorSettings
from fsr_fer.pipeline.params import read_params
from fsr_fer.pipeline.profiles import profile_values
from tests import ROOT

READINGS = ("paper", "released")
PARAMS = read_params(ROOT / "params.yaml")
PROFILES = {r: json.loads(json.dumps(profile_values(PARAMS, r))) for r in READINGS}
CLASSES, DIM = 7, 128


def extractor(reading: str, **changes: int) -> CovPoolFER:
    section = PROFILES[reading]["pretrain"]["extractor"] | changes
    return CovPoolFER(build(ExtractorSettings, section, "extractor"), CLASSES)


def generator(reading: str) -> Generator:
    section = PROFILES[reading]["fsr"]["generator"]
    return Generator(build(GeneratorSettings, section, "generator"))


def discriminator(reading: str) -> Discriminator:
    section = PROFILES[reading]["fsr"]["discriminator"]
    return Discriminator(build(DiscriminatorSettings, section, "discriminator"), DIM)


def shapes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in network.parameters()]


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def gigaflops(network: nn.Module, *shape: int) -> float:
    """Twice the multiply-adds of one sample's way forward."""
    return work_of(lambda: network(torch.empty(shape, device="meta")))[0] / 1e9


@pytest.mark.parametrize("reading", READINGS)
def test_extractor_layer_by_layer(reading: str) -> None:
    with torch.device("meta"):
        network = extractor(reading)
    widths = [3, 64, 96, 128, 128, 256, 256]
    convs = [(o, i, 3, 3) for i, o in itertools.pairwise(widths)]
    assert [tuple(conv.weight.shape) for conv in network.extractor.convs] == convs  # type: ignore[union-attr]
    assert all(conv.bias is None for conv in network.extractor.convs)
    assert shapes(network.extractor.norms) == [(width,) for width in widths[1:]]  # no gamma
    assert shapes(network.extractor.bimap) == [(256, DIM)]
    assert shapes(network.classifier) == [
        *[(2000, DIM * DIM), (2000,)],  # FC, beta
        *[(128, 2000), (128,)],
        *[(CLASSES, 128), (CLASSES,)],  # FC, its bias
    ]
    assert count(network) == 34_260_535
    for norm in [m for m in network.modules() if hasattr(m, "momentum")]:
        assert norm.momentum == 0.005
    assert covpool.BATCH_NORM_EPS == 1e-3


def test_generator_of_the_paper_layer_by_layer() -> None:
    with torch.device("meta"):
        network = generator("paper")
    dense = []
    for inputs, outputs in [(32, 16), (48, 16), (64, 16), (80, 16), (96, 32)]:
        dense += [(outputs, inputs, 3, 3), (outputs,)]
    assert shapes(network) == [
        *[(32, 1, 3, 3), (32,)],
        *(dense * 18),
        *[(32, 32, 3, 3), (32,)] * 2,
        *[(1, 32, 3, 3), (1,)],
    ]
    assert count(network) == 1_099_105
    assert not network.settings.long_skip
    assert gigaflops(network, 1, 1, DIM, DIM) == pytest.approx(36.0, abs=0.05)


def test_generator_of_the_release_layer_by_layer() -> None:
    with torch.device("meta"):
        network = generator("released")
    block = network.body[0].dense[0]
    assert [tuple(c.weight.shape) for c in block.convs] == [
        *[(16, 32, 3, 3), (16, 48, 3, 3), (16, 64, 3, 3), (16, 80, 3, 3), (32, 96, 3, 3)]
    ]
    assert all(conv.bias is None for conv in block.convs)
    assert shapes(block.affines) == [(16, 1, 1)] * 8 + [(32, 1, 1)] * 2
    assert [tuple(c.weight.shape) for c in (network.conv_hr, network.conv_last)] == [
        *[(32, 32, 8, 8), (1, 32, 8, 8)]
    ]
    assert not network.settings.long_skip
    assert network(torch.empty(2, 1, 16, 16, device="meta")).shape == (2, 1, 16, 16)
    # Counted from the release: about 1.155 million parameters and 18.9 G multiply-adds.
    assert count(network) == pytest.approx(1.155e6, rel=5e-3)
    assert gigaflops(network, 1, 1, DIM, DIM) / 2 == pytest.approx(18.9, abs=0.1)


def test_discriminators_layer_by_layer() -> None:
    with torch.device("meta"):
        paper, released = discriminator("paper"), discriminator("released")
    expected: dict[str, list[tuple[int, ...]]] = {}
    for name, filters in [("paper", (64, 128, 256, 512, 512)), ("released", (8, 16, 32, 64, 64))]:
        before, expected[name] = 1, []
        for width in filters:
            for kernel in (3, 4):
                expected[name].append((width, before, kernel, kernel))
                expected[name] += [(width,)] if name == "paper" else []
                before = width
        expected[name] += [(100, filters[-1] * 16), (100,), (1, 100), (1,)]
    assert shapes(paper) == expected["paper"]
    assert shapes(released) == expected["released"]
    assert count(paper) == 14_495_369
    assert gigaflops(paper, 1, 1, DIM, DIM) == pytest.approx(4.42, abs=0.01)
    for network in (paper, released):
        kinds = {type(module) for module in network.modules()}
        assert not kinds & {nn.BatchNorm2d, nn.LayerNorm, nn.Sigmoid, nn.Tanh}
        assert network(torch.empty(2, 1, DIM, DIM, device="meta")).shape == (2,)


def assert_deviation(weight: Tensor, std: float) -> None:
    """Within five standard errors of it."""
    values = weight.detach().double() / std
    assert (values.std() - 1).abs() < 5 / math.sqrt(2 * values.numel())


def test_extractor_starts_from_normals_cut_at_two_deviations() -> None:
    torch.manual_seed(1)
    # The release's settings are the same, see below; a smaller layer is drawn sooner.
    network = extractor("paper", hidden_dim=50)
    for weight in covpool.layer_weights(network):
        assert 0.19 < weight.abs().max() <= 0.2
        assert_deviation(weight, 0.1 * 0.8796)  # of a normal cut at two deviations
    assert not network.classifier.logits.bias.any()
    w = network.extractor.bimap.weight.double()
    torch.testing.assert_close(w.mT @ w, torch.eye(DIM).double(), rtol=0, atol=1e-5)
    # Q of a normal matrix has no preferred direction: its entries are nearly normal too.
    assert w.std().item() == pytest.approx(256**-0.5, rel=0.02)


@pytest.mark.parametrize(("reading", "scale"), [("paper", 0.1), ("released", 1.0)])
def test_both_players_start_from_he_normals(reading: str, scale: float) -> None:
    torch.manual_seed(1)
    network = generator(reading)
    inside = {id(module) for module in network.body.modules()}
    for module in (*network.modules(), *discriminator(reading).modules()):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            he = math.sqrt(2 / module.weight[0].numel())
            assert_deviation(module.weight, he * (scale if id(module) in inside else 1.0))
            assert module.bias is None or not module.bias.any()


def test_the_readings_differ_where_the_sources_do_and_nowhere_else() -> None:
    paper, released = (pd.json_normalize(PROFILES[r]).to_dict("records")[0] for r in READINGS)
    keys = paper.keys() | released.keys()
    different = {key for key in keys if paper.get(key) != released.get(key)}
    assert different == {
        *("fsr.generator.channel_affine", "fsr.generator.tail_kernel", "fsr.generator.init_scale"),
        *("fsr.discriminator.filters", "fsr.discriminator.bias", "fsr.l2_iterations"),
        *("fsr.learning_rate", "fsr.learning_rate_milestones"),
        *("losses.perceptual_weight", "losses.feature_l2_weight"),
        *("reweight.r", "reweight.detach", "reweight.discriminator"),
    }
