"""Pages to look at: one HTML file without outside requests, light and dark, for a desktop and a phone.

Every text passes ``escaped``; pictures and videos are inside the page; its policy forbids all else, scripts too.
"""

import base64
import html
import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

_POLICY = "default-src 'none'; img-src {files}; media-src {files}; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #23242a; --soft: #696b76; --line: #dedcd5; --card: #fff;
  --bar: #3d6fb6; --faint: #a9b9d3; --track: #ecebe6; }
@media (prefers-color-scheme: dark) { :root { --paper: #17181c; --ink: #e6e5e1; --soft: #9c9daa; --line: #33353d;
  --card: #1f2127; --bar: #7ba6e6; --faint: #4b5f80; --track: #2a2c33; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.2rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
small, .lead, .id, figcaption, footer { color: var(--soft); }
.lead { margin: .3rem 0 1.1rem; }
section { margin-top: 2.4rem; }
.note { border-left: 3px solid #d08a00; padding-left: .8rem; margin: 1rem 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .7rem; }
figure { margin: 0; }
img, video { display: block; width: 100%; border-radius: 4px; background: var(--track); }
figcaption { font-size: .78rem; margin-top: .15rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
table { border-collapse: collapse; font-size: .92rem; }
footer { margin-top: 2.5rem; font-size: .85rem; }
@media (max-width: 40rem) { main { padding: 1rem .9rem 2rem; } }
"""


def escaped(text: object) -> str:
    """``text`` as HTML, also fit for an attribute in quotes."""
    return html.escape(str(text))


def page(title: str, body: str, style: str = "", beside: bool = False) -> str:
    """The whole page: ``body`` is HTML for ``<main>``, ``title`` a text, ``style`` is CSS added to ``STYLE``.

    ``beside``: pictures and videos are files that lie beside the page, rather than inside it.
    """
    policy = _POLICY.format(files="'self' file:" if beside else "data:")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(title)}</title>
<style>{STYLE}{style}</style></head>
<body><main>
{body}
</main></body></html>
"""


def data_uri(content: bytes, kind: str) -> str:
    """``content`` inside the page; ``kind`` as in "video/mp4"."""
    return f"data:{kind};base64," + base64.b64encode(content).decode("ascii")


def picture_uri(picture: UInt8[np.ndarray, "H W 3"], quality: int = 72) -> str:
    """A picture inside the page, as WebP."""
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "WEBP", quality=quality, method=4)
    return data_uri(encoded.getvalue(), "image/webp")
