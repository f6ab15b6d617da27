"""Fingerprints of the code that stages run, so that DVC repeats a stage when its code changed.

A stage's code is its script, every module of this project that it imports, directly or not, and the
data files of their packages. Comments, docstrings and formatting do not count, nor does the version
of Python. The stage ``code`` writes the fingerprints, all other stages declare their own.
"""

import ast
import functools
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from fsr_fer.common.errors import UserError

STAGES, SOURCE, PACKAGE = Path("stages"), Path("src"), "fsr_fer"
DATA_SUFFIXES = (".c", ".csv", ".html")
_SKIPPED_FIELDS = {"ctx", "kind", "type_comment", "type_params", "type_ignores"}
_SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def fingerprints() -> dict[str, str]:
    """The fingerprint of each stage's code, by its script's name."""
    names = sorted(path.stem for path in STAGES.glob("*.py") if path.stem != "__init__")
    return {name: fingerprint(name) for name in names}


def fingerprint(stage: str) -> str:
    """The fingerprint of a stage's code, as it lies in the current folder."""
    digest = hashlib.sha256()
    for path in reached(stage):
        digest.update(f"{path.as_posix()} {_meaning(path, path.read_bytes())}\n".encode())
    return digest.hexdigest()[:16]


def reached(stage: str) -> list[Path]:
    """The files that make up a stage's code, sorted."""
    seen: set[Path] = set()
    waiting = [STAGES / "__init__.py", STAGES / f"{stage}.py"]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += _imports(path, path.read_bytes())
    packages = {path.parent for path in seen if path.is_relative_to(SOURCE)}
    data = (file for p in packages for file in (*p.glob("*"), *p.glob("templates/*")))
    seen |= {file for file in data if file.suffix in DATA_SUFFIXES}
    return sorted(seen)


def require_own_code(stage: str) -> None:
    """AssertionError if a module that a stage has loaded is not part of its fingerprint."""
    known = {path.resolve() for path in reached(stage)}
    for name, module in sys.modules.items():
        path = Path(getattr(module, "__file__", None) or "")
        if name.partition(".")[0] in (PACKAGE, STAGES.name) and path.suffix == ".py":
            assert path.resolve() in known, f"{stage} loaded {name} unnoticed"


@functools.cache
def _tree(path: Path, content: bytes) -> ast.Module:
    try:
        return ast.parse(content)
    except SyntaxError as error:
        raise UserError(f"{path}:{error.lineno}: {error.msg}") from error


@functools.cache
def _imports(path: Path, content: bytes) -> list[Path]:
    """Modules of ours that a file imports when it runs, the packages on the way included."""
    found: list[Path] = []
    package = path.relative_to(SOURCE).parts[:-1] if path.is_relative_to(SOURCE) else ()
    lazy = path == SOURCE / PACKAGE / "__init__.py"  # what it exports is loaded on demand
    for node in _running(_tree(path, content), lazy):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for parts in (name.split(".") for name in names):
            if parts[0] == PACKAGE:
                for end in range(1, len(parts) + 1):
                    module = SOURCE.joinpath(*parts[:end])
                    files = (module / "__init__.py", module.with_suffix(".py"))
                    found += (file for file in files if file.is_file())
    return found


def _running(node: ast.AST, lazy: bool) -> Iterator[ast.AST]:
    """A tree's nodes, those for type checkers alone left out; with ``lazy`` functions too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if not (lazy and isinstance(child, ast.FunctionDef)):
            yield child
            yield from _running(child, lazy)


@functools.cache
def _meaning(path: Path, content: bytes) -> str:
    """A hash of a file: of what Python makes of it, or of its bytes if it is none of Python's."""
    if path.suffix == ".py":
        content = _canonical(_tree(path, content)).encode()
    return hashlib.sha256(content).hexdigest()


def _canonical(value: object) -> str:
    """A syntax tree as text, the same whichever Python has parsed it."""
    if isinstance(value, list):
        return f"[{','.join(map(_canonical, value))}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    parts = []
    for name, field in ast.iter_fields(value):
        if name == "body" and isinstance(value, _SCOPES):
            field = [statement for statement in field if not _is_docstring(statement)]
        if name not in _SKIPPED_FIELDS and field not in (None, []):
            parts.append(f"{name}={_canonical(field)}")
    return f"{type(value).__name__}({','.join(parts)})"


def _is_docstring(statement: ast.stmt) -> bool:
    """Whether it is a string by itself: a docstring, or the documentation of a field."""
    text = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(text, ast.Constant) and isinstance(text.value, str)
