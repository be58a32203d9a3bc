"""The HTML a report is made of: one file, nothing from the network.

It has no script except the few lines of `ticked_pictures` that save a list of ids.
"""

import base64
import html
import io
from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image

from st_keras.experiments.figures import Chart

_JPEG_QUALITY = 88
# Ids are data and never code: they are read from attributes.
_SAVE_TICKED = """
document.getElementById("save_ticked").addEventListener("click", () => {
  const ticked = document.querySelectorAll("input[data-id]:checked");
  const lines = Array.from(ticked, (box) => box.dataset.id + "\\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "text/plain" }));
  link.download = "FILE";
  link.click();
});
"""
_STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d2430; --soft: #5d6675; --page: #ffffff; --band: #f5f6f8;
  --line: #e0e3e9; --best: #e6f4ea; --best-ink: #14532d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e8ef; --soft: #9aa4b5; --page: #1b2029; --band: #232935;
    --line: #353d4b; --best: #1d3a2a; --best-ink: #a7e8c1;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1080px; padding: 2.2rem 1.2rem 4rem;
  background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
header { border-bottom: 1px solid var(--line); padding-bottom: 1.4rem; }
header p.kind {
  margin: 0; color: var(--soft); font-size: .82rem; letter-spacing: .06em;
  text-transform: uppercase;
}
h1 { font-size: 1.9rem; line-height: 1.2; margin: .1rem 0 1.1rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; }
h3 { font-size: .95rem; margin: 0 0 .3rem; font-weight: 600; }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
ul.verdict { margin: 1.1rem 0 0; padding: 0; list-style: none; font-size: 1.06rem; }
ul.verdict li { margin: .25rem 0; max-width: 46rem; }
ul.verdict li:last-child { color: var(--soft); font-size: .95rem; }
dl { display: grid; gap: .15rem .9rem; grid-template-columns: max-content 1fr; }
dl, dd { margin: 0; }
dt { font-weight: 600; }
.note { color: var(--soft); font-size: .88rem; }
.tiles { display: grid; gap: .8rem; grid-template-columns: repeat(3, 1fr); }
.tile {
  background: var(--band); border-radius: 8px; border-top: 4px solid var(--c);
  padding: .7rem .9rem;
}
.tile b { display: block; font-size: 2rem; line-height: 1.15; }
.tile span { color: var(--soft); font-size: .85rem; }
.wide { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
th, td {
  border-bottom: 1px solid var(--line); padding: .38rem .7rem; text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap;
}
th { font-weight: 600; }
thead th { color: var(--soft); font-size: .82rem; }
tr > :first-child { text-align: left; padding-left: 0; }
td.best { background: var(--best); color: var(--best-ink); font-weight: 700; }
table.text td {
  text-align: left; white-space: pre-line; overflow-wrap: anywhere;
}
table.text th { vertical-align: top; white-space: normal; width: 34%; }
i.dot {
  background: var(--c); border-radius: 50%; display: inline-block; height: .65em;
  margin-right: .5em; width: .65em;
}
.charts {
  display: grid; gap: 1.4rem 1.6rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
}
figure { margin: 0; }
figure img { display: block; height: auto; max-width: 100%; width: 100%; }
figcaption { color: var(--soft); font-size: .85rem; }
.pictures { display: grid; gap: .5rem; min-width: var(--min); }
.pictures img { border-radius: 4px; display: block; width: 100%; }
.pictures .head { font-size: .85rem; font-weight: 600; }
.bar { background: var(--band); border-radius: 3px; display: block; width: 100%; }
.bar i {
  background: var(--c); border-radius: 3px; display: block; height: .8rem;
  min-width: 2px;
}
.cards {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr));
}
.cards img { border-radius: 4px; display: block; width: 100%; }
.cards label { cursor: pointer; display: block; font-size: .85rem; }
.cards input:checked ~ img { opacity: .35; }
.cards b { overflow-wrap: anywhere; }
button {
  background: var(--band); border: 1px solid var(--line); border-radius: 8px;
  color: inherit; cursor: pointer; font: inherit; padding: .4rem .9rem;
}
td.stretch { width: 60%; }
details { border: 1px solid var(--line); border-radius: 8px; margin: .6rem 0; }
summary { cursor: pointer; font-weight: 600; padding: .55rem .9rem; }
details > div { padding: 0 .9rem .6rem; overflow-x: auto; }
pre {
  background: var(--band); border-radius: 8px; font-size: .82rem; line-height: 1.45;
  overflow-x: auto; padding: .8rem 1rem;
}
@media (max-width: 560px) {
  body { padding: 1.2rem .9rem 3rem; }
  .tiles { gap: .5rem; }
  .tile { padding: .5rem .6rem; }
  .tile b { font-size: 1.4rem; }
  h1 { font-size: 1.5rem; }
}
"""


def document(title: str, body: Sequence[str]) -> str:
    """Returns a whole page."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def escape(text: object) -> str:
    """Returns text that is safe inside an element or an attribute."""
    return html.escape(str(text))


def header(kind: str, title: str, tiles: Sequence[str], verdict: Sequence[str]) -> str:
    """Returns the head of the page: the numbers and the sentences that sum it up."""
    lines = "".join(f"<li>{escape(line)}</li>" for line in verdict)
    return (
        f'<header><p class="kind">{escape(kind)}</p><h1>{escape(title)}</h1>'
        f'<div class="tiles">{"".join(tiles)}</div>'
        f'<ul class="verdict">{lines}</ul></header>'
    )


def tile(name: str, value: str, remark: str, color: str) -> str:
    """Returns a number in large type."""
    return (
        f'<div class="tile" style="--c: {color}"><span>{escape(name)}</span>'
        f"<b>{escape(value)}</b><span>{escape(remark)}</span></div>"
    )


