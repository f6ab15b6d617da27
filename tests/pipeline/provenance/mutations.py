"""Ways in which a finished pipeline goes stale or is forged, enumerated; each changes one thing."""

import contextlib
import itertools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from fsr_fer.pipeline.provenance.hashing import files_below, hashes_of

Mutation = tuple[str, Callable[[Path], None]]
"""A name, and what does it to the pipeline at a path."""

OTHER_MD5 = "0123456789abcdef0123456789abcdef"


def read(root: Path, name: str) -> Any:
    return yaml.safe_load((root / name).read_text())


def write(root: Path, name: str, values: Any) -> None:
    (root / name).write_text(yaml.safe_dump(values, sort_keys=False))


def chosen(root: Path, count: int, seed: int) -> list[Mutation]:
    """``count`` mutations of the pipeline, in turn of each kind as long as it has some."""
    made = (_files, _lock_entries, _lock_stages, _params, _definitions, _imports)
    kinds = [list(kind(root)) for kind in (*made, _forged_outputs, _forged_inputs)]
    generator = random.Random(seed)
    for mutations in kinds:
        generator.shuffle(mutations)
    turns = itertools.zip_longest(*kinds)
    return [mutation for turn in turns for mutation in turn if mutation][:count]


def _lock_paths(root: Path, *kinds: str) -> list[Path]:
    """Every file or folder that dvc.lock speaks of."""
    found = set()
    for stage in read(root, "dvc.lock")["stages"].values():
        for kind in kinds:
            found |= {Path(entry["path"]) for entry in stage.get(kind, [])}
    return sorted(found)


def _files_of(path: Path) -> list[Path]:
    """A file, or the files of a folder, of the current folder."""
    return [path / name for name in files_below(path)] if path.is_dir() else [path]


def _all_files(root: Path, *kinds: str) -> list[Path]:
    with contextlib.chdir(root):
        paths = _lock_paths(root, *kinds)
        return sorted({file for path in paths for file in _files_of(path)})


def _files(root: Path) -> Iterator[Mutation]:
    def flip(path: Path) -> None:
        """Same size, same modification time: the quietest edit there is."""
        before = path.stat()
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    changes: dict[str, Callable[[Path], Any]] = {
        "flip": flip,
        "append": lambda path: path.write_bytes(path.read_bytes() + b" "),
        "empty": lambda path: path.write_bytes(b""),
        "swap": lambda path: path.write_bytes(b"another file's bytes"),
        "unlink": Path.unlink,
    }
    for file in _all_files(root, "deps", "outs"):
        for name, change in changes.items():
            yield f"{name} {file}", lambda at, f=file, c=change: c(at / f)
    for path in _lock_paths(root, "deps", "outs"):
        if (root / path).is_dir():
            yield f"add to {path}", lambda at, p=path: (at / p / "new.txt").write_text("new")


def _edit(file: str, change: Callable[[Any], Any], *keys: str | int) -> Mutation:
    """What puts ``change`` of the part at ``keys`` of a YAML file in its place."""

    def apply(at: Path) -> None:
        values = part = read(at, file)
        *above, last = keys
        for key in above:
            part = part[key]
        part[last] = change(part[last])
        write(at, file, values)

    return f"{file}: another {keys}", apply


def _remove(file: str, *keys: str | int) -> Mutation:
    """What removes a key of the section at the other ``keys`` of a YAML file."""
    *above, last = keys
    apply = _edit(file, lambda part: {k: v for k, v in part.items() if k != last}, *above)[1]
    return f"{file}: no {keys}", apply


def _lock_entries(root: Path) -> Iterator[Mutation]:
    changes: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
        lambda e: {"md5": OTHER_MD5 + ".dir" * e["md5"].endswith(".dir")},
        lambda e: {"size": e["size"] + 1},
        lambda e: {"path": e["path"] + "x"},
        lambda e: {"nfiles": e.get("nfiles", 0) + 1},
        lambda e: {"hash": "sha256"},
    )
    for stage, values in read(root, "dvc.lock")["stages"].items():
        for kind in ("deps", "outs"):
            for i in range(len(values.get(kind, []))):
                for change in changes:
                    new = lambda e, c=change: e | c(e)  # noqa: E731
                    yield _edit("dvc.lock", new, "stages", stage, kind, i)


