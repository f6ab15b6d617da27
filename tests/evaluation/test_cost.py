"""Counts at full size against those worked out layer by layer."""

import pytest
import torch

from fsr_fer.common.settings import build
from fsr_fer.evaluation.cost import cost_of, work_of, work_of_module
from fsr_fer.evaluation.methods import Method
from fsr_fer.models.covpool import CovPoolFER
from fsr_fer.models.generator import Generator
from fsr_fer.models.image_tensors import Restorer
from fsr_fer.models.meta_sr import MetaSr
from fsr_fer.models.rcan import Rcan
from fsr_fer.models.settings import ExtractorSettings, MetaSrSettings, RcanSettings
from fsr_fer.pipeline.profiles import profile_values, read_yaml
from tests import ROOT, sections
from tests.models.test_super_resolution import SMALL_META_SR

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
        "eigen_flop_per_face": {"hr": 9 * 128**3, "x2": 9 * 128**3},
        "flop_once": {"hr": 0, "x2": 0},
    }


def test_rcan_by_hand() -> None:
    """Each summand is a convolution: weights times positions, twice."""
    restorer = Restorer(Rcan(RcanSettings(groups=1, blocks=1, filters=4, reduction=2), 2))
    small, large, filters = 13**2, 26**2, 4 * 4 * 9
    head, tail, enlarging = 3 * 4 * 9 * small, 4 * 3 * 9 * large, 4 * filters * small
    block = 2 * filters * small + 2 * 4 * 2  # the second: channel attention
    shifts = 3 * 3 * (small + large)
    products = head + block + 2 * filters * small + enlarging + tail + shifts
    assert work_of_module(restorer, (1, 13, 13, 3), torch.uint8) == (2 * products, 0)


def test_meta_sr_at_full_size() -> None:
    with torch.device("meta"):
        restorer = Restorer(MetaSr(build(MetaSrSettings, PAPER["sr"]["meta_sr"], "meta_sr")))
    counted, once = work_of_module(restorer, (1, 15, 15, 3), torch.uint8)  # x7
    upscale = 2 * 100**2 * 576 * 3  # each output pixel is its kernel times a patch, RGB
    assert round((counted - upscale) / 1e9, 1) == 9.9
    # A kernel for each of the 20 x 20 ways in which an output pixel may lie on its input pixel.
    assert once == 2 * 20**2 * (3 * 256 + 256 * 1728)


def test_every_matrix_of_a_batch_counts() -> None:
    matrices = torch.eye(5).expand(4, 5, 5)
    assert work_of(lambda: torch.linalg.eigh(matrices)) == (0, 4 * 9 * 125)
    assert work_of(lambda: matrices @ matrices) == (2 * 4 * 125, 0)


def test_the_generator_costs_where_faces_were_small(network: CovPoolFER) -> None:
    restoring = Generator(sections.generator()).eval()
    plain = cost_of(Method(network=network), {}, [8])
    cost = cost_of(Method(network=network, generator=restoring), {}, [8])
    more = work_of_module(restoring, (1, 1, 8, 8), torch.float32)[0]
    assert more > 0
    for column, extra in (("hr", 0), ("x8", more)):
        assert cost["flop_per_face"][column] == plain["flop_per_face"][column] + extra
        assert cost["eigen_flop_per_face"][column] == 9 * 8**3
    assert cost["parameters"]["hr"] == plain["parameters"]["hr"] < cost["parameters"]["x8"]


def test_restoring_costs_by_the_size_of_the_face(network: CovPoolFER) -> None:
    restorer = Restorer(MetaSr(SMALL_META_SR).eval())
    plain = cost_of(Method(network=network), {}, [2, 5, 8])
    cost = cost_of(Method(network=network), {2: restorer, 8: restorer}, [2, 5, 8])
    assert list(cost["flop_per_face"]) == ["hr", "x2", "x8"]
    for column, side in (("x2", 50), ("x8", 13)):
        more, once = work_of_module(restorer, (1, side, side, 3), torch.uint8)
        assert cost["flop_per_face"][column] == plain["flop_per_face"][column] + more
        assert cost["flop_once"][column] == once > 0
        own = sum(p.numel() for p in restorer.parameters())
        assert cost["parameters"][column] == plain["parameters"][column] + own
    assert cost["flop_per_face"]["hr"] == plain["flop_per_face"]["hr"]
