"""``fsr-fer predict`` as a user types it: sources, rows, files, resuming, mistakes."""

import fcntl
import io
import itertools
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from fsr_fer.predict import command
from fsr_fer.predict.annotate import annotate
from fsr_fer.predict.model import Model
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
    for word, content in (("-", (faces / "b.png").read_bytes()), ("@-", b"faces/b.png\n")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert rows_of(predict(word, "--format", "csv")[1])[0]["label"] == "red"
    for stdin in (None, io.TextIOWrapper(io.BytesIO())):
        if stdin:
            stdin.close()
        monkeypatch.setattr(sys, "stdin", stdin)
        assert "standard input is closed, or was read already" in refused(predict("@-"))


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
    # A picture of a sequence may have a frame.
    (here / "boxes.csv").write_text("image,frame,x,y,w,h\nturned.png,3,30,40,20,20\n")
    _, out, _ = predict("photos", "--boxes", "boxes.csv", "--format", "csv")
    (row,) = rows_of(out)
    assert (row["source"], row["frame"], row["label"]) == ("turned.png", "3", "red")


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
    message = f"{output.name} exists; --resume goes on with it, another name keeps it\n"
    assert refused(predict(*words)) == f"fsr-fer: {message}"
    assert whole.count(b"\n") == len(boxes) + (format == "csv")
    ends = [at for at in range(len(whole)) if whole[at : at + 1] == b"\n"]
    for length in (0, 9, *ends, *(end + 1 for end in ends[-2:]), *(end - 20 for end in ends)):
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
    (here / "mine.jsonl").write_text('{"input of mine": 1}')
    (here / "deep.jsonl").write_text('{"input": ' + "[" * 100_000 + "\n")
    (here / "large.jsonl").write_text('{"input": 1e999, "source": "", "frame": null}\n')
    before = {path.name: path.read_bytes() for path in here.glob("*.[cj]s*")}
    for words, message in (
        (["faces/b.png", "--output", "out.csv"], "where the sources have none"),
        (["faces", "--shard", "1/2", "--output", "out.csv"], "ends with input 4, 'faces/z.png'"),
        (["faces", "--output", "mine.csv"], "not written by this command"),
        (["faces", "--output", "mine.jsonl"], "not written by this command"),
        (["faces", "--output", "deep.jsonl"], "at byte 0 is no row"),
        (["faces", "--output", "large.jsonl"], "at byte 0 is no row"),
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


@pytest.mark.parametrize(("terminal", "pause"), [(True, 10), (False, 60)])
def test_progress_is_a_line_now_and_then(
    faces: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch, terminal: bool, pause: int
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    # The first picture after a little more than the pause, the next a second later.
    seconds = itertools.chain([0, pause + 1, pause + 1], itertools.repeat(pause + 2))
    clock = SimpleNamespace(monotonic=lambda: next(seconds))
    monkeypatch.setattr("fsr_fer.predict.command.time", clock)
    err = predict("faces/a.PNG", "faces/b.png", "--output", "out.csv")[2]
    lines = [
        f"1 face in {pause + 1}.0 s, 0 per second",
        f"2 faces in {pause + 2}.0 s, 0 per second",
    ]
    assert err.splitlines() == lines


def test_linked_folders_are_read_and_links_in_a_circle_are_not(faces: Path, here: Path) -> None:
    (here / "linked").mkdir()
    (here / "linked/all").symlink_to(faces)
    (faces / "c/again").symlink_to(faces)
    (faces / "c/self").symlink_to("self")  # which leads nowhere and spoils nothing
    found = {
        one.source.removeprefix("linked/all/"): one.problem for one in find_pictures(["linked"])
    }
    circle = "is a link to a folder that it lies in"
    assert found == dict.fromkeys(["a.PNG", "b.png", "c/d.png", "z.png"], "") | {"c/again": circle}


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
    (here / "boxes.csv").write_text("image,x,y,w,h\nscene.png,30,40,20,20\nscene.png,9,9,0,0\n")
    assert predict("--boxes", "boxes.csv", "--annotate", "boxes")[0] == 0
    with Image.open("boxes/000001-scene.png") as picture:
        assert picture.size[0] == 1440  # 4.8 times as large, for 20 pixels are 96
        assert picture.getpixel((40 * 4.8, 50 * 4.8)) == RED
        for x in (30 * 4.8 - 1, 50 * 4.8 + 1):
            assert picture.getpixel((x, 50 * 4.8)) == (0, 150, 60)


def test_what_is_drawn_is_not_read(faces: Path, here: Path, predict: Predict) -> None:
    paint(faces / "drawn/000001-a.png", RED)  # by a run that is gone on with
    for source in ("faces", "faces/*", "faces/**", "faces/*/*.png"):
        found = [picture.source for picture in find_pictures([source], Path("faces/drawn"))]
        assert "faces/c/d.png" in found
        assert not any("drawn" in name for name in found), source
    for source in ("faces", "faces/b.png"):
        words = (source, "--annotate", "faces", "--output", "o.csv", "--resume")
        assert f"--annotate faces: {source} lies in it" in predict(*words)[2]
    (here / "full").mkdir()
    (here / "full/000001-b.png").symlink_to("/dev/full")
    words = ("faces/b.png", "--annotate", "full", "--output", "o.csv", "--resume")
    assert "the disk is full: full could not be written" in refused(predict(*words))


def test_the_number_of_a_face_at_the_right_edge_is_whole_and_a_strip_is_shrunk() -> None:
    row = Prediction(input=1, source="a.png", status="ok", pixels=96, label="fear", probability=1.0)
    black, white = np.zeros((240, 300, 3), np.uint8), []
    for left in (100, 290):
        drawn = np.asarray(annotate(black, [replace(row, box=Box(left, 100, 96, 96))]))[:240]
        white.append((drawn == 255).all(axis=2).sum())
    assert white[0] == white[1] > 0
    assert annotate(np.zeros((40_000, 2, 3), np.uint8), [row]).height == 20_000 + 22  # and a line


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


def test_exit_codes_and_mistakes(
    faces: Path, here: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict("no.png")[0] == 0
    assert predict("faces/z.png", "--faces", "detect")[2].endswith("1 no_face\n")
    assert "uncertain" not in predict("faces/z.png", "--min-probability", "0.3")[2]  # it has 0.33
    code, out, err = predict("no.png", "faces/b.png", "--strict")
    assert code == 1
    assert out.count("\n") == 3
    assert err.splitlines()[-1] == "fsr-fer: 1 of 2 rows are not ok (--strict)"
    for words in ([], ["faces", "--box-form", "xywh"], ["faces", "--resume"], ["--top-k", "0"],
                  ["faces", "--faces", "crops", "--min-face", "9"],
                  ["faces", "--output", "-", "--resume"],
                  ["--boxes", "boxes.csv", "--faces", "detect"], ["a", "--min-probability", "nan"],
                  ["--boxes", "boxes.csv", "--min-face", "9"]):  # fmt: skip
        assert predict(*words)[0] == 2
    (here / "boxes.csv").write_text("image,x,y,w,h\n")
    (here / "noise.csv").write_bytes(bytes(range(256)) * 9)
    (here / "folder.csv").mkdir()
    os.mkfifo("pipe.csv")
    for words, message in (
        (["@no.txt"], "the list no.txt cannot be read: No such file"),
        (["@faces"], "the list faces cannot be read: Is a directory"),
        (["@nul\0"], "the list nul\0 cannot be read: embedded null"),
        (["--boxes", "folder.csv"], "cannot be read: Is a directory"),
        (["--boxes", "noise.csv"], "line 1 is no header"),
        (["faces", "--model", "faces/b.png"], "is no ONNX model"),
        (["faces", "--output", "faces"], "exists"),
        (["faces", "--output", "/dev/null", "--format", "csv"], "/dev/null exists; another name"),
        (["faces", "--output", "pipe.csv", "--resume"], "pipe.csv exists; another name keeps it"),
        (["faces", "--output", "no/out.csv"], "there is no folder no"),
        (["faces", "--output", "o.txt", "--resume"], "a table cannot be read back"),
        (["faces/b.png", "--boxes", "boxes.csv"], "--boxes names the pictures itself"),
        (["faces", "--annotate", "faces/b.png"], "is a file; expected a folder"),
        (["faces", "--annotate", "faces/b.png/x"], "faces/b.png/x: Not a directory"),
        (["faces", "--annotate", "faces"], "holds files already"),
    ):
        assert message in refused(predict(*words)), words
    assert not (here / "o.txt").exists()
    with monkeypatch.context() as patched:
        patched.setattr(
            command, "_open", lambda *_: os.fdopen(os.open("/dev/full", os.O_WRONLY), "w")
        )
        assert "full: o.csv could not be" in refused(predict("faces", "--output", "o.csv"))
    assert predict("faces", "--output", "o.json")[0] == 0
    assert json.loads((here / "o.json").read_text().splitlines()[0])["label"] == "green"
