"""Check dvc.lock against the files, the last commit and recorded runs."""

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import exclusive
from fsr_fer.pipeline.code_fingerprint import fingerprints
from fsr_fer.pipeline.git import git_bytes, git_refusal
from fsr_fer.pipeline.params import explaining
from fsr_fer.pipeline.paths import CODE_FILE, LOCK_FILE, PARAMS_FILE, SETTINGS_FILE
from fsr_fer.pipeline.profiles import effective_values, flat, parse_yaml, read_yaml
from fsr_fer.pipeline.provenance.record import record_of
from fsr_fer.pipeline.provenance.revision import Revision, holds, some
from fsr_fer.pipeline.recovery import runs_a_stage

Stages = Mapping[str, Mapping[str, Any]]


def verify(root: Path) -> tuple[list[str], list[str]]:
    """Compare dvc.lock with everything that can contradict it; ``root`` is the current folder.

    Returns findings, a sentence each, and the stages whose entries are right but newer than HEAD.
    Every byte is read. An entry that fits all files may still have been written by hand: it is
    accepted if HEAD has the same one, or if DVC or this project recorded such a run here. Without
    Git, only the files are compared. UserError if DVC cannot read dvc.lock or the project, or a run
    is under way.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with exclusive(root / ".runs" / "repro", "the pipeline"):
        pass  # no run of `fsr-fer repro` is under way
    # DVC trusts what it remembers of a file of the same size and time. Here it remembers nothing.
    with tempfile.TemporaryDirectory() as empty:
        try:
            with Repo(str(root), config={"core": {"site_cache_dir": empty}}) as repo, repo.lock:
                lock = Revision(root, locked=True).lock
                if not lock:
                    raise UserError(
                        f"{LOCK_FILE} is not here: `git checkout {LOCK_FILE}`, or `dvc repro` "
                        "where nothing has run yet"
                    )
                if runs_a_stage(root):
                    raise UserError("DVC is running a stage; try again when it has ended")
                stages = {stage.addressing: stage for stage in repo.index.stages}
                ran = {n: s for n, s in stages.items() if not s.is_data_source}
                findings = [*_imports(stages, lock)]
                for name, check in {"code": _code, "settings": _settings}.items():
                    if name in ran and Path(f"{name}.json").exists():
                        del ran[name]
                        findings += check(root)
                findings += [*_status(ran, lock), *_left(repo, stages)]
                kept = {
                    out.def_path: name
                    for name, stage in ran.items()
                    for out in stage.outs
                    if not out.use_cache and out.hash_info and not out.workspace_status()
                }
                runs = Path(repo.stage_cache.cache_dir)
        except DvcException as error:
            raise UserError(f"DVC says: {' '.join(str(error).split())}") from None
    edited: list[str] = []
    newer: list[str] = []
    committed = lock if git_refusal(root) else Revision(root, "HEAD", "HEAD").lock
    for name, entry in lock.items():
        if name in ran and entry != (before := committed.get(name)):
            other_run = before is None or _identity(entry) != _identity(before)
            known = other_run and _ran_here(root, runs, name, entry, before or {})
            (newer if known else edited).append(name)
    same = [path for path, name in kept.items() if lock[name] == committed.get(name)]
    findings += _uncommitted(root, same)
    if edited:
        findings.append(
            f"{LOCK_FILE}: what it says of {some(edited)} is neither in HEAD nor of a run recorded"
            " here: edited, or made elsewhere; `fsr-fer verify --replay STAGE` runs one again"
        )
    return findings, newer


def _code(root: Path) -> Iterator[str]:
    """code.json, made again instead of asking what it was made from: comments do not count."""
    before = Revision(root).values(CODE_FILE.name)
    if changed := [name for name, now in fingerprints().items() if now != before.get(name)]:
        yield f"the code of {some(changed)} is not what {CODE_FILE} says: `dvc repro`"


def _settings(root: Path) -> Iterator[str]:
    """settings.json, made again: values of other profiles do not count."""
    params = read_yaml(PARAMS_FILE)
    with explaining({PARAMS_FILE.name: params}):
        now = effective_values(params)
    for key, old, new in _changes(Revision(root).values(SETTINGS_FILE.name), now):
        yield f"{key} is {new}; {SETTINGS_FILE} has {old}: `dvc repro`"


def _status(stages: Mapping[str, Any], lock: Stages) -> Iterator[str]:
    """What DVC itself finds different, one sentence a file or value."""
    written: dict[str, str] = {}
    in_git: set[str] = set()
    read: dict[str, list[str]] = defaultdict(list)
    params: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for name, stage in stages.items():
        if name not in lock:
            yield f"{LOCK_FILE} has no entry for {name}: it has not run, or the entry was removed"
            continue
        if stage.cmd_changed:
            yield f"{name} would run `{stage.cmd}`; it ran `{lock[name]['cmd']}`"
        yield from _undeclared(name, stage, lock[name])
        changed = [out for out in stage.outs if out.hash_info and out.workspace_status()]
        written |= {out.def_path: name for out in changed}
        in_git |= {out.def_path for out in changed if not out.use_cache}
        for dep in filter(lambda dep: dep.hash_info, stage.deps):
            if hasattr(dep, "params"):
                then, now = dep.hash_info.value, dep.read_params()
                now = {key: value for key, value in now.items() if key in then}
                for key, old, new in _changes(then, now):
                    params[dep.def_path, key, old, new].append(name)
            elif dep.workspace_status():
                read[dep.def_path].append(name)
    for path in dict.fromkeys([*written, *read]):
        if not _is_here(Path(path)):
            brings = "`dvc checkout` or `dvc pull` brings outputs back"
            if path in in_git:
                brings = f"`git checkout {path}` brings it back"
            yield f"{path} is not here; {brings}"
        elif path in written:
            yield f"{path} is not what {written[path]} wrote"
        else:
            yield f"{path} changed since {some(read[path])} read it"
    for (file, key, old, new), names in params.items():
        yield f"{file}: {key} is {new}; {some(names)} ran with {old}"


def _left(repo: Any, stages: Mapping[str, Any]) -> Iterator[str]:
    """Files of no stage or import, in folders of several ones' files that another stage reads."""
    outs = {out.fs_path for stage in stages.values() for out in stage.outs}
    deps = {dep.fs_path: dep for stage in stages.values() for dep in stage.deps}
    for folder in sorted(deps.keys() - outs):
        imports = Path(os.path.relpath(folder)).parts[:2] == ("data", "raw")
        if imports or any(holds(folder, out) for out in outs):
            for file in repo.dvcignore.find(deps[folder].fs, folder):
                own = Path(file).name in (".gitignore", "README.md") or file.endswith(".dvc")
                if not own and not any(holds(out, file) for out in outs):
                    yield (
                        f"{os.path.relpath(file)} is of no stage, so other clones lack it, and "
                        f"{os.path.relpath(folder)} is read with it: delete it, then `dvc repro`"
                    )


