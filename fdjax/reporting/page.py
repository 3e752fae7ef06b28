"""HTML pages in one file, which load nothing from a network."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any


def esc(text: Any) -> str:
    return html.escape(str(text))


def section(title: str, content: str, note: str = "") -> str:
    """Empty where there is no content."""
    note = f"<p class=note>{esc(note)}</p>" if note else ""
    return f"<section><h2>{esc(title)}</h2>{note}{content}</section>" if content else ""


def table(head: Iterable[str], rows: Iterable[Sequence[str]], headers: int = 1) -> str:
    """`head` is text, `rows` hold HTML. The first `headers` cells of a row are its headers.

    With several of them, a row whose first header is not empty begins a group of rows.
    """
    body = "".join(
        f"<tr{' class=first' if headers > 1 and row[0] else ''}>"
        + "".join(f"<th>{cell}</th>" for cell in row[:headers])
        + "".join(f"<td>{cell}</td>" for cell in row[headers:])
        + "</tr>"
        for row in rows
    )
    head = "".join(f"<th>{esc(h)}</th>" for h in head)
    return (
        f"<div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def page(title: str, sections: Iterable[str]) -> str:
    """A whole HTML document; empty sections are left out."""
    css = _CSS.replace("LIGHT", _LIGHT).replace("DARK", _DARK)
    return _PAGE.format(title=esc(title), css=css, body="\n".join(filter(None, sections)))


def standalone(svg: str) -> str:
    """An inline SVG of a page as a file of its own: light colours, a white background."""
    values = dict(re.findall(r"(--\w+): ([^;]+)", _LIGHT))
    svg = re.sub(r"var\((--\w+)\)", lambda match: values[match[1]], svg)
    return svg.replace(">", '><rect width="100%" height="100%" fill="#fff"/>', 1)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{css}</style></head><body>
{body}
</body></html>
"""

_LIGHT = """--font: system-ui, sans-serif; --mono: ui-monospace, monospace;
  --page: #fafaf8; --card: #fff; --ink: #22272e; --soft: #667080; --grid: #dfe2e6;
  --red: #c22f2f; --green: #23824a; --amber: #a86a00; --mark: #ffd0ca; --blue: #2869c9;
  --series0: #3273d8; --series1: #d9730d; --series2: #2c8f57; --series3: #8a54d6;
  --series4: #c93d72; --series5: #168a96; --series6: #8a7a1f; --series7: #667080;"""

_DARK = """--page: #14171b; --card: #1c2026; --ink: #e2e6eb; --soft: #98a2b0; --grid: #343b45;
  --red: #ff8078; --green: #62cf8d; --amber: #e8b45a; --mark: #6b2a2a; --blue: #7fb0ff;
  --series0: #6ea6ff; --series1: #ffa657; --series2: #5fd08f; --series3: #c297ff;
  --series4: #ff86b0; --series5: #4fd0dc; --series6: #d8c95a; --series7: #98a2b0;"""

_CSS = """
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root {
  DARK } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 var(--font); }
h1 { margin: 0 0 .75rem; font-size: 1.8rem; } h2 { margin: 2.5rem 0 .25rem; font-size: 1.2rem; }
h3 { margin: 1.5rem 0 .25rem; font-size: 1rem; }
small, .note, dt, .tile span { color: var(--soft); } .note { margin: 0 0 .75rem; }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 0; } dd { margin: 0; }
dt { font-size: .8rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem;
  margin-top: 1.5rem; }
.tile, article, details, section > svg, .scroll { background: var(--card);
  border: 1px solid var(--grid); border-radius: 8px; }
.tile { padding: .75rem 1rem; } .tile b { display: block; font-size: 1.5rem; }
.tile b small { font-size: 1rem; font-weight: normal; } .tile span { font-size: .85rem; }
section > svg { display: block; width: 100%; height: auto; padding: .75rem; }
.scroll { overflow-x: auto; width: min-content; min-width: 100%; max-width: calc(100vw - 2.5rem);
  position: relative; left: 50%; transform: translateX(-50%); }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { padding: .4rem .45rem .4rem .6rem; text-align: left; vertical-align: top;
  white-space: nowrap; font-variant-numeric: tabular-nums; }
thead th { color: var(--soft); font-weight: normal; white-space: normal; }
tr.first > * { border-top: 1px solid var(--grid); }
article { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem 2rem; padding: .75rem 1rem;
  margin: .75rem 0; }
article > div { min-width: 0; }
@media (max-width: 45rem) { article { grid-template-columns: 1fr; } }
.meta { margin: 0; color: var(--soft); font-size: .85rem; }
.meta b { color: var(--amber); } b.proved { color: var(--green); }
b.failed, b.rejected { color: var(--red); }
pre { margin: .25rem 0 .5rem; font: 13px/1.45 var(--mono); white-space: pre-wrap;
  overflow-wrap: anywhere; }
code { font: 12px var(--mono); color: var(--ink); }
pre.message { padding-left: .75rem; border-left: 3px solid var(--grid); }
pre.error { border-color: var(--red); } pre.warning { border-color: var(--amber); }
pre.feedback { border-color: var(--blue); }
pre.turn { padding-left: .75rem; border-left: 3px solid var(--ink); }
mark { background: var(--mark); color: inherit; border-radius: 3px; }
mark.point { border-left: 3px solid var(--red); } pre i { color: var(--blue); font-style: normal; }
details { padding: .5rem 1rem; margin: .5rem 0; } summary { cursor: pointer; }
"""
