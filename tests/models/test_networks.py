"""Layer tables: shapes, parameter counts, initial values, what is frozen in eval mode."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fsr_fer.models.covpool import FeatureExtractor, shrinking, standardise
from fsr_fer.models.generator import Generator
from fsr_fer.resize import imresize
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


MEANS = {"widths": (4, 4), "pool_after": (2,), "residual": True, "pooling": "mean", "bimap_dim": 2}


@pytest.mark.parametrize(
    ("changes", "pooled", "skipped"), [({}, (0, 1, 3), ()), (MEANS, (1,), (1,))]
)
def test_maps_are_the_layers_one_by_one_in_training_and_outside_it(
    changes: dict[str, Any], pooled: tuple[int, ...], skipped: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    network = FeatureExtractor(extractor(**changes)).double()
    faces = torch.randn(3, 3, 100, 100, dtype=torch.float64)
    network.maps(faces)  # running statistics and shifts that are not the initial ones
    for norm in network.norms:
        nn.init.normal_(norm.beta)
    for training in (True, False):
        network.train(training)
        values = faces
        for position, (conv, norm) in enumerate(zip(network.convs, network.norms, strict=True)):
            made = norm(conv(values)) + (values if position in skipped else 0)
            values = functional.relu(made)
            if position in pooled:
                values = functional.max_pool2d(values, 2)
        torch.testing.assert_close(network.maps(faces), values)
    if changes:
        assert network.bimap is None
        torch.testing.assert_close(network(faces)[1], values[1].mean(dim=(1, 2)).view(2, 2))


def test_a_smaller_input_is_what_imresize_makes_of_the_grey_face() -> None:
    generator = np.random.default_rng(0)
    face = generator.normal(size=(100, 100, 3))
    matrix = shrinking(48).double().numpy()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    grey = face @ [0.299, 0.587, 0.114]
    expected = imresize(grey, output_shape=(48, 48))
    np.testing.assert_allclose(matrix @ grey @ matrix.T, expected, atol=1e-5)

    small = extractor(input_pixels=48, grey=True, widths=(1,), pool_after=(), bimap_dim=1)
    network = FeatureExtractor(small).eval()
    nn.init.zeros_(network.convs[0].weight)
    network.convs[0].weight.data[0, 0, 1, 1] = 1.0  # the identity
    maps = network.maps(torch.from_numpy(face.transpose(2, 0, 1)[None]).float())
    scale = (1 + 1e-3) ** -0.5  # of a normalisation that has seen nothing
    np.testing.assert_allclose(maps[0, 0].detach().numpy(), expected.clip(0) * scale, atol=1e-4)
