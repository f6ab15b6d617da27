"""Studies: experiments that change what studies.yaml names and nothing else, run once."""

import contextlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import write_json
from fsr_fer.pipeline import studies
from fsr_fer.pipeline.git import experiments
from fsr_fer.pipeline.graph import graph_of
from fsr_fer.pipeline.params import read_params
from fsr_fer.pipeline.profiles import effective_values, read_yaml
from fsr_fer.pipeline.provenance.hashing import hashes_of
from fsr_fer.pipeline.studies import Experiment, experiments_of, run_studies
from tests import ROOT
from tests.pipeline.provenance.conftest import commit, git_init, init, interrupt, shell

PARAMS = read_params(ROOT / "params.yaml")
DATASET = {**PARAMS["dataset"], "class_names": ["a", "b"]}
TWO_CLASSES = {**PARAMS, "scales": [2], "dataset": DATASET}
EXPERIMENTS = experiments_of(ROOT, PARAMS)
ABLATIONS = [e for e in EXPERIMENTS if e.ablation is not None and e.seed == 1]


def changed(first: dict[str, Any], second: dict[str, Any]) -> set[str]:
    return {key for key in first if first[key] != second[key]}


def test_each_seed_trains_all_methods_and_then_each_ablation_alone() -> None:
    first = [e for e in EXPERIMENTS if e.seed == 1]
    assert len(EXPERIMENTS) == 5 * len(first) == 5 * 11
    assert first[0] == Experiment("small-seed-1", 1, ("seed=1",))
    assert first[0].targets == ("evaluate",)
    values = ("seed=1", "losses.gan_weight=0.0")
    assert first[1] == Experiment("small-no-gan-1", 1, values, "no-gan", ("fsr_plain",))
    assert first[1].targets == ("evaluate@fsr_plain",)
    assert len({e.name for e in EXPERIMENTS}) == len(EXPERIMENTS)


def test_a_variant_changes_what_it_names_for_all_methods() -> None:
    methods = ("fsr_plain", "orthogonal_updates")
    first = experiments_of(ROOT, PARAMS, methods, variant="long")[0]
    assert first.name == "small-long-fsr-plain-orthogonal-updates-1"
    assert first.study == "long_fsr_plain_orthogonal_updates"
    settings = first.settings(PARAMS)
    assert changed(effective_values(PARAMS), settings) == {"seed", "fsr", "finetune"}
    assert settings["fsr"]["learning_rate_milestones"] == [800, 1200, 1600, 2000]
    assert settings["finetune"]["orthogonal_updates"]["epochs"] == 64


def test_the_ablations_of_some_methods_are_their_own() -> None:
    two = experiments_of(ROOT, PARAMS, ("orthogonal_updates",), seeds=2, ablations=True)
    assert [e.name.removeprefix("small-") for e in two if e.seed == 2] == [
        "orthogonal-updates-2",
        "orthogonal-updates-of-a-third-2",
        "orthogonal-updates-without-ema-2",
    ]
    assert {e for e in two if e.ablation} <= set(EXPERIMENTS)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"methods": ["other"]}, "--method is 'other'; allowed: one of bicubic, rcan"),
        (
            {"methods": ["rcan"], "seeds": 6},
            r"--seeds is 6; allowed: up to 5, those of studies\.yaml",
        ),
        ({"methods": ["rcan"] * 2}, "--method is .*; allowed: each method once"),
        ({"seeds": 2}, "name them with --method"),
        ({"methods": ["rcan"], "variant": "lon"}, "--variant is 'lon'; allowed: one of long"),
        ({"methods": ["bicubic"], "ablations": True}, r"studies\.yaml has no ablation of bicubic"),
        ({"methods": ["fsr_l2"], "variant": "long", "ablations": True}, "do not go together"),
    ],
)
def test_a_choice_that_makes_no_study_is_one_line(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        experiments_of(ROOT, PARAMS, **choice)


def test_a_study_of_fewer_seeds_replaces_none_of_more(tmp_path: Path) -> None:
    shutil.copy(ROOT / "studies.yaml", tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS, sort_keys=False))
    chosen = experiments_of(tmp_path, PARAMS, ["bicubic", "fsr_plain"], seeds=2)
    kept = tmp_path / f"metrics/studies/{PARAMS['profile']}_{chosen[0].study}.json"
    write_json(kept, {"results": {"seeds": [1, 2, 3]}})
    with pytest.raises(UserError, match=r"fsr_plain\.json has more seeds, 1, 2, 3; ask for all"):
        run_studies(tmp_path, PARAMS, chosen, dry_run=True)


