"""The page in a real browser: filters, traces, keyboard, narrow screens, and no network at all.

Any Chromium will do; $FSR_FER_CHROMIUM names one that is not found by itself.
"""

from __future__ import annotations

import json
import os
import shutil

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell", "chrome")
FLAGS = ["--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def chromium():
    """A running browser."""
    path = os.environ.get("FSR_FER_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed; $FSR_FER_CHROMIUM names one elsewhere")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, written_full):
    """Opens the full run's page; what it asks for and complains of is on its ``log``."""
    contexts = []

    def open_it(width=1280, height=800, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_offline(True)
        context.set_default_timeout(120_000)  # on a busy machine
        page = context.new_page()
        page.log = []
        page.on("request", lambda request: page.log.append(request.url.split(";")[0]))
        page.on("console", lambda message: page.log.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: page.log.append(f"error: {error}"))
        page.goto((written_full.directory / "index.html").as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()


def visible(page, selector: str) -> bool:
    """Whether every element found is to be seen; there must be some."""
    # Of a part of an SVG Chromium's checkVisibility does not see `display: none`.
    check = """nodes => nodes.map(node =>
        node.checkVisibility() && getComputedStyle(node).display !== "none"
    )"""
    states = set(page.locator(selector).evaluate_all(check))
    assert len(states) == 1, f"{selector}: {states or 'nothing found'}"
    return states.pop()


def table(label: str) -> str:
    return f'.scroll[aria-label="{label}"]'


def test_nothing_is_asked_for_but_the_page_and_nothing_fails(open_page, written_full):
    page = open_page()
    page.locator(f"{table('Total accuracy')} a.n").first.click()
    page.keyboard.press("Escape")
    assert page.log.pop(0) == (written_full.directory / "index.html").as_uri()
    assert set(page.log) <= {"data:image/svg+xml", "data:image/png"}


def test_first_screen_says_what_was_run_what_won_and_shows_the_figures(open_page):
    page = open_page()
    for selector in (".run", ".answer", ".winners table", "header figure svg"):
        for found in page.locator(selector).all():
            box = found.bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 800, selector


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_only_boxes_scroll_sideways(open_page, width):
    page = open_page(width=width)
    page.locator("#filter summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = """width => [...document.querySelectorAll("main *")].filter(node =>
        !node.closest(".scroll > *") && node.getBoundingClientRect().right > width
    ).map(node => node.outerHTML.slice(0, 80))"""
    assert page.evaluate(beyond, width) == []


def test_rows_can_be_left_out(open_page):
    page = open_page()
    page.locator("#filter summary").click()
    page.get_by_role("checkbox", name="rcan").uncheck()
    line = f"{table('Total accuracy')} tr"
    assert not visible(page, f'{line}[data-row="rcan"]')
    assert not visible(page, 'header svg [data-row="rcan"]')
    assert visible(page, f'{line}[data-row="best"]')
    assert page.locator("#shown").inner_text() == "9 of 10 rows, all sizes"
    page.locator('[data-kind="row"] button').get_by_text("none").click()
    assert not visible(page, f"{line}[data-row]")
    page.locator('[data-kind="row"] button').get_by_text("all").click()
    assert visible(page, f"{line}[data-row]")


def test_sizes_can_be_left_out(open_page):
    page = open_page()
    page.locator("#filter summary").click()
    page.get_by_role("checkbox", name="x5").uncheck()
    for label in ("Total accuracy", "Cost of each row", "Gain on mixed_resolution, total accuracy"):
        assert not visible(page, f'{table(label)} [data-size="x5"]')
        assert visible(page, f'{table(label)} [data-size="x4"]')
    assert page.locator("#shown").inner_text() == "all rows, 8 of 9 sizes"


def test_confusion_matrices_are_picked_by_row_and_size(open_page):
    page = open_page()
    page.get_by_role("combobox", name="Row").select_option("best")
    page.get_by_role("combobox", name="Face").select_option("x8")
    assert page.locator("#classes h4:visible").all_inner_texts() == ["best, x8, 13 px"]


@pytest.mark.parametrize(
    ("score", "file"),
    [("Total accuracy", "accuracy"), ("Mean-class accuracy", "mean_class_accuracy")],
)
def test_every_score_leads_to_its_trace(open_page, written_full, score, file):
    values = json.loads((written_full.metrics / f"{file}.json").read_text())
    page = open_page()
    read = """links => links.map(link => [
        link.hash, link.innerText, document.querySelector(link.hash).textContent
    ])"""
    found = {
        anchor: (number, trace)
        for anchor, number, trace in page.locator(f"{table(score)} tbody a.n").evaluate_all(read)
    }
    assert len(found) == sum(map(len, values.values()))
    for row, columns in values.items():
        for column, value in columns.items():
            number, trace = found[f"#trace-{row}-{column}"]
            assert number == f"{value:.1f}"
            assert f"fsr-fer trace {file}.{row}.{column}" in trace
            assert f"{value:.3f} %" in trace


def test_trace_opens_and_closes_with_the_keyboard(open_page):
    page = open_page()
    number = page.locator(f'{table("Total accuracy")} [href="#trace-fsr_plain-x8"]')
    number.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("heading").inner_text() == "fsr_plain, x8, 13 px"
    assert dialog.get_by_text("fsr-fer trace accuracy.fsr_plain.x8").is_visible()
    assert dialog.get_by_text("of 154").is_visible()
    assert page.evaluate("document.getElementById('trace').contains(document.activeElement)")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert number.evaluate("node => node === document.activeElement")


def test_everything_works_by_keyboard_in_the_order_of_the_page(open_page):
    page = open_page()
    assert page.locator("[tabindex]:not([tabindex='0'])").count() == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#scores"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.locator("#filter summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "bicubic"
    page.keyboard.press("Space")
    assert not visible(page, f'{table("Total accuracy")} tr[data-row="bicubic"]')
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.parentElement.id") == "filter"
    assert not page.locator("#filter form").is_visible()


def test_every_control_has_a_name(open_page):
    page = open_page()
    page.locator("#filter summary").click()
    unnamed = """() => [...document.querySelectorAll("input, select, button, a")].filter(node =>
        !(node.labels?.length || node.textContent.trim() || node.ariaLabel)
    ).length"""
    assert page.evaluate(unnamed) == 0


def test_links_lead_to_what_they_name(open_page):
    page = open_page()
    for link in page.locator("nav a").all():
        link.click()
        assert page.locator(link.get_attribute("href")).is_visible()
        assert page.evaluate("document.querySelector(':target h2') !== null")


def test_without_script_everything_is_there(open_page):
    page = open_page(java_script_enabled=False)
    assert visible(page, "tbody tr")
    assert visible(page, "[data-pick-row]")
    assert not visible(page, "#filter, #pick, dialog")
    page.locator(f'{table("Total accuracy")} [href="#trace-best-x8"]').click()
    assert page.locator("#trace-best-x8").is_visible()
    assert page.url.endswith("#trace-best-x8")


def test_on_paper_there_are_tables_and_no_controls(open_page):
    page = open_page()
    page.emulate_media(media="print")
    assert not visible(page, ".bar, .pick, dialog")
    assert visible(page, f"{table('Total accuracy')} tbody tr")
