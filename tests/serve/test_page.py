"""The page in a real browser: faces made smaller, files, squares, webcam, keyboard, phones."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fsr_fer.predict.model import load
from tests.browser import chromium, logged_page  # noqa: F401
from tests.data.raw_faces import encoded
from tests.predict.conftest import GREEN, RED, paint, scene
from tests.predict.models import probabilities
from tests.serve.client import Client, picture
from tests.serve.conftest import always_blue, serving


@pytest.fixture
def open_page(chromium, client: Client):  # noqa: F811
    """Opens the page; what it asks for and complains of is on its ``log``."""

    def open_it(width: int = 1280, height: int = 900, port: int = client.port, **options: Any):
        viewport = {"width": width, "height": height}
        page = logged_page(chromium, viewport=viewport, **options)
        page.goto(f"http://127.0.0.1:{port}/")
        wait_for(page, "#probability", "probable")  # the photograph is read
        return page

    yield open_it
    for context in chromium.contexts:
        context.close()


def drop(page, content: bytes, name: str = "picture.png") -> None:
    page.locator("#file").set_input_files([{"name": name, "mimeType": "", "buffer": content}])


def wait_for(page, selector: str, text: str) -> None:
    page.locator(selector, has_text=text).wait_for()


def until(page, said: str) -> None:
    """Wait until a JavaScript expression is true; the page allows no wait_for_function."""
    pause = "await new Promise((done) => setTimeout(done, 5))"
    page.evaluate(f"async () => {{ while (!({said})) {pause}; }}")


def make_smaller(page, pixels: int) -> None:
    """By the slider, whose positions are 8 pixels, 9 and so on; above 25 they are further apart."""
    page.locator("#size").fill(str(pixels - 8))


def keep(waiting: list[Any], route: Any) -> None:
    waiting.append(route)


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_a_face_is_there_at_once_and_the_slider_makes_it_smaller(
    open_page, width: int, height: int
) -> None:
    page = open_page(width, height)
    assert page.locator("#pixels").inner_text() == "100 pixels"
    for selector in ("#face", "#label", "#size", "#curve"):  # all to be seen without scrolling
        box = page.locator(selector).bounding_box()
        assert 0 <= box["x"] <= width - box["width"], selector
        assert 0 <= box["y"] <= height - box["height"], selector
    make_smaller(page, 14)
    wait_for(page, "#pixels", "14 pixels")
    wait_for(page, "#expected", "66 of 100 test faces of this size")  # 0.5 at 10 pixels, 0.9 at 20
    decoded = "async face => { await face.decode(); return face.naturalWidth; }"
    assert page.locator("#face").evaluate(decoded) == 14
    assert "66 %" in page.locator("#curve").get_attribute("aria-label")
    style = "getComputedStyle(document.getElementById('face')).imageRendering"
    assert page.evaluate(style) == "pixelated"
    # No other network was given.
    assert page.locator("#comparison").inner_text() == ""
    assert not page.locator("#grey").is_visible()
    assert page.locator("#curve .plain").count() == 0
    page.get_by_role("button", name="Second drawn face").click()
    make_smaller(page, 20)
    wait_for(page, "#expected", "90 of 100")
    # Nothing is asked for elsewhere, and nothing fails.
    ours = (page.url, "data:")
    assert all(entry.startswith(ours) for entry in page.log), page.log


def test_the_plain_network_is_shown_beside_the_model(open_page, model_file: Path) -> None:
    model = load(model_file)
    with serving(model, always_blue(model)) as one:
        page = open_page(port=one.port)
        make_smaller(page, 15)  # in the middle between 10 and 20
        wait_for(page, "#expected", "70 of 100 test faces of this size")
        wait_for(page, "#comparison", "faces alone: blue, 75 % probable; 40 of 100 correct.")
        assert page.locator("#label").inner_text() != "blue"
        assert page.locator("#grey").is_visible()
        ours, theirs = (
            page.locator(f"#curve .{kind}").get_attribute("points").split()
            for kind in ("model", "plain")
        )
        assert len(ours) == len(theirs) > 20
        heights = [float(point.split(",")[1]) for point in theirs]  # 16 at 100 %, 110 at 0
        assert (heights[0], heights[7], heights[-1]) == pytest.approx((91.2, 72.4, 53.6))


def test_the_page_leads_to_the_model_card_and_says_where_pictures_go(
    open_page, model_file: Path
) -> None:
    page = open_page()
    assert page.locator("#privacy").inner_text().startswith("Nothing leaves this machine")
    assert page.locator("footer a").count() == 0  # the card is the shipped model's
    assert page.locator("#licence").inner_text() == "Licence of the weights: MIT."
    with serving(load(model_file), model_card=b"# Model card: colours") as one:
        page = open_page(port=one.port)
        page.locator("footer a").click()
        wait_for(page, "body", "# Model card: colours")


def test_nothing_is_said_of_an_accuracy_that_was_not_measured(open_page, model_file: Path) -> None:
    model = load(model_file)
    model.card = replace(model.card, pixels=(), accuracy=())
    with serving(model) as one:
        page = open_page(port=one.port)
        assert page.locator("#expected").inner_text() == ""
        assert not page.locator("#curve").is_visible()


def test_the_curve_begins_at_the_smallest_face_that_the_model_reads(
    open_page, model_file: Path
) -> None:
    model = load(model_file)
    model.card = replace(model.card, smallest_pixels=50)
    with serving(model) as one:
        page = open_page(port=one.port)
        texts = page.locator("#curve text").all_text_contents()
    assert texts == ["100 % correct", "50 %", "50 pixels", "70", "100"]


def test_bars_are_the_probabilities(open_page) -> None:
    page = open_page()
    drop(page, picture((140, 128, 110), side=100))
    red, green, blue = (f"{100 * p:.0f} %" for p in probabilities(140, 128, 110))
    wait_for(page, "#bars li:first-child", red)
    texts = " ".join(page.locator("#bars").inner_text().split())
    assert texts == f"red {red} green {green} blue {blue}"
    page.locator("#doubt").wait_for()  # below 0.55
    wait_for(page, "#faces", "uncertain; 100 pixels")
    shares = page.locator("#bars i").evaluate_all(
        "nodes => nodes.map(n => n.offsetWidth / n.parentElement.offsetWidth)"
    )
    assert shares == pytest.approx(probabilities(140, 128, 110), abs=0.02)
    drop(page, picture(GREEN, side=16))
    wait_for(page, "#pixels", "16 pixels, it has no more")
    wait_for(page, "#label", "green")


def test_the_size_beside_the_slider_is_not_that_of_a_late_answer(open_page) -> None:
    page = open_page()
    page.evaluate("""() => {
        window.seen = [];
        const note = () => window.seen.push(document.getElementById("pixels").textContent);
        new MutationObserver(note).observe(document.getElementById("pixels"), {childList: true});
        for (const size of [8, 15]) {  // the second before the first is answered
            document.getElementById("size").value = size - 8;
            document.getElementById("size").dispatchEvent(new Event("input"));
        }
    }""")
    wait_for(page, "#expected", "70 of 100")  # 0.5 at 10 pixels, 0.9 at 20
    assert set(page.evaluate("window.seen")) == {"15 pixels"}


def test_a_square_is_drawn_over_a_face_by_pointer_and_by_keys(open_page, tmp_path: Path) -> None:
    page = open_page()
    scene(tmp_path / "scene.png")
    drop(page, (tmp_path / "scene.png").read_bytes())
    wait_for(page, "#note", "Drag a square over one")
    box = page.locator("#picture").bounding_box()
    factor = (box["width"] - 4) / 300
    left, top = box["x"] + 2, box["y"] + 2
    page.mouse.move(left + 200 * factor, top + 100 * factor)
    page.mouse.down()
    page.mouse.move(left + 250 * factor, top + 150 * factor)
    page.mouse.up()
    wait_for(page, "#faces", "50 pixels")
    wait_for(page, "#faces", "1: blue")
    wait_for(page, "#label", "blue")
    page.locator("#picture").focus()
    page.keyboard.press("-")
    wait_for(page, "#faces", "45 pixels")
    page.get_by_role("button", name="larger").click()
    wait_for(page, "#faces", "56 pixels")
    # A tap puts a square of the same size somewhere else.
    page.mouse.click(left + 40 * factor, top + 50 * factor)
    wait_for(page, "#faces", "red")
    make_smaller(page, 14)
    wait_for(page, "#expected", "66 of 100")
    assert page.locator("#note").inner_text() == ""
    page.locator("#picture").press("Escape")  # the faces are looked for again
    wait_for(page, "#note", "Drag a square over one")
    wait_for(page, "#faces", "1: ")


def test_a_file_is_read_once_whatever_becomes_of_it(open_page, tmp_path: Path) -> None:
    page = open_page()
    page.locator("#file").set_input_files(paint(tmp_path / "green.png", GREEN, 100))
    wait_for(page, "#label", "green")
    paint(tmp_path / "green.png", RED, 90)
    page.locator("#picture").press("-")
    wait_for(page, "#faces", "1: green 100 %; 91 pixels")
    assert page.locator("#note").inner_text() == ""
    page.evaluate("show({ size: 9, arrayBuffer: () => Promise.reject(Error()) }, 'folder')")
    wait_for(page, "#note.bad", "The picture cannot be read: it is gone, or it is a folder.")


def test_keys_move_the_square_that_was_read_of_a_face(open_page) -> None:
    page = open_page()
    # Of a box of 40 x 90 it is the square of 60 round (30, 65); a step is a twelfth of its side.
    page.evaluate("rows = [{ status: 'ok', box: { x: 10, y: 20, width: 40, height: 90 } }]")
    for key, square in (("ArrowRight", [5, 35, 60, 60]), ("+", [2, 32, 66, 66])):
        page.locator("#picture").press(key)
        assert page.evaluate("boxes") == [square]
    page.locator("#picture").press("Control+ArrowLeft")  # the browser's own
    assert page.evaluate("boxes") == [square]


def test_what_is_pasted_is_read(open_page) -> None:
    page = open_page()
    paste = """bytes => {
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([Uint8Array.from(bytes)], "pasted.png"));
        dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
    }"""
    page.evaluate(paste, list(picture(GREEN, side=120)))
    wait_for(page, "#label", "green")
    wait_for(page, "#own", "At its own 120 pixels: green, 100 %.")


def test_no_square_is_larger_than_the_service_reads(open_page, model_file: Path) -> None:
    with serving(load(model_file), pixels=100_000) as one:
        page = open_page(port=one.port)
        drop(page, encoded(Image.new("RGB", (300, 240), "red")))  # which leaves 28,000 pixels
        wait_for(page, "#note", "Drag a square over one")
        wait_for(page, "#faces", "1: red 100 %; 167 pixels")
        page.get_by_role("button", name="larger").click()
        assert page.evaluate("boxes[0][2]") == 167
        box = page.locator("#picture").bounding_box()
        page.mouse.move(box["x"] + 9, box["y"] + 9)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 9, box["y"] + box["height"] - 9)
        page.mouse.up()
        assert page.evaluate("boxes[0][2]") == 167


def test_what_is_wrong_with_a_file_is_said_and_nothing_else_shown(open_page) -> None:
    page = open_page()
    drop(page, b"no picture")
    wait_for(page, "#note.bad", "The picture is not a picture in a format that can be read")
    assert page.locator("#label").inner_text() == "no result"
    assert not page.locator("#face").is_visible()  # it has no picture
    drop(page, picture(GREEN, side=60))
    wait_for(page, "#label", "green")
    drop(page, encoded(Image.new("1", (6000, 6000))))
    wait_for(page, "#note.bad", "is too large")
    assert page.locator("#label").inner_text() == "no result"
    assert page.locator("#faces li").count() == 0
    # A picture that the browser cannot show has no square.
    drop(page, encoded(Image.new("RGB", (400, 300), "grey"), "TIFF"), "grey.tiff")
    wait_for(page, "#faces .bad", "1: no_face")
    assert page.locator("#faces input").is_disabled()
    page.locator("#picture").click()
    page.locator("#picture").press("ArrowLeft")
    assert page.locator("#square").is_hidden()
    assert "1: no_face" in page.locator("#faces").inner_text()
    drop(page, bytes(10 * 2**20))
    wait_for(page, "#note.bad", "more than 10 MB")
    waiting: list[Any] = []
    page.route("**/predict", partial(keep, waiting), times=1)
    with page.expect_request("**/predict"):
        drop(page, picture(RED, side=100))
    wait_for(page, "#note:not(.bad)", "Looking for faces")
    assert page.locator("#label").inner_text() == "…"
    waiting[0].continue_()
    wait_for(page, "#label", "red")
    assert page.locator("#note.bad").count() == 0


def test_what_is_dropped_and_no_file_is_told_so_whatever_is_answered_afterwards(open_page) -> None:
    page = open_page()
    for ask, answered in (
        (lambda: make_smaller(page, 14), ("#expected", "66 of 100")),
        (lambda: drop(page, picture(RED, side=100)), ("#label", "red")),
    ):
        waiting: list[Any] = []
        page.route("**/predict", partial(keep, waiting), times=1)
        with page.expect_request("**/predict"):
            ask()
        page.evaluate("""() => {
            const dataTransfer = new DataTransfer();
            dataTransfer.setData("text/uri-list", "https://other.example/face.jpg");
            dispatchEvent(new DragEvent("drop", { dataTransfer }));
        }""")
        wait_for(page, "#note.bad", "That is no file. Save the picture and drop that, or copy")
        waiting[0].continue_()
        wait_for(page, *answered)
        wait_for(page, "#note.bad", "That is no file.")


def test_the_last_choice_counts_though_a_drawn_face_comes_late(open_page) -> None:
    page = open_page()
    choose = """async bytes => {
        const chosen = new File([Uint8Array.from(bytes)], "");
        await Promise.all([showExample("examples/2.png"), show(chosen, "chosen")]);
    }"""
    page.evaluate(choose, list(picture(GREEN, side=100)))
    assert page.evaluate("picture.name") == "chosen"


def test_what_is_transparent_is_white_as_for_the_model(open_page) -> None:
    page = open_page()
    drop(page, encoded(Image.new("RGBA", (300, 240), (255, 0, 0, 0))))
    wait_for(page, "#note", "No face was found")
    first = "[...document.getElementById('picture').getContext('2d').getImageData(9, 9, 1, 1).data]"
    assert page.evaluate(first) == [255, 255, 255, 255]


def test_a_long_picture_is_reached_up_to_its_end(open_page) -> None:
    page = open_page()
    ends = page.evaluate("""() => {
        picture = { ...picture, width: 9, height: 2000 };
        draw(picture);  // 2.16 x 480, of which a screen shows 2 x 480
        const { right, bottom } = document.getElementById("picture").getBoundingClientRect();
        return pointAt({ clientX: right - 2, clientY: bottom - 2 });
    }""")
    assert ends == pytest.approx([9, 2000])


def reply(answer: dict[str, Any] | None, route: Any) -> None:
    route.fulfill(**answer) if answer else route.abort()


def test_who_does_not_answer_is_told_so_and_nothing_old_stands_there(open_page) -> None:
    page = open_page()
    for size, answer, said in (
        (14, {"status": 413, "body": "<html>"}, "The service does not answer: 413 Payload Too"),
        (15, {"status": 429, "body": '{"error": "try again soon"}'}, "try again soon"),
        (16, None, "The service does not answer; is it running?"),
    ):
        page.route("**/predict", partial(reply, answer))
        make_smaller(page, size)
        wait_for(page, "#note.bad", said)
        assert page.locator("#label").inner_text() == "no result"
        page.unroute("**/predict")
    make_smaller(page, 14)
    wait_for(page, "#expected", "66 of 100")
    wait_for(page, "#note", "Drop another picture here, or paste one.")
    assert page.locator("#note.bad").count() == 0
    page.route("**/examples/2.png", partial(reply, None))
    page.get_by_role("button", name="Second drawn face").click()
    wait_for(page, "#note.bad", "The service does not answer; is it running?")
    page.route("**/model", partial(reply, None))
    page.reload()
    wait_for(page, "#note.bad", "The service does not answer; is it running?")


def test_the_webcam_is_off_until_asked_for_and_off_again(open_page) -> None:
    page = open_page()
    live = "document.getElementById('video').srcObject !== null"
    assert not page.evaluate(live)
    page.get_by_role("button", name="Use the webcam").click()
    wait_for(page, "#faces", "288 pixels")  # 0.6 of a picture of 480
    assert page.evaluate(live)
    assert page.locator("#webcam").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Turn the webcam off").click()
    wait_for(page, "#note", "The webcam is off")
    assert page.locator("#webcam").get_attribute("aria-pressed") == "false"
    assert not page.evaluate(live)
    page.get_by_role("button", name="Use the webcam").click()
    wait_for(page, "#note", "Hold your face")
    page.evaluate("stream.getTracks()[0].stop()")  # as if it was unplugged
    wait_for(page, "#webcam", "Use the webcam")
    opened = page.evaluate("""async () => {
        const devices = navigator.mediaDevices;
        const open = devices.getUserMedia.bind(devices);
        let count = 0;
        devices.getUserMedia = (words) => { count += 1; return open(words); };
        const ended = [];
        for (let number = 0; number < 3; number += 1) {
            ended.push(startWebcam(), startWebcam());  // two clicks open one
            while (!stream) await new Promise((done) => setTimeout(done, 1));
            stopWebcam();  // perhaps before it plays
        }
        await Promise.all(ended);  // none goes on with the frames of the next
        return count;
    }""")
    assert opened == 3
    page.evaluate("""async () => {
        const started = startWebcam();
        shows += 1;  // another picture, before the reader allows the webcam
        await started;
    }""")
    assert not page.evaluate(live)
    assert page.evaluate("stream") is None
    assert page.locator("#webcam").inner_text() == "Use the webcam"


def test_a_square_is_of_its_own_picture(open_page, tmp_path: Path) -> None:
    page = open_page()
    scene(tmp_path / "scene.png")
    # Another picture comes while the service still looks for faces in the first.
    replace = """bytes => {
        let other = new File([Uint8Array.from(bytes)], "other.png");
        const first = window.fetch;
        window.squares = [];
        window.fetch = async (...words) => {
            const square = words[1]?.body?.get("boxes");
            if (square) window.squares.push(square);
            const response = await first(...words);
            if (words[0] === "predict" && other) {
                take([other]);
                other = null;
                await new Promise((done) => setTimeout(done, 300));
            }
            return response;
        };
    }"""
    page.evaluate(replace, list(picture(RED, side=260)))
    drop(page, (tmp_path / "scene.png").read_bytes())
    wait_for(page, "#faces", "260 pixels")
    assert page.evaluate("window.squares") == ["[[0,0,260,260]]"]


def test_the_webcam_has_no_square_of_the_picture_before(open_page, tmp_path: Path) -> None:
    page = open_page()
    scene(tmp_path / "scene.png")
    for shown in ("stream !== null", "picture.name === 'webcam'"):  # before its first frame, after
        waiting: list[Any] = []
        page.route("**/predict", partial(keep, waiting), times=1)
        with page.expect_request("**/predict"):
            drop(page, (tmp_path / "scene.png").read_bytes())
        page.get_by_role("button", name="Use the webcam").click()
        until(page, shown)
        waiting[0].continue_()
        wait_for(page, "#faces", " pixels")
        assert page.evaluate("boxes") == [[176, 96, 288, 288]]  # 0.6 of 480, in the middle
        page.get_by_role("button", name="Turn the webcam off").click()


def test_a_webcam_without_a_face_is_searched_until_somebody_draws_a_square(open_page) -> None:
    page = open_page()
    page.evaluate("""() => {
        window.squares = [];
        const first = window.fetch;
        window.fetch = (...words) => {
            if (words[1]?.body?.get("pictures")?.name === "webcam")
                window.squares.push(words[1].body.get("boxes"));
            return first(...words);
        };
    }""")
    page.get_by_role("button", name="Use the webcam").click()
    until(page, "squares.length >= 4")
    middle = "[[176,96,288,288]]"
    assert page.evaluate("squares.slice(0, 4)") == [None, middle, None, middle]
    page.locator("#picture").press("ArrowLeft")  # a twelfth of the square
    drawn = "[[152,96,288,288]]"
    until(page, f"squares.slice(-3).every((one) => one === '{drawn}')")


def test_a_name_on_the_picture_hides_no_other(open_page) -> None:
    page = open_page()
    texts = page.evaluate("""() => {
        const seen = [];
        CanvasRenderingContext2D.prototype.fillText = (text) => { seen.push(text); };
        const face = { status: "ok", label: "red", probability: 0.5, pixels: 20 };
        rows = [0, 30, 60].map((x) => ({ ...face, box: { x, y: 40, width: 20, height: 20 } }));
        chosen = 1;
        draw(picture);
        return seen;
    }""")
    assert texts == ["1", "3", "2: red 50 %, 20 px"]


def test_keys_alone_reach_everything(open_page) -> None:
    page = open_page()
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert reached == ["size", "file", "webcam", "", "", "", "picture", "face"]
    unnamed = """() => [...document.querySelectorAll("input, button, canvas, img[alt]")].filter(
        node => !(node.labels?.length || node.textContent.trim() || node.ariaLabel || node.alt
            || node.closest("button")))"""
    assert page.evaluate(unnamed) == []
    page.locator("#size").focus()
    page.keyboard.press("Home")
    wait_for(page, "#pixels", "8 pixels")
    for _ in range(18):  # each position is a pixel larger, or 6 %
        page.keyboard.press("ArrowRight")
    wait_for(page, "#pixels", "27 pixels")
    assert page.locator("#size").get_attribute("aria-valuetext") == "27 pixels"


def test_nothing_is_wider_than_the_screen(open_page) -> None:
    page = open_page()
    page.evaluate("document.getElementById('label').textContent = 'happiness'")
    for width in (320, 390, 768, 961, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("#label").bounding_box()["height"] < 40  # one line


def test_without_javascript_it_says_so(chromium, client: Client) -> None:  # noqa: F811
    page = chromium.new_page(java_script_enabled=False)
    page.goto(f"http://127.0.0.1:{client.port}/")
    wait_for(page, "noscript p", "This page needs JavaScript.")
    page.context.close()
