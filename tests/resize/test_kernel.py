"""The compiled kernel by itself: that it is there, and can be lifted out.

That its pixels are right is for test_resize.py, which runs everything with it and without.
"""

import importlib
import shlex
import shutil
import subprocess
import sysconfig
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fsr_fer.resize import imresize, kernel
from fsr_fer.resize.weights import Axis
from tests.resize.reference import random_image, reference_resize

COMPILER = shlex.split(sysconfig.get_config_var("CC") or "cc")
pytestmark = pytest.mark.skipif(not shutil.which(COMPILER[0]), reason="no C compiler is here")


def test_kernel_is_compiled_where_a_compiler_is() -> None:
    assert kernel.library() is not None, "`pip install -e .` compiles it"


def compile_beside(folder: Path, source: str, target: str, *flags: str) -> None:
    command = [*COMPILER, "-O1", "-shared", "-fPIC", *flags, "-o", target, source]
    subprocess.run(command, cwd=folder, check=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder alone, elsewhere, without a kernel, as a package that can be imported."""
    copy = tmp_path / tmp_path.name  # of its own name: Python knows the others still
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(Path(kernel.__file__).parent, copy, ignore=ignored)
    monkeypatch.syspath_prepend(tmp_path)
    return copy


def test_lifted_out_and_compiled_for_any_processor(folder: Path) -> None:
    compile_beside(folder, "kernel.c", "_kernel.so", "-DPORTABLE")
    resize = importlib.import_module(folder.name)
    assert resize.kernel.library()._name.startswith(str(folder))
    for channels, arguments in [
        (3, {"scale": 1 / 6}),
        (1, {"output_shape": (81, 20)}),
        (4, {"output_shape": (20, 81)}),
        (2, {"output_shape": (7, 200)}),
    ]:
        images = np.stack([random_image(seed, 50, 61, channels) for seed in (2, 3)])
        result = resize.imresize(images, **arguments)
        for image, of_image in zip(images, result, strict=True):
            np.testing.assert_array_equal(of_image, reference_resize(image, **arguments))


def test_what_c_points_into_lives_as_long_as_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a thread whose pass another one has just put into the cache."""
    make, made = kernel._held.__wrapped__, list[weakref.ref[np.ndarray]]()

    def uncached(axis: Axis) -> Any:
        held = make(axis)
        made.extend(map(weakref.ref, held[1]))
        return held

    alive: list[bool] = []
    library = SimpleNamespace(resize=lambda *_: alive.extend(ref() is not None for ref in made))
    monkeypatch.setattr(kernel, "_held", uncached)
    monkeypatch.setattr(kernel, "library", lambda: library)
    imresize(random_image(1, 20, 20, 3), output_shape=(100, 100))
    assert alive == [True] * 6  # indices and weights, as float32 and float64, of rows and columns


def test_kernels_that_do_not_fit_are_left_alone(folder: Path) -> None:
    (folder / "_kernel.so").write_text("no library")
    stale = "int resize(void) { return 0; }\n"
    (folder / "stale.c").write_text(stale)
    (folder / "other.c").write_text(stale + "long long resize_interface(void) { return 99; }\n")
    for name in ("stale", "other"):
        compile_beside(folder, f"{name}.c", f"_kernel_{name}.so")
    resize = importlib.import_module(folder.name)
    assert resize.kernel.library() is None
    image = random_image(2, 50, 61, 3)
    np.testing.assert_array_equal(resize.imresize(image, 1 / 6), reference_resize(image, 1 / 6))
