"""Which package may import which: those below it alone."""

import ast

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
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fsr_fer."):
                other = str(node.module).split(".")[1]
                below = LEVELS.get(package, 8) > LEVELS[other]
                on_demand = (str(path.relative_to(SRC)), node.module) in ON_DEMAND
                assert other == package or below or on_demand, (
                    f"{path.relative_to(ROOT)} imports {node.module}"
                )
    assert {path.name for path in SRC.glob("*.py")} == {"__init__.py", "cli.py"}
