"""Trainings repeated over seeds: the DVC experiments of studies.yaml, and their results.

An experiment changes only the values that studies.yaml names; stages that do not depend on them
come from DVC's run cache. One that exists and was made by today's code and params is not run
again, so an interrupted study goes on where it was.
"""

import contextlib
import copy
import csv
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import read_json, write_json
from fsr_fer.common.settings import SettingsError, require, require_one_of
from fsr_fer.evaluation import convergence, seeds
from fsr_fer.evaluation.predictions import MEAN, PredictionTable, parse_predictions
from fsr_fer.evaluation.statistics import total_accuracy
from fsr_fer.pipeline.code_fingerprint import fingerprints
from fsr_fer.pipeline.git import commit_of, experiments
from fsr_fer.pipeline.graph import Graph, graph_of
from fsr_fer.pipeline.params import check_params
from fsr_fer.pipeline.paths import CODE_FILE, SETTINGS_FILE, Paths
from fsr_fer.pipeline.profiles import effective_values, flat, parse_yaml, profile_values, read_yaml
from fsr_fer.pipeline.provenance.hashing import hashes_of, md5_of_bytes
from fsr_fer.pipeline.provenance.record import last_runs
from fsr_fer.pipeline.provenance.revision import Revision
from fsr_fer.pipeline.reproduce import DVC, begin, default_jobs, end, inputs_of, seconds_of

STUDIES_FILE = "studies.yaml"
RESULTS = Path("metrics/studies")
LAST_WORDS = 12
"""Lines of output shown of an experiment that failed."""
DVC_WITH_STASH = """import signal, sys, dvc.cli, dvc.repo.experiments as experiments
signal.signal(signal.SIGTERM, lambda *_: None)
experiments.WORKSPACE_STASH = sys.argv[1]
sys.exit(dvc.cli.main(sys.argv[2:]))"""
"""DVC, keeping the experiment that it is to run in a Git reference named first.

Of DVC's own, `dvc exp run --temp` runs all that it finds, also what another process has just put
there to run it itself; two that ran the same would disturb each other.

Of all that is told to end, it waits for its stage to end, and then deletes its folder.
"""
NOT_PREDICTING = ("code", "settings", "report", "cost")
"""Stages whose code changes no prediction."""
UNSEEDED = (*NOT_PREDICTING, "synthesize", "dataset", "validate", "downsample", "natural")
"""Stages that `seed` does not run again."""


@dataclass(frozen=True)
class Experiment:
    """One experiment of a study: all methods with a seed, or some, or one method changed."""

    name: str  # DVC's
    seed: int
    values: tuple[str, ...]  # "key=value"
    ablation: str | None = None
    methods: tuple[str, ...] = ()  # none: all
    study: str | None = None  # of some methods: its name

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(f"evaluate@{method}" for method in self.methods) or ("evaluate",)

    def settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What settings.json has to hold if this was run with today's params.yaml."""
        return effective_values(self._changed(params))

    def check(self, params: Mapping[str, Any]) -> None:
        """UserError if a value is invalid, or without effect since the profile replaces it."""
        changed = self._changed(params)
        try:
            check_params(changed)
        except SettingsError as error:
            raise UserError(f"{STUDIES_FILE}, {self.name}: {error}") from None
        effective = flat(profile_values(changed, changed["profile"]))
        keys = [key for key, _ in self._parsed()]
        for key, value in self._parsed():
            where = f"{STUDIES_FILE}, {self.name}: {key}"
            section = key.partition(".")[0]
            if section in ("profile", "profiles") or keys.count(key) > 1:
                raise UserError(f"{where} cannot be set, or is set twice")
            of_data = section in ("scales", "data_seed", "synthesize", "dataset")
            if of_data and key not in ("dataset.train_share", "dataset.validation_fraction"):
                raise UserError(f"{where} changes test faces; a study compares on the same ones")
            if effective.get(key) != value:
                profile = f"profiles.{changed['profile']}"
                raise UserError(f"{where} has no effect, for {profile} replaces it")

    def _changed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        changed = copy.deepcopy(dict(params))
        for key, value in self._parsed():
            *above, last = key.split(".")
            section = changed
            for part in above:
                section = section.setdefault(part, {})
                if not isinstance(section, dict):
                    raise UserError(f"{STUDIES_FILE}, {self.name}: there is no {key}")
            section[last] = value
        return changed

    def _parsed(self) -> Iterator[tuple[str, Any]]:
        for text in self.values:
            key, _, value = text.partition("=")
            yield key, parse_yaml(f"value: {value}".encode(), text)["value"]


