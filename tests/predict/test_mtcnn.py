"""The shipped detector: its steps worked out by hand, and faces that the project draws."""

import numpy as np
import pytest
from PIL import Image

from fsr_fer.data.synthetic.dataset import synthetic_face
from fsr_fer.predict import mtcnn
from fsr_fer.predict.detector import Detection
from fsr_fer.predict.results import Box
from tests import ROOT


def test_sizes_begin_where_the_smallest_face_has_12_pixels() -> None:
    # 12 / 10 of 100 x 50 is 120 x 60; 0.709 of that 85.08 x 42.54, and on, in even numbers above.
    found = list(mtcnn.sizes((100, 50), 10))
    assert found[:3] == [(120, 60), (86, 44), (62, 32)]
    assert found[-1] == (32, 16)  # the next would have 10.7 pixels
    assert list(mtcnn.sizes((100, 9), 10)) == []


def test_cells_are_squares_of_12_pixels_two_apart_moved_by_their_offsets() -> None:
    answers = np.full((5, 3, 4), -9.0, np.float32)
    answers[1:] = 0
    answers[:, 1, 2] = 2, 0.25, 0, 0, -0.5  # from (4, 2) to (16, 14)
    answers[0, 1, 3] = 1  # next to a higher one
    answers[0, 2, 0] = 0.3  # its probability is 0.57
    assert mtcnn.cells(answers, 0.6).tolist() == [[7, 2, 16, 8]]
    nothing = mtcnn.cells(np.full((5, 1, 1), -9.0, np.float32), 0.6)
    assert nothing.shape == (0, 4)


def test_squares_have_the_same_middle_and_the_longer_side() -> None:
    boxes = np.array([[0, 0, 4, 10], [10, 20, 30, 24]], float)
    assert mtcnn.square(boxes).tolist() == [[-3, 0, 7, 10], [10, 12, 30, 32]]


def test_of_boxes_that_overlap_the_better_one_stays() -> None:
    # Boxes 0 and 1 share 80 of 120 pixels; 3 lies in 0 and covers a quarter of it.
    boxes = np.array([[0, 0, 10, 10], [0, 2, 10, 12], [50, 50, 60, 60], [0, 0, 5, 5]], float)
    scores = np.array([1.0, 3.0, 2.0, 0.5])
    assert mtcnn.suppress(boxes, scores, 0.7).tolist() == [1, 2, 0, 3]
    assert mtcnn.suppress(boxes, scores, 0.6).tolist() == [1, 2, 3]
    assert mtcnn.suppress(boxes, scores, 0.7, of_smaller=True).tolist() == [1, 2, 3]
    assert mtcnn.suppress(boxes[[0, 3]], scores[[0, 3]], 0.7, of_smaller=True).tolist() == [0]
    assert mtcnn.suppress(boxes[:0], scores[:0], 0.7).tolist() == []


def test_boxes_without_size_or_outside_are_not_used() -> None:
    boxes = [[0, 0, 5, 5], [4, 0, 4.5, 5], [5, 0, 1, 5], [-9, 0, 3, 5], [18, 0, 30, 5]]
    assert mtcnn.usable(np.array(boxes, float), (20, 10)).tolist() == [True, *[False] * 4]


def test_crops_of_the_later_nets_are_black_outside_the_picture() -> None:
    white = Image.new("RGB", (10, 10), "white")
    crop = mtcnn._crop(white, np.array([-10.0, 0.0, 10.0, 20.0]), 20)
    assert crop.shape == (20, 20, 3)
    assert crop[:9, 11:].min() == 255
    assert crop[:, :9].max() == crop[11:].max() == 0


@pytest.fixture(scope="module")
def crowd() -> np.ndarray:
    """Grey noise, 400 x 240, with drawn faces of 100 pixels at (30, 70) and of 40 at (250, 60)."""
    rgb = np.random.default_rng(0).integers(90, 150, (240, 400, 3), dtype=np.uint8)
    face = synthetic_face("train", 1, faces_per_subject=7, seed=1)
    rgb[70:170, 30:130] = face
    small = Image.fromarray(face).resize((40, 40), Image.Resampling.BICUBIC)
    rgb[60:100, 250:290] = small
    return rgb


def near(found: Detection, box: Box) -> bool:
    return all(abs(a - b) < box.width / 3 for a, b in zip(found.box, box, strict=True))


def test_drawn_faces_are_found_and_noise_is_not(crowd: np.ndarray) -> None:
    found = mtcnn.shipped().detect(crowd, 20)
    assert len(found) == 2
    for box in (Box(30, 70, 100, 100), Box(250, 60, 40, 40)):
        assert any(near(one, box) for one in found)
    assert all(0.7 <= one.score <= 1 for one in found)
    (large,) = mtcnn.shipped().detect(crowd, 60)
    assert near(large, Box(30, 70, 100, 100))
    assert mtcnn.shipped().detect(crowd[180:], 20) == []


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.open(ROOT / "docs/images/astronaut.jpg").convert("RGB")


def test_the_face_of_a_photograph_is_where_the_readme_has_it(photograph: Image.Image) -> None:
    for first, box in (
        (0, (82.9, 54.7, 98.1, 123.6)),
        (110, (-18.2, 51.5, 90, 128)),  # the left half of the face is outside
    ):
        (found,) = mtcnn.shipped().detect(np.asarray(photograph)[:, first:], 10)
        assert found.box == pytest.approx(box, abs=1)


def test_small_faces_are_found_in_all_tiles_and_across_their_edges(
    photograph: Image.Image,
) -> None:
    small, rgb = photograph.resize((60, 60)), np.full((600, 700, 3), 120, np.uint8)
    places = [(x, y) for x in (0, 200, 400, 640) for y in (0, 200, 400, 540)]
    for x, y in places:
        rgb[y : y + 60, x : x + 60] = small
    found = mtcnn.shipped().detect(rgb, 20)  # at 420 x 360: two tiles by two
    corners = [(one.box.x - 17, one.box.y - 11) for one in found]  # 17, 11: of the face in each
    assert sorted((20 * round(x / 20), 20 * round(y / 20)) for x, y in corners) == places
