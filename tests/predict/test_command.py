"""``fsr-fer predict`` as a user types it: sources, rows, files, resuming, mistakes."""

import fcntl
import io
import itertools
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from fsr_fer.predict import command
from fsr_fer.predict.annotate import annotate
from fsr_fer.predict.model import Model
from fsr_fer.predict.output import Done, Lines
from fsr_fer.predict.results import Box, Prediction
from fsr_fer.predict.sources import find_pictures
from tests.conftest import Run, refused
from tests.predict.conftest import BLUE, GREEN, GREY, RED, Predict, json_rows, paint, rows_of, scene
from tests.predict.models import colour_model, save


@pytest.fixture
def faces(here: Path) -> Path:
    """A folder of four crops, one of them in a folder of its own, and a text."""
    for name, colour in (("b.png", RED), ("a.PNG", GREEN), ("c/d.png", BLUE), ("z.png", GREY)):
        paint(here / "faces" / name, colour)
    (here / "faces/notes.txt").write_text("no picture")
    return here / "faces"


def stdin_of(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))  # type: ignore[arg-type]


def sources_of(text: str) -> list[str]:
    return [row["source"] for row in rows_of(text)]


def test_a_folder_as_a_table(faces: Path, predict: Predict) -> None:
    code, out, err = predict("faces")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["faces/a.PNG", "20", "green"],
        ["faces/b.png", "20", "red"],
        ["faces/c/d.png", "20", "blue"],
        ["faces/z.png", "20", "red"],
    ]
    assert out.splitlines()[4].endswith("0.33      0.90  uncertain; green 0.33, blue 0.33")
    assert err.startswith("4 faces in ")
    assert err.endswith("; 1 uncertain\n")


def test_columns_of_a_table_fit_the_longest_class() -> None:
    lines = Lines("table", ["red", "a" * 20])
    row = Prediction(input=1, source="a.png", status="ok", pixels=9, label="red", probability=1.0)
    for label in ("red", "a" * 20):
        line = lines.line(replace(row, label=label))
        assert line.index("1.00") + 4 == lines.header().index("probability") + 11


def test_every_kind_of_source(
    faces: Path, here: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "list.txt").write_text("\n faces/b.png\nfaces/b.png\r\n\n   \nfaces/z.png")
    paint(here / "[x].png", RED)
    listed = [" faces/b.png", "faces/b.png", "faces/z.png"]
    for words, expected in (
        (["faces/*.png"], ["faces/b.png", "faces/z.png"]),
        (["faces/**/*.png"], ["faces/b.png", "faces/c/d.png", "faces/z.png"]),
        # A folder that matches is read, what matches in it not again.
        (["faces/**"], ["faces/a.PNG", "faces/b.png", "faces/c/d.png", "faces/z.png",
                        "faces/notes.txt"]),
        (["faces/*"], ["faces/a.PNG", "faces/b.png", "faces/c/d.png", "faces/notes.txt",
                       "faces/z.png"]),
        (["[x].png"], ["[x].png"]),  # a file of that name is no glob
        (["@list.txt"], listed),
        (["faces/a.PNG", "--list", "list.txt"], ["faces/a.PNG", *listed]),
    ):  # fmt: skip
        code, out, _ = predict(*words, "--format", "csv")
        assert (code, sources_of(out)) == (0, expected)
        assert [row["input"] for row in rows_of(out)] == [*map(str, range(1, len(expected) + 1))]
    (here / "few").mkdir()
    names = ["few/a.pbm", "few/b.pnm", "few/c.mpo", "few/d.apng"]
    for name, kind in zip(names, ("PPM", "PPM", "JPEG", "PNG"), strict=True):
        Image.new("L", (20, 20)).save(here / name, kind)
    assert sources_of(predict("few", "--format", "csv")[1]) == names
    # Beside a frame too they are pictures.
    (here / "boxes.csv").write_text("image,frame,x,y,w,h\nfew/b.pnm,1,0,0,20,20\n")
    assert json_rows(predict, "--boxes", "boxes.csv")[0]["status"] == "ok"
    monkeypatch.setattr("fsr_fer.predict.sources.LARGEST_FILE", 5)
    monkeypatch.setattr(sys, "stdin", stdin_of(b"123456"))
    (large,) = rows_of(predict("-", "--format", "csv")[1])
    assert (large["status"], large["message"]) == ("unreadable", "has more than 5 bytes")
    monkeypatch.undo()
    monkeypatch.chdir(here)
    for word, content in (("-", (faces / "b.png").read_bytes()), ("@-", b"faces/b.png\n")):
        monkeypatch.setattr(sys, "stdin", stdin_of(content))
        assert rows_of(predict(word, "--format", "csv")[1])[0]["label"] == "red"
        monkeypatch.setattr(sys, "stdin", stdin_of(content))
        _, out, err = predict(word, "-", "--format", "csv")
        assert len(rows_of(out)) == 1
        assert "standard input is closed, or was read already" in err