def experiments_of(
    root: Path,
    params: Mapping[str, Any],
    methods: Sequence[str] = (),
    seeds: int | None = None,
    variant: str | None = None,
    ablations: bool = False,
) -> list[Experiment]:
    """All experiments of studies.yaml for the selected profile, seed by seed.

    With ``methods`` only these are compared, with ``ablations`` also their ablations, with
    ``seeds`` over the first so many seeds of the file, with ``variant`` with the values that the
    file has under this name. UserError if a choice is not in the file, or is without ``methods``.
    """
    for method in methods:
        require_one_of(params["methods"], "--method", method)
    require(len(set(methods)) == len(methods), "--method", list(methods), "each method once")
    methods = [method for method in params["methods"] if method in methods]  # in any order the same
    studies = _read_studies(root / STUDIES_FILE)
    if (seeds is not None or variant is not None or ablations) and not methods:
        options = "--seeds, --variant and --ablations"
        raise UserError(f"{options} are for some methods: name them with --method")
    if variant is not None and ablations:
        raise UserError("--variant and --ablations do not go together")
    if seeds is not None:
        most = len(studies["seeds"])
        require(seeds <= most, "--seeds", seeds, f"up to {most}, those of {STUDIES_FILE}")
    if variant is not None:
        require_one_of(studies["variants"], "--variant", variant)
    for name, entry in studies["ablations"].items():
        key = f"{STUDIES_FILE}: ablations.{name}.method"
        require_one_of(params["methods"], key, entry["method"])
    changed = {
        name: entry
        for name, entry in studies["ablations"].items()
        if not methods or (ablations and entry["method"] in methods)
    }
    if ablations and not changed:
        raise UserError(f"{STUDIES_FILE} has no ablation of {', '.join(methods)}")
    profile = params["profile"].replace("_", "-")
    study = "_".join(filter(None, (variant, *methods))) or None
    of_seeds = (study or "seed").replace("_", "-")
    found = []
    for seed in studies["seeds"][:seeds]:
        own = f"seed={seed}"
        full, values = f"{profile}-{of_seeds}-{seed}", (own, *studies["variants"].get(variant, ()))
        found.append(Experiment(full, seed, values, methods=tuple(methods), study=study))
        for name, entry in changed.items():
            full, values = f"{profile}-{name}-{seed}", (own, *entry["values"])
            found.append(Experiment(full, seed, values, name, (entry["method"],)))
    return found


def _read_studies(path: Path) -> dict[str, Any]:
    """The file, its form checked."""
    studies = read_yaml(path)

    seeds: Any = studies.get("seeds")
    whole = isinstance(seeds, list) and all(type(seed) is int for seed in seeds)
    different = whole and len(set(seeds)) == len(seeds) >= 2
    where = f"{path.name}: seeds"
    require(different, where, seeds, "two or more different whole numbers: [1, 2]")
    for kind in ("ablations", "variants"):
        entries: Any = studies.get(kind)
        where = f"{path.name}: {kind}"
        require(isinstance(entries, dict), where, entries, "a section, {} if empty")
        for name, values in entries.items():
            plain = re.fullmatch("[A-Za-z0-9_-]+", name) and name != "seed"
            require(bool(plain), where, name, "names of letters, digits, _ and -, not seed")
            if kind == "ablations":
                form = isinstance(values, dict) and values.keys() == {"method", "values"}
                named = form and isinstance(values["method"], str)
                require(named, f"{where}.{name}", values, "method and values")
                values = values["values"]
            texts = isinstance(values, list) and all(re.match(r"[\w.-]+=.", str(v)) for v in values)
            require(bool(values) and texts, f"{where}.{name}", values, "a list of KEY=VALUE")
    return studies


