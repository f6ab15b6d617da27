"""Videos: each n-th frame is a picture, whatever holds it; broken ones lose nothing else."""

import os
import sys
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fsr_fer.data.synthetic.dataset import synthetic_face
from fsr_fer.predict import videos
from fsr_fer.predict.model import Model
from tests.predict.conftest import BLUE, GREEN, RED, Predict, json_rows, rows_of

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE}
NAMES = tuple(COLOURS)


def film(
    path: Path | str,
    frames: Iterable[np.ndarray],
    codec: str = "png",
    times: Sequence[int] | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
) -> None:
    """A video of RGB frames, 10 a second, or shown at ``times``, in tenths of a second."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=10)
        for number, rgb in enumerate(frames):
            if number == 0:
                stream.height, stream.width = rgb.shape[:2]
                stream.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
                if rotation:
                    stream.set_display_rotation(rotation)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = times[number] if times else number
            frame.time_base = Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def flat(name: str, side: int = 20) -> np.ndarray:
    return np.full((side, side, 3), COLOURS[name], np.uint8)


def colours(count: int) -> list[np.ndarray]:
    """Frames that are red, green, blue, red, ..."""
    return [flat(NAMES[number % 3]) for number in range(count)]


def found(text: str) -> list[tuple[str, str, str]]:
    return [(row["frame"], row["seconds"], row["label"]) for row in rows_of(text)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mov", "png"), ("a.MKV", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx")],
)
def test_each_nth_frame_is_a_row(here: Path, predict: Predict, name: str, codec: str) -> None:
    film(name, colours(8), codec)
    code, out, err = predict(name, "--every", 3, "--format", "csv")
    assert code == 0
    assert found(out) == [("0", "0.0", "red"), ("3", "0.3", "red"), ("6", "0.6", "red")]
    assert {(row["input"], row["source"], row["pixels"]) for row in rows_of(out)} == {
        ("1", name, "20")
    }
    assert err.startswith("3 faces in ")
    assert err.count("\n") == 1


def test_seconds_are_those_of_the_video_and_one_frame_in_25_is_the_default(
    here: Path, predict: Predict
) -> None:
    film("slow.mov", colours(27), times=[*range(0, 50, 2), 80, 95])  # 25 frames, then slower ones
    frames = found(predict("slow.mov", "--format", "csv")[1])
    assert frames == [("0", "0.0", "red"), ("25", "8.0", "green")]
    assert found(predict("slow.mov", "--every", 13, "--format", "csv")[1])[-1][:2] == ("26", "9.5")
    (here / "boxes.csv").write_text("image,frame,x,y,w,h\nslow.mov,25,10.5,10.25,12.75,12.75\n")
    table = predict("--boxes", "boxes.csv")[1]  # where a face is does not hide in which video
    assert table.splitlines()[1].startswith("slow.mov frame 25, 8.00 s [10.5,10")


def test_videos_stand_among_pictures_in_folders_lists_and_shards(
    here: Path, predict: Predict
) -> None:
    (here / "in").mkdir()
    film("in/b.mov", colours(2))
    film("in/d.mp4", colours(1), "mpeg4")
    for name in ("a", "c"):
        av.VideoFrame.from_ndarray(flat("blue"), format="rgb24").to_image().save(f"in/{name}.png")
    rows = rows_of(predict("in", "--every", 1, "--format", "csv", "--annotate", "drawn")[1])
    drawn = ["000001-a.png", "000002-b-000000.png", "000002-b-000001.png"]
    assert sorted(os.listdir("drawn"))[:3] == drawn
    order = ["1 in/a.png ", "2 in/b.mov 0", "2 in/b.mov 1", "3 in/c.png ", "4 in/d.mp4 0"]
    assert [f"{row['input']} {row['source']} {row['frame']}" for row in rows] == order
    assert rows[0]["seconds"] == ""
    parts = [predict("in", "--every", 1, "--shard", f"{i}/2", "--format", "csv")[1] for i in (1, 2)]
    assert [len(rows_of(part)) for part in parts] == [2, 3]  # a video goes into one part


def test_phone_videos_are_read_upright(here: Path, predict: Predict) -> None:
    tall = np.full((40, 20, 3), 128, np.uint8)
    tall[:20], tall[20:] = RED, BLUE
    boxes = "image,frame,x,y,w,h\n{0},0,0,0,20,20\n{0},0,0,20,20,20\n"
    for turns in (1, 2, 3):  # stored turned clockwise, to be shown turned back
        film(f"{turns}.mov", [np.rot90(tall, -turns).copy()], rotation=(0, 90, 180, -90)[turns])
        (here / "boxes.csv").write_text(boxes.format(f"{turns}.mov"))
        _, out, _ = predict("--boxes", "boxes.csv", "--format", "csv")
        assert [row["label"] for row in rows_of(out)] == ["red", "blue"]


def test_boxes_name_frames(here: Path, predict: Predict, model: Model) -> None:
    film("a.mov", colours(6))
    (here / "in.csv").write_text(
        "image,frame,x,y,w,h\na.mov,1,0,0,20,20\na.mov,2.0,0,0,10,10\na.mov,2,5,5,10,10\n"
        "a.mov,9,0,0,20,20\na.mov,4,0,0,20,20\na.mov,,0,0,20,20\na.mov,-1,0,0,20,20\n"
        "no.mov,3,0,0,20,20\n"
    )
    assert predict("--boxes", "in.csv", "--output", "first.csv")[0] == 0
    rows = rows_of((here / "first.csv").read_text())
    assert [f"{row['input']} {row['frame']} {row['label']}{row['message']}" for row in rows] == [
        "1 1 green", "1 2 blue", "1 2 blue", "1 9 the video ends before this frame", "2 4 green",
        "3  is a video; boxes in it need their frame",
        "4  line 8 has the frame '-1'; expected a number from 0",
        "5 3 cannot be read: No such file or directory",
    ]  # fmt: skip
    (here / "again.csv").write_text("".join((here / "first.csv").open().readlines()[:6]))
    assert predict("--boxes", "again.csv", "--output", "second.jsonl")[0] == 0
    assert predict("--boxes", "second.jsonl", "--output", "third.csv")[0] == 0
    assert (here / "third.csv").read_text() == (here / "again.csv").read_text()
    faces = model.predict("a.mov", boxes=[{4: [(0, 0, 20, 20)], 2: [(5, 5, 10, 10)]}],
                          box_form="xywh")  # fmt: skip
    assert [(face.frame, face.seconds, face.label) for face in faces] == [
        (2, 0.2, "blue"), (4, 0.4, "green")
    ]  # fmt: skip
    for wrong in ({}, {-1: []}, {"a": []}):
        with pytest.raises(ValueError, match="boxes of source 1 are"):
            list(model.predict("a.mov", boxes=[wrong], box_form="xywh"))
    assert predict("--boxes", "in.csv", "--every", 2)[0] == 2


def test_a_frame_is_read_as_the_same_picture_is(here: Path, model: Model) -> None:
    drawn = [synthetic_face("test", n, faces_per_subject=7, seed=1) for n in range(3)]
    film("faces.mov", drawn)  # without loss
    frames = [face.probabilities for face in model.predict("faces.mov", every=1)]
    pictures = [face.probabilities for face in model.predict(drawn, channels="rgb")]
    assert frames == pictures


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.avi", "mpeg4"), ("a.mkv", "libx264"), ("a.mp4", "libx264")],
)
def test_a_video_that_was_cut_off_gives_its_frames_and_says_so(
    here: Path, predict: Predict, name: str, codec: str
) -> None:
    draw = np.random.default_rng(0)
    noisy = [draw.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(40)]
    film(name, noisy, codec, options={"movflags": "faststart"} if name == "a.mp4" else {})
    content = (here / name).read_bytes()
    (here / name).write_bytes(content[: len(content) * 6 // 10])
    _, out, _ = predict(name, "--every", 1, "--format", "csv")
    *frames, last = rows_of(out)
    assert 10 < len(frames) < 30
    assert [int(row["frame"]) for row in frames] == list(range(len(frames)))
    assert all(row["status"] == "ok" for row in frames)
    assert (last["status"], last["frame"], last["input"]) == ("unreadable", "", "1")
    assert "cut off" in last["message"]


def test_a_part_of_a_recording_is_not_cut_off(here: Path, model: Model) -> None:
    film("part.mkv", colours(20), "libx264", times=range(100, 120))  # from its tenth second
    rows = list(model.predict("part.mkv", every=10))
    assert [(row.status, row.frame, row.seconds) for row in rows] == [("ok", 0, 0), ("ok", 10, 1)]


def test_a_video_of_which_nothing_can_be_read_is_one_row(
    here: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    film("whole.mp4", colours(5), "mpeg4")  # its table of contents stands at the end
    content = (here / "whole.mp4").read_bytes()
    (here / "half.mp4").write_bytes(content[: len(content) // 2])
    (here / "empty.mp4").write_bytes(b"")
    film("codec.avi", colours(2), "mpeg4")
    codec = (here / "codec.avi").read_bytes().replace(b"FMP4", b"XXXX")
    (here / "codec.avi").write_bytes(codec)
    film("start.ts", colours(1), "mpeg4")
    start = (here / "start.ts").read_bytes()
    (here / "start.ts").write_bytes(start[: len(start) * 9 // 10])
    (here / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nwhole.mp4\n#EXT-X-ENDLIST\n")
    (here / "concat.mkv").write_text("ffconcat version 1.0\nfile whole.mp4\n")
    os.mkfifo("pipe.mp4")
    messages = {
        "half.mp4": "no video",
        "empty.mp4": "is empty",
        "list.mp4": "no video that can be read",
        "concat.mkv": "no video that can be read",
        "codec.avi": "holds no video that can be decoded",
        "start.ts": "has no frames",
        "pipe.mp4": "is a pipe",
        "http://127.0.0.1:9/a.mp4": "No such file",
        "nul\0.mp4": "null",
    }
    (here / "list.txt").write_text("\n".join(messages))
    rows = json_rows(predict, "@list.txt")
    for row, (name, said) in zip(rows, messages.items(), strict=True):
        assert (row["source"], row["status"]) == (name, "unreadable")
        assert said in row["message"], row
    monkeypatch.setitem(sys.modules, "av", None)
    (row,) = json_rows(predict, "whole.mp4")
    assert "pip install 'fsr-fer[video]'" in row["message"]


def test_frames_of_more_pixels_than_a_picture_may_have_are_not_decoded(
    here: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    film("16.ts", [flat("red", 16)] * 40, "mpeg4")
    film("256.ts", [flat("red", 256)] * 2, "mpeg4")
    (here / "grows.ts").write_bytes(Path("16.ts").read_bytes() + Path("256.ts").read_bytes())
    rows = list(model.predict("grows.ts", every=1, faces="crops"))
    assert [row.pixels for row in rows] == [16] * 40 + [256] * 2
    monkeypatch.setattr("fsr_fer.data.images.MOST_PIXELS", 60_000)
    *rows, last = model.predict("grows.ts", every=1, faces="crops")
    assert [row.pixels for row in rows] == [16] * 40
    assert last.message == "is damaged or cut off near frame 40, 3.90 s"
    monkeypatch.setattr("fsr_fer.data.images.MOST_PIXELS", 255)
    (row,) = model.predict("16.ts")
    assert row.message == "has more than 255 pixels; no more are read"


def test_a_run_killed_within_a_video_is_gone_on_with(
    here: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    film("a.mov", colours(6))
    film("b.webm", colours(20), "libvpx")
    content = (here / "b.webm").read_bytes()
    (here / "b.webm").write_bytes(content[: len(content) * 7 // 10])
    words = ("a.mov", "b.webm", "no.png", "--every", 2, "--output", "out.csv")
    assert predict(*words)[0] == 0
    output = here / "out.csv"
    whole = output.read_bytes()
    assert b"cut off" in whole
    lines = whole.splitlines(keepends=True)
    for count in range(1, len(lines) + 1):
        output.write_bytes(b"".join(lines[:count])[:-3])
        assert predict(*words, "--resume")[0] == 0
        assert output.read_bytes() == whole, count
    output.write_bytes(b"".join(lines[:6]))  # three frames of a, two of b
    opened, decode = [], videos._frames
    monkeypatch.setattr(videos, "_frames", lambda one: opened.append(one.source) or decode(one))
    assert predict(*words, "--resume")[0] == 0
    assert (opened, output.read_bytes()) == (["b.webm"], whole)
    output.write_bytes(b"".join(lines[:3]))  # ends with frame 2
    code, _, err = predict("a.mov", "--every", 3, "--output", output.name, "--resume")
    assert (code, err.count("\n")) == (1, 1)
    assert "ends with input 1, 'a.mov', frame 2, where the sources have input 1" in err