def test_a_line_holds_the_same_words_in_csv_json_and_python(
    here: Path, predict: Predict, model: Model
) -> None:
    scene(here / "scene.png")
    (here / "boxes.csv").write_text("image,x1,y1,x2,y2\nscene.png,30,40,50,60\nno.png,1,2,3,4\n")
    first, second = json_rows(predict, "--boxes", "boxes.csv")
    (face,) = model.predict("scene.png", boxes=[[(30, 40, 20, 20)]], box_form="xywh")
    assert first == face.to_dict()
    assert first == {
        "input": 1, "source": "scene.png", "frame": None, "seconds": None, "status": "ok",
        "box": {"x": 30.0, "y": 40.0, "width": 20.0, "height": 20.0}, "score": None, "pixels": 20,
        "label": "red", "probability": 0.999909,  # 1 / (1 + 2 e^-10)
        "uncertain": False, "expected_accuracy": 0.9,
        "probabilities": {"red": 0.999909, "green": 4.5e-05, "blue": 4.5e-05}, "message": "",
    }  # fmt: skip
    assert second["status"] == "unreadable"
    assert second["message"] == "cannot be read: No such file or directory"
    _, as_csv, _ = predict("--boxes", "boxes.csv", "--format", "csv")
    row = rows_of(as_csv)[0]
    values = first | first["box"] | {"uncertain": "false"}
    values |= dict.fromkeys(("score", "frame", "seconds"), "")
    values |= {f"p_{name}": p for name, p in first["probabilities"].items()}
    assert ",".join(row) == (
        "input,source,frame,seconds,status,x,y,width,height,score,pixels,label,probability,"
        "uncertain,expected_accuracy,p_red,p_green,p_blue,message"
    )
    assert row == {column: str(values[column]) for column in row}


