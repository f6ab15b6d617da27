"""Files of boxes: each form that names itself, and none that does not."""

import math
from pathlib import Path

import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.predict.boxes import read_boxes
from fsr_fer.predict.pictures import Picture
from fsr_fer.predict.results import Box

BOX = Box(1, 2, 3, 4)


def read(path: Path, text: str, form: str | None = None) -> list[Picture]:
    path.write_text(text)
    return list(read_boxes(str(path), form, ""))


FOUR_COLUMNS, FOUR_NUMBERS = (
    "image,a,b,c,d\na.png,1,2,4,6\n",
    '{"image": "a.png", "box": [1, 2, 4, 6]}',
)
TWO_IN_COLUMNS = "image,x,y,width,height,x1,y1,x2,y2\na.png,9,9,9,9,1,2,4,6\n"
TWO_IN_KEYS = '{"image": "a.png", "xywh": [9, 9, 9, 9], "xyxy": [1, 2, 4, 6]}'
TWO_IN_NAMES = (
    '{"image": "a.png", "x": 9, "y": 9, "w": 9, "h": 9, "x1": 1, "y1": 2, "x2": 4, "y2": 6}'
)


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("b.csv", "x,y,w,h,source\r\n1,2,3,4,a.png\r\n", None),
        ("b.csv", "image, x1, y1, x2, y2\na.png,1,2,4,6\n", None),
        ("b.csv", "\ufeffsource,score,left,top,right,bottom\na.png,0.9,1,2,4,6\n", None),
        ("b.jsonl", '{"image": "a.png", "xywh": [1, 2, 3, 4]}', None),
        ("b.jsonl", '{"image": "a.png", "xyxy": [1, 2, 4, 6]}', None),
        ("b.jsonl", '{"source": "a.png", "box": {"x": 1, "y": 2, "width": 3, "height": 4}}', None),
        ("b.jsonl", '{"image": "a.png", "left": 1, "top": 2, "right": 4, "bottom": 6}\n\n', None),
        # The user names the form where the file does not, or names several.
        ("b.csv", "image,a,b,c,d\na.png,1,2,3,4\n", "xywh"),
        ("b.jsonl", '{"image": "a.png", "box": [1, 2, 3, 4]}', "xywh"),
        ("b.csv", FOUR_COLUMNS, "xyxy"),
        ("b.jsonl", FOUR_NUMBERS, "xyxy"),
        ("b.csv", TWO_IN_COLUMNS, "xyxy"),
        ("b.jsonl", TWO_IN_KEYS, "xyxy"),
        ("b.jsonl", TWO_IN_NAMES, "xyxy"),
    ],
)
def test_columns_keys_or_the_user_name_the_form(
    tmp_path: Path, name: str, text: str, form: str | None
) -> None:
    (picture,) = read(tmp_path / name, text, form)
    assert (picture.source, picture.content, picture.boxes) == ("a.png", "a.png", (BOX,))


def test_lines_of_one_picture_are_together_and_the_order_stays(tmp_path: Path) -> None:
    text = "image,x,y,w,h\na,1,2,3,4\na,5,6,7,8\nb,1,2,3,4\na,1,2,3,4\n"
    found = [(p.number, p.source, len(p.boxes or ())) for p in read(tmp_path / "b.csv", text)]
    assert found == [(1, "a", 2), (2, "b", 1), (3, "a", 1)]


def test_lines_that_make_no_sense_keep_their_place(tmp_path: Path) -> None:
    lines = ['{"image": "a", "xywh": [1, 2, 3, 4]}', "not json", "[1]", '{"xywh": [1, 2, 3, 4]}']
    lines += ['{"image": "a", "xywh": [1, 2]}', '{"image": "b", "box": null}']
    pictures = read(tmp_path / "b.jsonl", "\n".join(lines))
    none = "is no JSON object; expected one on each line"
    file = f"{tmp_path}/b.jsonl"
    problems = ["", f"{file}, line 2 {none}", f"{file}, line 3 {none}", "line 4 names no picture"]
    problems += ["", ""]
    assert [picture.problem for picture in pictures] == problems
    assert pictures[1].source == f"{file}:2"
    assert pictures[4].boxes is not None
    assert all(map(math.isnan, pictures[4].boxes[0]))
    rows = read(tmp_path / "b.csv", "image,x,y,w,h\na,1,2,3\n,1,2,3,4\nb,one,2,3,4\n")
    assert [bool(row.problem) for row in rows] == [False, True, False]


def test_a_later_line_without_a_box_ends_nothing(tmp_path: Path) -> None:
    line = '{"image": "a", "xywh": [1, 2, 3, 4]}\n'
    _, bare, both, last = read(
        tmp_path / "b.jsonl", f'{line}{{"image": "b"}}\n{TWO_IN_NAMES}\n{line}'
    )
    assert bare.source == f"{tmp_path}/b.jsonl:2"
    assert "line 2: the keys do not name the form of a box" in bare.problem
    assert "line 3: the keys name more than one box" in both.problem
    assert last.boxes == (BOX,)


