"""HTML made from values: text is escaped unless it is markup already."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Sequence


class Markup(str):
    """HTML. Every other string counts as text and is escaped where it is put into HTML."""


def join(parts: Iterable[str]) -> Markup:
    """The parts one after the other, text escaped."""
    return Markup(
        "".join(part if isinstance(part, Markup) else html.escape(part) for part in parts)
    )


def element(tag: str, *children: str, **attributes: str) -> Markup:
    """``<tag attribute="...">children</tag>``.

    ``class_`` stands for ``class``, ``data_row`` for ``data-row``; an empty value leaves the
    attribute out.
    """
    written = "".join(
        f' {name.strip("_").replace("_", "-")}="{html.escape(value)}"'
        for name, value in attributes.items()
        if value
    )
    return Markup(f"<{tag}{written}>{join(children)}</{tag}>")


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    label: str,
    row_keys: Sequence[str] = (),
    column_keys: Sequence[str] = (),
    ids: Sequence[str] = (),
) -> Markup:
    """A table whose first column heads its rows, in a box that scrolls when it is too wide.

    A cell that is a ``<td>`` or ``<th>`` already is taken as it is. ``row_keys`` (one for each of
    ``rows``) and ``column_keys`` (one for each column) say which row of the main table and which
    size a line or column speaks of, for the page's filter; "" = it always stays. ``ids`` are those
    of the lines.
    """
    columns = [*column_keys, *[""] * (len(header) - len(column_keys))]
    head = [_cell(cell, "th", "col", key) for cell, key in zip(header, columns, strict=True)]
    body = [
        element(
            "tr",
            _cell(row[0], "th", "row", columns[0]),
            *(_cell(cell, "td", "", key) for cell, key in zip(row[1:], columns[1:], strict=True)),
            id=ids[number] if ids else "",
            data_row=row_keys[number] if row_keys else "",
        )
        for number, row in enumerate(rows)
    ]
    inner = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    return scroll_box(inner, label=label)


def scroll_box(child: Markup, *, label: str) -> Markup:
    """A region that scrolls by itself and can be reached with the keyboard."""
    return element("div", child, class_="scroll", tabindex="0", role="region", aria_label=label)


def image(content: bytes, kind: str, *, alt: str, width: int | None = None) -> Markup:
    """An image inside the page; ``kind`` is "png" or "svg+xml", ``width`` in CSS pixels."""
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    size = "" if width is None else f' width="{width}"'
    return Markup(f'<img src="{uri}" alt="{html.escape(alt)}"{size}>')


def inline_svg(content: bytes, *, label: str, prefix: str) -> Markup:
    """An SVG of matplotlib as part of the page, where the page's filter reaches its lines.

    A group whose id is "row:NAME" gets the attribute data-row instead; all other ids get
    ``prefix``, for they must be unique in the page.
    """
    text = content.decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)  # HTML knows what SVG is
    text = re.sub(r' id="row:([^"]*)"', r' data-row="\1"', text)
    text = re.sub(r'( id="|="#|url\(#)', rf"\1{prefix}", text)
    role = f'<svg role="img" aria-label="{html.escape(label)}"'
    return Markup(re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2).replace("<svg", role, 1))


def figure(picture: Markup, caption: str, *, label: str, trace: Markup | None = None) -> Markup:
    """A picture in a box that scrolls, its caption below, and how to trace it."""
    more = [] if trace is None else [" ", trace]
    return element(
        "figure", scroll_box(picture, label=label), element("figcaption", caption, *more)
    )


def _cell(cell: str, tag: str, scope: str, size: str) -> Markup:
    if not isinstance(cell, Markup) or not cell.startswith(("<td", "<th")):
        return element(tag, cell, scope=scope, data_size=size)
    return Markup(f'{cell[:3]} data-size="{html.escape(size)}"{cell[3:]}') if size else cell
