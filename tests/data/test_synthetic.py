"""Synthetic faces: what is written, what depends on what, and what the action units move."""

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsr_fer.common.errors import UserError
from fsr_fer.data.settings import SynthesizeSettings
from fsr_fer.data.synthetic import dataset as synthetic
from fsr_fer.data.synthetic.action_units import (
    EXPRESSIONS,
    UNIT_NAMES,
    ActionUnits,
    draw_action_units,
)
from fsr_fer.data.synthetic.canvas import Canvas, Window, taper
from fsr_fer.data.synthetic.dataset import CLASS_NAMES, synthesize, synthetic_face
from fsr_fer.data.synthetic.drawing import draw_face
from fsr_fer.data.synthetic.geometry import (
    MIDDLE,
    Landmarks,
    Pose,
    draw_pose,
    face_landmarks,
    smooth,
)
from fsr_fer.data.synthetic.identity import Identity, draw_identity

SETTINGS = SynthesizeSettings(train_faces=31, test_faces=15, faces_per_subject=5)
LABELS = "EmoLabel/list_patition_label.txt"

Measure = Callable[[Landmarks], list[float]]


def person(seed: int = 0) -> Identity:
    """Somebody whose two halves move alike."""
    return replace(draw_identity(np.random.default_rng(seed)), asymmetry=0.0)


def landmarks(**units: float) -> Landmarks:
    return face_landmarks(person(), ActionUnits(**units))


def pairs(path: Path) -> list[tuple[str, str]]:
    lines = map(str.split, path.read_text().splitlines())
    return [(name, value) for name, value in lines]


def write(root: Path, seed: int = 0, **changes: Any) -> None:
    class_names = changes.pop("class_names", CLASS_NAMES)
    synthesize(root, settings=replace(SETTINGS, **changes), class_names=class_names, seed=seed)


