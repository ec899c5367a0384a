"""Takes the documents' pictures of pages: ``cd tests && python -m support.pictures ../runs/NAME/ID [FOLDER]``.

The run is one of digits, ``python main_pretrain.py --config-name cplearn.yaml``. The folder is ``docs/`` unless given.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from cplearn_solo.cli import collapse, gallery
from support.chromium import Browser

DOCS = Path(__file__).parents[2] / "docs"
WINDOW, HALF, GAP, GREY = (1120, 760), (794, 539), 12, (197, 202, 210)  # of the gallery: two windows, made smaller
REPORT = (985, 475)


def take(run, out=DOCS):
    """Writes ``gallery.png`` and ``collapse.png``."""
    with tempfile.TemporaryDirectory() as place, Browser(Path(place) / "browser") as browser:
        folder = Path(place)
        gallery([str(run), "digits", str(folder / "gallery.html")])
        collapse([str(run), "--output", str(folder / "report")])
        both = Image.new("RGB", (2 * HALF[0] + GAP, HALF[1]), GREY)
        browser.call("Emulation.setScrollbarsHidden", hidden=True)
        browser.open(folder / "gallery.html", width=WINDOW[0], height=WINDOW[1])
        both.paste(shown(browser).resize(HALF, Image.Resampling.LANCZOS), (0, 0))
        browser.run("document.querySelector('#map').scrollIntoView()")
        both.paste(shown(browser).resize(HALF, Image.Resampling.LANCZOS), (HALF[0] + GAP, 0))
        fewer(both).save(Path(out) / "gallery.png", optimize=True)
        browser.open(folder / "report/index.html", width=REPORT[0], height=REPORT[1])
        fewer(shown(browser)).save(Path(out) / "collapse.png", optimize=True)


def shown(browser):
    """What the window shows once it has settled."""
    browser.run("new Promise((resolve) => setTimeout(resolve, 1000))")
    return Image.open(io.BytesIO(browser.screenshot())).convert("RGB")


def fewer(picture):
    """The same in 256 colours, rare ones among them, whose file is a third as large."""
    return picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1)


if __name__ == "__main__":
    take(*sys.argv[1:])
