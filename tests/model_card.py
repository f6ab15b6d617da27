"""The tables of docs/model-card.md, from what the stage ``pack`` measured; prints them."""

import json
from typing import Any

from tests import ROOT

RESULTS = ROOT / "metrics/real_faces/packed.json"
SOURCES = {"fer2013": "FER+", "csv": "open faces"}


def tables(results: dict[str, Any]) -> dict[str, list[str]]:
    """Lines of each table, by what it shows."""
    by_size, sources = results["by_size"], results["by_source"]
    degraded = {"none": by_size, **results["degraded"]}
    sizes = sorted(by_size, key=int, reverse=True)
    counts = {name: own[sizes[0]]["faces"] for name, own in sources.items()}
    some = [size for size in sizes if all(size in own for own in degraded.values())]
    classes = list(by_size[sizes[0]]["recall"])

    def both(own: dict[str, float]) -> str:
        return f"{percent(own['total_accuracy'])} / {percent(own['mean_class_accuracy'])}"

    certain = {"certain": "certain", "accuracy_of_certain": "of these right"}
    return {
        "source": table(
            ["pixels", *(f"{SOURCES[name]} ({count:,})" for name, count in counts.items())],
            {s: [both(own[s]) for own in sources.values()] for s in sizes},
        ),
        "certain": table(
            ["pixels", "error, both", *(f"of {SOURCES[n]}" for n in sources), *certain.values()],
            {
                s: [
                    *(percent(own[s]["calibration_error"]) for own in (by_size, *sources.values())),
                    *(percent(by_size[s][key]) for key in certain),
                ]
                for s in sizes
            },
        ),
        "recall": table(
            ["pixels", *classes],
            {s: [percent(by_size[s]["recall"][name]) for name in classes] for s in sizes},
        ),
        "degraded": table(
            ["degradation", *(f"{size} pixels" for size in some)],
            {name: [both(own[s]) for s in some] for name, own in degraded.items()},
        ),
    }


def table(header: list[str], rows: dict[str, list[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"| --- |{' ---: |' * (len(header) - 1)}",
        *(f"| {' | '.join([name, *cells])} |" for name, cells in rows.items()),
    ]


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    for name, lines in tables(json.loads(RESULTS.read_text())).items():
        print(f"<!-- {name} -->", *lines, "", sep="\n")
