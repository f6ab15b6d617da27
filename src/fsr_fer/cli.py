"""The command line: ``fsr-fer``. A command imports what is slow to load when it runs."""

import contextlib
import csv
import importlib.util
import io
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from fsr_fer.common.errors import UserError, refusal
from fsr_fer.pipeline import dvc_tracking as tracking
from fsr_fer.pipeline.git import git_refusal
from fsr_fer.pipeline.paths import Paths
from fsr_fer.predict.command import predict_command
from fsr_fer.serve.command import serve_command

USE = "Use a model"
RUN = "Run the pipeline"
REVIEW = "Review results"

if TYPE_CHECKING:
    from fsr_fer.data.manifest import Manifest

Profile = Annotated[str | None, typer.Option(help="[default: the selected profile]")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Json = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]


class _Groups(typer.core.TyperGroup):
    """Help that lists the commands under what they are for, each with its whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            rows = sections.setdefault(vars(command)["rich_help_panel"] or "Commands", [])
            rows.append((name, command.get_short_help_str(sys.maxsize)))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


_app = partial(typer.Typer, cls=_Groups, no_args_is_help=True, rich_markup_mode=None)
app = _app(
    name="fsr-fer",
    help="Predict expressions of low-resolution faces; train, export and review models.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
weights_app = _app(help="Bring in published weights of image super-resolution.")
predictions_app = _app(help="Compare another tool's predictions.")
app.command("predict", rich_help_panel=USE)(predict_command)
app.command("serve", rich_help_panel=USE)(serve_command)
app.add_typer(weights_app, name="weights", rich_help_panel=RUN)
app.add_typer(predictions_app, name="predictions", rich_help_panel=RUN)


def main() -> None:
    """Run a command; a user's mistake gives one line on stderr and exit code 1."""
    # `2>&-` closes one: there is none then.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not know every character
            stream.reconfigure(errors="replace")
    for option, word in itertools.pairwise([*sys.argv, "end"]):
        if option.startswith("--") and (not word or option.endswith("=")):
            _fail(f"{option.rstrip('=')} is followed by nothing; is a variable unset?")
    try:
        app()
    except BrokenPipeError:  # `fsr-fer trace ... | head`
        os._exit(1)
    except OSError as error:
        if not (line := refusal(error)):
            raise
        _fail(line)
    except ModuleNotFoundError as error:
        if importlib.util.find_spec("dvc"):  # the extra is there: it is our mistake
            raise
        _fail(
            f"{error.name} is not installed; the commands of the pipeline need more packages: "
            "pip install 'fsr-fer[pipeline]'"
        )
    except UserError as error:
        _fail(str(error))


def _fail(line: str) -> NoReturn:
    typer.echo(f"fsr-fer: {line}", err=True)
    sys.exit(1)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"fsr-fer {metadata.version('fsr-fer')}")
        raise typer.Exit


@app.command("export", rich_help_panel=USE)
def export_command(
    file: Annotated[Path, typer.Argument(help="The model file to write, such as model.onnx.")],
    profile: Profile = None,
    licence: Annotated[
        str, typer.Option(help="What the weights may be used for.")
    ] = "that of the faces it was trained on",
    force: Force = False,
) -> None:
    """Write a trained network as a model file for predict.

    The network is the one that the stage `pack` has calibrated. The file is ONNX (opset 18,
    standard operators) and runs wherever onnxruntime does. Networks that pool by covariance
    cannot be exported: train with pretrain.extractor.pooling: mean and bimap_dim squared as
    the last of its widths.
    """
    from fsr_fer.evaluation.onnx_file import write_onnx
    from fsr_fer.pipeline.params import selected_profile

    root = tracking.find_root()
    name, _ = selected_profile(root, profile)
    packed = root / Paths(name).network("packed")
    if not packed.exists():
        raise UserError(
            f"{packed.relative_to(root)} is not there; `dvc repro pack` makes it where params.yaml "
            f"has profile: {name}"
        )
    no_model = file.suffix == ".safetensors" or str(file) == "-"
    if no_model or (file.exists() and not file.is_file()):
        raise UserError(f"{file} is no name of a model file; name one such as model.onnx")
    if file.exists() and not force:
        raise UserError(f"{file} exists already; add --force to replace it")
    try:
        write_onnx(packed, Path(os.path.realpath(file)), licence)  # a link stays one
    except FileNotFoundError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from None
    typer.echo(f"wrote {file}: fsr-fer predict --model {shlex.quote(str(file))} PICTURES")


