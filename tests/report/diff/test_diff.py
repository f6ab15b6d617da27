"""``fsr-fer diff``: what a reviewer is told, and what the gate stops."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fsr_fer.common.files import write_json
from fsr_fer.evaluation.predictions import PredictionTable
from tests.conftest import Run, refused
from tests.report.diff.conftest import CLASSES, CODE, FACES, LABELS, METRICS, Project

BASE = {
    "bicubic": {"hr": 20, "x2": 30, "x8": 100},
    "fsr_plain": {"hr": 20, "x2": 30, "x8": 90},
    "fsr_reweighted": {"hr": 20, "x2": 30, "x8": 90},
}


def changed(**columns: int) -> dict[str, dict[str, int]]:
    return {**BASE, "fsr_reweighted": {**BASE["fsr_reweighted"], **columns}}


@pytest.fixture
def based(project: Project) -> Project:
    """The base is committed."""
    project.reproduce(BASE)
    project.commit("base")
    return project


def as_json(run: Run, *words: str) -> Any:
    code, out, err = run("diff", "--json", *words)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_nothing_changed_and_noise(based: Project, run: Run) -> None:
    code, out, err = run("diff", "--fail-below")
    assert (code, err) == (0, "")
    assert "Every method predicts every test face as before." in out
    assert "Params, data and code behind the results are the same." in out
    assert "Gate: passed\n" in out
    based.reproduce(changed(x8=92))
    out = run("diff")[1]
    assert "may be noise; no size changed by more than noise" in out
    assert "*" not in out


def test_a_param_and_what_it_did(based: Project, run: Run) -> None:
    based.params["reweight"]["sigma"] = 2.0
    based.params["profiles"]["paper"]["fsr"]["iterations"] = 1  # of another profile
    based.reproduce(changed(x8=60))
    code, out, _ = run("diff")
    assert code == 0
    assert "reweight.sigma: 1.5 → 2.0" in out
    assert "iterations" not in out
    assert re.search(r"not noise\* +\+15\.0\* +\+7\.5\*\n", out)
    assert "fsr_reweighted: mean +7.5 points, p < 0.001: more than noise; better at x8." in out
    value = as_json(run)
    cell = value["table"]["fsr_reweighted"]["x8"]
    assert cell.pop("p_value") < value["level"] == 0.05
    assert list(cell.values()) == [55.0, 70.0, 15.0, 0, 30]


def test_a_value_of_a_base_and_imported_weights_are_named(project: Project, run: Run) -> None:
    profiles = project.params["profiles"]
    profiles["small"] = {"based_on": "fast"}
    profiles["fast"] = {"pretrain": {"epochs": 14}}
    project.reproduce(BASE)
    project.commit("base")
    profiles["fast"]["pretrain"]["epochs"] = 2
    project.reproduce(BASE)
    lock = yaml.safe_load((project.root / "dvc.lock").read_text())
    weights = {"path": "data/raw/weights", "md5": "0" * 32, "size": 9, "nfiles": 2}
    lock["stages"]["dataset"]["deps"].append(weights)
    (project.root / "dvc.lock").write_text(yaml.safe_dump(lock))
    value = as_json(run)
    assert [change["name"] for change in value["params"]] == ["profiles.fast.pretrain.epochs"]
    assert [change["name"] for change in value["data"]] == ["data/raw/weights"]


def test_a_row_without_all_scales_adds_no_test_of_a_mean(based: Project, run: Run) -> None:
    based.reproduce(changed(x8=94))
    alone = as_json(run)["table"]["fsr_reweighted"]["mean"]["p_value"]
    for wrong, rows in ((9, BASE), (40, changed(x8=94))):
        based.commit()
        based.reproduce({**rows, "rcan": {"hr": 5, "x2": wrong}})
        table = json.loads(Path(METRICS).read_text())
        del table["rcan"]["mean"]
        based.rewrite_metrics(table)
    assert as_json(run)["table"]["fsr_reweighted"]["mean"]["p_value"] == alone < 0.9


def test_a_profiles_own_limits_and_level_count(based: Project, run: Run) -> None:
    own = {"review": {"largest_drop_of_mean": 50.0, "largest_drop_at_a_size": 50.0},
           "report": {"confidence": 0.99}}  # fmt: skip
    based.params["profiles"]["small"] = own
    based.reproduce(changed(x8=150))
    assert run("diff", "--fail-below")[0] == 0
    assert as_json(run)["level"] == 0.01


@pytest.mark.parametrize("edit", [{"profiles": None}, {"dataset": None}, {"report": 5}])
def test_params_half_edited_are_one_line(based: Project, run: Run, edit: dict[str, Any]) -> None:
    based.params |= edit
    based.write_params()
    assert refused(run("diff")).startswith("fsr-fer: params.yaml of workspace: ")
    based.git("commit", "-q", "-a", "-m", "half edited")
    based.git("checkout", "-q", "HEAD~1", "params.yaml")
    assert re.fullmatch(r"(fsr-fer: params\.yaml of HEAD \(.*\n)?", run("diff")[2])
    assert refused(run("diff", "HEAD~1..HEAD")).startswith("fsr-fer: params.yaml of HEAD (")


def test_markdown_for_a_pull_request_keeps_what_others_wrote_as_text(
    based: Project, run: Run
) -> None:
    based.params["reweight"]["sigma"] = 2.0
    based.params["dataset"]["@everyone `|<img>"] = "``` | <b>"
    based.reproduce(changed(x8=120))
    code, out, _ = run("diff", "--md", "--fail-below")
    assert code == 1
    lines = [re.sub(" +", " ", line) for line in out.splitlines()]
    assert "| total accuracy, % | hr | x2 | x8 | mean |" in lines
    assert "| `bicubic` | 90.0 | 85.0 | 50.0 | 67.5 |" in lines
    changed_cells = "55.0<br>40.0<br>**-15.0** | 70.0<br>62.5<br>**-7.5**"
    assert f"| `fsr_reweighted`<br><br>**not noise** | 90.0 | 85.0 | {changed_cells} |" in lines
    assert "- `reweight.sigma: 1.5 → 2.0`" in lines
    assert "<details open><summary>Gate: failed</summary>" in lines
    theirs = [line for line in lines if "everyone" in line]
    assert theirs
    assert all(re.fullmatch("- `[^`|]+`", line) for line in theirs)


@pytest.mark.parametrize(
    ("columns", "limits", "reason"),
    [
        ({"x8": 120}, {}, "fsr_reweighted, x8: fell by 15.00 points to 40.00 %, allowed 3 (more"),
        ({"x8": 120}, {}, "fsr_reweighted, mean over the scales: fell by 7.50 points"),
        ({"hr": 60}, {}, "fsr_reweighted, full size: fell by 20.00 points"),
        ({"x8": 120}, {"largest_drop_at_a_size": 15, "largest_drop_of_mean": 7.5}, None),
        ({"x8": 93}, {"largest_drop_at_a_size": 1}, None),  # may be noise
        (
            {"x8": 93},
            {"largest_drop_at_a_size": 1, "only_beyond_noise": False},
            "fell by 1.50 points to 53.50 %, allowed 1 (may be noise",
        ),
        ({"x8": 20}, {}, None),
    ],
)
def test_the_gate(
    based: Project, run: Run, columns: dict[str, int], limits: dict[str, Any], reason: str | None
) -> None:
    based.params["review"] |= limits
    based.reproduce(changed(**columns))
    code, _, err = run("diff", "--fail-below")
    assert code == (reason is not None)
    assert re.fullmatch(f"fsr-fer: gate: .*{re.escape(reason)}.*\n" if reason else "", err)


def test_rows_that_come_and_go(based: Project, run: Run) -> None:
    rows = {name: columns for name, columns in BASE.items() if name != "fsr_plain"}
    based.reproduce({**rows, "fsr_l2": BASE["fsr_plain"]})
    code, out, err = run("diff", "--fail-below")
    assert code == 1
    assert "method fsr_plain is gone" in err
    assert "fsr_l2: new." in out


def import_tool(project: Project, wrong: int) -> None:
    """Leave what an import and a report leave: so many faces wrong, of full size alone."""
    path = Path("data/raw/predictions/small/tool.csv")
    table = PredictionTable(
        ids=tuple(f"face{i}" for i in range(FACES)),
        labels=LABELS,
        class_names=CLASSES,
        predicted={"hr": np.where(np.arange(FACES) < wrong, 1 - LABELS, LABELS)},
        hashes=tuple(f"a{i}" for i in range(FACES)),
    )
    table.write(path)
    key = project.keep(str(path), path.read_bytes())
    path.with_name("tool.csv.dvc").write_text(f"outs: [{{md5: {key}, path: tool.csv}}]")
    accuracy = json.loads(Path(METRICS).read_text())
    write_json(Path(METRICS), {**accuracy, "tool": {"hr": 100 - wrong / 2}})


def test_another_tools_row_is_compared_face_by_face(based: Project, run: Run) -> None:
    Path(".gitignore").write_text("/data/small/\n/.dvc/\n/data/raw/predictions/**/*.csv\n")
    import_tool(based, 60)
    based.commit("another tool")
    based.reproduce(BASE)
    import_tool(based, 20)
    _, out, _ = run("diff")
    assert re.search(r"^tool +70\.0[ –]+\n +90\.0\n.* \+20\.0\*", out, re.M), out
    assert "No verdict" not in out
    assert "fell by" not in run("diff", "--fail-below")[2]


def test_without_the_predictions_there_is_no_verdict(based: Project, run: Run) -> None:
    shutil.rmtree(based.root / ".dvc/cache")
    based.reproduce(changed(x8=104))
    shutil.rmtree(based.root / ".dvc/cache")
    code, out, err = run("diff", "--fail-below")
    assert "No verdict on noise: predictions or faces of HEAD" in out
    assert "are not in DVC's cache; `dvc fetch -A` brings them" in out
    assert "-7.0" in out
    assert code == 1
    assert "fell by 7.00 points to 48.00 %, allowed 3 (not tested for noise)" in err


def test_a_cache_elsewhere_is_found_and_if_damaged_gives_no_verdict(
    based: Project, run: Run, tmp_path: Path
) -> None:
    based.reproduce(changed(x8=60))
    (based.root / ".dvc/cache").rename(tmp_path / "shared")
    (based.root / ".dvc/config.local").write_text("[cache]\n    dir = ../../shared\n")
    assert "better at x8" in run("diff")[1]
    for file in (tmp_path / "shared").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-20] + b"x" * 20)
    assert "No verdict on noise" in run("diff")[1]


def test_predictions_here_that_are_of_another_commit_judge_nothing(
    based: Project, run: Run
) -> None:
    based.reproduce(changed(x8=120))
    worse = based.commit("worse")
    based.reproduce(BASE)
    based.git("checkout", "-q", "--force", worse)  # DVC's files stay those of the base
    code, out, err = run("diff", "HEAD~1", "--fail-below")
    told = "No verdict on noise: predictions of fsr_reweighted in workspace are of other results;"
    assert told in out
    assert code == 1
    assert "x8: fell by 15.00 points to 40.00 %, allowed 3 (not tested for noise)" in err


TEACHERS = "distill.ensemble_distillation.teachers is"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed: 666", "seed: .nan", "seed is nan"),
        ("  bicubic:\n    model", '  "":\n    model', "methods: the name is ''"),
        ("    teachers:\n    - mixed_resolution\n", "    teachers:\n", TEACHERS),
    ],
)
@pytest.mark.parametrize("words", [("diff", "--json"), ("trace", "accuracy")])
def test_invalid_params_are_blamed_not_what_dvc_makes_of_them(
    based: Project, run: Run, old: str, new: str, said: str, words: tuple[str, ...]
) -> None:
    file = based.root / "params.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    if (said, words[0]) != ("seed is nan", "trace"):  # where a number comes from depends on no seed
        assert f"params.yaml: {said}" in run(*words)[2]


def test_predictions_in_another_order_are_of_other_faces(based: Project, run: Run) -> None:
    file = based.root / "data/small/predictions/bicubic.csv"
    header, *rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join([header, *reversed(rows)]))
    said = "No verdict on noise: predictions of bicubic in workspace are of other faces; `dvc"
    assert said in run("diff")[1]


@pytest.mark.parametrize("content", [b"id,label\nface0,neutral\n", b"id,split\n\xff,test\n"])
def test_a_damaged_manifest_is_one_line(based: Project, run: Run, content: bytes) -> None:
    (based.root / "data/small/dataset/manifest.csv").write_bytes(content)
    assert "manifest.csv of workspace is damaged: `dvc checkout" in refused(run("diff"))


@pytest.mark.parametrize("name", ["settings.json", "code.json"])
def test_results_of_nobody_knows_what_pass_no_gate(based: Project, run: Run, name: str) -> None:
    (based.root / name).unlink()
    code, _, err = run("diff", "--fail-below")
    assert (code, f"{name} is not here; `dvc repro` writes it" in err) == (1, True)


def test_sizes_that_both_have_and_equal_faces_are_compared_one_by_one(
    based: Project, run: Run
) -> None:
    based.reproduce({name: {"hr": 60, "x2": 30, "x4": 50} for name in BASE})
    code, out, err = run("diff", "--fail-below")
    assert "bicubic: worse at full size.\n" in out
    assert code == 1
    assert "bicubic, x8: no result any more" in err
    cells = as_json(run)["table"]["bicubic"]
    # Three methods have 40 faces worse at full size, and the same at x2: six tests.
    assert cells["hr"]["p_value"] == pytest.approx(6 * 2 / 2**40)
    assert [cells[size]["p_value"] for size in ("x2", "x4", "x8", "mean")] == [1, None, None, None]
    assert cells["mean"]["difference"] is None  # of other scales
    assert "mean over the scales" not in err
    based.reproduce(changed(x8=60), faces="b")
    out = run("diff")[1]
    assert "No verdict on noise: the test faces differ." in out
    assert "data/raw/small: 200 files, 7 bytes, md5 " in out


def test_numbers_of_other_params_code_or_files_pass_no_gate(based: Project, run: Run) -> None:
    based.params["reweight"]["sigma"] = 2.0
    based.write_params()
    (based.root / CODE).write_text("print('better report')\n")
    metrics = based.root / METRICS
    metrics.write_text(metrics.read_text().replace("55.0", "65.0"))
    code, _, err = run("diff", "--fail-below")
    assert code == 1
    for reason in (
        "made with other params (fsr_variants.reweighted.reweight.sigma, reweight.sigma)",
        "the results were made with other code of report",
        "metrics/small/accuracy.json is not what dvc.lock says",
    ):
        assert reason in err
    assert "`dvc repro` brings the results in line" in run("diff")[1]


def test_two_commits_and_an_experiment(based: Project, run: Run) -> None:
    base = based.git("rev-parse", "HEAD")
    based.params["reweight"]["sigma"] = 2.0
    based.reproduce(changed(x8=60))
    experiment = based.commit("as `dvc exp run` would")
    based.git("reset", "-q", "--hard", base)
    based.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/sigma-2", experiment)
    based.reproduce(BASE)
    for words in (f"HEAD..{experiment}", "HEAD..sigma-2", "..sigma-2"):
        value = as_json(run, words)
        assert experiment[:7] in value["after"]
        assert value["table"]["fsr_reweighted"]["x8"]["difference"] == 15.0
    assert as_json(run, "sigma-2")["table"]["fsr_reweighted"]["x8"]["difference"] == -15.0
    assert as_json(run, "sigma-2..HEAD")["params"] == [
        {"name": "reweight.sigma", "before": 2.0, "after": 1.5}
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "'nowhere' is neither a revision nor an experiment here"),
        (["mine"], "several experiments are called 'mine'"),
        (["--", "--output=x"], "'--output=x' is neither"),  # no option of Git
        (["HEAD...b"], "'.b' is neither"),
        (["^HEAD"], "'^HEAD' is neither"),
        (["--profile", "mine"], "has no profile 'mine'; it has small, open_faces"),
        (["--profile", "paper"], "neither HEAD ("),
        (["--md", "--json"], "exclude each other"),
    ],
)
def test_mistakes_are_one_line(based: Project, run: Run, words: list[str], message: str) -> None:
    for start in ("a", "b"):
        based.git("update-ref", f"refs/exps/{start * 2}/{start * 38}/mine", "HEAD")
    assert message in refused(run("diff", *words))


def test_limits_are_needed_by_the_gate_alone(based: Project, run: Run) -> None:
    del based.params["review"]
    based.write_params()
    assert "review is None; expected a section" in run("diff", "--fail-below")[2]
    assert run("diff")[0] == 0
    shutil.rmtree(based.root / ".git")
    assert "no earlier state to look at: not a git repository" in refused(run("diff"))


@pytest.mark.parametrize("path", [METRICS, "dvc.lock", "data/small/predictions/bicubic.csv"])
def test_a_damaged_file_is_one_line(based: Project, run: Run, path: str) -> None:
    whole = (based.root / path).read_text()
    end = len(whole) * 2 // 3
    if "size:" in whole[end:]:  # in a later key of a mapping: cut elsewhere, YAML may be whole
        end = whole.index("size:", end) + len("size")
    (based.root / path).write_text(whole[:end])
    assert Path(path).name in refused(run("diff"))


def test_dvc_is_not_imported(based: Project, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for slow in ("dvc", "torch", "pandas"):
        monkeypatch.setitem(sys.modules, slow, None)
    assert run("diff")[0] == 0
