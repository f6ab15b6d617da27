"""The command line: ``fsr-fer``. Every command imports what it needs when it runs."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fsr_fer.errors import UserError

if TYPE_CHECKING:
    from fsr_fer.data.importing import ImportSummary

PROBLEMS_FILE = Path("import-problems.csv")

IMPORT_HELP = """Check your faces, pack them under data/raw/PROFILE and track them with DVC.

\b
rafdb   RAF-DB as downloaded: EmoLabel/list_patition_label.txt and
        Image/aligned.zip (or Image/aligned/*_aligned.jpg)
csv     labels.csv with image,label,split and perhaps subject; the images
        beside it, in images/ or in images.zip
folder  split/class/picture, for example train/happiness/1.jpg

Splits are train, test and, if you have one, validation. Pictures of any size, mode and
orientation will do. If anything is wrong, all of it is listed in import-problems.csv and
nothing is imported.
"""

TRACE_HELP = """Show where a number, a figure or a file comes from, back to raw data.

\b
accuracy.fsr_reweighted.x8         a value of a JSON output
data/small/report/accuracy.svg     any output, or a file in one; any input
evaluate@bicubic                   a stage; evaluate: all of its kind

It tells what dvc.lock says; `fsr-fer verify` asks whether that is true.
"""

VERIFY_HELP = """Ask whether dvc.lock is true: DVC's status with every byte read anew, and Git.

A difference is one line and exit code 1. Results that are newer than the last commit are no
difference if their runs were recorded on this machine; a note names them.
"""

app = typer.Typer(
    name="fsr-fer",
    help="Read expressions from faces of few pixels: bring faces in, look results up.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


weights_app = typer.Typer(
    help="Bring in published weights of image super-resolution.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(weights_app, name="weights")


class WeightsChoice(StrEnum):
    """What ``weights import`` understands."""

    rcan = "rcan"
    meta_sr = "meta-sr"


class SourceChoice(StrEnum):
    """What ``import`` understands."""

    rafdb = "rafdb"
    csv = "csv"
    folder = "folder"


def main() -> None:
    """Run a command; a user's mistake is one line on stderr and exit code 1, no traceback."""
    try:
        app()
    except UserError as error:
        typer.echo(f"fsr-fer: {error}", err=True)
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"fsr-fer {version('fsr-fer')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command(
    "import", help=IMPORT_HELP, short_help="Check your faces, pack them and track them with DVC."
)
def import_command(
    source: Annotated[SourceChoice, typer.Argument(metavar="SOURCE", help="rafdb, csv or folder.")],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The folder that holds them, or a zip.")
    ],
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Profile of params.yaml they are for [default: the first of SOURCE].",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier import that differs.")
    ] = False,
) -> None:
    """Check a user's faces, pack them under data/raw/ and track them with DVC."""
    from fsr_fer.data.importing import import_faces
    from fsr_fer.data.tracking import find_root, track_with_dvc

    root = find_root(Path.cwd())
    name, class_names = _profile_for(source.value, profile, root / "params.yaml")
    target = root / "data" / "raw" / name
    try:
        summary = import_faces(
            source.value,
            path,
            target,
            class_names=class_names,
            problems_file=PROBLEMS_FILE,
            force=force,
        )
    except KeyboardInterrupt:
        typer.echo("fsr-fer: stopped; nothing was imported", err=True)
        raise typer.Exit(130) from None
    relative = target.relative_to(root).as_posix()
    try:
        track_with_dvc(target, root=root, push=source is not SourceChoice.rafdb)
    except KeyboardInterrupt:
        again = f"the faces are in {relative}, but DVC does not track them yet"
        typer.echo(f"fsr-fer: stopped; {again}: run `dvc add {relative}`", err=True)
        raise typer.Exit(130) from None
    _print_summary(summary, relative, name)


@weights_app.command("import", short_help="Check published weights and put them in place.")
def weights_import_command(
    kind: Annotated[WeightsChoice, typer.Argument(metavar="KIND", help="rcan or meta-sr.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="For example RCAN_BIX2.pt.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier import that differs.")
    ] = False,
) -> None:
    """Check a published state dict tensor by tensor and write it below data/raw/weights.

    Code in the file is never run. The `sr` stages use it once `sr.weights` of the profile is
    `imported`; RCAN has a file for each scale.
    """
    from fsr_fer.data.tracking import find_root, track_with_dvc
    from fsr_fer.files import replacing
    from fsr_fer.models.official import read_official
    from fsr_fer.models.weights import save_network
    from fsr_fer.params import read_params

    root = find_root(Path.cwd())
    key, network = read_official(kind.value, file)
    target = root / "data/raw/weights" / f"{key}.safetensors"
    relative = target.relative_to(root).as_posix()
    with replacing(target) as part:
        save_network(part, network)
        if target.exists() and not force and target.read_bytes() != part.read_bytes():
            raise UserError(
                f"{relative} already holds other weights, which were left as they are; "
                "add --force to put these in their place"
            )
    track_with_dvc(target, root=root, push=True)
    count = sum(tensor.numel() for tensor in network.state_dict().values())
    typer.echo(f"imported {key}: {count:,} numbers into {relative}")
    typer.echo(f"next: git add {relative}.dvc {Path(relative).parent.as_posix()}/.gitignore")
    profile = read_params(root / "params.yaml")["profile"]
    typer.echo(f"      dvc exp run -S profiles.{profile}.sr.weights=imported")


@app.command("check", short_help="Check everything params.yaml says.")
def check_command() -> None:
    """Check everything params.yaml says, for all profiles, without running anything.

    A dvc.lock that an interrupt cut off is told too, for `dvc repro` does not get past it.
    """
    from fsr_fer.data.tracking import check_lock, find_root
    from fsr_fer.params import read_params

    root = find_root(Path.cwd())
    params = root / "params.yaml"
    check_lock(root / "dvc.lock")
    names = ", ".join(read_params(params)["profiles"])
    typer.echo(f"{params.name} is right (profiles: {names})")


@app.command("summary", short_help="Print the main table of the selected profile.")
def summary_command() -> None:
    """Print the accuracies of the selected profile and where its report lies."""
    import json

    from fsr_fer.data.tracking import find_root
    from fsr_fer.params import read_params

    root = find_root(Path.cwd())
    profile = read_params(root / "params.yaml")["profile"]
    metrics = root / "metrics" / profile / "accuracy.json"
    if not metrics.exists():
        raise UserError(f"profile {profile} has no results yet; `make repro` makes them")
    table: dict[str, dict[str, float]] = json.loads(metrics.read_text(encoding="utf-8"))
    columns = ["hr", *_by_factor(table), "mean"]
    width = max(map(len, table))
    typer.echo(f"\nTotal accuracy in percent on the test faces, profile {profile}")
    typer.echo(" " * width + "".join(f"{column:>7}" for column in columns))
    for row, values in table.items():
        cells = (f"{values[c]:7.1f}" if c in values else f"{'-':>7}" for c in columns)
        typer.echo(f"{row:<{width}}" + "".join(cells))
    page = root / "data" / profile / "report" / "index.html"
    typer.echo(f"Report with intervals, figures and params: {page.relative_to(root)}")


@app.command("trace", help=TRACE_HELP, short_help="Show where a number or a file comes from.")
def trace_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Value, file or stage.")],
    revision: Annotated[
        str,
        typer.Option("--rev", metavar="REV", help="A Git revision or a DVC experiment's name."),
    ] = "workspace",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the chain of stages, params and data behind something."""
    import json

    from fsr_fer.data.tracking import find_root
    from fsr_fer.provenance.revision import find_revision
    from fsr_fer.provenance.trace import as_text, trace

    traced = trace(find_revision(find_root(Path.cwd()), revision), name)
    typer.echo(json.dumps(traced, indent=2) if as_json else as_text(traced))


@app.command("verify", help=VERIFY_HELP, short_help="Ask whether dvc.lock is true.")
def verify_command(
    replay: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="Run a stage again in a copy; compare its outputs."),
    ] = None,
) -> None:
    """Check hashes, dvc.lock and, on demand, whether stages give the same again."""
    from fsr_fer.data.tracking import find_root
    from fsr_fer.provenance.replay import replay as run_again
    from fsr_fer.provenance.revision import Revision
    from fsr_fer.provenance.trace import find
    from fsr_fer.provenance.verify import verify

    root = find_root(Path.cwd())
    os.chdir(root)
    stages = [name for words in replay or [] for name in find(Revision(root), words)[2]]
    verdict = verify(root)
    for finding in verdict.findings:
        typer.echo(finding)
    if verdict.newer:
        typer.echo(
            f"note: {', '.join(verdict.newer)} ran here after the last commit; Git does not know "
            "these results yet"
        )
    failed = len(verdict.findings)
    typer.echo(f"{verdict.stages} stages: {failed} difference{'s' * (failed != 1)}")
    for stage in stages:
        for path, same in run_again(root, stage).items():
            typer.echo(f"{stage} again: {path}: {'the same bytes' if same else 'CHANGED'}")
            failed += not same
    if failed:
        raise typer.Exit(1)


@app.command(
    "diff", short_help="Show what a change does to the accuracies, and whether it is noise."
)
def diff_command(
    revisions: Annotated[
        str,
        typer.Argument(
            metavar="[REV]",
            help="A commit, branch, tag or experiment to compare the workspace with, or A..B.",
        ),
    ] = "HEAD",
    profile: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Profile to compare [default: the later one's]."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--md", help="Markdown, for a pull request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
    fail_below: Annotated[
        bool,
        typer.Option(
            "--fail-below", help="Exit with 1 if an accuracy fell by more than `review` allows."
        ),
    ] = False,
) -> None:
    """Compare accuracies, params, data and code of two revisions.

    Differences are tested face by face on the stored predictions of both.
    """
    from fsr_fer.data.tracking import find_root
    from fsr_fer.review import rendering, review

    if markdown and as_json:
        raise UserError("--md and --json exclude each other")
    root = find_root(Path.cwd())
    os.chdir(root)
    comparison, reasons = review(root, revisions, profile, gate=fail_below)
    render = rendering.as_text
    if markdown or as_json:
        render = rendering.as_markdown if markdown else rendering.as_json
    typer.echo(render(comparison, reasons), nl=False)
    if reasons:
        raise UserError(f"gate: {'; '.join(reasons)}")


@app.command("studies", short_help="Run the studies over seeds that are missing.")
def studies_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is missing and how long it takes.")
    ] = False,
) -> None:
    """Run the experiments of studies.yaml that are missing; write metrics/studies/."""
    from fsr_fer.data.tracking import find_root
    from fsr_fer.studies import run_studies

    root = find_root(Path.cwd())
    for path in run_studies(root, dry_run):
        typer.echo(f"wrote {path.relative_to(root)}")


def _by_factor(table: dict[str, dict[str, float]]) -> list[str]:
    scales = {column for values in table.values() for column in values if column[0] == "x"}
    return sorted(scales, key=lambda column: int(column[1:]))


def _profile_for(source: str, wanted: str | None, path: Path) -> tuple[str, tuple[str, ...]]:
    """The profile an import is for and its class names."""
    from fsr_fer.params import read_params
    from fsr_fer.profiles import profile_values

    params = read_params(path)
    profiles = {name: profile_values(params, name)["dataset"] for name in params["profiles"]}
    fitting = [name for name, dataset in profiles.items() if dataset["source"] == source]
    if wanted is None:
        if not fitting:
            raise UserError(
                f"{path.name}: no profile has dataset.source: {source}; add one (its class_names "
                "say which labels there are)"
            )
        wanted = fitting[0]
    if wanted not in profiles:
        raise UserError(f"{path.name} has no profile {wanted!r}; it has {', '.join(profiles)}")
    if wanted not in fitting:
        raise UserError(
            f"profile {wanted} has dataset.source: {profiles[wanted]['source']}, not {source}; "
            f"profiles for {source}: {', '.join(fitting) or 'none'} (or change it in {path.name})"
        )
    return wanted, profiles[wanted]["class_names"]


def _print_summary(summary: ImportSummary, folder: str, profile: str) -> None:
    total = sum(summary.faces.values())
    splits = ", ".join(
        f"{split} {summary.faces[split]:,}"
        for split in ("train", "validation", "test")
        if split in summary.faces
    )
    people = f" of {summary.subjects:,} known people" if summary.subjects else ""
    typer.echo(f"imported {total:,} faces{people} into {folder} ({splits})")
    for note in summary.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"next: git add {folder}.dvc {Path(folder).parent.as_posix()}/.gitignore")
    typer.echo(f"      dvc exp run -S profile={profile}")
    typer.echo(f"  or  write `profile: {profile}` in params.yaml and run `make repro`")