@app.command("import", rich_help_panel=RUN)
def import_command(
    source: Literal["rafdb", "fer2013", "csv", "folder"],
    path: Annotated[str, typer.Argument(help="The folder that holds them, a zip or a tar.")],
    profile: Annotated[
        str | None, typer.Option(help="Profile of the faces [default: the first with this source].")
    ] = None,
    numbered_from: Annotated[
        int | None,
        typer.Option(min=0, help="Number of the first class, where classes are numbers."),
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option(min=0.01, max=0.5, help="Draw a test split.")
    ] = None,
    subject_from: Annotated[
        str | None,
        typer.Option(help="Pattern; its group in a picture's name is the person: '([^_]+)_'."),
    ] = None,
    test_part: Annotated[
        Literal["PublicTest"] | None,
        typer.Option("--test", help="Part of FER2013 to test on where PrivateTest is missing."),
    ] = None,
    force: Force = False,
) -> None:
    """Check your faces, pack them in data/raw/PROFILE and track them with DVC.

    \b
    rafdb   RAF-DB as downloaded: EmoLabel/list_patition_label.txt and
            Image/aligned.zip (or Image/aligned/*_aligned.jpg), or a mirror's
            train_labels.csv, test_labels.csv and DATASET/train/1/*_aligned.jpg
    fer2013 FER2013Train/*.png with fer2013new.csv or label.csv (FER+), or
            fer2013.csv, icml_face_data.csv or train.csv, and perhaps
            fer2013new.csv beside it; PATH may be the table itself
    csv     labels.csv with image,label,split and perhaps subject; the images
            beside it, in images/ or in images.zip
    folder  split/class/picture, for example train/happiness/1.jpg; pictures
            of one person may lie in a folder of their own inside the class

    Splits are train, test and perhaps validation. Pictures of any size, mode and orientation
    will do. If there are problems, import-problems.csv lists them and nothing is imported.
    """  # noqa: D301
    from fsr_fer.common.files import exclusive
    from fsr_fer.data.importing import import_faces

    if not path:  # of an unset variable; Path("") would be the current folder
        raise typer.BadParameter("PATH is empty")
    root = tracking.find_root()
    name, values = _profile_for(source, profile, root / "params.yaml")
    dataset = values["dataset"]
    several = dataset["source"] == "several"
    folder = f"data/raw/{name}"
    file, place = f"{folder}.dvc", f"{folder}/{source}" if several else folder
    top, target, tracked = root / folder, root / place, root / file
    if tracked.exists() and not top.exists() and (several or not force):
        others = f"remove {file} to import all sources anew" if several else "--force imports these"
        raise UserError(
            f"{file} has faces that are not here: `dvc pull {file}` brings them, where they were "
            f"pushed; else {others}"
        )
    is_new, was_tracked = not target.exists(), tracked.exists()
    warnings.filterwarnings("ignore", module="PIL")  # a damaged picture is a problem of ours
    try:
        with exclusive(root / ".runs/import", "an import"):
            summary = import_faces(
                source,
                Path(path),
                target,
                class_names=dataset["class_names"],
                problems_file=Path("import-problems.csv"),
                force=force,
                numbered_from=numbered_from,
                test_fraction=test_fraction,
                subject_from=subject_from,
                seed=values["data_seed"],
                votes=dataset["votes"],
                duplicates=dataset["duplicates"],
                test_part=test_part,
                one_of_several=several,
                is_import=was_tracked,
            )
            licensed = several or source in ("rafdb", "fer2013")
            tracking.track_with_dvc(top, root=root, push=not licensed)
    except KeyboardInterrupt:
        if is_new and tracked.exists() == was_tracked:  # else nobody knew that it is an import
            shutil.rmtree(target, ignore_errors=True)
        typer.echo("fsr-fer: stopped; run the same command again", err=True)
        raise typer.Exit(130) from None
    total = sum(summary.faces.values())
    splits = ", ".join(f"{split} {count:,}" for split, count in summary.faces.items())
    people = f" of {summary.subjects:,} known people" if summary.subjects else ""
    typer.echo(f"imported {total:,} faces{people} into {place} ({splits})")
    for note in summary.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"next: git add {file} data/raw/.gitignore")
    typer.echo(f"      dvc exp run -S profile={name}")
    typer.echo(f"  or  write `profile: {name}` in params.yaml and run `make repro`")