def run_studies(
    root: Path, params: Mapping[str, Any], wanted: Sequence[Experiment], dry_run: bool = False
) -> list[Path]:
    """Run those ``wanted`` that are missing and write metrics/studies/<profile>_<study>.json.

    The comparison of the methods is written before their ablations begin. UserError if one fails
    (its last lines are on stderr), or results are missing.
    """
    # For other seeds an ablation has the same values.
    first = [one for one in wanted if one.ablation is None or one.seed == wanted[0].seed]
    for experiment in first:
        experiment.check(params)
    for experiment in first:
        _require_effect(root, experiment, params)
    _require_all_seeds(root, wanted, params)
    with contextlib.chdir(root):  # code.json and the .dvc files may be of other code and data
        code = fingerprints()
        data = hashes_of(_imported(root))

    def made(experiment: Experiment) -> Revision | None:
        return revision_of(root, experiment, params, code, data)

    missing = [experiment for experiment in wanted if made(experiment) is None]
    duration = _duration(root, missing, params)
    print(f"{len(wanted)} experiments, {len(missing)} to run{duration}", flush=True)
    if dry_run:
        return []
    written: list[Path] = []
    done: dict[Experiment, Revision] = {}
    # All methods of a seed first: their networks are what the ablations start from.
    for changes in (False, True):
        part = [experiment for experiment in wanted if bool(experiment.ablation) == changes]
        _run_all(root, [experiment for experiment in part if experiment in missing])
        for experiment in part:
            revision = made(experiment)
            if revision is None:
                raise UserError(
                    f"experiment {experiment.name} is not one of today's code, params and data; "
                    "were they edited while it ran? The same command runs it again"
                )
            done[experiment] = revision
        written = _write_results(root, params, done) if part else written
    return written


def _require_all_seeds(root: Path, wanted: Sequence[Experiment], params: Mapping[str, Any]) -> None:
    """UserError if the study is there with these seeds and more: it would be replaced."""
    path = RESULTS / f"{params['profile']}_{wanted[0].study or 'seeds'}.json"
    there = read_json(root / path).get("results", {}).get("seeds", [])
    if set(there) > {experiment.seed for experiment in wanted}:
        raise UserError(
            f"{path} has more seeds, {', '.join(map(str, there))}; ask for all of them, or move it"
        )


def _require_effect(root: Path, experiment: Experiment, params: Mapping[str, Any]) -> None:
    """UserError if no stage behind the methods reads what is changed besides the seed."""
    seed, *others = experiment.values
    if not others or not experiment.methods:
        return
    then, now = (
        flat(one.settings(params)) for one in (replace(experiment, values=(seed,)), experiment)
    )
    changed = [key for key in now if now[key] != then.get(key)]
    graph = graph_of(root)
    read = {key for name in _behind(graph, experiment.targets) for key in graph[name]["settings"]}
    if not any(f"{key}.".startswith(f"{section}.") for key in changed for section in read):
        raise UserError(
            f"{STUDIES_FILE}, {experiment.name}: no stage behind {', '.join(experiment.methods)} "
            f"reads {', '.join(changed) or 'a value that is changed'}"
        )


def _behind(graph: Graph, targets: Iterable[str]) -> set[str]:
    """Stages that these need, and they themselves; a name without @ stands for all with one."""
    found: set[str] = set()
    waiting = [name for name in graph if name in targets or name.partition("@")[0] in targets]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += inputs_of(graph, name)
    return found