def test_a_dash_is_standard_output(faces: Path, predict: Predict) -> None:
    words = ("faces", "--format", "csv")
    assert predict(*words, "--output", "-")[:2] == predict(*words)[:2]
    assert not Path("-").exists()
    assert predict(*words, "--output", "-", "--resume")[0] == 2


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_loses_nothing_else(
    faces: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    monkeypatch.setattr(sys, stream, None)  # as Python has it after `2>&-`
    code, out, err = predict("faces", "--format", "csv")
    assert (code, len(rows_of(out))) == (0, 4 if stream == "stderr" else 0)
    assert err.startswith("4 faces") == (stream == "stdout")


def test_what_is_written_can_be_read_again_as_boxes(here: Path, predict: Predict) -> None:
    scene(here / "scene.png")
    lines = ["image,x,y,w,h", "scene.png,30,40,20,20", "scene.png,200,100,50,50"]
    for name in ("Screenshot 1.00\u202fPM.png", "a\u00a0b.png", "\u06cc\u200c\u06a9.png"):
        paint(here / name, GREEN)
        lines.append(f"{name},0,0,20,20")
    (here / "in.csv").write_text("\n".join(lines))
    assert predict("--boxes", "in.csv", "--output", "first.jsonl", "--strict")[0] == 0
    assert predict("--boxes", "first.jsonl", "--output", "second.csv")[0] == 0
    assert predict("--boxes", "second.csv", "--output", "third.jsonl")[0] == 0
    assert (here / "third.jsonl").read_bytes() == (here / "first.jsonl").read_bytes()


def test_boxes_are_of_the_upright_pictures_of_a_folder(here: Path, predict: Predict) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    (here / "photos").mkdir()
    rgb = scene(here / "scene.png")
    Image.fromarray(rgb[::-1, ::-1].copy()).save(here / "photos/turned.png", exif=exif)
    (here / "boxes.jsonl").write_text('{"image": "turned.png", "xywh": [30, 40, 20, 20]}')
    _, out, _ = predict("photos", "--boxes", "boxes.jsonl", "--format", "csv")
    assert [(row["source"], row["label"]) for row in rows_of(out)] == [("turned.png", "red")]


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_run_killed_anywhere_is_gone_on_with(here: Path, predict: Predict, format: str) -> None:
    scene(here / "scene.png")
    paint(here / "f\xe9,\n.png", GREEN)
    boxes = ["scene.png,30,40,20,20", "scene.png,200,100,50,50", "no.png,1,2,3,4"]
    boxes += ['"f\xe9,\n.png",0,0,20,20', "scene.png,200,100,50,50", "scene.png,9,9,0,0"]
    (here / "boxes.csv").write_text("image,x,y,w,h\n" + "\n".join(boxes) + "\n")
    words = ("--boxes", "boxes.csv", "--batch-size", 2, "--output", f"out.{format}")
    assert predict(*words)[0] == 0
    output = here / f"out.{format}"
    whole = output.read_bytes()
    code, _, err = predict(*words)
    assert (code, err) == (1, f"fsr-fer: {output.name} exists; --resume goes on with it, "
                              "another name keeps it\n")  # fmt: skip
    assert whole.count(b"\n") == len(boxes) + (format == "csv")
    for length in (*range(0, len(whole), 61), len(whole) - 1, len(whole)):
        output.write_bytes(whole[:length])
        assert predict(*words, "--resume")[0] == 0
        assert output.read_bytes() == whole, length
    code, _, err = predict(*words, "--resume", "--strict")  # which counts the rows from before
    assert (code, err.splitlines()[-1]) == (1, "fsr-fer: 2 of 6 rows are not ok (--strict)")
    output.unlink()
    assert predict(*words, "--resume")[0] == 0
    assert output.read_bytes() == whole


def test_resuming_with_something_else_is_refused_and_loses_nothing(
    faces: Path, here: Path, predict: Predict, run: Run
) -> None:
    assert predict("faces", "--output", "out.csv")[0] == 0
    other = save(colour_model(class_names=["a", "b", "c"]), here / "other.onnx")
    (here / "mine.csv").write_text("my,own\n1,2\n")
    (here / "mine.jsonl").write_text("{}\n")
    (here / "deep.jsonl").write_text("[" * 100_000 + "\n")
    (here / "large.jsonl").write_text('{"input": 1e999, "source": "", "frame": null}\n')
    (here / "one_line.jsonl").write_text('{"input of mine": 1}')
    before = {path.name: path.read_bytes() for path in here.glob("*.[cj]s*")}
    for words, message in (
        (["faces/b.png", "--output", "out.csv"], "where the sources have none"),
        (["faces", "--shard", "1/2", "--output", "out.csv"], "ends with input 4, 'faces/z.png'"),
        (["faces", "--output", "mine.csv"], "not written by this command"),
        (["faces", "--output", "mine.jsonl"], "at byte 0 is no row"),
        (["faces", "--output", "deep.jsonl"], "at byte 0 is no row"),
        (["faces", "--output", "large.jsonl"], "at byte 0 is no row"),
        (["faces", "--output", "one_line.jsonl"], "not written by this command"),
    ):
        assert message in refused(predict(*words, "--resume"))
    refused(run("predict", "--model", other, "faces", "--output", "out.csv", "--resume"))
    assert {path.name: path.read_bytes() for path in here.glob("*.[cj]s*")} == before


def test_two_runs_do_not_write_one_file(faces: Path, here: Path, predict: Predict) -> None:
    words = ("faces", "--output", "out.csv", "--resume")
    assert predict(*words)[0] == 0
    before = (here / "out.csv").read_bytes()
    with open("out.csv", "a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # as a run does that is not at its end
        assert "--output out.csv: another run writes it" in refused(predict(*words))
    assert predict(*words)[0] == 0
    assert (here / "out.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("resume", "message"), [(False, "out.csv exists by now"), (True, "another run has written it")]
)
def test_what_another_run_wrote_while_a_source_was_waited_for_stays(
    faces: Path,
    here: Path,
    predict: Predict,
    monkeypatch: pytest.MonkeyPatch,
    resume: bool,
    message: str,
) -> None:
    assert predict("faces", "--output", "other.csv")[0] == 0
    look = command._done

    def looked(*parts: Any) -> Done:
        done = look(*parts)
        shutil.copy("other.csv", "out.csv")
        return done

    monkeypatch.setattr(command, "_done", looked)
    words = ["faces", "--output", "out.csv", *(["--resume"] if resume else [])]
    assert message in refused(predict(*words))
    assert (here / "out.csv").read_bytes() == (here / "other.csv").read_bytes()


def test_progress_on_a_terminal_leaves_nothing_behind(
    faces: Path, here: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fsr_fer.predict.command.SECONDS_BETWEEN", -1)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    # The first picture after a thousandth of a second, the next after nine seconds.
    seconds = itertools.chain([0, 0.001, 0.001], itertools.repeat(9))
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr("fsr_fer.predict.command.time", clock)
    err = predict("faces/a.PNG", "faces/b.png", "--output", "out.csv")[2]
    clear = "\r\x1b[K"
    first, last = "1 face in 0.0 s, 1,000 per second", "2 faces in 9.0 s, 0 per second"
    assert err == f"{clear}{first}{clear}{last}{clear}{last}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert predict("faces", "--output", "log.csv")[2].count("\n") == 1
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    (here / "list.txt").write_text("faces/b.png\n" * 100)
    err = predict("@list.txt", "@no.txt", "--output", "more.csv")[2]
    assert "1 face in" in err
    said = "fsr-fer: the list no.txt cannot be read: No such file or directory\n"
    assert err.rpartition(clear)[2] == said


def test_a_log_gets_a_line_a_minute(
    faces: Path, here: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.chain([0, 61, 61, 62], itertools.repeat(63))
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr("fsr_fer.predict.command.time", clock)
    err = predict("faces/a.PNG", "faces/b.png", "--output", "out.csv")[2]
    assert err == "1 face in 61.0 s, 0 per second\n2 faces in 63.0 s, 0 per second\n"


def test_linked_folders_are_read_and_links_in_a_circle_are_not(
    faces: Path, here: Path, predict: Predict
) -> None:
    (here / "linked").mkdir()
    (here / "linked/all").symlink_to(faces)
    (faces / "c/again").symlink_to(faces)
    (faces / "c/self").symlink_to("self")  # which leads nowhere and spoils nothing
    code, out, _ = predict("linked", "--format", "csv")
    rows = {row["source"]: row["status"] for row in rows_of(out)}
    assert (code, rows) == (0, {
        "linked/all/a.PNG": "ok", "linked/all/b.png": "ok",
        "linked/all/c/again": "unreadable", "linked/all/c/d.png": "ok", "linked/all/z.png": "ok",
    })  # fmt: skip
    assert "is a link to a folder that it lies in" in out


def test_a_picture_of_a_sequence_may_have_a_frame(
    faces: Path, here: Path, predict: Predict
) -> None:
    lines = ["image,frame,x,y,w,h", "b.png,3,0,0,20,20", "a.PNG,4,0,0,20,20", "a.PNG,5,2,2,9,9"]
    (here / "boxes.csv").write_text("\n".join(lines))
    rows = rows_of(predict("faces", "--boxes", "boxes.csv", "--format", "csv")[1])
    assert [(row["frame"], row["label"]) for row in rows] == [
        ("3", "red"), ("4", "green"), ("5", "green"),
    ]  # fmt: skip


def test_parts_are_every_picture_once(faces: Path, predict: Predict) -> None:
    parts = [
        sources_of(predict("faces", "--format", "csv", "--shard", f"{i}/3")[1]) for i in (1, 2, 3)
    ]
    assert parts == [["faces/a.PNG", "faces/z.png"], ["faces/b.png"], ["faces/c/d.png"]]
    for wrong in ("0/3", "4/3", "1", "a/b", "1/3/2", "-1/3", "1/" + "9" * 5000):
        assert predict("faces", "--shard", wrong)[0] == 2


def test_pictures_are_drawn_large_enough_to_read(faces: Path, here: Path, predict: Predict) -> None:
    scene(here / "scene.png")
    assert predict("faces", "no.png", "--annotate", "drawn")[0] == 0
    names = ["000001-a.png", "000002-b.png", "000003-d.png", "000004-z.png"]
    assert sorted(os.listdir("drawn")) == names
    with Image.open("drawn/000002-b.png") as picture:
        assert picture.height > 96  # the face, and a line below it
        assert picture.getpixel((48, 48)) == RED
    assert predict("faces", "--annotate", "drawn")[0] == 1  # its pictures are kept
    drawn = Path("faces/drawn")  # by a run that is gone on with
    paint(drawn / "000001-a.png", RED)
    for source in ("faces", "faces/*", "faces/**", "faces/*/*.png"):
        found = [picture.source for picture in find_pictures([source], drawn)]
        assert "faces/c/d.png" in found
        assert not any("drawn" in name for name in found), source
    (nothing,) = find_pictures(["faces/drawn/*"], drawn)
    assert nothing.problem == "matches only what is drawn"
    shutil.rmtree(drawn)
    # What is drawn is not read, wherever it lies.
    for source in ("faces", "faces/*", "faces/**"):
        folder = f"faces/{len(source)}"
        out = predict(source, "--annotate", folder, "--format", "csv")[1]
        assert not [name for name in sources_of(out) if name.startswith(folder)]
        shutil.rmtree(folder)
    for source in ("faces", "faces/b.png"):
        words = (source, "--annotate", "faces", "--output", "o.csv", "--resume")
        assert f"--annotate faces: {source} lies in it" in predict(*words)[2]
    code, _, err = predict("faces", "--annotate", "/proc/drawn")
    assert (code, "--annotate /proc/drawn: cannot be made" in err) == (1, True)
    (here / "full").mkdir()
    (here / "full/000001-b.png").symlink_to("/dev/full")
    (here / "o.csv").touch()  # of a run that was stopped at once
    words = ("faces/b.png", "--annotate", "full", "--output", "o.csv", "--resume")
    assert "the disk is full: full could not be written" in refused(predict(*words))
    (here / "boxes.csv").write_text("image,x,y,w,h\nscene.png,30,40,20,20\nscene.png,9,9,0,0\n")
    assert predict("--boxes", "boxes.csv", "--annotate", "boxes")[0] == 0
    with Image.open("boxes/000001-scene.png") as picture:
        assert picture.size[0] == 1440  # 4.8 times as large, for 20 pixels are 96
        assert picture.getpixel((40 * 4.8, 50 * 4.8)) == RED
        for x in (30 * 4.8 - 1, 50 * 4.8 + 1):
            assert picture.getpixel((x, 50 * 4.8)) == (0, 150, 60)


def test_an_endless_strip_is_drawn_shrunk() -> None:
    row = Prediction(input=1, source="a.png", status="no_face", message="none")
    assert annotate(np.zeros((40_000, 2, 3), np.uint8), [row]).height == 20_000 + 22  # and a line


def test_the_name_of_a_face_at_the_right_edge_is_whole() -> None:
    row = Prediction(input=1, source="a.png", status="ok", pixels=96, label="fear", probability=1.0)
    black, white = np.zeros((240, 300, 3), np.uint8), []
    for left in (100, 290):
        drawn = np.asarray(annotate(black, [replace(row, box=Box(left, 100, 96, 96))]))[:240]
        white.append((drawn == 255).all(axis=2).sum())
    assert white[0] == white[1] > 0


def test_an_interrupt_says_how_to_go_on(
    faces: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "read", Mock(side_effect=KeyboardInterrupt))
    for words, hint in (
        (["--output", "o.csv"], "; the same command with --resume goes on"),
        (["--output", "o.txt"], ""),
        ([], ""),
    ):
        code, _, err = predict("faces", *words)
        assert (code, err.splitlines()[-1]) == (130, f"fsr-fer: stopped{hint}")


def test_names_of_faces_too_close_together_for_them_are_numbers() -> None:
    row = Prediction(input=1, source="a.png", pixels=20, label="fear", probability=1.0)
    black, same = np.zeros((300, 300, 3), np.uint8), []
    for right in (10, 250):
        drawn = [
            np.asarray(annotate(black, [replace(row, box=Box(x, 99, 20, 20), label=label)
                                        for x in (0, right)]))
            for label in ("fear", "neutral")
        ]  # fmt: skip
        same.append((drawn[0][:1440] == drawn[1][:1440]).all())  # enlarged 4.8 times, without lines
    assert same == [True, False]


def test_exit_codes_and_mistakes(
    faces: Path, here: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict("no.png")[0] == 0
    assert predict("faces/z.png", "--faces", "detect")[2].endswith("1 no_face\n")
    assert "uncertain" not in predict("faces/z.png", "--min-probability", "0.3")[2]  # it has 0.33
    closed = io.StringIO()
    closed.close()
    for stdin in (None, closed):
        monkeypatch.setattr(sys, "stdin", stdin)
        for word in ("-", "@-"):
            assert "standard input is closed, or was read already" in refused(predict(word))
    code, out, err = predict("no.png", "faces/b.png", "--strict")
    assert code == 1
    assert out.count("\n") == 3
    assert err.splitlines()[-1] == "fsr-fer: 1 of 2 rows are not ok (--strict)"
    for words in ([], ["faces", "--box-form", "xywh"], ["faces", "--resume"], ["--top-k", "0"],
                  ["faces", "--min-face", "7"], ["faces", "--faces", "crops", "--min-face", "9"],
                  ["--boxes", "boxes.csv", "--faces", "detect"], ["a", "--min-probability", "nan"],
                  ["--boxes", "boxes.csv", "--min-face", "9"],
                  ["--boxes", "boxes.csv", "--faces", "crops"]):  # fmt: skip
        assert predict(*words)[0] == 2
    (here / "boxes.csv").write_text("image,x,y,w,h\n")
    (here / "noise.csv").write_bytes(bytes(range(256)) * 9)
    (here / "folder.csv").mkdir()
    os.mkfifo("pipe.csv")
    for name, text in (("le.txt", "faces/b.png\n"), ("be.csv", "image,x,y,w,h\n")):
        (here / name).write_bytes(text.encode("utf-16"))
    (here / "be.jsonl").write_bytes(b"\xfe\xff" + "{}".encode("utf-16-be"))
    for words, message in (
        (["@no.txt"], "the list no.txt cannot be read: No such file"),
        (["@"], "the list @ cannot be read"),
        (["@faces"], "the list faces cannot be read: Is a directory"),
        (["@nul\0"], "the list nul\0 cannot be read: embedded null"),
        (["@le.txt"], "the list le.txt is UTF-16; save it as UTF-8"),
        (["--boxes", "be.csv"], "be.csv is UTF-16; save it as UTF-8"),
        (["--boxes", "be.jsonl"], "be.jsonl is UTF-16; save it as UTF-8"),
        (["--boxes", "folder.csv"], "cannot be read: Is a directory"),
        (["--boxes", "noise.csv"], "line 1 is no header"),
        (["faces", "--model", "faces/b.png"], "is no ONNX model"),
        (["faces", "--model", "faces"], "'faces' is no model file"),
        (["faces", "--output", "faces"], "exists"),
        (["faces", "--output", "/dev/full"], "exists"),
        (["faces", "--output", "/dev/null", "--format", "csv"], "/dev/null exists; another name"),
        (["faces", "--output", "pipe.csv", "--resume"], "pipe.csv exists; another name keeps it"),
        (["faces", "--output", "no/out.csv"], "there is no folder no"),
        (["faces", "--output", "o.txt", "--resume"], "a table cannot be read back"),
        (["faces/b.png", "--boxes", "boxes.csv"], "--boxes names the pictures itself"),
        (["faces", "--annotate", "new", "--output", "no/out.csv"], "there is no folder no"),
        (["faces", "--annotate", "faces/b.png"], "is a file; expected a folder"),
        (["faces/b.png", "--annotate", "faces/c"], "holds files already"),
        # Nothing was written yet that could be gone on with.
        (["faces/b.png", "--output", "n.csv", "--resume", "--annotate", "faces/c"], "holds files"),
    ):
        assert message in refused(predict(*words)), words
    assert not (here / "o.txt").exists()
    assert not (here / "new").exists()
    with monkeypatch.context() as patched:
        patched.setattr(
            command, "_open", lambda *_: os.fdopen(os.open("/dev/full", os.O_WRONLY), "w")
        )
        assert "full: o.csv could not be" in refused(predict("faces", "--output", "o.csv"))
    assert predict("faces", "--output", "o.json")[0] == 0
    assert json.loads((here / "o.json").read_text().splitlines()[0])["label"] == "green"
    assert predict("faces", "--output", "o.txt")[0] == 0
    assert "o.txt exists; another name keeps it" in predict("faces", "--output", "o.txt")[2]