@weights_app.command("import")
def weights_import_command(
    kind: Literal["rcan", "meta-sr"],
    file: Annotated[Path, typer.Argument(help="For example RCAN_BIX2.pt.")],
    force: Force = False,
) -> None:
    """Check published weights and put them in place.

    Code in the file is never run. The `sr` stages use the weights once `sr.weights` of the
    profile is `imported`; RCAN has a file for each scale.
    """
    from fsr_fer.models.published_weights import read_official
    from fsr_fer.models.weights import save_network
    from fsr_fer.pipeline.params import RCAN_SCALES, selected_profile

    root = tracking.find_root()
    key, network = read_official(kind, file)
    target = root / "data/raw/weights" / f"{key}.safetensors"
    if key.startswith("rcan") and key not in {f"rcan_x{scale}" for scale in RCAN_SCALES}:
        raise UserError(f"{file} holds {key}; the stages use RCANs for x2, x3, x4 and x8")
    relative = _put("weights", target, root, force, lambda part: save_network(part, network))
    typer.echo(f"imported {key} into {relative}")
    typer.echo(f"next: git add {relative}.dvc data/raw/weights/.gitignore")
    profile, _ = selected_profile(root)
    typer.echo(f"      dvc exp run -S ++profiles.{profile}.sr.weights=imported")


@predictions_app.command("faces")
def predictions_faces_command(
    folder: Annotated[Path, typer.Argument(help="A new folder.")], profile: Profile = None
) -> None:
    """Write the test faces for another tool: SIZE/ID.png in their own pixels, and faces.csv."""
    from fsr_fer.evaluation.other_tools import write_faces

    root = tracking.find_root()
    selected, manifest, values = _faces_of(root, profile)
    paths = Paths(selected)
    small = {scale: root / paths.downsampled(scale) for scale in values["scales"]}
    target = folder.resolve() if folder.is_symlink() else folder  # a link stays one
    number = write_faces(target, manifest, root / paths.images, small)
    typer.echo(f"wrote {number:,} test faces at {len(small) + 1} sizes into {folder}")
    typer.echo("next: a table of what the tool predicts, with the columns id, size and label, or")
    typer.echo("      id, size and a probability for each class; then")
    typer.echo("      fsr-fer predictions import TABLE --name NAME")


@predictions_app.command("import")
def predictions_import_command(
    file: Annotated[Path, typer.Argument(help="The table, a CSV.")],
    name: Annotated[str, typer.Option(help="Name of the tool in the tables.")],
    profile: Profile = None,
    force: Force = False,
) -> None:
    """Check a table of another tool's predictions and import it; `report` then shows the tool.

    \b
    id     of the test face, as in faces.csv of `fsr-fer predictions faces`
    size   hr, x2, x3, ... or the face's width in pixels
    label  the class; or, in place of it, a column for each class with its
           probability, which add up to 1 or 100. Angry and anger are one class

    A size must have all test faces, or none.
    """  # noqa: D301
    from fsr_fer.evaluation import imported
    from fsr_fer.evaluation.other_tools import read_table

    root = tracking.find_root()
    selected, manifest, values = _faces_of(root, profile)
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UserError(f"--name {name!r}: expected letters without accents, digits, _ and -")
    if name in values["methods"]:
        raise UserError(f"--name {name} is a method of params.yaml; choose another name")
    if not file.is_file():
        raise UserError(f"{file} is no file")
    table, notes = read_table(file.read_bytes(), file, manifest, values["scales"])
    faces = imported.given_faces((root / Paths(selected).manifest).read_bytes())
    target = root / imported.imported_file(selected, name)
    hashed = replace(table, hashes=tuple(sha256 for _, _, sha256 in faces))
    relative = _put("predictions", target, root, force, hashed.write)
    typer.echo(f"imported {len(table.ids):,} faces at {', '.join(table.predicted)} into {relative}")
    for note in notes:
        typer.echo(f"note: {note}")
    typer.echo(f"next: git add {relative}.dvc")
    typer.echo(f"      dvc exp run -S profile={selected} report")


