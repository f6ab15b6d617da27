"""Layer tables: shapes, parameter counts, initial values, what is frozen in eval mode."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from fsr_fer.models.covpool import FeatureExtractor, standardise
from fsr_fer.models.generator import Generator
from tests.sections import extractor, generator


def test_generator_starts_as_the_identity_only_with_the_long_skip() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 1, 32, 32)
    assert torch.equal(Generator(generator(long_skip=True))(features), features)
    literal = Generator(generator(long_skip=False))(features)
    assert literal.std() > 0.01
    assert not torch.allclose(literal, features, atol=0.5)


def test_standardise_by_hand() -> None:
    image = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    image[0, 0, 0, 0] = 240
    result = standardise(image)
    mean, count_ = 240 / 12, 12
    std = ((240 - mean) ** 2 / count_ + 11 * mean**2 / count_) ** 0.5
    assert result.shape == (1, 3, 2, 2)
    assert result[0, 0, 0, 0].item() == pytest.approx((240 - mean) / std, rel=1e-6)
    assert result[0, 2, 1, 1].item() == pytest.approx(-mean / std, rel=1e-6)
    assert not standardise(torch.full((1, 4, 4, 3), 77, dtype=torch.uint8)).any()


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
