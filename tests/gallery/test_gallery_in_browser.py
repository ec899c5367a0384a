"""A gallery in Chromium: images, search, map, neighbours, keyboard, any width, light and dark."""

import io

import numpy as np
import pytest
from PIL import Image
from support.images import write_images

from cplearn_solo.gallery.write import write_gallery
from cplearn_solo.inference.images import labelled_images_at

pytestmark = pytest.mark.integration

NAMES = [*(f"cat/{i:02}.png" for i in range(20)), *(f"dog/{i:02}.png" for i in range(14)), f"dog/{'long' * 50}.png"]


@pytest.fixture(scope="module")
def page(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    write_images(folder / "images", NAMES)
    images = labelled_images_at(model, str(folder / "images"))
    return write_gallery(model, images, folder / "page.html", num_workers=0).page


@pytest.fixture
def shown(page, browser):
    """The browser with the page in a desktop's window; afterwards nothing was complained about or asked for."""
    browser.open(page)
    yield browser
    assert browser.errors == [] and browser.requests() == []


def settle(browser):
    """Waits until the page was drawn twice."""
    browser.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")


def box(browser, element):
    """Left, top, width and height of an element, scrolled into view."""
    browser.run(f"{element}.scrollIntoView({{ block: 'center' }})")
    settle(browser)
    found = browser.run(f"{element}.getBoundingClientRect().toJSON()")
    return [found[side] for side in ("left", "top", "width", "height")]


def pixels(browser, element):
    left, top, width, height = map(round, box(browser, element))
    shot = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
    return np.asarray(shot.crop((left, top, left + width, top + height))).astype(float)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_images_are_seen_and_nothing_sticks_out(width, dark, page, browser):
    browser.open(page, width=width, height=844, dark=dark)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    for section in ("codes", "odd"):
        noise = pixels(browser, f"document.querySelector('#{section} .thumb')")
        assert noise.std() > 20, section  # of one colour it would be 0
    background = pixels(browser, "document.querySelector('h1')")[0, 0].mean()
    assert background < 60 if dark else background > 200
    browser.run(f"show({len(NAMES) - 1})")  # the long name
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.querySelector('dialog').scrollWidth <= document.querySelector('dialog').clientWidth")
    assert browser.errors == [] and browser.requests() == []


def test_search_by_file_name_from_the_keyboard(shown):
    shown.press("/")
    assert shown.run("document.activeElement.id") == "search"
    shown.call("Input.insertText", text="CAT/1")
    assert shown.run("byId('found').hidden") is False
    assert shown.run("byId('found-count').textContent") == "10 of 35 images"
    assert shown.run("[...byId('found-images').children].map((one) => one.ariaLabel)") == NAMES[10:20]
    assert pixels(shown, "byId('found-images').firstChild").std() > 20
    shown.press("Enter")
    shown.press("ArrowRight")
    assert shown.run("document.activeElement.ariaLabel") == NAMES[11]
    shown.run("byId('search').value = 'nothing'; byId('search').dispatchEvent(new Event('input'))")
    assert shown.run("byId('found-count').textContent") == "0 of 35 images"
    shown.run("byId('search').value = ''; byId('search').dispatchEvent(new Event('input'))")
    assert shown.run("byId('found').hidden") is True
    shown.run(r"images.names[3] = 'cat/Cafe\u0301.png'; byId('search').value = 'CAF\u00c9'")  # in other letters
    shown.run("byId('search').dispatchEvent(new Event('input'))")
    assert shown.run("byId('found-count').textContent") == "1 of 35 images"
    shown.run(f"images.names[3] = '{NAMES[3]}'")


def test_an_image_opens_with_its_neighbours(shown):
    shown.click(*middle(box(shown, "document.querySelector('#codes .thumb')")))
    i = shown.run("Number(document.querySelector('#codes .thumb').dataset.i)")
    assert shown.run("byId('image').open") is True
    assert shown.run("byId('image-name').textContent") == NAMES[i]
    about, code = shown.run("byId('image-about').textContent"), shown.run(f"images.codes[{i}]")
    assert about.startswith(f"class {NAMES[i][:3]}; code {code}, ")
    near = shown.run(f"images.neighbours[{i}]")
    assert shown.run("[...byId('image-near').children].map((one) => one.ariaLabel)") == [NAMES[j] for j in near]
    assert pixels(shown, "byId('image-thumb').firstChild").std() > 20
    shown.click(*middle(box(shown, "byId('image-near').firstChild")))
    assert shown.run("byId('image-name').textContent") == NAMES[near[0]]
    shown.run("byId('image-code').click()")
    assert shown.run("byId('image').open") is False
    assert shown.run("location.hash") == f"#code-{shown.run(f'images.codes[{near[0]}]')}"


def middle(place):
    left, top, width, height = place
    return left + width / 2, top + height / 2


def test_the_map_shows_thumbnails_and_zooms(shown):
    left, top, width, height = box(shown, "byId('plane')")
    i = 5
    shown.run("plane.goTo(5); plane.canvas.blur()")
    shown.mouse("mouseMoved", left + width / 2 + 1, top + height / 2 + 1)
    assert NAMES[i] in shown.run("byId('hover').innerText") and shown.run("byId('hover').hidden") is False
    assert pixels(shown, "document.querySelector('#hover .thumb')").std() > 20
    before = shown.run("plane.scale")
    wheel = {"deltaX": 0, "deltaY": -120}
    shown.mouse("mouseWheel", left + width / 2, top + height / 2, **wheel)
    settle(shown)
    assert shown.run("plane.scale") == before  # the page scrolls, as nobody has clicked on the map
    left, top, width, height = box(shown, "byId('plane')")
    shown.run("plane.canvas.focus()")
    shown.mouse("mouseWheel", left + width / 2, top + height / 2, **wheel)
    settle(shown)
    assert shown.run("plane.scale") > before
    assert shown.run("plane.pixel(5)") == pytest.approx([width / 2, height / 2], abs=1)  # what is under it stays
    shown.click(left + width / 2, top + height / 2)
    assert shown.run("byId('image-name').textContent") == NAMES[i]


def test_the_map_is_dragged_and_moves_by_keys(shown):
    left, top, *_ = box(shown, "byId('plane')")
    x, y = shown.run("plane.pixel(0)")
    shown.mouse("mousePressed", left + 50, top + 50, button="left", clickCount=1)
    shown.mouse("mouseMoved", left + 90, top + 80, button="left", buttons=1)
    shown.mouse("mouseReleased", left + 90, top + 80, button="left", clickCount=1)
    assert shown.run("plane.pixel(0)") == pytest.approx([x + 40, y + 30]) and not shown.run("byId('image').open")
    shown.run("plane.canvas.focus()")
    for key in ("ArrowRight", "+", "0"):
        before = shown.run("[...plane.middle, plane.scale]")
        shown.press(key)
        assert shown.run("[...plane.middle, plane.scale]") != before, key
    assert shown.run("[...plane.middle, plane.scale]") == [0.5, 0.5, 1]
    shown.press("Enter")
    nearest = shown.run("plane.nearest(plane.width / 2, plane.height / 2, Infinity)")
    assert shown.run("byId('image-name').textContent") == NAMES[nearest]


def test_the_map_is_coloured_by_class_or_code(shown):
    assert shown.run("[...byId('colour').options].map((one) => one.value)") == ["class", "code"]
    assert shown.run("byId('legend').innerText.trim().split(/\\s+/)") == ["cat", "dog"]
    assert shown.run("new Set(plane.colours).size") == 2
    shown.run("byId('colour').value = 'code'; byId('colour').onchange()")
    assert shown.run("new Set(plane.colours).size === new Set(images.codes).size")


def test_a_method_without_codes_has_a_map_of_classes_alone(without_codes, page, browser):
    images = labelled_images_at(without_codes, str(page.with_name("images")))
    browser.open(write_gallery(without_codes, images, page.with_name("bare.html"), num_workers=0).page)
    assert browser.run("[...byId('colour').options].map((one) => one.value)") == ["class"]
    browser.run("show(0)")
    assert browser.run("byId('image-code').hidden") is True
    assert browser.run("byId('image-about').textContent") == "class cat"
    assert browser.errors == []