@app.command("check", rich_help_panel=RUN)
def check_command() -> None:
    """Check params.yaml with all its profiles, and that DVC can read dvc.lock."""
    from fsr_fer.pipeline.recovery import require_whole_lock

    _check()
    require_whole_lock(tracking.find_root())


def _check() -> dict[str, Any]:
    from fsr_fer.pipeline.params import read_params

    root = tracking.find_root()
    if reason := git_refusal(root):
        raise UserError(
            f"Git does not answer: {reason}; where there is no repository, `git init` and "
            "`git add --all && git commit -m start` make one"
        )
    params = read_params(root / "params.yaml")
    typer.echo(f"params.yaml is right (profiles: {', '.join(params['profiles'])})")
    return params


@app.command("repro", rich_help_panel=RUN)
def repro_command(
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Stages at a time [default: one a core; GPU: 1].")
    ] = None,
) -> None:
    """Run what has changed, independent stages in parallel, and print the main table.

    The same as `fsr-fer check`, `dvc repro` and `fsr-fer summary`, one after the other.
    """
    from fsr_fer.pipeline.reproduce import reproduce, require_faces

    os.chdir(tracking.find_root())
    require_faces(Path(), _check())
    with _going_on_later():
        reproduce(Path(), jobs)
    summary_command()


