"""README and docs/: every command is typed in a scratch clone, and what they name exists.

A page's shell blocks run in order, in a clone of its own in which `make repro` has been typed. One
that cannot run says why on the line before it, ``<!-- not run: REASON -->``. Other markers are in
tests/pages.py.
"""

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from fsr_fer import cli
from tests.pages import MARKERS, PAGES, ROOT, SHELL, anchors, blocks, links, prose, spans
from tests.scratch import MINUTES, Scratch, clone, lend_faces
from tests.stage_server import stage_server

RUN_PAGES = [
    page
    for page in PAGES
    if any(b.language in SHELL and b.marker != "not run" for b in blocks(page))
]
AT_A_TIME = os.cpu_count() or 2


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def typed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[str]]]:
    """The outcome of typing each page that was asked for, some pages at a time."""
    folder = tmp_path_factory.mktemp("docs")
    with stage_server(folder / "server") as python, ThreadPoolExecutor(AT_A_TIME) as pool:
        finished = clone(folder / "finished", folder / "cache", python)
        # A commit with results behind the last one, for what looks back.
        finished.must(
            "make repro\ngit add --all\ngit commit --quiet --message Results\n"
            "dvc commit --quiet\ndvc exp save --quiet --name kept\ngit diff --exit-code\n"
            "git commit --quiet --allow-empty --message Later\n"
        )
        lend_faces(finished.root / "data/raw/small", finished.root)
        wanted = {
            item.callspec.params["page"]
            for item in request.session.items
            if isinstance(item, pytest.Function) and item.name.startswith("test_a_reader_can_type")
        }
        yield {
            page: pool.submit(type_page, page, finished.copy(folder / page.stem))
            for page in RUN_PAGES
            if page in wanted
        }


def type_page(page: Path, scratch: Scratch) -> str:
    """Type the blocks of a page one after the other; what went wrong, or nothing."""
    try:
        for block in blocks(page):
            if block.marker == "not run":
                continue
            if block.marker == "edit":
                scratch.edit(block.reason, block.text)
            if block.language not in SHELL:
                continue
            done = scratch.run(block.script)
            if done.returncode:
                return f"{block.where} ended with {done.returncode}:\n{block.script}{done.stdout}"
            if block.marker == "wait":
                wait_for_the_queue(scratch)
    finally:
        if any(block.marker == "wait" for block in blocks(page)):
            scratch.run("dvc queue stop --kill")
    return ""


def wait_for_the_queue(scratch: Scratch) -> None:
    deadline = time.monotonic() + 60 * MINUTES
    while re.search(r"Queued|Running", status := scratch.must("dvc queue status")):
        assert time.monotonic() < deadline, status
        time.sleep(3)  # asking takes a second of a core
    assert "Failed" not in status, status


@pytest.mark.parametrize("page", RUN_PAGES, ids=ids)
def test_a_reader_can_type_every_command(page: Path, typed: dict[Path, Future[str]]) -> None:
    assert typed[page].result() == ""


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_markers_are_known_and_give_their_reason(page: Path) -> None:
    for block in blocks(page):
        if block.marker:
            assert block.marker in MARKERS, f"{block.where}: {block.marker}"
            assert block.reason or block.marker == "wait", f"{block.where}: no reason"
            for named in re.findall(r"[\w/]+/\w+\.(?:py|md)", block.reason):
                assert (ROOT / named).exists(), f"{block.where}: {named}"
    # A comment that is not right above a block would do nothing.
    for comment in re.findall(r"<!-- (.*?) -->", prose(page)):
        assert any(f"{b.marker}: {b.reason}".startswith(comment) for b in blocks(page)), comment


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_no_command_hides_in_an_indented_block(page: Path) -> None:
    programs = "dvc|fsr-fer|git|make|python|torchrun"
    hidden = re.findall(rf"^ {{4,}}(?:\$ )?(?:{programs}) .*", prose(page), re.M)
    assert not hidden, "put them into a fenced block, so that they are tried"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_index_names_every_page() -> None:
    readme = ROOT / "README.md"
    listed = {(ROOT / target.partition("#")[0]).resolve() for target in links(readme)}
    assert set(PAGES) - {readme} <= listed


