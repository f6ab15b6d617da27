"""The compiled kernel by itself: that it is there, and can be lifted out.

That its pixels are right is for test_resize.py, which runs everything with it and without.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from fsr_fer import imresize
from fsr_fer.resize import kernel
from tests.resize.reference import random_image, reference_resize

COMPILER = shlex.split(sysconfig.get_config_var("CC") or "cc")
needs_compiler = pytest.mark.skipif(not shutil.which(COMPILER[0]), reason="no C compiler is here")


@needs_compiler
def test_kernel_is_compiled_where_a_compiler_is() -> None:
    assert kernel.library() is not None, "`pip install -e .` compiles it"


@pytest.fixture(scope="module")
def lifted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder alone, elsewhere, as ``resize``."""
    folder = tmp_path_factory.mktemp("lifted") / "resize"
    source = Path(kernel.__file__).parent
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return folder


def compile_beside(folder: Path, *flags: str, source: str = "kernel.c") -> None:
    command = [*COMPILER, "-O3", "-shared", "-fPIC", *flags, "-o", "_kernel.so", source]
    subprocess.run(command, cwd=folder, check=True)


def resize_lifted(folder: Path, images: np.ndarray, **arguments: object) -> tuple[bool, np.ndarray]:
    """Whether it found a kernel, and what came out."""
    np.save(folder / "images.npy", images)
    code = (
        "import numpy as np; from resize import imresize, kernel\n"
        f"result = imresize(np.load('resize/images.npy'), **{arguments!r})\n"
        "np.save('resize/result.npy', result); print(kernel.library() is not None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    return done.stdout.strip() == "True", np.load(folder / "result.npy")


@needs_compiler
@pytest.mark.parametrize("flags", [(), ("-DPORTABLE",), ("-O1", "-ffp-contract=off")])
def test_lifted_out_and_compiled_for_any_processor(lifted: Path, flags: tuple[str, ...]) -> None:
    compile_beside(lifted, *flags)
    for channels, arguments in [
        (3, {"scale": 1 / 6}),
        (1, {"output_shape": (81, 20)}),
        (4, {"output_shape": (20, 81)}),
        (2, {"output_shape": (7, 200)}),
    ]:
        images = np.stack([random_image(seed, 50, 61, channels) for seed in (2, 3)])
        found, result = resize_lifted(lifted, images, **arguments)
        assert found
        for image, of_image in zip(images, result, strict=True):
            np.testing.assert_array_equal(of_image, reference_resize(image, **arguments))


@needs_compiler
def test_kernel_that_does_not_fit_is_left_alone(lifted: Path) -> None:
    images = np.stack([random_image(2, 50, 61, 3)])
    expected = imresize(images, 1 / 6)
    (lifted / "_kernel.so").write_text("no library")
    stale = "int resize(void) { return 0; }\n"
    other = stale + "long long resize_interface(void) { return 99; }\n"
    for text in ("", stale, other):
        if text:
            (lifted / "other.c").write_text(text)
            compile_beside(lifted, source="other.c")
        found, result = resize_lifted(lifted, images, scale=1 / 6)
        assert not found
        np.testing.assert_array_equal(result, expected)