def test_an_ablation_of_a_method_that_is_gone_is_named() -> None:
    fewer = {name: own for name, own in PARAMS["methods"].items() if name != "fsr_plain"}
    with pytest.raises(
        UserError, match=r"studies\.yaml: ablations\.no-gan\.method is 'fsr_plain'; allowed: one of"
    ):
        experiments_of(ROOT, PARAMS | {"methods": fewer})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seeds", 3, "seeds is 3; allowed: two or more different whole numbers"),
        ("seeds", [1, -2], "seed is -2"),
        ("ablations", {"no gan": {}}, "ablations is 'no gan'; allowed: names of letters"),
        ("ablations", {"x": {"method": "rcan", "values": ["seed.x=1"]}}, "there is no seed.x"),
        ("ablations", {"x": {"method": "rcan", "values": ["seed=7"]}}, "seed cannot be set, or is"),
        ("ablations", {"x": {"method": "rcan", "values": ["data_seed=1"]}}, "changes test faces"),
        ("variants", None, "variants is None; allowed: a section"),
        ("ablations", {"x": {"method": "rcan"}}, r"ablations\.x is .*; allowed: method and"),
        ("ablations", {"x": {"method": "rcan", "values": ["a"]}}, r"ablations\.x .* KEY=VALUE"),
        ("ablations", {"x": {"method": "rcan", "values": ["sigma=1"]}}, "sigma is not a known key"),
    ],
)
def test_a_file_of_studies_that_cannot_be_run_is_one_line(
    tmp_path: Path, key: str, value: object, message: str
) -> None:
    content = yaml.safe_load((ROOT / "studies.yaml").read_text()) | {key: value}
    (tmp_path / "studies.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=rf"studies\.yaml.*{message}"):
        run_studies(tmp_path, PARAMS, experiments_of(tmp_path, PARAMS), dry_run=True)


def test_a_value_that_the_profile_replaces_is_refused() -> None:
    params = {**PARAMS, "profile": "ferplus"}
    (experiment, *_) = experiments_of(ROOT, params, ["fsr_plain"], variant="long")
    with pytest.raises(UserError, match=r"fsr\.iterations has no effect, for profiles\.ferplus"):
        experiment.check(params)
    experiments_of(ROOT, PARAMS, ["fsr_plain"], variant="long")[0].check(PARAMS)


def test_values_that_no_stage_behind_the_methods_reads_are_refused() -> None:
    wanted = experiments_of(ROOT, PARAMS, ["bicubic"], variant="long")
    with pytest.raises(UserError, match=r"long-bicubic-1: no stage behind bicubic reads fsr\."):
        run_studies(ROOT, PARAMS, wanted, dry_run=True)


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda e: e.ablation)
def test_an_ablation_changes_what_its_stage_reads(ablation: Experiment) -> None:
    base, settings = EXPERIMENTS[0].settings(PARAMS), ablation.settings(PARAMS)
    other = changed(base, settings)
    name, _, item = PARAMS["methods"][ablation.methods[0]]["model"].partition("/")
    if name == "finetune":
        section = "distill" if item in PARAMS["distill"] else "finetune"
        own = changed(base[section], settings[section])
        assert (other, own) == ({section}, {item})
    else:
        own = changed(base["fsr_variants"], settings["fsr_variants"])
        assert item in own or "fsr" in other


def test_dvc_sets_what_the_settings_say(tmp_path: Path) -> None:
    for experiment in (*ABLATIONS, experiments_of(ROOT, PARAMS, ("fsr_plain",), 2, "long")[0]):
        file = shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")
        apply_overrides(file, [f"++{value}" for value in experiment.values])
        assert effective_values(read_yaml(file)) == experiment.settings(PARAMS), experiment.name