@contextlib.contextmanager
def _going_on_later(how: str = "the same command goes on from here") -> Iterator[None]:
    """A run that Ctrl-C, or whatever else tells it to end, stops with one line."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) != signal.SIG_IGN:  # as nohup has it
            signal.signal(ending, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {how}", err=True)
        raise typer.Exit(130) from None


@app.command("summary", rich_help_panel=REVIEW)
def summary_command() -> None:
    """Print the main table of the selected profile."""
    from tabulate import tabulate

    from fsr_fer.evaluation.predictions import by_size
    from fsr_fer.pipeline.params import selected_profile
    from fsr_fer.pipeline.provenance.revision import Revision
    from fsr_fer.report.diff.results import Results

    root = tracking.find_root()
    profile, values = selected_profile(root)
    table = Results(revision=Revision(root), profile=profile).accuracy
    if not table:
        raise UserError(f"profile {profile} has no results yet; `make repro` makes them")
    columns = by_size({column for row in table.values() for column in row})
    names = sorted(table, key=[*values["methods"], *table].index)
    rows = [[name, *map(table[name].get, columns)] for name in names]
    typer.echo(f"\nTotal accuracy in percent on the test faces, profile {profile}")
    typer.echo(tabulate(rows, ["", *columns], "plain", ".1f", numalign="right", missingval="-"))
    report = f"data/{profile}/report/index.html"
    here = "" if (root / report).exists() else " (not here: `dvc pull`, or `make repro`)"
    typer.echo(f"Report with intervals, figures and params: {report}{here}")


@contextlib.contextmanager
def _blaming_params(root: Path) -> Iterator[None]:
    """Report what is wrong in params.yaml, if anything, in place of what DVC makes of it."""
    from fsr_fer.pipeline.params import read_params

    try:
        yield
    except Exception as error:
        ours = isinstance(error, UserError) and not str(error).startswith("dvc.yaml cannot be read")
        if not ours and not isinstance(error, OSError):
            read_params(root / "params.yaml")
        raise


@app.command("trace", rich_help_panel=REVIEW)
def trace_command(
    name: Annotated[str, typer.Argument(help="Value, file or stage.")],
    rev: Annotated[
        str, typer.Option(help="A Git revision or a DVC experiment's name.")
    ] = "workspace",
    as_json: Json = False,
) -> None:
    """Show where a number or a file comes from, back to raw data.

    \b
    accuracy.fsr_reweighted.x8         a value of a JSON output; accuracy: all of it
    data/small/report/accuracy.svg     any output, or a file in one; any input
    evaluate@bicubic                   a stage; evaluate: all of its kind
    """  # noqa: D301
    from fsr_fer.pipeline.provenance.revision import find_revision
    from fsr_fer.pipeline.provenance.trace import as_text, trace

    root = tracking.find_root()
    with _blaming_params(root):
        traced = trace(find_revision(root, rev), name)
    typer.echo(json.dumps(traced, indent=2) if as_json else as_text(traced))


@app.command("verify", rich_help_panel=REVIEW)
def verify_command(
    replay: Annotated[
        list[str] | None, typer.Option(help="Run a stage again in a copy; compare its outputs.")
    ] = None,
) -> None:
    """Check that files, params, code and the last commit match dvc.lock.

    Every byte is read again. Each difference is one line; the exit code is then 1.
    Results newer than the last commit are only a note if their runs were recorded here.
    """
    from fsr_fer.pipeline.provenance.replay import replay as run_again
    from fsr_fer.pipeline.provenance.revision import Revision
    from fsr_fer.pipeline.provenance.trace import find
    from fsr_fer.pipeline.provenance.verify import verify

    root = tracking.find_root()
    os.chdir(root)
    stages = []
    for words in replay or []:
        written_by = find(Revision(root), words)[2]
        if not written_by:
            raise UserError(f"--replay {words}: no stage writes it")
        stages += written_by
    with _blaming_params(root):
        findings, newer = verify(root)
    for finding in findings:
        typer.echo(finding)
    if refusal := git_refusal(root):
        typer.echo(f"note: Git does not answer ({refusal}): nobody vouches for dvc.lock itself")
    if newer:
        names = ", ".join(newer)
        typer.echo(f"note: {names} ran here after the last commit; Git has no such results yet")
    failed = len(findings)
    typer.echo(f"{failed} difference{'s' * (failed != 1)}")
    with _going_on_later("a replay begins anew"):
        for stage in stages:
            for path, same in run_again(root, stage).items():
                typer.echo(f"{stage} again: {path}: {'the same bytes' if same else 'CHANGED'}")
                failed += not same
    if failed:
        raise typer.Exit(1)


@app.command("diff", rich_help_panel=REVIEW)
def diff_command(
    revisions: Annotated[
        str, typer.Argument(help="What to compare the workspace with, or A..B.")
    ] = "HEAD",
    profile: Annotated[
        str | None, typer.Option(help="Profile to compare [default: the later one's].")
    ] = None,
    markdown: Annotated[bool, typer.Option("--md", help="Markdown, for a pull request.")] = False,
    as_json: Json = False,
    fail_below: Annotated[
        bool, typer.Option("--fail-below", help="Exit with 1 if a fall is beyond `review`.")
    ] = False,
) -> None:
    """Show what a change does to the results, and whether it is noise.

    Accuracies, params, data and code of two commits, branches, tags or experiments.
    Differences are tested face by face on the stored predictions of both.
    """
    from fsr_fer.report.diff import rendering, review

    if markdown and as_json:
        raise UserError("--md and --json exclude each other")
    root = tracking.find_root()
    os.chdir(root)
    render = rendering.as_markdown if markdown else rendering.as_text
    if as_json:
        render = rendering.as_json
    with _blaming_params(root):
        comparison, reasons = review(root, revisions, profile, gate=fail_below)
        text = render(comparison, reasons)
    typer.echo(text, nl=False)
    if reasons:
        raise UserError(f"gate: {'; '.join(reasons)}")


@app.command("studies", rich_help_panel=RUN)
def studies_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print how many are missing and how long they take.")
    ] = False,
    method: Annotated[
        list[str] | None, typer.Option(help="A method to compare; repeat it for more.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=2, help="With --method: how many seeds.")] = None,
    variant: Annotated[
        str | None,
        typer.Option(help="With --method: the values that studies.yaml has under this name."),
    ] = None,
    ablations: Annotated[
        bool, typer.Option("--ablations", help="With --method: its ablations as well.")
    ] = False,
) -> None:
    """Run the experiments of studies.yaml that are missing; write metrics/studies/."""
    from fsr_fer.pipeline.params import read_params
    from fsr_fer.pipeline.studies import experiments_of, run_studies

    root = tracking.find_root()
    params = read_params(root / "params.yaml")
    wanted = experiments_of(root, params, method or (), seeds, variant, ablations)
    with _going_on_later():
        for path in run_studies(root, params, wanted, dry_run):
            typer.echo(f"wrote {path.relative_to(root)}")


def _put(what: str, target: Path, root: Path, force: bool, write: Callable[[Path], None]) -> str:
    """Write a file below data/raw and track it with DVC; returns its path from ``root``.

    UserError if another one is there, and ``force`` is false.
    """
    from fsr_fer.common.files import replacing

    relative = target.relative_to(root).as_posix()
    tracked = target.with_name(f"{target.name}.dvc")
    if tracked.exists() and not target.exists() and not force:
        raise UserError(
            f"{relative} is tracked but not here: `dvc pull {relative}`, or add --force"
        )
    is_new = not target.exists()
    try:
        with replacing(target) as part:
            write(part)
            if target.exists() and not force and target.read_bytes() != part.read_bytes():
                raise UserError(
                    f"{relative} already holds other {what}, which were left as they are; "
                    "add --force to put these in their place"
                )
        tracking.track_with_dvc(target, root=root, push=True)
    except KeyboardInterrupt:
        if is_new and not tracked.exists():  # else nobody knew that it is an import
            target.unlink(missing_ok=True)
        typer.echo("fsr-fer: stopped; run the same command again", err=True)
        raise typer.Exit(130) from None
    return relative


def _faces_of(root: Path, profile: str | None) -> tuple[str, "Manifest", dict[str, Any]]:
    """Name of ``profile``, or of the selected one, the manifest of its dataset, and its values."""
    from fsr_fer.data.manifest import read_manifest
    from fsr_fer.pipeline.params import selected_profile

    name, values = selected_profile(root, profile)
    class_names, path = tuple(values["dataset"]["class_names"]), Paths(name).manifest
    if not (root / path).exists():
        raise UserError(
            f"{path} is not here: `dvc pull`, or `dvc repro dataset` where params.yaml has "
            f"profile: {name}"
        )
    try:
        manifest = read_manifest(root / path, class_names)
    except (ValueError, LookupError, csv.Error):
        manifest = None
    if manifest is None or not len(manifest.rows("test")):
        raise UserError(f"{path} is damaged: `dvc checkout {path}`")
    return name, manifest, values


def _profile_for(source: str, wanted: str | None, path: Path) -> tuple[str, dict[str, Any]]:
    """The profile an import is for and its values."""
    from fsr_fer.pipeline.params import read_params
    from fsr_fer.pipeline.profiles import profile_values

    params = read_params(path)
    profiles = {name: profile_values(params, name) for name in params["profiles"]}
    for name, values in profiles.items():
        fits = (source,) if wanted is None else (source, "several")
        if values["dataset"]["source"] in fits and wanted in (None, name):
            return name, values
    what = "no profile" if wanted is None else f"no profile {wanted!r}"
    known = ", ".join(f"{name} ({own['dataset']['source']})" for name, own in profiles.items())
    raise UserError(f"{path.name} has {what} with dataset.source: {source}; it has {known}")