@pytest.mark.parametrize(
    "place", ["README.md", "docs/model-card.md", "src/fsr_fer/serve/page", "predict", "serve"]
)
def test_what_predictions_are_and_are_not_for_is_said_wherever_they_are_made(place: str) -> None:
    path = ROOT / place
    if path.is_file():
        text = path.read_text()
    elif path.is_dir():
        text = (path / "index.html").read_text() + (path / "page.js").read_text()
    else:
        commands: dict[str, Any] = vars(typer.main.get_command(cli.app))["commands"]
        text = commands[place].help or ""
    text = re.sub(r"[\s*]+", " ", text)
    said = [
        "annotators named it( in a picture)?[,:] not what somebody feels",
        "research and teaching",
        "not for workplaces, schools, hiring, policing, borders or health",
        r"2024/1689, art\. 5\(1\)\(f\)",
        "whoever deploys (it|this|the model)",
    ]
    if place != "serve":  # whose page says it
        said += ["model.card", "weights:|licence of the weights"]
    for words in said:
        assert re.search(words, text, re.IGNORECASE), words


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_and_options_of_ours_exist(page: Path) -> None:
    commands: dict[str, Any] = vars(typer.main.get_command(cli.app))["commands"]
    text = [block.script for block in blocks(page) if block.language in SHELL]
    for line in "\n".join([*text, *spans(page)]).splitlines():
        for words in re.findall(r"fsr-fer ([\w-]+[^|;&`#]*)", line):
            name, *rest = words.split()
            if name.startswith("-"):
                continue
            assert name in commands, line
            command = commands[name]
            if rest and (below := vars(command).get("commands")):  # fsr-fer weights import
                assert rest[0] in below, line
                command = below[rest[0]]
            known = {option for p in command.params for option in p.opts}
            options = {word.partition("=")[0] for word in rest if word.startswith("--")}
            assert options <= known | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_params_and_files_that_are_named_exist(page: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    sections = {key for profile in params["profiles"].values() for key in profile}
    text = " ".join(block.script for block in blocks(page) if block.language in SHELL)
    settings = re.findall(r"-S '?([\w.]+)=", text)
    for span in spans(page):
        if re.match(r"(src|tests|docs|stages|benchmarks|\.github)/[\w./-]+(?<!json)$", span):
            assert (ROOT / span).exists(), span
        # A key, perhaps with a value: `reweight.sigma`, `profile: small`, `dataset.source: csv`.
        if found := re.fullmatch(r"([a-z]\w*(?:\.\w+)*)(:( \S+)?)?", span):
            first, dot, rest = found[1].partition(".")
            is_file = rest.rpartition(".")[2] in ("py", "md", "json", "csv", "yaml", "safetensors")
            if (dot or found[2]) and (first in params or first in sections) and not is_file:
                settings.append(found[1])
    for name in settings:
        assert has_key(params, name) or any(
            has_key(profile, name) for profile in params["profiles"].values()
        ), name


def test_what_the_table_of_equations_and_sections_names_is_there() -> None:
    page = (ROOT / "docs/code.md").read_text()
    rows = re.findall(r"^\| [\d., to]+ \|.*\| (.*) \|$", page, re.M)
    assert len(rows) == 15
    files: list[str] = []
    named = 0
    for row in rows:
        spans = re.findall("`(.+?)`", row)
        files += [span for span in spans if "/" in span]
        code = "".join((ROOT / file).read_text() for file in files)  # also those of rows above
        for span in (span for span in spans if "." not in span or span[0].isupper()):
            named += 1
            for name in span.split("."):
                assert re.search(rf"\b(def|class) {name}\b|self\.{name} =", code), span
    assert named > len(rows)


def has_key(values: Any, name: str) -> bool:
    for part in name.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True
