"""The page in a real browser: switches, keyboard, narrow screens, paper, and no network at all.

Any Chromium will do; $FSR_FER_CHROMIUM names one that is not found by itself.
"""

from __future__ import annotations

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
    page.get_by_role("checkbox", name="rcan").uncheck()
    assert page.log.pop(0) == (written_full.directory / "index.html").as_uri()
    assert set(page.log) <= {"data:image/png"}


def test_first_screen_says_what_is_best_by_how_much_at_what_cost(open_page):
    page = open_page()
    for selector in (".run", ".answer", ".best-by-size table", ".pair svg"):
        for found in page.locator(selector).all():
            box = found.bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 800, selector


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_only_boxes_scroll_sideways(open_page, width):
    page = open_page(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = """width => [...document.querySelectorAll("main *")].filter(node =>
        !node.closest(".scroll > *, svg") && node.getBoundingClientRect().right > width
    ).map(node => node.outerHTML.slice(0, 80))"""
    assert page.evaluate(beyond, width) == []


def test_methods_can_be_left_out_of_tables_and_figures(open_page):
    page = open_page()
    line = f"{table('total accuracy, %')} tr"
    page.get_by_role("checkbox", name="rcan").uncheck()
    assert not visible(page, f'{line}[data-method="rcan"]')
    assert not visible(page, '[id="accuracy:rcan"]')
    assert visible(page, f'{line}[data-method="best"]')
    page.get_by_role("checkbox", name="rcan").check()
    assert visible(page, f'{line}[data-method="rcan"], [id="accuracy:rcan"]')


@pytest.mark.parametrize("script", [True, False])
def test_the_main_table_is_switched_by_keyboard_and_without_script(open_page, script):
    page = open_page(java_script_enabled=script)
    views = [view.get_attribute("aria-label") for view in page.locator(".view .scroll").all()]
    assert len(views) == 6  # two scores: as they are, against bicubic, against mixed_resolution
    assert visible(page, table(views[0]))
    page.get_by_role("radio", name="total accuracy, %", exact=True).focus()
    for number, label in enumerate(views):
        shown = [visible(page, table(view)) for view in views]
        assert shown == [i == number for i in range(6)], label
        page.keyboard.press("ArrowRight")


def test_without_script_everything_is_there(open_page):
    page = open_page(java_script_enabled=False)
    assert visible(page, "header svg")
    assert visible(page, "#cost tbody tr")
    page.locator("#classes summary").first.click()
    assert visible(page, f"{table('Recall of each class, bicubic')} tbody tr")


def test_every_control_has_a_name(open_page):
    page = open_page()
    unnamed = """() => [...document.querySelectorAll("input, summary, a")].filter(node =>
        !(node.labels?.length || node.textContent.trim() || node.ariaLabel)
    ).length"""
    assert page.evaluate(unnamed) == 0
    assert page.locator("[tabindex]:not([tabindex='0'])").count() == 0


def test_on_paper_there_is_the_chosen_table_whole_and_no_controls(open_page):
    page = open_page(width=780)  # A4 with its margins
    page.emulate_media(media="print")
    assert not visible(page, ".switch")
    assert visible(page, f"{table('total accuracy, %')} tbody tr")
    tables = "nodes => nodes.map(node => node.getBoundingClientRect().right)"
    assert max(page.locator("table:visible").evaluate_all(tables)) <= 780
