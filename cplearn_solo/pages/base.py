"""An HTML page that needs no other file: style and images are inside of it."""

from __future__ import annotations

import base64
from html import escape

# A table in a .wide element scrolls inside of it; its first column stays in place, with its borders.
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.wide { overflow-x: auto; }
.wide tr { background: #fff; }
.wide tr > :where(:first-child) { position: sticky; left: 0; background: inherit; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
li, p { overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0; }
@media (max-width: 40rem) {
  .wide tr > :first-child { max-width: 9rem; white-space: normal; overflow-wrap: break-word; }
}
"""


def page(title: str, body: str, *, style: str = "") -> str:
    """A whole page; ``title`` is text, ``body`` HTML, ``style`` what a kind of page adds to the common style sheet."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def image(png: bytes, alt: str) -> str:
    """A PNG as an ``img`` element."""
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
