"""Layer tables: shapes, parameter counts, initial values, what is frozen in eval mode."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from fsr_fer.models.covpool import FeatureExtractor, standardise
from fsr_fer.models.discriminator import Discriminator
from fsr_fer.models.generator import Generator
from tests.sections import discriminator, extractor, generator


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("filters", "growth", "parameters"),
    [
        (64, 32, 4_391_617),
        (64, 16, 2_316_865),
        (32, 8, 580_129),
    ],
)
def test_generator_parameter_table(filters: int, growth: int, parameters: int) -> None:
    assert count(Generator(generator(filters=filters, growth=growth, blocks=6))) == parameters


def test_generator_starts_as_the_identity_only_with_the_long_skip() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 1, 32, 32)
    assert torch.equal(Generator(generator(long_skip=True))(features), features)
    literal = Generator(generator(long_skip=False))(features)
    assert literal.std() > 0.01
    assert not torch.allclose(literal, features, atol=0.5)


def test_discriminator_starts_with_a_slope_worth_penalising() -> None:
    torch.manual_seed(0)
    network = Discriminator(discriminator(filters=(16, 32, 64, 64)), feature_dim=32)
    features = torch.randn(8, 1, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(features).sum(), features)
    assert gradient.flatten(1).norm(dim=1).mean() > 0.1


def test_standardise_by_hand() -> None:
    image = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    image[0, 0, 0, 0] = 240
    result = standardise(image)
    mean, count_ = 240 / 12, 12
    std = ((240 - mean) ** 2 / count_ + 11 * mean**2 / count_) ** 0.5
    assert result.shape == (1, 3, 2, 2)
    assert result[0, 0, 0, 0].item() == pytest.approx((240 - mean) / std, rel=1e-6)
    assert result[0, 2, 1, 1].item() == pytest.approx(-mean / std, rel=1e-6)


def test_standardise_of_a_blank_face_is_zero() -> None:
    assert standardise(torch.full((1, 4, 4, 3), 77, dtype=torch.uint8)).abs().max() == 0


def test_eval_mode_leaves_running_statistics_alone() -> None:
    network = FeatureExtractor(extractor()).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(torch.randn(2, 3, 100, 100))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_maps_are_the_layers_one_by_one_in_training_and_outside_it() -> None:
    torch.manual_seed(0)
    network = FeatureExtractor(extractor()).double()
    faces = torch.randn(3, 3, 100, 100, dtype=torch.float64)
    network.maps(faces)  # running statistics and shifts that are not the initial ones
    for norm in network.norms:
        nn.init.normal_(norm.beta)
    for training in (True, False):
        network.train(training)
        values = faces
        for position, (conv, norm) in enumerate(zip(network.convs, network.norms, strict=True)):
            values = functional.relu(norm(conv(values)))
            if position in (0, 1, 3):
                values = functional.max_pool2d(values, 2)
        torch.testing.assert_close(network.maps(faces), values)
