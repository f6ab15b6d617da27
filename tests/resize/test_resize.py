"""imresize against MATLAB's own pictures, and against a plain reference on everything else."""

import sys
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import loadmat

from fsr_fer import imresize
from fsr_fer.resize import arrays, kernel, tensors
from fsr_fer.resize.weights import Axis, build_pass, contributions
from tests import ROOT
from tests.pipeline.provenance.conftest import shell
from tests.resize.reference import random_image, reference_resize, stripes_on_halves

MATLAB = ROOT.parent / "shared/data/matlab"
needs_matlab = pytest.mark.skipif(not MATLAB.is_dir(), reason="MATLAB's pictures are not here")

SCALES = [1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6, 1 / 7, 1 / 8, 1, 2, 3, 4, 6, 0.37, 1.7]
# Even numerators over an odd denominator never make a half, so x3, x5 and x7 are not among these.
HALVES = [(100, "1/2"), (100, "1/4"), (100, "1/6"), (100, "1/8"), (50, "2"), (25, "4"), (13, "8")]
HALVES += [(17, "6"), (30, "10/3")]


@pytest.fixture(scope="module", autouse=True, params=["kernel", "NumPy and torch"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test is run twice: with the compiled kernel, and as if there were none."""
    if request.param == "kernel":
        if kernel.library() is None:
            pytest.skip("the kernel is not compiled here")
        yield "kernel"
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "library", lambda: None)
        yield "NumPy and torch"


def read(name: str) -> np.ndarray:
    return np.asarray(Image.open(MATLAB / name))


# What MATLAB itself wrote


@needs_matlab
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_older_matlab_on_set5(factor: int) -> None:
    for number in range(1, 6):
        name = f"set5-replicate/image_SRF_{factor}/img_{number:03d}_SRF_{factor}"
        hr, lr = read(f"{name}_HR.png"), read(f"{name}_LR.png")
        np.testing.assert_array_equal(imresize(hr, 1 / factor, boundary="replicate"), lr)


@needs_matlab
def test_newer_matlab_on_lena() -> None:
    lena = read("lena_512x512.png")
    size = (123, 234)
    expected = read("lena_123x234_uint8.png")
    np.testing.assert_array_equal(imresize(lena, output_shape=size), expected)
    as_double = np.floor(imresize(lena / 255, output_shape=size).clip(0, 1) * 255 + 0.5)
    np.testing.assert_array_equal(as_double, read("lena_123x234_double.png"))


@needs_matlab
def test_matlab_on_ramps() -> None:
    folder = MATLAB / "size-form"
    files = [*folder.glob("down_*.mat"), *folder.glob("up_up_irregular_*.mat")]
    assert len(files) == 12
    for name in (file.stem for file in files):
        side = 4 if "small" in name else 15 if "x3" in name or "x5" in name else 8
        ramp = np.arange(side * side, dtype=np.float64).reshape(side, side)
        expected = loadmat(MATLAB / "size-form" / f"{name}.mat")[name]
        antialiasing = not name.endswith("_noaa")
        result = imresize(ramp, output_shape=expected.shape, antialiasing=antialiasing)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12, err_msg=name)


# Against the plain reference


@st.composite
def calls(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, object]]:
    side = st.one_of(st.integers(4, 40), st.integers(4, 512))
    height, width, channels = draw(side), draw(side), draw(st.sampled_from([1, 3, 3, 4, 5]))
    image = random_image(draw(st.integers(0, 2**16)), height, width, channels)
    arguments: dict[str, object] = {
        "antialiasing": draw(st.booleans()),
        "boundary": draw(st.sampled_from(["symmetric", "replicate"])),
    }
    if draw(st.booleans()):
        arguments["output_shape"] = (draw(st.integers(1, 256)), draw(st.integers(1, 64)))
    else:
        arguments["scale"] = draw(st.sampled_from([s for s in SCALES if s * height < 300]))
    return image, arguments


@settings(max_examples=16, deadline=None, derandomize=True)
@given(calls())
def test_equals_the_reference(call: tuple[np.ndarray, dict[str, object]]) -> None:
    image, arguments = call
    expected = reference_resize(image, **arguments)
    np.testing.assert_array_equal(imresize(image, **arguments), expected)
    np.testing.assert_array_equal(imresize(torch.from_numpy(image), **arguments), expected)
    exact = reference_resize(image / 255, **arguments)
    for of_floats in (image / 255, torch.from_numpy(image / 255)):
        np.testing.assert_allclose(imresize(of_floats, **arguments), exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("size", "scale"), HALVES)
def test_exact_halves(size: int, scale: str, axis: int) -> None:
    lines, is_half = stripes_on_halves(size, scale)
    assert is_half.any(axis=0).all()
    # They change along one axis alone, so that one pass meets the halves.
    stripes = np.repeat(lines[:, :, None], 12, axis=2)
    images = (stripes if axis == 0 else stripes.transpose(0, 2, 1))[..., None]
    factor = float(Fraction(scale))
    expected = reference_resize(images[..., 0].transpose(1, 2, 0), factor).transpose(2, 0, 1)
    for result in (imresize(images, factor), imresize(torch.from_numpy(images.copy()), factor)):
        np.testing.assert_array_equal(result[..., 0], expected)


# The bound that the fast path rests on


@pytest.mark.parametrize("scale", [1 / 2, 1 / 3, 1 / 6, 1 / 8, 1, 3, 6, 0.37, 0.05])
def test_products_stay_within_their_margin(scale: float) -> None:
    axis = Axis(120, int(np.ceil(120 * scale)), scale, True, "symmetric")
    step = build_pass(axis, 1, "uint8")
    assert (step.margin == 0) == (scale in (1 / 2, 1 / 4, 1, 2, 4))  # no second look is needed
    indices, weights = contributions(axis)
    # Inputs that take the weights' own signs make the sums, and with them the errors, largest.
    signs = np.zeros((len(weights), 120))
    np.add.at(signs, (np.arange(len(weights))[:, None], indices), weights)
    inputs = np.concatenate([np.where(signs > 0, 255, 0), np.where(signs > 0, 0, 255)]).T
    inputs = np.concatenate([inputs, random_image(2, 120, 500)], axis=1).astype(np.float32)
    sums = np.cumsum(weights[:, :, None] * inputs[indices], axis=1)[:, -1]
    for block in step.blocks:
        products = block.matrix @ inputs[block.inputs]
        assert np.abs(products - sums[block.outputs]).max() <= step.margin


def test_many_taps_are_multiplied_in_float64() -> None:
    axis = Axis(1200, 4, 1 / 300, True, "symmetric")
    assert build_pass(axis, 1, "uint8").dtype == np.float64
    image = random_image(4, 1200, 5)
    expected = reference_resize(image, output_shape=(4, 5))
    np.testing.assert_array_equal(imresize(image, output_shape=(4, 5)), expected)


def test_chunks_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.stack([random_image(seed, 30, 20, 3) for seed in range(7)])
    expected = imresize(images, 1 / 6)
    for module in (arrays, tensors):
        monkeypatch.setattr(module, "_TIES_AT_ONCE", 3)
        monkeypatch.setattr(module, "_BUFFER_VALUES", 2 * 30 * 20 * 3)
    np.testing.assert_array_equal(imresize(images, 1 / 6), expected)
    np.testing.assert_array_equal(imresize(torch.from_numpy(images), 1 / 6), expected)


# What holds of every resize


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
def test_batches_and_channels_do_not_mix(channels: int) -> None:
    images = np.stack([random_image(seed, 23, 31, channels) for seed in range(3)])
    result = imresize(images, output_shape=(10, 40))
    assert result.shape == (3, 10, 40, channels)
    assert result.flags.c_contiguous
    for i in range(3):
        np.testing.assert_array_equal(imresize(images[i], output_shape=(10, 40)), result[i])
        for c in range(channels):
            plane = imresize(images[i, :, :, c], output_shape=(10, 40))
            np.testing.assert_array_equal(plane, result[i, :, :, c])
    tensor = imresize(torch.from_numpy(images), output_shape=(10, 40))
    np.testing.assert_array_equal(tensor, result)


def test_dtypes_stay_and_another_byte_order_is_read() -> None:
    image = random_image(8, 40, 40, 3)
    exact = imresize(image / 255, 1 / 3)
    floats = (image / 255).astype(np.float32)
    single = imresize(floats, 1 / 3)
    swapped = imresize(floats.astype(floats.dtype.newbyteorder()), 1 / 3)
    assert (exact.dtype, single.dtype, swapped.dtype) == (np.float64, np.float32, np.float32)
    np.testing.assert_allclose(single, exact, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(swapped, single)
    assert imresize(image, 1 / 3).dtype == np.uint8


def test_any_memory_layout_is_read_and_left_alone() -> None:
    image = random_image(10, 40, 60, 3)
    kept = image.copy()
    image.flags.writeable = False
    expected = imresize(image[::2, ::-1].copy(), 1 / 3)
    np.testing.assert_array_equal(imresize(image[::2, ::-1], 1 / 3), expected)
    np.testing.assert_array_equal(image, kept)
    batch = imresize(np.zeros((0, 20, 20, 3), np.uint8), 1 / 2)
    assert batch.shape == (0, 10, 10, 3)
    assert imresize(torch.zeros(0, 20, 20, 3), 1 / 2).shape == (0, 10, 10, 3)


# Tensors


def test_reduced_precision_settings_do_not_reach_the_result() -> None:
    image = random_image(12, 2, 64, 64, 3)
    expected = imresize(image, 1 / 3)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            result = imresize(torch.from_numpy(image), 1 / 3)
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(result, expected)


def test_gradient_passes_through() -> None:
    with torch.inference_mode():
        imresize(torch.zeros(2, 6, 5, 2, dtype=torch.float64), output_shape=(4, 7))
    image = torch.rand(2, 6, 5, 2, dtype=torch.float64, generator=torch.manual_seed(0))
    image.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: imresize(x, output_shape=(4, 7)), image)


# Lifting it out, and mistakes


def test_needs_numpy_alone() -> None:
    code = (
        "import sys, numpy; before = set(sys.modules)\n"
        "from fsr_fer import imresize\n"
        "imresize(numpy.zeros((8, 8, 3), numpy.uint8), 1/3)\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names) - {'numpy', 'fsr_fer'}))"
    )
    assert shell(ROOT, sys.executable, "-c", code).strip() == ""


IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "arguments", "error", "message"),
    [
        ([[1, 2]], {"scale": 2}, TypeError, "image is a list"),
        (IMAGE.astype(np.int32), {"scale": 2}, TypeError, "dtype int32; expected uint8"),
        (torch.zeros(4, 4, dtype=torch.float16), {"scale": 2}, TypeError, "dtype float16"),
        (IMAGE[0, 0], {"scale": 2}, ValueError, r"shape \(3,\); expected \[H, W\]"),
        (IMAGE, {"scale": 2, "output_shape": (4, 4)}, ValueError, "expected one of the two"),
        (IMAGE, {"scale": 0}, ValueError, "scale is 0"),
        (IMAGE, {"scale": (2, 2)}, TypeError, r"scale is \(2, 2\); expected one number"),
        (IMAGE, {"output_shape": (0, 4)}, ValueError, r"output_shape is \(0, 4\)"),
        (IMAGE, {"output_shape": (4, 4, 3)}, ValueError, "expected two sides"),
        (IMAGE, {"output_shape": (4.5, 4)}, TypeError, r"expected \(height, width\)"),
        (IMAGE, {"output_shape": 4}, TypeError, r"expected \(height, width\)"),
        (IMAGE, {"scale": 2, "boundary": "wrap"}, ValueError, "boundary is 'wrap'"),
        (np.full((4, 4), np.nan), {"scale": 2}, ValueError, "not finite"),
        (torch.full((4, 4), torch.inf), {"scale": 2}, ValueError, "not finite"),
        (np.array([[3.4e38, -3.4e38] * 3], np.float32), {"scale": 3}, ValueError, "beyond float32"),
        (torch.tensor([[3.4e38, -3.4e38] * 3]), {"scale": 3}, ValueError, "beyond float32"),
        (np.ma.masked_array(IMAGE), {"scale": 2}, TypeError, "image is a MaskedArray"),
        (IMAGE, {"scale": True}, TypeError, "scale is True; expected one number"),
        (IMAGE, {"scale": 10**400}, ValueError, "expected above 0, to 1,048,576"),
        (IMAGE, {"scale": np.nan}, ValueError, "scale is nan; expected above 0"),
        (IMAGE, {"scale": 1e-7}, ValueError, "a scale from 1.5"),
        (IMAGE, {"scale": 2**18}, ValueError, "pixels would get 2,097,152; expected at most 1,"),
        (IMAGE, {"output_shape": (np.True_, 4)}, TypeError, r"expected \(height, width\)"),
        (np.zeros((2**17, 1)), {"output_shape": (1, 1)}, ValueError, "a scale from 1.5"),
    ],
)
def test_mistakes(image: object, arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        imresize(image, **arguments)  # type: ignore[call-overload]
    assert "\n" not in str(raised.value)
