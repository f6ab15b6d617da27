"""The tables of docs/model-card.md from what the stage ``pack`` measured; prints them when run."""

import json
from collections.abc import Iterator
from typing import Any

from tests import ROOT

RESULTS = ROOT / "metrics/real_faces/packed.json"
SOURCES = {"fer2013": "FER+", "csv": "open faces"}


def table(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"| --- |{' ---: |' * (len(header) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def tables(results: dict[str, Any]) -> dict[str, list[str]]:
    """Lines of each table, by what it shows."""
    by_size = results["by_size"]
    sizes = sorted(by_size, key=int, reverse=True)
    sources = results["by_source"]
    header = [
        "pixels",
        *(f"{SOURCES[name]} ({sources[name][sizes[0]]['faces']:,})" for name in sources),
    ]
    both = ("total_accuracy", "mean_class_accuracy")
    rows = [
        [size, *(" / ".join(percent(sources[s][size][key]) for key in both) for s in sources)]
        for size in sizes
    ]
    certain = [
        [
            size,
            *(percent(by_size[size][key]) for key in ("calibration_error", "certain")),
            percent(by_size[size]["accuracy_of_certain"]),
        ]
        for size in sizes
    ]
    classes = list(by_size[sizes[0]]["recall"])
    recall = [
        [size, *(percent(by_size[size]["recall"][name]) for name in classes)] for size in sizes
    ]
    degraded = results["degraded"]
    some = sorted(next(iter(degraded.values())), key=int, reverse=True)
    changes = [["none", *(percent(by_size[size]["total_accuracy"]) for size in some)]]
    changes += [
        [name, *(percent(values[size]["total_accuracy"]) for size in some)]
        for name, values in degraded.items()
    ]
    return {
        "source": list(table(header, rows)),
        "certain": list(
            table(["pixels", "calibration error", "certain", "of these right"], certain)
        ),
        "recall": list(table(["pixels", *classes], recall)),
        "degraded": list(table(["degradation", *(f"{size} pixels" for size in some)], changes)),
    }


if __name__ == "__main__":
    for name, lines in tables(json.loads(RESULTS.read_text())).items():
        print(f"<!-- {name} -->", *lines, "", sep="\n")