def files(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "faces"
    write(root, seed=3)
    return root


class TestFiles:
    def test_layout_is_that_of_rafdb(self, written: Path) -> None:
        assert sorted(files(written)) == [
            "EmoLabel/list_patition_label.txt",
            "EmoLabel/subject.txt",
            "Image/aligned.zip",
        ]
        names = [name for name, _ in pairs(written / LABELS)]
        assert names[0] == "train_00001.jpg"
        assert names == [f"train_{i:05d}.jpg" for i in range(1, 32)] + [
            f"test_{i:05d}.jpg" for i in range(1, 16)
        ]
        with zipfile.ZipFile(written / "Image/aligned.zip") as pictures:
            assert pictures.namelist() == [
                f"aligned/{name.removesuffix('.jpg')}_aligned.jpg" for name in names
            ]
            for entry in pictures.infolist():
                assert entry.compress_type == zipfile.ZIP_STORED
                image = Image.open(io.BytesIO(pictures.read(entry)))
                assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (100, 100))

    def test_pictures_are_the_faces_up_to_compression(self, written: Path) -> None:
        face = synthetic_face("test", 4, faces_per_subject=5, seed=3)
        with zipfile.ZipFile(written / "Image/aligned.zip") as pictures:
            stored = Image.open(io.BytesIO(pictures.read("aligned/test_00005_aligned.jpg")))
        assert np.abs(np.asarray(stored, float) - face).mean() < 3.0

    def test_classes_are_balanced_and_labelled_from_one(self, written: Path) -> None:
        for split in ("train", "test"):
            counts = Counter(
                label for name, label in pairs(written / LABELS) if name.startswith(split)
            )
            assert sorted(counts) == [str(label) for label in range(1, 8)]
            assert max(counts.values()) - min(counts.values()) <= 1

    def test_nobody_is_in_both_splits(self, written: Path) -> None:
        subjects = pairs(written / "EmoLabel/subject.txt")
        assert [name for name, _ in subjects] == [name for name, _ in pairs(written / LABELS)]
        train = [subject for name, subject in subjects if name.startswith("train")]
        test = [subject for name, subject in subjects if name.startswith("test")]
        assert not set(train) & set(test)
        assert max(Counter(train + test).values()) == 5
        assert len(set(train)) == 7
        assert len(set(test)) == 3

    def test_same_arguments_same_bytes(self, written: Path, tmp_path: Path) -> None:
        write(tmp_path / "again", seed=3)
        assert files(tmp_path / "again") == files(written)

    def test_an_interrupted_run_leaves_what_was_there_and_a_whole_one_replaces_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = tmp_path / "faces"
        root.mkdir()
        (root / "old").touch()

        def interrupted(items: list[object], desc: str) -> Iterator[object]:
            yield items[0]
            raise KeyboardInterrupt

        monkeypatch.setattr(synthetic, "progress", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(root)
        monkeypatch.undo()
        assert [path.name for path in tmp_path.rglob("*")] == ["faces", "old"]
        write(root, train_faces=7, test_faces=7)
        assert not (root / "old").exists()
        assert (root / LABELS).exists()
        assert [path.name for path in tmp_path.iterdir()] == ["faces"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"class_names": CLASS_NAMES[:6]}, r"dataset\.class_names is .*'surprise', 'fear'"),
            ({"class_names": CLASS_NAMES[::-1]}, r"dataset\.class_names is .*'surprise', 'fear'"),
            ({"test_faces": 6}, r"synthesize\.test_faces is 6; allowed: 7"),
            ({"seed": -1}, "seed is -1"),
        ],
    )
    def test_what_cannot_be_drawn_is_refused(
        self, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(UserError, match=message):
            write(tmp_path / "faces", **changes)
        assert not (tmp_path / "faces").exists()


class TestFaces:
    def test_a_face_depends_on_seed_split_and_number_alone(self) -> None:
        first = synthetic_face("train", 8, faces_per_subject=7, seed=1)
        synthetic_face("train", 2, faces_per_subject=7, seed=1)
        assert (synthetic_face("train", 8, faces_per_subject=7, seed=1) == first).all()
        for split, number, seed in (("test", 8, 1), ("train", 15, 1), ("train", 8, 2)):
            other = synthetic_face(split, number, faces_per_subject=7, seed=seed)
            assert (other != first).mean() > 0.5

    def test_surroundings_do_not_know_the_expression(self) -> None:
        """The same draw with two expressions differs inside the face and nowhere else."""
        faces = []
        for units in (ActionUnits(), ActionUnits(lip_corner_puller=1.0, brow_lowerer=1.0)):
            generator = np.random.default_rng(5)
            faces.append(draw_face(person(1), units, generator).astype(int))
        changed = np.abs(faces[0] - faces[1]).max(axis=2) > 8
        assert changed[15:90, 20:80].mean() > 0.03
        changed[5:98, 10:90] = False
        assert not changed.any()

    def test_every_draw_of_units_uses_up_the_same_randomness(self) -> None:
        left = []
        for expression in EXPRESSIONS:
            generator = np.random.default_rng(11)
            draw_action_units(expression, np.ones(len(UNIT_NAMES)), generator)
            left.append(generator.random())
        assert len(set(left)) == 1

    def test_mean_colour_does_not_tell_the_class(self) -> None:
        """One-way analysis of variance of each channel over the classes, 16 faces of each."""
        colours = np.array(
            [
                synthetic_face("train", i, faces_per_subject=1, seed=9).mean((0, 1))
                for i in range(112)
            ]
        ).reshape(16, 7, 3)
        between = 16 * ((colours.mean(0) - colours.mean((0, 1))) ** 2).sum(0) / 6
        within = ((colours - colours.mean(0)) ** 2).sum((0, 1)) / (112 - 7)
        assert (between / within).max() < 3.7  # F(6, 105): exceeded with probability 0.002

    def test_faces_are_not_blank_and_lie_in_the_frame(self) -> None:
        for number in range(28):
            face = synthetic_face("test", number, faces_per_subject=2, seed=4)
            assert face.shape == (100, 100, 3)
            assert face.dtype == np.uint8
            assert face.std() > 10
        for seed in range(200):
            pose = draw_pose(np.random.default_rng(seed))
            face = face_landmarks(person(seed), ActionUnits(jaw_drop=1.0, lip_stretcher=1.0))
            shown = [pose.project(p) for p in (*face.brows, face.mouth.lower_outer)]
            shown += [pose.project(eye.upper_lid) for eye in face.eyes]
            assert all((line > 1).all() and (line < 99).all() for line in shown)


def brow_ends(position: int) -> Measure:
    return lambda face: [brow[position, 1] for brow in face.brows]


def lid_gaps(face: Landmarks) -> list[float]:
    return [(eye.lower_lid - eye.upper_lid)[:, 1].max() for eye in face.eyes]


def mouth_width(face: Landmarks) -> list[float]:
    return [np.ptp(face.mouth.upper_inner[:, 0])]


def lip_corners(face: Landmarks) -> list[float]:
    return [face.mouth.upper_inner[corner, 1] for corner in (0, -1)]


def lip_middle(line: str) -> Measure:
    return lambda face: [getattr(face.mouth, line)[MIDDLE, 1]]


class TestActionUnits:
    """Each unit moves what FACS says it moves; y points down."""

    rest = landmarks()

    @pytest.mark.parametrize(
        ("unit", "measure", "least"),
        [
            ("inner_brow_raiser", brow_ends(0), -0.03),
            ("outer_brow_raiser", brow_ends(2), -0.03),
            ("outer_brow_raiser", brow_ends(3), -0.03),
            ("brow_lowerer", brow_ends(0), 0.03),
            ("nose_wrinkler", brow_ends(0), 0.03),
            ("brow_lowerer", lambda face: [face.brows[1][0, 0] - face.brows[0][0, 0]], -0.05),
            ("upper_lid_raiser", lid_gaps, 0.03),
            ("lid_tightener", lid_gaps, -0.03),
            ("cheek_raiser", lid_gaps, -0.03),
            ("cheek_raiser", lambda face: [eye.lower_lid[MIDDLE, 1] for eye in face.eyes], -0.03),
            ("lip_corner_puller", lip_corners, -0.08),
            ("lip_corner_depressor", lip_corners, 0.08),
            ("lip_corner_puller", mouth_width, 0.05),
            ("lip_stretcher", mouth_width, 0.05),
            ("lip_tightener", mouth_width, -0.05),
            ("upper_lip_raiser", lip_middle("upper_outer"), -0.03),
            ("lower_lip_depressor", lip_middle("lower_inner"), 0.03),
            ("chin_raiser", lip_middle("upper_inner"), -0.03),
            ("nose_wrinkler", lambda face: [nostril[1] for nostril in face.nostrils], -0.03),
            ("jaw_drop", lambda face: [face.chin], 0.1),
        ],
    )
    def test_a_unit_moves_its_part(self, unit: str, measure: Measure, least: float) -> None:
        change = np.subtract(measure(landmarks(**{unit: 1.0})), measure(self.rest))
        assert (change * np.sign(least) > abs(least)).all()

    def test_lip_tightener_thins_both_lips(self) -> None:
        tight = landmarks(lip_tightener=1.0).mouth
        for upper, lower in (("upper_outer", "upper_inner"), ("lower_inner", "lower_outer")):
            thickness = [
                (getattr(mouth, lower) - getattr(mouth, upper))[:, 1].max()
                for mouth in (self.rest.mouth, tight)
            ]
            assert thickness[1] < 0.6 * thickness[0]

    def test_jaw_and_lips_open_the_mouth(self) -> None:
        assert self.rest.mouth.opening < 0.01
        assert landmarks(lips_part=1.0).mouth.opening > 0.05
        assert landmarks(jaw_drop=1.0).mouth.opening > 0.2

    def test_lips_never_cross(self) -> None:
        for seed in range(70):
            generator = np.random.default_rng(seed)
            somebody = draw_identity(generator)
            units = draw_action_units(CLASS_NAMES[seed % 7], somebody.gains, generator)
            mouth = face_landmarks(somebody, units).mouth
            lips = mouth.upper_outer, mouth.upper_inner, mouth.lower_inner, mouth.lower_outer
            assert (np.diff([line[:, 1] for line in lips], axis=0) >= -1e-9).all()

    def test_expressions_use_their_units(self) -> None:
        """Over many draws, a unit's mean is high where the recipe names it, low elsewhere."""
        for expression, movements in EXPRESSIONS.items():
            drawn = []
            for seed in range(60):
                generator = np.random.default_rng(seed)
                units = draw_action_units(expression, np.ones(len(UNIT_NAMES)), generator)
                drawn.append([getattr(units, name) for name in UNIT_NAMES])
            means = dict(zip(UNIT_NAMES, np.mean(drawn, axis=0), strict=True))
            used = {m.unit: m.strength * m.chance for m in movements}
            for name in UNIT_NAMES:
                if name in used:
                    assert means[name] > 0.4 * used[name]
                elif name not in ("lips_part", "jaw_drop"):  # speech opens any mouth
                    assert means[name] < 0.06


class TestGeometryAndPaint:
    def test_a_turn_moves_the_middle_of_the_face_more_than_its_rim(self) -> None:
        ahead = Pose(yaw=0.0, pitch=0.0, roll=0.0, scale=36.0, centre=(50.0, 50.0))
        turned = replace(ahead, yaw=0.2)
        points = np.array([[0.0, 0.0], [0.9, 0.0]])
        shift = (turned.project(points) - ahead.project(points))[:, 0]
        assert shift[0] > 3.0
        assert abs(shift[1]) < shift[0]

    def test_roll_is_a_rotation(self) -> None:
        pose = Pose(yaw=0.0, pitch=0.0, roll=np.pi / 2, scale=10.0, centre=(50.0, 50.0))
        np.testing.assert_allclose(pose.silhouette(np.array([1.0, 0.0])), [50.0, 60.0])

    def test_smooth_passes_through_its_points_and_keeps_straight_lines(self) -> None:
        points = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 4.0]])
        np.testing.assert_allclose(smooth(points, steps=5)[::5], points)
        line = np.linspace([0.0, 0.0], [3.0, 6.0], 4)
        curve = smooth(line)
        np.testing.assert_allclose(curve[:, 1], 2.0 * curve[:, 0])
        assert len(smooth(points, closed=True, steps=5)) == 20

    def test_coverage_is_the_area(self) -> None:
        square = np.array([[10.0, 12.0], [20.0, 12.0], [20.0, 17.0], [10.0, 17.0]])
        mask = Window(0, 0, 40, 40).fill(square)
        assert mask.coverage.sum() == pytest.approx(50.0, rel=0.12)
        assert mask.coverage[14, 15] == 1.0
        assert mask.coverage[14, 22] == 0.0
        disc = Window(0, 0, 40, 40).discs([np.array([20.0, 20.0])], 8.0)
        assert disc.coverage.sum() == pytest.approx(np.pi * 64.0, rel=0.05)

    def test_taper_is_widest_in_the_middle(self) -> None:
        line = np.stack([np.arange(9.0), np.zeros(9)], axis=1)
        outline = taper(line, 2.0)
        thickness = np.abs(outline[:9, 1] - outline[:8:-1, 1])
        assert thickness[4] == pytest.approx(2.0)
        assert thickness[0] < 0.5

    def test_paint_and_shade_touch_what_the_mask_covers(self) -> None:
        canvas = Canvas(30, np.array([0.5, 0.5, 0.5]))
        shape = np.array([[10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0]])
        mask = canvas.around(shape).fill(shape)
        canvas.paint(mask, np.array([1.0, 0.0, 0.0]))
        canvas.shade(mask, 0.5)
        np.testing.assert_allclose(canvas.pixels[15, 15], [0.5, 0.0, 0.0])
        np.testing.assert_allclose(canvas.pixels[5, 5], 0.5)
