"""Which package may import which: those below it alone."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests import ROOT

SRC = ROOT / "src/fsr_fer"
# Packages of one number do not know each other.
LEVELS = {
    "common": 0,
    "resize": 0,
    "models": 1,
    "data": 1,
    "predict": 2,
    "serve": 3,
    "features": 2,
    "evaluation": 3,
}
LEVELS |= {"training": 4, "pipeline": 5, "report": 6, "cli": 7}
# Upward, and only when a row of the table is asked for as a model.
ON_DEMAND = {("predict/model.py", "fsr_fer.pipeline.method_model")}


def test_packages_import_what_lies_below_them_alone() -> None:
    for path in SRC.rglob("*.py"):
        package = path.relative_to(SRC).parts[0].removesuffix(".py")
        for module in imported(path.read_text()):
            other = module.split(".")[1]
            below = LEVELS.get(package, 8) > LEVELS[other]
            on_demand = (str(path.relative_to(SRC)), module) in ON_DEMAND
            assert other == package or below or on_demand, (
                f"{path.relative_to(ROOT)} imports {module}"
            )
    assert {path.name for path in SRC.glob("*.py")} == {"__init__.py", "cli.py"}


def imported(source: str) -> Iterator[str]:
    """The modules of the package that a file imports."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 2  # those of `resize` stay within it
            whole = node.module == "fsr_fer"
            names = [f"fsr_fer.{a.name}" for a in node.names] if whole else [str(node.module)]
        yield from (name for name in names if name.startswith("fsr_fer."))


@pytest.mark.parametrize(
    "line",
    ["import os, fsr_fer.report", "from fsr_fer import report", "from fsr_fer.report import x"],
)
def test_every_form_of_import_is_seen(line: str) -> None:
    assert list(imported(f"def f():\n    {line}\n")) == ["fsr_fer.report"]


def test_the_page_has_the_packages_in_this_order() -> None:
    page = (ROOT / "docs/code.md").read_text()
    order = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", page, re.M)
    assert sorted(order) == sorted(LEVELS)
    assert sorted(order, key=LEVELS.__getitem__, reverse=True) == order