def _lock_stages(root: Path) -> Iterator[Mutation]:
    for stage, values in read(root, "dvc.lock")["stages"].items():
        keys = ("stages", stage)
        yield _remove("dvc.lock", *keys)
        yield _edit("dvc.lock", lambda cmd: f"{cmd} --more", *keys, "cmd")
        for kind in ("deps", "outs"):
            yield _edit("dvc.lock", _without_first_path, *keys, kind)
        for file, params in values.get("params", {}).items():
            for key in params:
                yield _remove("dvc.lock", *keys, "params", file, key)
                yield _edit("dvc.lock", _other, *keys, "params", file, key)


def _without_first_path(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All entries but those of the first path (dvc.yaml may name one twice)."""
    return [entry for entry in entries if entry["path"] != entries[0]["path"]]


def _other(value: Any) -> Any:
    """Another value of the same kind, somewhere inside."""
    if isinstance(value, dict):
        first = next(iter(value))
        return {**value, first: _other(value[first])}
    if isinstance(value, list):
        return [*value[:-1], _other(value[-1])]
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x"


def _leaves(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(values, dict | list):
        items = values.items() if isinstance(values, dict) else enumerate(values)
        for key, value in items:
            yield from _leaves(value, (*path, key))
    else:
        yield path


def _params(root: Path) -> Iterator[Mutation]:
    for path in _leaves(read(root, "params.yaml")):
        change = (lambda _: "large") if path == ("profile",) else _other
        if path[:2] != ("profiles", "large"):  # of another profile: nothing here has read it
            yield _edit("params.yaml", change, *path)


def _definitions(root: Path) -> Iterator[Mutation]:
    for stage, node in read(root, "dvc.yaml")["stages"].items():
        keys = ("stages", stage, "do") if "do" in node else ("stages", stage)
        yield _edit("dvc.yaml", lambda cmd: f"{cmd} more", *keys, "cmd")
        yield _edit("dvc.yaml", lambda deps: [*deps, "params.yaml"], *keys, "deps")
        for kind in ("deps", "outs", "params", "metrics", "plots"):
            if kind in node.get("do", node):
                yield _edit("dvc.yaml", lambda paths: paths[1:], *keys, kind)


def _imports(_: Path) -> Iterator[Mutation]:
    for key, value in (("md5", OTHER_MD5 + ".dir"), ("size", 1), ("path", "others")):
        yield _edit("data/raw.dvc", lambda _, new=value: new, "outs", 0, key)


def _forged_outputs(root: Path) -> Iterator[Mutation]:
    """A result is edited, and dvc.lock with it wherever it occurs: all hashes fit again."""
    for file in _all_files(root, "outs"):
        yield f"forge {file}", lambda at, f=file: _forge(at, f, "forged")


def _forge(root: Path, file: Path | str, added: str) -> None:
    with open(root / file, "a") as opened:
        opened.write(added)
    relock(root)


def relock(root: Path) -> None:
    """Make dvc.lock fit the files, whatever they are."""
    lock = read(root, "dvc.lock")
    with contextlib.chdir(root):
        for stage in lock["stages"].values():
            for entry in [*stage.get("deps", []), *stage["outs"]]:
                path = Path(entry["path"])
                size = sum(file.stat().st_size for file in _files_of(path))
                entry |= {"md5": hashes_of([path])[path.as_posix()], "size": size}
    write(root, "dvc.lock", lock)


def _forged_inputs(root: Path) -> Iterator[Mutation]:
    """A param, a command or code is changed, and dvc.lock as if it had run that way."""
    for name in ("src/tool.py", "stages/step.py", "stages/predict.py", "stages/report.py"):
        yield f"forge {name}", lambda at, n=name: _forge(at, n, "# edited\n")

    def forge_param(at: Path, key: str) -> None:
        _edit("params.yaml", _other, key)[1](at)
        for stage, entry in read(at, "dvc.lock")["stages"].items():
            if key in entry.get("params", {}).get("params.yaml", {}):
                keys = ("stages", stage, "params", "params.yaml", key)
                _edit("dvc.lock", _other, *keys)[1](at)

    for key in ("seed", "other", "sharpen"):
        yield f"forge {key}", lambda at, k=key: forge_param(at, k)

    def forge_command(at: Path) -> None:
        for name in ("dvc.yaml", "dvc.lock"):
            new = "python -O stages/report.py"
            _edit(name, lambda _: new, "stages", "report", "cmd")[1](at)  # noqa: B023

    yield "forge the command of report", forge_command
