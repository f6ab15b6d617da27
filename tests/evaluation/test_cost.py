"""Counts at full size against those worked out layer by layer."""

import math

import pytest
import torch
from torch import Tensor, nn

from fsr_fer.common.settings import build
from fsr_fer.data.downsampling import small_side
from fsr_fer.evaluation.cost import Work, cost_of, eigen_flop, work_of, work_of_module
from fsr_fer.evaluation.methods import Method
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.image_tensors import Restorer
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import (
    ExtractorSettings,
    GeneratorSettings,
    MetaSrSettings,
    RcanSettings,
)
from fsr_fer.pipeline.profiles import profile_values, read_yaml
from tests import ROOT, sections

PAPER = profile_values(read_yaml(ROOT / "params.yaml"), "paper")


@pytest.fixture(scope="module")
def paper() -> CovPoolFER:
    settings = build(ExtractorSettings, PAPER["pretrain"]["extractor"], "extractor")
    with torch.device("meta"):  # drawing 34 million weights takes seconds
        network = CovPoolFER(settings, 7).eval().requires_grad_(False)
    network.to_empty(device="cpu")
    for tensor in network.state_dict().values():
        tensor.zero_()
    return network


@pytest.fixture(scope="module")
def network() -> CovPoolFER:
    torch.manual_seed(0)
    return CovPoolFER(sections.extractor(), 3).eval().requires_grad_(False)


class Enlarging(nn.Module):
    """Every pixel several times, after one 1x1 convolution: 9 multiplications per small pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.conv.weight)

    def forward(self, small: Tensor, size: int) -> Tensor:
        times = -(-size // small.shape[2])
        enlarged = self.conv(small).repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)
        return enlarged[:, :, :size, :size]


def test_covpoolfer_at_full_size(paper: CovPoolFER) -> None:
    """Each summand is a layer: weights times positions, twice."""
    convolutions = (
        1_728 * 100**2 + 55_296 * 50**2 + (110_592 + 147_456) * 25**2 + (294_912 + 589_824) * 12**2
    )
    covariance = 256 * 256 * 144
    bimap = 128 * 256 * 256 + 128 * 128 * 256
    logarithm = 128**3  # one product puts the matrix together again, ReEig and LogEig in one
    fully_connected = 16_384 * 2_000 + 2_000 * 128 + 128 * 7
    products = convolutions + covariance + bimap + logarithm + fully_connected
    cost = cost_of(Method(network=paper), {}, [2])
    assert cost == {
        "parameters": {"hr": 34_260_535, "x2": 34_260_535},
        "flop_per_face": {"hr": 2 * products, "x2": 2 * products},
        "eigen_flop_per_face": {"hr": eigen_flop(128), "x2": eigen_flop(128)},
        "flop_once": {"hr": 0, "x2": 0},
    }
    assert 2 * products / 1e9 == pytest.approx(1.0, abs=0.05)  # about 1.05, both steps
    assert eigen_flop(128) / 1e6 == pytest.approx(20, abs=2)  # 20 to 50


@pytest.mark.parametrize(
    ("filters", "growth", "parameters", "gflop"),
    [
        (64, 32, 4_391_617, 143.8),
        (64, 16, 2_316_865, 75.8),
        (32, 32, 2_510_305, 82.2),
        (32, 16, 1_099_105, 36.0),
        (32, 8, 580_129, 19.0),
        (16, 16, 628_465, 20.5),
        (16, 8, 275_377, 9.0),
    ],
)
def test_generators_at_full_size(filters: int, growth: int, parameters: int, gflop: float) -> None:
    settings = PAPER["fsr"]["generator"] | {"filters": filters, "growth": growth}
    with torch.device("meta"):
        generator = Generator(build(GeneratorSettings, settings, "generator"))
    counted, once = work_of_module(generator, (1, 1, 128, 128), torch.float32)
    assert sum(p.numel() for p in generator.parameters()) == parameters
    assert round(counted.flop / 1e9, 1) == gflop
    assert counted.eigen_flop == once == 0


@pytest.mark.parametrize(
    ("scale", "parameters", "gflop"),
    [
        (3, 15_629_307, 35.8),
        (8, 15_740_091, 6.2),
    ],
)
def test_rcan_at_full_size(scale: int, parameters: int, gflop: float) -> None:
    with torch.device("meta"):
        restorer = Restorer(Rcan(build(RcanSettings, PAPER["sr"]["rcan"], "rcan"), scale))
    side = small_side(scale)
    counted, once = work_of_module(restorer, (1, side, side, 3), torch.uint8)
    assert sum(p.numel() for p in restorer.parameters()) == parameters
    assert round(counted.flop / 1e9, 1) == gflop
    assert once == 0


@pytest.mark.parametrize(("scale", "gflop"), [(2, 109.8), (4, 27.5), (5, 17.6), (7, 9.9)])
def test_meta_sr_at_full_size(scale: int, gflop: float) -> None:
    with torch.device("meta"):
        restorer = Restorer(MetaSr(build(MetaSrSettings, PAPER["sr"]["meta_sr"], "meta_sr")))
    side = small_side(scale)
    counted, once = work_of_module(restorer, (1, side, side, 3), torch.uint8)
    assert sum(p.numel() for p in restorer.parameters()) == 22_419_096
    upscale = 2 * 100**2 * 576 * 3  # each output pixel is its kernel times a patch, RGB
    assert round((counted.flop - upscale) / 1e9, 1) == gflop
    # A kernel for each way in which an output pixel may lie on its input pixel.
    ways = (100 // math.gcd(side, 100)) ** 2
    assert once == 2 * ways * (3 * 256 + 256 * 1728)


def test_every_matrix_of_a_batch_counts() -> None:
    matrices = torch.eye(5).expand(4, 5, 5)
    assert work_of(lambda: torch.linalg.eigh(matrices)) == Work(0, 4 * 9 * 125)
    assert work_of(lambda: matrices @ matrices) == Work(2 * 4 * 125, 0)


def test_the_generator_costs_where_faces_were_small(network: CovPoolFER) -> None:
    generator = Generator(sections.generator()).eval()
    plain = cost_of(Method(network=network), {}, [2, 8])
    cost = cost_of(Method(network=network, generator=generator), {}, [2, 8])
    more = work_of_module(generator, (1, 1, 8, 8), torch.float32)[0].flop
    assert more > 0
    for column, extra in (("hr", 0), ("x2", more), ("x8", more)):
        assert cost["flop_per_face"][column] == plain["flop_per_face"][column] + extra
        assert cost["eigen_flop_per_face"][column] == eigen_flop(8)
    assert cost["parameters"]["hr"] == plain["parameters"]["hr"] < cost["parameters"]["x2"]


def test_restoring_costs_by_the_size_of_the_face(network: CovPoolFER) -> None:
    restorers = {2: Restorer(Enlarging()), 8: Restorer(Enlarging())}
    plain = cost_of(Method(network=network), {}, [2, 5, 8])
    cost = cost_of(Method(network=network), restorers, [2, 5, 8])
    for column, pixels in (("hr", 0), ("x2", 50**2), ("x8", 13**2)):
        flop, less = cost["flop_per_face"][column], plain["flop_per_face"][column]
        assert flop - less == 2 * 9 * pixels
        extra = cost["parameters"][column] - plain["parameters"][column]
        assert extra == (9 if pixels else 0)
    assert "x5" not in cost["flop_per_face"]
