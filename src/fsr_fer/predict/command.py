"""``fsr-fer predict``: pictures in, a line for each face out."""

import contextlib
import fcntl
import io
import itertools
import math
import os
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from fsr_fer.common import arithmetic
from fsr_fer.common.errors import UserError
from fsr_fer.predict.output import ESCAPES, Done, Format, Lines, Place, as_recorded, read_done
from fsr_fer.predict.results import SMALLEST_FACE, BoxForm, Faces, Prediction

if TYPE_CHECKING:
    from fsr_fer.predict.pictures import Picture

SUFFIX_FORMATS: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl"}
SECONDS_BETWEEN, SECONDS_IN_A_LOG = 0.5, 60


def predict_command(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            show_default=False,
            help="Pictures, videos, folders, 'globs', @LIST (a path a line), - (a picture on "
            "stdin).",
        ),
    ] = None,
    list_file: Annotated[
        str | None, typer.Option("--list", help="The same as @LIST; - is standard input.")
    ] = None,
    faces: Annotated[
        Faces,
        typer.Option(
            help="crops: every picture is one face; detect: look for faces; auto: in those above "
            "200 pixels."
        ),
    ] = "auto",
    min_face: Annotated[
        int | None,
        typer.Option(
            min=SMALLEST_FACE,
            metavar="PIXELS",
            help="Smallest face to look for [default: 10; above 2 megapixels 20].",
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Read each N-th frame of a video [default: 25]."),
    ] = None,
    boxes: Annotated[
        str | None,
        typer.Option(help="CSV or JSON lines: image and box. SOURCE may be the images' folder."),
    ] = None,
    box_form: Annotated[
        BoxForm | None,
        typer.Option(help="What four numbers mean where columns or keys do not say so."),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(help="[default: as --output ends; else table]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A new file; rows are written as they come. - is stdout.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with --output where it was stopped.")
    ] = False,
    annotate: Annotated[
        Path | None, typer.Option(help="A new folder for pictures with predictions drawn on.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="An .onnx file by fsr-fer, a packed network, or a method of the pipeline, such "
            "as mixed_resolution [default: the shipped one]."
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile of that method [default: the selected].")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Its device: auto, cpu, cuda, cuda:N, mps [default: auto].")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Write the K most probable expressions only.")
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Lower ones are uncertain [default: the model's limit]."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces at a time.")] = 64,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Read part I of N of the pictures: 1/4.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if any picture gave no prediction.")
    ] = False,
) -> None:
    """Predict the expressions of small faces, one row for every face.

    \b
    fsr-fer predict face.jpg faces/        crops: a face fills the picture
    fsr-fer predict photo.jpg              a picture above 200 pixels: finds the faces
    fsr-fer predict clip.mp4 --every 10    videos: pip install 'fsr-fer[video]'
    fsr-fer predict --boxes boxes.csv      you say where the faces are
    fsr-fer predict @list.txt --output predictions.csv

    A label is an expression as annotators named it in a picture, not what somebody feels. For
    research and teaching; not for workplaces, schools, hiring, policing, borders or health: the
    EU prohibits emotion recognition at work and in education (Regulation 2024/1689, Art. 5(1)(f)).
    Whoever deploys it is responsible.

    The shipped model predicts 83 % of FER+'s test faces of 50 pixels correctly, 80 % of those of
    20, 73 % of 13; by class and source: docs/model-card.md, installed among the licences.

    Weights: for research and teaching only, not cleared for commercial use.
    """  # noqa: D301
    if model:  # torch may run it, in the arithmetic of the pipeline
        arithmetic.pin()
    from fsr_fer.predict.model import Choices, load
    from fsr_fer.predict.videos import EVERY, with_frames

    given = list(sources or ())
    if not (given or list_file is not None or boxes):
        raise typer.BadParameter("name a SOURCE, a --list or --boxes")
    if boxes and faces != "auto":
        raise typer.BadParameter("--boxes says where the faces are; --faces is without it")
    if boxes and every:
        raise typer.BadParameter("--boxes names the frames of a video itself; --every is without")
    if min_face and (boxes or faces == "crops"):
        raise typer.BadParameter("--min-face is for pictures in which faces are looked for")
    if min_probability is not None and not 0 <= min_probability <= 1:  # typer takes nan
        raise typer.BadParameter("--min-probability must be from 0 to 1")
    part, parts = _part(shard)
    if output == Path("-"):
        output = None
    reader = load(model, profile=profile, device=device)
    chosen = format or SUFFIX_FORMATS.get(output.suffix.lower() if output else "", "table")
    lines = Lines(chosen, reader.class_names)
    choices = Choices(
        faces=faces,
        min_face=min_face,
        every=every or EVERY,
        batch_size=batch_size,
        top_k=top_k,
        min_probability=min_probability,
    )
    pictures = _pictures(given, list_file, boxes, box_form, annotate)
    pictures = (p for p in pictures if (p.number - part) % parts == 0)
    done = _done(output, lines, resume)
    if done.last:  # the frames of what was read before are not decoded again
        number = done.last.number
        pictures = itertools.dropwhile(lambda picture: picture.number < number, pictures)
    pictures = with_frames(pictures, choices.every)
    if done.last:
        pictures = _without_done(pictures, output, lines, done.last)
    resumed = resume and output is not None and output.exists()
    first = list(itertools.islice(pictures, 1))  # a missing list fails before any output
    pictures = itertools.chain(first, pictures)
    finished = None
    if annotate is not None:
        from fsr_fer.predict.annotate import save

        _prepare_folder(annotate, resumed, [] if boxes else given)
        finished = _naming(annotate)(partial(save, annotate))
    stream = _open(output, lines, done, resume)
    progress = _Progress(done, sys.stderr.isatty(), beside_rows=stream.isatty())
    owned = contextlib.nullcontext() if output is None else stream
    with _naming(output), owned, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # a damaged picture has its row
        try:
            for rows in reader.read(pictures, choices, finished):
                stream.write("".join(map(lines.line, rows)))
                stream.flush()
                progress.add(rows)
        except KeyboardInterrupt:
            resumable = output and chosen != "table"
            again = "; the same command with --resume goes on" if resumable else ""
            typer.echo(f"\nfsr-fer: stopped{again}", err=True)
            raise typer.Exit(130) from None
        finally:
            progress.erase()  # a message would stand behind it
    progress.finish()
    if strict and progress.failed:
        raise UserError(f"{progress.failed:,} of {progress.rows:,} rows are not ok (--strict)")


@contextlib.contextmanager
def _naming(target: Path | None) -> Iterator[None]:
    """Writing to a full disk names no file, and closing what was not written fails once more."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or target or "standard output"
        raise


def _part(shard: str | None) -> tuple[int, int]:
    if shard is None:
        return 1, 1
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard)
    part, parts = map(int, found.groups()) if found else (0, 0)
    if not 1 <= part <= parts:
        raise typer.BadParameter(f"--shard is {shard[:40]!r}; expected I/N with I from 1 to N: 1/4")
    return part, parts


def _prepare_folder(folder: Path, resumed: bool, sources: list[str]) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--annotate {folder}: is a file; expected a folder")
    for source in sources:  # what is drawn is not read
        if os.path.exists(source) and Path(source).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"--annotate {folder}: {source} lies in it; name another folder")
    if not resumed and folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"--annotate {folder}: holds files already; name a new folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--annotate {folder}: cannot be made: {error.strerror}") from None


def _pictures(
    sources: list[str],
    list_file: str | None,
    boxes: str | None,
    form: str | None,
    annotate: Path | None,
) -> "Iterator[Picture]":
    from fsr_fer.predict.boxes import read_boxes
    from fsr_fer.predict.sources import find_pictures

    if boxes is None:
        if form:
            raise typer.BadParameter("--box-form says how --boxes are to be read; give both")
        listed = [] if list_file is None else [f"@{list_file}"]
        return find_pictures(sources + listed, annotate)
    if list_file is not None or len(sources) > 1 or (sources and not Path(sources[0]).is_dir()):
        raise UserError(
            "--boxes names the pictures itself; SOURCE may only be the folder that they lie in"
        )
    return read_boxes(boxes, form, sources[0] if sources else "")


def _done(output: Path | None, lines: Lines, resume: bool) -> Done:
    """What a stopped run has written, if it is to be gone on with."""
    if output is None:
        if resume:
            raise typer.BadParameter("--resume goes on with a file; name it with --output")
        return Done(None, 0)
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.parent}")
    file = output.is_file()  # a pipe would be waited for
    if output.exists() and not (file and resume):
        again = "--resume goes on with it, " if file and lines.format != "table" else ""
        raise UserError(f"{output} exists; {again}another name keeps it")
    if resume and lines.format == "table":
        raise UserError("--resume goes on with csv and jsonl; a table cannot be read back")
    return read_done(output, lines) if output.exists() else Done(None, 0)


def _open(output: Path | None, lines: Lines, done: Done, resume: bool) -> TextIO:
    """The stream for rows, after those that are ``done``, its header written.

    Since the first look at the file a source may have been waited for, and another run have ended.
    """
    if output is None:
        stream: TextIO = sys.stdout
        if lines.format != "table" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=ESCAPES)  # the same as in a file
    else:
        mode: Literal["a", "x"] = "a" if resume else "x"
        try:
            stream = output.open(mode, newline="\n", encoding="utf-8", errors=ESCAPES)
        except FileExistsError:
            raise UserError(f"{output} exists by now; another name keeps it") from None
        except FileNotFoundError as error:
            raise UserError(f"--output {output}: {error.strerror}") from None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is closed
        except BlockingIOError:
            raise UserError(f"--output {output}: another run writes it; wait for its end") from None
        except OSError:  # some file systems of clusters know no locks
            pass
        if resume and read_done(output, lines) != done:
            raise UserError(f"--output {output}: another run has written it; start this one again")
        stream.truncate(done.size)
    if done.size == 0:
        stream.write(lines.header())
    return stream


def _without_done(
    pictures: "Iterator[Picture]", output: Path | None, lines: Lines, last: Place
) -> "Iterator[Picture]":
    """The pictures that a stopped run has not written to the end: from its last one on."""
    first = next((picture for picture in pictures if _order(picture) >= _order(last)), None)
    now = first and Place(first.number, as_recorded(first.source, lines.format), first.frame)
    if first and now == last:
        return itertools.chain([first], pictures)
    raise UserError(
        f"{output} ends with {last}, where the sources have {now or 'none'}; "
        "--resume needs the same sources, --shard and --every"
    )


def _order(place: "Picture | Place") -> tuple[int, float]:
    # What is wrong with a whole video has no frame and comes after its frames.
    return place.number, math.inf if place.frame is None else place.frame


class _Progress:
    """Progress on stderr: a line that changes on a terminal, a line a minute in a log."""

    def __init__(self, done: Done, terminal: bool, beside_rows: bool) -> None:
        self.rows, self.failed = done.rows, done.failed
        self._live = terminal and not beside_rows
        self._pause: float = SECONDS_BETWEEN if terminal else SECONDS_IN_A_LOG
        if terminal and beside_rows:  # which show it themselves
            self._pause = math.inf
        self._uncertain = 0
        self._statuses: Counter[str] = Counter()
        self._start = self._shown = time.monotonic()

    def add(self, rows: list[Prediction]) -> None:
        self.rows += len(rows)
        self.failed += sum(row.status != "ok" for row in rows)
        self._statuses.update(row.status for row in rows)
        self._uncertain += sum(bool(row.uncertain) for row in rows)
        now = time.monotonic()
        if now - self._shown > self._pause:
            self._shown = now
            self.erase()
            typer.echo(self._line(), err=True, nl=not self._live)

    def erase(self) -> None:
        """Clear the line that changes: the next may be shorter."""
        if self._live:
            typer.echo("\r\x1b[K", err=True, nl=False)

    def finish(self) -> None:
        """The last line, with what is not ok."""
        notes = [f"{self._uncertain:,} uncertain"] if self._uncertain else []
        notes += [f"{count:,} {name}" for name, count in self._statuses.items() if name != "ok"]
        typer.echo("; ".join(filter(None, [self._line(), ", ".join(notes)])), err=True)

    def _line(self) -> str:
        seconds = time.monotonic() - self._start
        count = self._statuses["ok"]
        faces = f"{count:,} face{'s' * (count != 1)}"
        return f"{faces} in {seconds:.1f} s, {count / max(seconds, 1e-9):,.0f} per second"
