"""HTML made from values: text is escaped unless it is markup already."""

from __future__ import annotations

import base64
import html
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


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, label: str) -> Markup:
    """A table whose first column heads its rows, in a box that scrolls when it is too wide.

    A cell that is a ``<td>`` or ``<th>`` already is taken as it is.
    """
    head = element("tr", *(_cell(cell, "th", "col") for cell in header))
    body = [
        element("tr", _cell(row[0], "th", "row"), *(_cell(cell, "td", "") for cell in row[1:]))
        for row in rows
    ]
    inner = element("table", element("thead", head), element("tbody", *body))
    return scroll_box(inner, label=label)


def scroll_box(child: Markup, *, label: str) -> Markup:
    """A region that scrolls by itself and can be reached with the keyboard."""
    return element("div", child, class_="scroll", tabindex="0", role="region", aria_label=label)


def image(content: bytes, kind: str, *, alt: str, width: int | None = None) -> Markup:
    """An image inside the page; ``kind`` is "png" or "svg+xml", ``width`` in CSS pixels."""
    uri = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    size = "" if width is None else f' width="{width}"'
    return Markup(f'<img src="{uri}" alt="{html.escape(alt)}"{size}>')


def figure(picture: Markup, caption: str) -> Markup:
    """A picture with its caption below."""
    return element("figure", picture, element("figcaption", caption))


def _cell(cell: str, tag: str, scope: str) -> Markup:
    if isinstance(cell, Markup) and cell.startswith(("<td", "<th")):
        return cell
    return element(tag, cell, scope=scope)
