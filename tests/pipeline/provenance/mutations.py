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
    """A YAML file of the pipeline."""
    return yaml.safe_load((root / name).read_text())


def write(root: Path, name: str, values: Any) -> None:
    """Write it back."""
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


def _edit(name: str, change: Callable[[Any], Any], *keys: str | int) -> Callable[[Path], None]:
    """What applies ``change`` to the part below ``keys`` of a YAML file."""

    def apply(at: Path) -> None:
        values = part = read(at, name)
        for key in keys:
            part = part[key]
        change(part)
        write(at, name, values)

    return apply


def _lock_entries(root: Path) -> Iterator[Mutation]:
    changes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "md5": lambda e: e.update(md5=OTHER_MD5 + ".dir" * e["md5"].endswith(".dir")),
        "size": lambda e: e.update(size=e["size"] + 1),
        "path": lambda e: e.update(path=e["path"] + "x"),
        "nfiles": lambda e: e.update(nfiles=e.get("nfiles", 0) + 1),
        "hash": lambda e: e.update(hash="sha256"),
    }
    for stage, values in read(root, "dvc.lock")["stages"].items():
        for kind in ("deps", "outs"):
            for i in range(len(values.get(kind, []))):
                for name, change in changes.items():
                    apply = _edit("dvc.lock", change, "stages", stage, kind, i)
                    yield f"dvc.lock {stage} {kind} {i} {name}", apply


def _lock_stages(root: Path) -> Iterator[Mutation]:
    for stage, values in read(root, "dvc.lock")["stages"].items():
        keys = ("stages", stage)
        without = _edit("dvc.lock", lambda stages, s=stage: stages.pop(s), "stages")
        yield f"dvc.lock without {stage}", without
        more = _edit("dvc.lock", lambda e: e.update(cmd=e["cmd"] + " --more"), *keys)
        yield f"dvc.lock {stage} cmd", more
        for kind in ("deps", "outs"):
            apply = _edit("dvc.lock", _without_first_path, *keys, kind)
            yield f"dvc.lock {stage} without its first of {kind}", apply
        for file, params in values.get("params", {}).items():
            for key in params:
                where = (*keys, "params", file)
                without = _edit("dvc.lock", lambda params, k=key: params.pop(k), *where)
                yield f"dvc.lock {stage} without {key}", without
                yield f"dvc.lock {stage} {key}", _edit("dvc.lock", _changing(key), *where)


def _changing(key: Any) -> Callable[[Any], None]:
    def change(values: Any) -> None:
        values[key] = _other(values[key])

    return change


def _without_first_path(entries: list[dict[str, Any]]) -> None:
    """All entries of the first path (dvc.yaml may name one twice, which means nothing)."""
    first = entries[0]["path"]
    entries[:] = [entry for entry in entries if entry["path"] != first]


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
        if path == ("profile",):
            apply = _edit("params.yaml", lambda params: params.update(profile="large"))
        else:
            apply = _edit("params.yaml", _changing(path[-1]), *path[:-1])
        if path[:2] != ("profiles", "large"):  # of another profile: nothing here has read it
            yield f"params.yaml {path}", apply


def _definitions(root: Path) -> Iterator[Mutation]:
    for stage, node in read(root, "dvc.yaml")["stages"].items():
        keys = ("stages", stage, "do") if "do" in node else ("stages", stage)
        more = _edit("dvc.yaml", lambda b: b.update(cmd=b["cmd"] + " more"), *keys)
        yield f"dvc.yaml {stage} cmd", more
        more = _edit("dvc.yaml", lambda b: b["deps"].append("params.yaml"), *keys)
        yield f"dvc.yaml {stage} more deps", more
        for kind in ("deps", "outs", "params", "metrics", "plots"):
            if kind in node.get("do", node):
                without = _edit("dvc.yaml", lambda paths: paths.pop(0), *keys, kind)
                yield f"dvc.yaml {stage} without the first of {kind}", without


def _imports(_: Path) -> Iterator[Mutation]:
    for key, value in (("md5", OTHER_MD5 + ".dir"), ("size", 1), ("path", "others")):
        change = {key: value}
        apply = _edit("data/raw.dvc", lambda out, c=change: out.update(c), "outs", 0)
        yield f"data/raw.dvc {key}", apply


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
        _edit("params.yaml", _changing(key))(at)
        lock = read(at, "dvc.lock")
        for stage in lock["stages"].values():
            values = stage.get("params", {}).get("params.yaml", {})
            if key in values:
                _changing(key)(values)
        write(at, "dvc.lock", lock)

    for key in ("seed", "other", "sharpen"):
        yield f"forge {key}", lambda at, k=key: forge_param(at, k)

    def forge_command(at: Path) -> None:
        for name in ("dvc.yaml", "dvc.lock"):
            change = {"cmd": "python -O stages/report.py"}
            _edit(name, lambda stage, c=change: stage.update(c), "stages", "report")(at)

    yield "forge the command of report", forge_command