def _run_all(root: Path, missing: Sequence[Experiment]) -> None:
    """Run experiments side by side; after one that fails no other begins."""
    if not missing:
        return
    processes: list[subprocess.Popen[str]] = []
    with ThreadPoolExecutor(default_jobs()) as pool:
        futures = {
            pool.submit(_run, root, experiment, processes): experiment for experiment in missing
        }
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                name = futures[future].name
                if future.result():
                    raise UserError(f"experiment {name} failed; the same command goes on with it")
                print(f"{number} of {len(missing)}: {name}", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            while any(future.running() for future in futures):  # one may be about to begin
                end(processes)
                time.sleep(0.1)
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _run(root: Path, experiment: Experiment, processes: list[subprocess.Popen[str]]) -> int:
    """Run one as DVC does; its exit code, and if that is not 0, its last words on stderr."""
    # One of other code or params. --force would replace it, and run again what the run cache has.
    head = commit_of(root, "HEAD")
    if head in experiments(root, experiment.name):
        ref = f"refs/exps/{head[:2]}/{head[2:]}/{experiment.name}"
        subprocess.run([*DVC, "exp", "remove", "--quiet", ref], cwd=root, check=True)
    # With ++, since what a method takes over from another (`based_on`) has no key of its own.
    changes = [word for value in experiment.values for word in ("-S", f"++{value}")]
    # Not --quiet, which keeps DVC's errors back.
    words = ["exp", "run", "--temp", "-n", experiment.name, *changes, *experiment.targets]
    stash = f"refs/exps/celery/{experiment.name}"
    command = [sys.executable, "-c", DVC_WITH_STASH, stash, "--wait-for-lock", *words]
    process = begin(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    processes.append(process)
    lines = "".join(process.communicate()).splitlines()
    if process.returncode:
        print(f"{experiment.name}:", *lines[-LAST_WORDS:], sep="\n", file=sys.stderr)
    return process.returncode


def revision_of(
    root: Path,
    experiment: Experiment,
    params: Mapping[str, Any],
    code: Mapping[str, str],
    data: Mapping[str, str],
) -> Revision | None:
    """The experiment's commit, if today's params, code and imported data would give the same."""
    for commit in experiments(root, experiment.name).values():
        revision = Revision(root, commit, experiment.name)
        made_by = revision.values(CODE_FILE.name)
        same_code = all(made_by.get(k) == code[k] for k in code if k not in NOT_PREDICTING)
        deps = [dep for entry in revision.lock.values() for dep in entry.get("deps", [])]
        same_data = all(data.get(dep["path"], dep["md5"]) == dep["md5"] for dep in deps)
        same_settings = revision.values(SETTINGS_FILE.name) == experiment.settings(params)
        if same_code and same_data and same_settings:
            return revision
    return None


def _imported(root: Path) -> set[Path]:
    """The imported data that stages read: faces, weights."""
    graph = graph_of(root)
    made = {out for node in graph.values() for out in node["outs"]}
    read = {dep for node in graph.values() for dep in node["deps"]} - made
    read.discard("data/raw/predictions")  # of other tools: the report alone reads them
    return {Path(path) for path in read if path.startswith("data/raw/")}


def _duration(root: Path, missing: Sequence[Experiment], params: Mapping[str, Any]) -> str:
    """How long the experiments will take, by the last run of each stage here, or by a guess."""
    runs = last_runs(root)
    graph = graph_of(root)

    def stages(experiment: Experiment) -> Iterable[str]:
        targets = experiment.targets
        if experiment.ablation:  # the rest of it is what its seed has
            networks = {params["methods"][method]["model"] for method in experiment.methods}
            files = {Paths(params["profile"]).network(name).as_posix() for name in networks}
            return {*targets, *(name for name in graph if files & set(graph[name]["outs"]))}
        every = _behind(graph, targets)
        return {name for name in every if name.partition("@")[0] not in UNSEEDED}

    if not missing:  # asking for the device takes two seconds
        return ""
    names = [stage for experiment in missing for stage in stages(experiment)]
    hours = sum(seconds_of(name, runs) for name in names) / default_jobs() / 3600
    return f", about {hours:.1f} h by the last runs of their stages, or a guess"


def _write_results(
    root: Path, params: Mapping[str, Any], runs: Mapping[Experiment, Revision]
) -> list[Path]:
    profile, scales = params["profile"], params["scales"]
    confidence = profile_values(params, profile)["report"]["confidence"]
    tables: dict[tuple[str | None, str], dict[int, PredictionTable]] = {}
    for run, revision in runs.items():
        for method, table in _predictions(run, revision, params).items():
            tables.setdefault((run.ablation, method), {})[run.seed] = table
    by_method = {method: own for (ablation, method), own in tables.items() if ablation is None}
    ablations = {}
    for (name, method), own in tables.items():
        if name is not None:
            unchanged = {seed: by_method[method][seed] for seed in own}
            pair = {method: unchanged, name: own}
            ablations[name] = seeds.summarise(pair, scales, confidence)
    study = next(iter(runs)).study  # the first is no ablation
    results = {study or "seeds": seeds.summarise(by_method, scales, confidence)}
    if ablations:
        results[f"{study}_ablations" if study else "ablations"] = ablations
    if study is None and {f"fsr_{variant}" for variant in convergence.VARIANTS} <= by_method.keys():
        results["convergence"] = _convergence(runs, by_method, params, confidence)
    # A revision is on this machine alone: these tie the results to predictions and code elsewhere.
    made_by = {
        run.name: {
            "revision": revision.commit,
            "values": list(run.values),
            "predictions": {
                method: md5_of_bytes(revision.output(Paths(profile).predictions(method).as_posix()))
                for method in _methods(run, revision)
            },
        }
        for run, revision in runs.items()
    }
    ran = next(iter(runs.values())).values(CODE_FILE.name)  # all by the same code
    code = {stage: hashed for stage, hashed in ran.items() if stage not in NOT_PREDICTING}
    written = []
    for study, result in results.items():
        path = root / RESULTS / f"{profile}_{study}.json"
        write_json(path, {"code": code, "runs": made_by, "results": result})
        written.append(path)
    return written


def _methods(run: Experiment, revision: Revision) -> Sequence[str]:
    """Those that a run has trained: its dvc.lock still has what others were before."""
    everything = [name.partition("@")[2] for name in revision.lock if name.startswith("evaluate@")]
    return run.methods or everything


def _predictions(
    run: Experiment, revision: Revision, params: Mapping[str, Any]
) -> dict[str, PredictionTable]:
    """What the methods that a run has trained predict on the test faces."""
    class_names = tuple(run.settings(params)["dataset"]["class_names"])
    found = {}
    for method in _methods(run, revision):
        file = Paths(params["profile"]).predictions(method).as_posix()
        found[method] = parse_predictions(revision.output(file), file, class_names)
    return found


def _convergence(
    runs: Mapping[Experiment, Revision],
    by_method: Mapping[str, Mapping[int, PredictionTable]],
    params: Mapping[str, Any],
    confidence: float,
) -> dict[str, Any]:
    """The paper's claim of section 4.3, from the validation curves of the two variants."""
    curves: dict[str, dict[int, convergence.Curve]] = {}
    test: dict[str, dict[int, float]] = {}
    for variant in convergence.VARIANTS:
        folder = Paths(params["profile"]).metrics / "fsr" / variant / "plots/metrics"
        file = (folder / f"{convergence.SCORE}.tsv").as_posix()
        curves[variant] = {
            run.seed: _curve((revision.read(file) or b"").decode())
            for run, revision in runs.items()
            if run.ablation is None
        }
        test[variant] = {
            seed: total_accuracy(predictions.labels, predictions.at(MEAN, params["scales"]))
            for seed, predictions in by_method[f"fsr_{variant}"].items()
        }
    return convergence.summarise(curves, test, confidence)


def _curve(text: str) -> convergence.Curve:
    """What dvclive wrote: a column of steps and one of values."""
    rows = csv.reader(text.splitlines()[1:], delimiter="\t")
    return [{"step": int(step), convergence.SCORE: float(value)} for step, value in rows]