def section(title: str, *parts: str) -> str:
    """Returns a part of the page under its heading; empty parts are left out."""
    return "\n".join([f"<section><h2>{escape(title)}</h2>", *parts, "</section>"])


def paragraph(text: str, *, is_note: bool = False) -> str:
    """Returns a paragraph; a note is small and pale."""
    kind = ' class="note"' if is_note else ""
    return f"<p{kind}>{escape(text)}</p>"


def notes(lines: Sequence[tuple[str, str]]) -> str:
    """Returns short explanations: a word and what it means."""
    items = "".join(f"<dt>{escape(w)}</dt><dd>{escape(t)}</dd>" for w, t in lines)
    return f'<dl class="note">{items}</dl>'


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    best: Collection[tuple[int, int]] = (),
    colors: Sequence[str] = (),
    style: str = "",
) -> str:
    """Returns a table that scrolls sideways where it is too wide.

    Args:
      head: Titles of the columns; all empty: no title row.
      rows: Texts of the cells; the first column names the row.
      best: Row and column of the cells to mark.
      colors: Of the dot before each row's name; empty: no dots.
      style: CSS class of the table.
    """
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    titles = f"<thead><tr>{titles}</tr></thead>" if any(head) else ""
    lines = []
    for i, (name, *cells) in enumerate(rows):
        dot = f'<i class="dot" style="--c: {colors[i]}"></i>' if colors else ""
        line = f"<th>{dot}{escape(name)}</th>"
        for j, cell in enumerate(cells, 1):
            mark = ' class="best"' if (i, j) in best else ""
            line += f"<td{mark}>{escape(cell)}</td>"
        lines.append(f"<tr>{line}</tr>")
    return (
        f'<div class="wide"><table class="{style}">{titles}'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def bars(rows: Sequence[tuple[str, str, float, str]]) -> str:
    """Returns a table of name, text and a bar.

    Args:
      rows: Name, text, length of the bar in [0, 1], colour.
    """
    lines = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td>"
        f'<td class="stretch"><span class="bar"><i style="--c: {color}; '
        f'width: {length:.1%}"></i></span></td></tr>'
        for name, text, length, color in rows
    )
    return f'<div class="wide"><table><tbody>{lines}</tbody></table></div>'


def charts(drawn: Sequence[Chart]) -> str:
    """Returns charts beside or, on a phone, below each other."""
    figures = "".join(
        f"<figure><h3>{escape(chart.title)}</h3><picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{_png(chart.dark)}">'
        f'<img alt="{escape(chart.title)}" src="{_png(chart.light)}">'
        "</picture></figure>"
        for chart in drawn
    )
    return f'<div class="charts">{figures}</div>'


def picture_grid(
    heads: Sequence[str], rows: Sequence[tuple[str, Sequence[np.ndarray]]], columns: int
) -> str:
    """Returns pictures under repeated column heads.

    Args:
      heads: What each picture of a row shows.
      rows: A name, and [H, W, 3] uint8 pictures, as many as heads.
      columns: Pictures beside each other, a multiple of the heads.
    """
    titles = "".join(
        f'<div class="head">{escape(head)}</div>'
        for head in list(heads) * (columns // len(heads))
    )
    cells = "".join(
        f'<img alt="{escape(f"{head}: {name}")}" title="{escape(name)}" '
        f'src="{jpeg(pixels)}">'
        for name, pictures in rows
        for head, pixels in zip(heads, pictures, strict=True)
    )
    style = (
        f"grid-template-columns: repeat({columns}, 1fr); --min: {columns * 5.2:g}rem"
    )
    return (
        f'<div class="wide"><div class="pictures" style="{style}">{titles}{cells}'
        "</div></div>"
    )


def ticked_pictures(
    cards: Sequence[tuple[str, str, str]], button: str, file_name: str
) -> str:
    """Returns pictures with tick boxes, and a button that saves the ticked ids.

    The only part of a page with a script.

    Args:
      cards: Image id, text and picture (a data URI) of each.
      button: Text of the button.
      file_name: Of the list, an id per line.
    """
    items = "".join(
        f'<label><input type="checkbox" data-id="{escape(image_id)}"> '
        f"<b>{escape(image_id)}</b><br>{escape(text)}"
        f'<img alt="{escape(image_id)}" loading="lazy" src="{picture}"></label>'
        for image_id, text, picture in cards
    )
    script = _SAVE_TICKED.replace("FILE", file_name)
    return (
        f'<p><button id="save_ticked" type="button">{escape(button)}</button></p>'
        f'<div class="cards">{items}</div><script>{script}</script>'
    )


def legend(entries: Sequence[tuple[str, str, str]]) -> str:
    """Returns colours with what they mean: colour, word, text."""
    items = "".join(
        f'<dt><i class="dot" style="--c: {color}"></i>{escape(word)}</dt>'
        f"<dd>{escape(text)}</dd>"
        for color, word, text in entries
    )
    return f'<dl class="note">{items}</dl>'


def details(summary: str, content: str) -> str:
    """Returns a part that opens on a click."""
    title = f"<summary>{escape(summary)}</summary>"
    return f"<details>{title}<div>{content}</div></details>"


def code(text: str) -> str:
    """Returns text unchanged, in a monospaced font."""
    return f"<pre>{escape(text)}</pre>"


def _png(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def jpeg(pixels: np.ndarray) -> str:
    """Returns [H, W, 3] uint8 pixels as a data URI."""
    buffer = io.BytesIO()
    # Not optimized: Pillow has a byte a pixel for that, too few for many details.
    options = {"quality": _JPEG_QUALITY, "subsampling": 0}
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