def test_a_picture_without_a_face_has_no_boxes(tmp_path: Path) -> None:
    empty, part = read(tmp_path / "b.csv", "image,x,y,w,h\na,,, ,\nb,1,2,3,4\nb,,,,\n")
    nulls = '"x": null, "y": null, "w": null, "h": null'  # as pandas writes them
    for keys in ('"box": null', '"xywh": null', nulls, f'"box": {{{nulls}}}'):
        (null,) = read(tmp_path / "b.jsonl", f'{{"image": "a", {keys}}}\n')
        assert empty.boxes == null.boxes == (), keys
    assert part.boxes is not None  # one row a line: the second says what is wrong
    assert (part.boxes[0], math.isnan(part.boxes[1].x)) == (BOX, True)


@pytest.mark.parametrize(
    ("name", "text", "form", "message"),
    [
        ("b.csv", FOUR_COLUMNS, None, "the columns do not name the form of a box"),
        ("b.jsonl", FOUR_NUMBERS, None, "line 1: the keys do not name the form of a box"),
        ("b.csv", TWO_IN_COLUMNS, None, "name more than one box; leave one, or add --box-form"),
        ("b.jsonl", TWO_IN_KEYS, None, "name more than one box; leave one, or add --box-form"),
        ("b.csv", "image,x,y,w,h\n", "xyxy", "columns say xywh, --box-form says xyxy"),
        ("b.csv", "image,x,y,width,height,x\n", None, "line 1 has two columns x"),
        ("b.csv", "image,x,y,w,h,image\n", None, "line 1 has two columns image"),
        ("b.csv", "image,bbox,,,\n", "xywh", "do not name the form"),
        ("b.csv", "image,frame,a,b,c,d\n", "xywh", "do not name the form"),
        ("b.csv", "", None, "line 1 is no header"),
        ("b.csv", "image;x;y;w;h\na.png;1;2;3;4\n", None, "commas between"),
        ("b.jsonl", '{"image": "a.png", "bbox": [1, 2, 3, 4]}', "xywh", "or in the key box"),
        ("b.jsonl", '{"image": "a", "box": {"xmin": 1}}', None, "expected x,y,width,height"),
        ("b.json", '[{"image": "a"}]', None, "line 1 is no JSON object; expected one on each line"),
        ("b.json", '{\n"image": "a"}', None, "line 1 is no JSON object; expected one on each line"),
        ("b.csv", 'image,x,y,w,"h\na,1,2,3,4\n', None, "is no CSV file"),
        ("b.csv", "image,b,b,b,b\n", "xywh", "line 1 has two columns b"),
        ("b.csv", "image,frame,x,y,w,h,frame\n", None, "line 1 has two columns frame"),
        ("b.txt", "", None, "from .csv"),
    ],
)
def test_what_is_no_file_of_boxes_is_refused(
    tmp_path: Path, name: str, text: str, form: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path / name, text, form)


def test_a_line_that_is_no_csv_is_a_picture_with_a_problem(tmp_path: Path) -> None:
    lines = ["image,x,y,w,h", "a,1,2,3,4", '"b"z,1,2,3,4', "a,1,2,3,4", f"{'c' * 200_000},1,2,3,4"]
    path, tail = tmp_path / "b.csv", ["d,1,2,3,4", '"e,1,2,3,4', "f,1,2,3,4"]
    pictures = read(path, "\n".join([*lines, *tail]))
    assert [picture.number for picture in pictures] == [1, 2, 3, 4, 5, 6, 7]
    assert [(one.source, one.boxes) for one in pictures if not one.problem] == [
        (name, (BOX,)) for name in "aadf"
    ]
    said = [(one.source, one.problem) for one in pictures if one.problem]
    assert [source for source, _ in said] == [f"{path}:{number}" for number in (3, 5, 7)]
    for (_, problem), why in zip(said, ("expected after", "limit", "unexpected end"), strict=True):
        assert why in problem


def test_a_quote_that_nobody_closes_costs_its_own_line_alone(tmp_path: Path) -> None:
    lines = ['"a,1,2,3,4', *["b,1,2,3,4"] * 100, '"c\nd",1,2,3,4', '"e', 'e",1,2,"3,4', "f,1,2,3,4"]
    pictures = read(tmp_path / "b.csv", "image,x,y,w,h\n" + "\n".join(lines) + "\n")
    sources = [one.source.removeprefix(str(tmp_path)) for one in pictures]
    assert sources == ["/b.csv:2", "b", "c\nd", "/b.csv:105", "/b.csv:106", "f"]
    assert len(pictures[1].boxes) == 100