def _uncommitted(root: Path, paths: list[str]) -> Iterator[str]:
    """Of outputs that Git keeps and HEAD's dvc.lock names, the files that HEAD has otherwise."""
    if not paths:
        return
    changed = git_bytes(root, "diff", "--name-only", "--relative", "-z", "HEAD", "--", *paths)
    added = git_bytes(root, "ls-files", "--others", "-z", "--", *paths)
    files = sorted({*((changed or b"") + (added or b"")).split(b"\0")} - {b""})
    if files:
        names = some([os.fsdecode(file) for file in files])
        yield f"HEAD has what {LOCK_FILE} says of {names}, but not these files: commit them too"


def _is_here(path: Path) -> bool:
    """Whether there is a file; a folder with Git's own file alone has not been brought here."""
    return path.is_file() or any(p.is_file() and p.name != ".gitignore" for p in path.rglob("*"))


def _undeclared(name: str, stage: Any, entry: Mapping[str, Any]) -> Iterator[str]:
    """What a stage has in dvc.yaml and not in dvc.lock, or the other way round."""
    locked = {path["path"] for kind in ("deps", "outs") for path in entry.get(kind, [])}
    params = entry.get("params", {})
    locked |= {f"{file}:{key}" for file, values in params.items() for key in values}
    declared = {path.def_path for path in [*stage.deps, *stage.outs] if not hasattr(path, "params")}
    for dep in stage.deps:
        if hasattr(dep, "params"):  # none of them named: the whole file
            keys = dep.params or params.get(dep.def_path, ["all"])
            declared |= {f"{dep.def_path}:{key}" for key in keys}
    for thing in sorted(declared ^ locked):
        has, lacks = ("dvc.yaml", LOCK_FILE) if thing in declared else (LOCK_FILE, "dvc.yaml")
        yield f"{name} has {thing} in {has}, not in {lacks}"


def _imports(stages: Mapping[str, Any], lock: Stages) -> Iterator[str]:
    """Imported data against its .dvc file, and that against what stages read."""
    deps = [dep for entry in lock.values() for dep in entry.get("deps", [])]
    for name, stage in stages.items():
        for out in stage.outs if stage.is_data_source else ():
            path = os.path.relpath(out.fs_path).replace(os.sep, "/")
            read = [dep for dep in deps if dep["path"] == path]
            if out.workspace_status():
                if _is_here(Path(path)):
                    yield f"{path} is not the data that {name} names: changed after the import"
                elif not read:  # else its readers' finding says so
                    yield f"{path}, which {name} names, is not here: `dvc checkout` or `dvc pull`"
            sizes = {(dep.get("size"), dep.get("nfiles")) for dep in read}
            if sizes - {(out.meta.size, out.meta.nfiles)}:
                yield f"{name} has another size of {path} than {LOCK_FILE}"


def _ran_here(
    root: Path, runs: Path, name: str, entry: Mapping[str, Any], before: Mapping[str, Any]
) -> bool:
    """Whether a record of ours, or DVC's run cache alone, has a run with this very result.

    The run cache also takes what `dvc commit` finds, so it does not count where it has another
    result of the same inputs, or HEAD (``before``) has one.
    """
    if record_of(root, name, entry) is not None:
        return True
    key = _inputs_identity(entry)
    files = list((runs / key[:2] / key).glob("*"))
    if len(files) != 1 or key == _inputs_identity(before):
        return False
    return bool(parse_yaml(files[0].read_bytes(), files[0].name) == entry)


def _inputs_identity(entry: Mapping[str, Any]) -> str:
    """The key of all runs of one command on the same inputs."""
    return _identity({**entry, "outs": [out["path"] for out in entry.get("outs", [])]})


def _identity(entry: Mapping[str, Any]) -> str:
    """The key under which DVC files a run in its cache; sizes do not count."""
    from dvc.utils import dict_sha256

    return str(dict_sha256(entry, exclude=["size", "nfiles"]))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Dotted keys whose values differ, with both as text."""
    old, new = flat(before), flat(after)
    for key in {**old, **new}:
        if old.get(key, ...) != new.get(key, ...):  # 2 is 2.0, as for DVC
            first, second = (json.dumps(v[key]) if key in v else "not there" for v in (old, new))
            yield key, first, second