def test_an_experiment_of_other_code_settings_or_faces_is_run_again(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text().replace("profile: small ", "profile: open_faces ", 1)
    (tmp_path / "params.yaml").write_text(text)
    params = read_params(tmp_path / "params.yaml")
    first, second = experiments_of(ROOT, params, methods=["bicubic"], seeds=2)
    faces = tmp_path / "data/raw/open_faces/faces.csv"
    faces.parent.mkdir(parents=True)
    faces.write_text("old")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    git_init(tmp_path)
    commit(tmp_path, "the old faces")
    base = shell(tmp_path, "git", "rev-parse", "HEAD").strip()
    with contextlib.chdir(tmp_path):
        assert {Path("data/raw/open_faces"), Path("data/raw/weights")} == studies._imported(Path())
        (md5,) = hashes_of([Path("data/raw/open_faces")]).values()
    entry = {"cmd": "", "deps": [{"path": "data/raw/open_faces", "md5": md5}], "outs": []}
    (tmp_path / "dvc.lock").write_text(yaml.dump({"stages": {"dataset": entry}}))
    (tmp_path / "settings.json").write_text(json.dumps(first.settings(params)))
    (tmp_path / "code.json").write_text(json.dumps({"fsr": "1", "report": "1"}))
    commit(tmp_path, "what the experiment left")
    ref = f"refs/exps/{base[:2]}/{base[2:]}/{first.name}"
    shell(tmp_path, "git", "update-ref", ref, "HEAD")
    shell(tmp_path, "git", "reset", "-q", "--hard", base)

    def found(code: str = "1", experiment: Experiment = first) -> bool:
        made_by = {"fsr": code, "report": "2"}  # the report predicts nothing
        with contextlib.chdir(tmp_path):
            data = hashes_of(studies._imported(Path()))
        return studies.revision_of(tmp_path, experiment, params, made_by, data) is not None

    assert found()
    assert not found(code="2")
    assert not found(experiment=replace(second, name=first.name))
    faces.write_text("new")
    assert not found()


def test_an_experiment_that_became_another_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where code was edited while it ran."""
    monkeypatch.setattr(studies, "revision_of", lambda *words: None)
    monkeypatch.setattr(studies, "_run_all", lambda *words: None)
    with pytest.raises(UserError, match="small-seed-1 is not one of today's code, params and"):
        run_studies(ROOT, PARAMS, EXPERIMENTS)


def test_what_is_missing_and_how_long_it_takes_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)

    def said(**choice: Any) -> str:
        assert run_studies(tmp_path, PARAMS, experiments_of(ROOT, PARAMS, **choice), True) == []
        return capsys.readouterr().out

    monkeypatch.setattr(studies, "default_jobs", lambda: 2)
    # Seconds for each seed: pretrain 160, features of eight sizes 80, fsr 100, evaluate 10.
    hours = 5 * 350 / 3600 / 2
    assert f"about {hours:.1f} h by the last runs of their stages" in said(methods=["fsr_plain"])
    # All trained stages took half an hour, of which the ablations repeat a few minutes.
    took = {"pretrain": 1200, "fsr@plain": 600, "dataset": 9999}
    for stage in graph_of(tmp_path):
        record = tmp_path / f".runs/{stage}/1.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"seconds": took.get(stage, 0)}))
    hours = 5 * (1800 + 4 * 600) / 3600 / 2  # four ablations change fsr_plain
    last = f"about {hours:.1f} h by the last runs of their stages, or a guess"
    assert said() == f"55 experiments, 55 to run, {last}\n"
    two = said(methods=["fsr_plain", "bicubic"], seeds=2)
    assert f"about {2 * 1800 / 3600 / 2:.1f} h" in two
    monkeypatch.setattr(studies, "revision_of", lambda *words: object())
    assert said() == "55 experiments, 0 to run\n"


def test_what_a_failed_experiment_said_last_is_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert studies._run(tmp_path, EXPERIMENTS[0], [])
    said = capfd.readouterr().err
    assert said.startswith("small-seed-1:\n")
    assert "not inside of a DVC repository" in said


def project_of(root: Path, command: str) -> Path:
    """Make ``root``, the current folder, a project whose one stage runs a command."""
    stage = {"cmd": command, "params": ["seed"], "outs": ["out"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"evaluate": stage}}))
    (root / "params.yaml").write_text("seed: 0\n")
    init(root)
    commit(root, "all")
    return root


def test_an_experiment_that_another_process_is_about_to_run_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project_of(tmp_path, "cp params.yaml out"))
    with Repo() as repo:
        queue = repo.experiments.tempdir_queue
        values = {"params.yaml": ["seed=2"]}
        repo.experiments.queue_one(queue, targets=["evaluate"], params=values, name="other")
        assert studies._run(tmp_path, Experiment("small-seed-1", 1, ("seed=1",)), []) == 0
        assert [entry.name for entry in queue.iter_queued()] == ["other"]
    assert len(experiments(tmp_path, "small-seed-1")) == 1


STUDY = """
from fsr_fer.pipeline import studies
studies.default_jobs = lambda: 1
studies._run_all(pathlib.Path(), [studies.Experiment(n, 1, (f"seed={n}",)) for n in "12"])
"""


def test_what_ends_a_study_ends_its_trainings(tmp_path: Path) -> None:
    interrupt(project_of(tmp_path, "sleep 600"), STUDY, "sleep 600")
    folders = tmp_path / ".dvc/tmp/exps/standalone"
    assert folders.is_dir()
    assert not list(folders.glob("tmp*"))  # DVC has tidied up, and 2 has not begun
    assert not experiments(tmp_path, "1")


def test_seeds_run_before_their_ablations_and_a_failure_ends_the_study(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(studies, "default_jobs", lambda: 2)
    begun: list[Experiment] = []

    def run(root: Path, experiment: Experiment, _: object) -> int:
        begun.append(experiment)
        return int(experiment.name == "small-no-gan-3")

    def write(root: Path, params: object, runs: object) -> list[Path]:
        assert len(begun) == 5  # of the seeds alone: no ablation has begun
        written.append(root)
        return []

    written: list[Path] = []
    monkeypatch.setattr(studies, "_run", run)
    monkeypatch.setattr(studies, "revision_of", lambda root, e, *_: e if e in begun else None)
    monkeypatch.setattr(studies, "_write_results", write)
    with pytest.raises(UserError, match="experiment small-no-gan-3 failed; the same command goes"):
        run_studies(ROOT, PARAMS, EXPERIMENTS)
    assert [e.seed for e in begun if e.ablation is None] == [1, 2, 3, 4, 5]
    assert all(e.ablation is None for e in begun[:5])
    assert len(written) == 1
    assert "5 of 5: small-seed-" in capsys.readouterr().out


@dataclass
class Run:
    """A finished experiment: its files, of which ``lock`` names what evaluate wrote."""

    commit: str
    files: dict[str, str]
    lock = dict.fromkeys(["evaluate@fsr_plain", "evaluate@fsr_reweighted", "report"])

    def output(self, path: str) -> bytes:
        return self.files[path].encode()

    read = output

    def values(self, path: str) -> dict[str, str]:
        return {"fsr": "0123", "report": "4567"} if path == "code.json" else {}


def predictions(**answers: str) -> dict[str, str]:
    """Files of methods: two faces of class a, predicted at x2 as ``answers`` says."""
    return {
        f"data/{PARAMS['profile']}/predictions/{method}.csv": "id,label,hr,x2\n"
        + "".join(f"{n},a,a,{c}\n" for n, c in enumerate(said))
        for method, said in answers.items()
    }


def test_the_result_of_an_ablation_reads_its_own_method_alone(tmp_path: Path) -> None:
    curve = "step\ttotal_accuracy\n50\t71.5\n100\t72.25\n"
    runs: dict[Any, Any] = {}
    for seed, plain in ((1, "ab"), (2, "bb")):
        files = predictions(fsr_plain=plain, fsr_reweighted="aa")
        for variant in ("plain", "reweighted"):
            plots = f"metrics/{PARAMS['profile']}/fsr/{variant}/plots/metrics"
            files[f"{plots}/validation/total_accuracy.tsv"] = curve
        runs[Experiment(f"seed-{seed}", seed, (f"seed={seed}",))] = Run(f"c{seed}", files)
        # Its dvc.lock still names fsr_reweighted, but a file of that is not this run's.
        values = (f"seed={seed}", "losses.gan_weight=0.0")
        changed_run = Experiment(f"no-gan-{seed}", seed, values, "no-gan", ("fsr_plain",))
        runs[changed_run] = Run(f"d{seed}", predictions(fsr_plain="aa"))
    written = studies._write_results(tmp_path, TWO_CLASSES, runs)
    names = [f"{PARAMS['profile']}_{s}.json" for s in ("seeds", "ablations", "convergence")]
    assert [path.relative_to(tmp_path / studies.RESULTS).as_posix() for path in written] == names
    seeds, ablations, convergence = (json.loads(path.read_text()) for path in written)
    scores = seeds["results"]["scores"]["total_accuracy"]
    assert scores["fsr_plain"]["x2"]["values"] == [50, 0]
    assert scores["fsr_reweighted"]["x2"]["values"] == [100, 100]
    assert list(ablations["results"]) == ["no-gan"]
    own = ablations["results"]["no-gan"]
    assert list(own["scores"]["total_accuracy"]) == ["fsr_plain", "no-gan"]
    pair = own["pairs"]["total_accuracy"]["no-gan - fsr_plain"]
    assert pair["x2"]["values"] == [50, 100]
    on_test = convergence["results"]["accuracy"]["test_mean_of_scales"]
    assert on_test["difference"]["values"] == [50, 100]
    last = convergence["results"]["accuracy"]["last_validation"]["plain"]
    assert (last["mean"], convergence["results"]["iterations"]) == (72.25, 100)
    values = ["seed=2", "losses.gan_weight=0.0"]
    predicted = {"fsr_plain": "39cf6a81a2ef9d6312ec795eae4abaa5"}
    found = {"revision": "d2", "values": values, "predictions": predicted}
    assert ablations["runs"]["no-gan-2"] == found
    assert seeds["runs"]["seed-1"]["predictions"].keys() == {"fsr_plain", "fsr_reweighted"}
    assert ablations["code"] == {"fsr": "0123"}  # the report predicts nothing
