"""The page in a real browser: switches, keyboard, narrow screens, paper, and no network at all."""

import pytest

from tests.browser import chromium  # noqa: F401


@pytest.fixture
def open_page(chromium, written_full):  # noqa: F811
    """Opens the full run's page; what it asks for and complains of is on its ``log``."""

    def open_it(width=1280, height=800, **options):
        viewport = {"width": width, "height": height}
        page = chromium.new_page(viewport=viewport, offline=True, **options)
        page.set_default_timeout(120_000)  # on a busy machine
        page.log = []
        page.on("request", lambda request: page.log.append(request.url.split(";")[0]))
        page.on("console", lambda message: page.log.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: page.log.append(f"error: {error}"))
        page.goto((written_full.directory / "index.html").as_uri())
        return page

    yield open_it
    for context in chromium.contexts:
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


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_first_screen_says_which_method_by_how_much_how_certain_at_what_cost(
    open_page, width, height
):
    page = open_page(width, height)
    shown = [".answer", ".best table"] + [".pair svg", ".legend"] * (width > 1000)
    for selector in shown:
        box = page.locator(selector).bounding_box()
        assert 0 <= box["x"] <= width - box["width"], selector
        assert 0 <= box["y"] <= height - box["height"], selector
    hidden = "node => node.scrollWidth - node.clientWidth"
    assert page.locator(".best").evaluate(hidden) == 0  # the last column is the cost


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_only_boxes_scroll_sideways(open_page, width):
    page = open_page(width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = """width => [...document.querySelectorAll("main *")].filter(node =>
        !node.closest(".scroll > *, svg") && node.getBoundingClientRect().right > width
    ).map(node => node.outerHTML.slice(0, 80))"""
    assert page.evaluate(beyond, width) == []


def test_methods_can_be_left_out_of_tables_and_figures(open_page):
    page = open_page()
    rcan, best = "m1", "m8"  # their numbers
    page.get_by_role("checkbox", name="rcan").uncheck()
    assert not visible(page, f'tr.{rcan}, svg [id$="-{rcan}"]')
    assert visible(page, f'tr.{best}, svg [id$="-{best}"]')
    page.get_by_role("checkbox", name="rcan").check()
    assert visible(page, f'tr.{rcan}, svg [id$="-{rcan}"]')


@pytest.mark.parametrize("script", [True, False])
def test_tables_are_switched_by_keyboard_and_without_script(open_page, script):
    page = open_page(java_script_enabled=script)
    cells = f"{table('Scores')} tbody td"
    for a, score in enumerate(("Total accuracy", "Mean-class accuracy")):
        page.get_by_role("radio", name=score).check()
        page.get_by_role("radio", name="nothing").focus()
        for b in range(3):  # as they are, minus bicubic, minus mixed_resolution
            if b:
                page.keyboard.press("ArrowRight")
            assert visible(page, f"{cells} .view.a{a}.b{b}")
            assert not visible(page, f"{cells} .view:not(.a{a}.b{b})")
        page.keyboard.press("ArrowRight")  # and the first again
    cells = f"{table('Recall of each class')} tbody td"
    assert visible(page, f"{cells} .a7")  # the smallest
    page.get_by_role("radio", name="x2, 50 px").check()
    assert visible(page, f"{cells} .a1")
    assert not visible(page, f"{cells} .view:not(.a1)")


def test_every_control_has_a_name_and_can_be_reached(open_page):
    page = open_page()
    unnamed = """() => [...document.querySelectorAll("input, summary, a")].filter(node =>
        !(node.labels?.length || node.textContent.trim() || node.ariaLabel)
    ).length"""
    assert page.evaluate(unnamed) == 0
    assert page.locator("[tabindex]:not([tabindex='0'])").count() == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#scores"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_in_the_dark_text_is_light_and_figures_have_a_white_ground(open_page):
    page = open_page(color_scheme="dark")
    color = "node => getComputedStyle(node)"
    assert page.locator("body").evaluate(f"{color}.backgroundColor") == "rgb(23, 24, 27)"
    assert page.locator("body").evaluate(f"{color}.color") == "rgb(230, 231, 233)"
    grounds = page.locator("figure svg, .swatch").evaluate_all(
        "nodes => nodes.map(node => getComputedStyle(node).backgroundColor)"
    )
    assert set(grounds) == {"rgb(255, 255, 255)"}


def test_on_paper_every_column_is_there_and_no_control(open_page):
    page = open_page(width=1032)  # A4, landscape, within its margins, at 96 pixels an inch
    page.emulate_media(media="print")
    assert not visible(page, "nav, .switch, .legend input")
    assert visible(page, f"{table('Scores')} tbody tr")
    right = "nodes => Math.max(...nodes.map(node => node.getBoundingClientRect().right))"
    assert page.locator("table, figure svg, figure img").evaluate_all(right) <= 1032
