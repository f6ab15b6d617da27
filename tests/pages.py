"""The documentation as its readers get it: pages, blocks to type, links, words in code font."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

SHELL = ("sh", "bash", "shell", "console")

# The comment on the line before a block.
MARKERS = {
    "not run": "the test leaves the block out, for the reason that follows",
    "wait": "the test then waits until the queue of experiments is empty",
    "edit": "the test merges the block with a section of a file: `edit: FILE in SECTION`",
}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block; ``marker`` and ``reason`` are those of the comment before it."""

    page: Path
    line: int
    language: str
    text: str
    marker: str = ""
    reason: str = ""

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def script(self) -> str:
        """What there is to type: all of it, or in a console what follows the prompts."""
        if self.language != "console":
            return self.text
        # A line that ends with a backslash goes on in the next one.
        return "\n".join(re.findall(r"^\$ ((?:.*\\\n)*.*)", self.text, re.M)) + "\n"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"(?:^<!-- (.*) -->\n)?^```(.*)\n((?s:.*?))^```", text, re.M):
        marker, _, reason = (found[1] or "").partition(":")
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start(2)) + 1,
            language=found[2].strip(),
            text=found[3],
            marker=marker.strip(),
            reason=reason.strip(),
        )


def prose(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def spans(page: Path) -> list[str]:
    """The words in code font outside blocks."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def links(page: Path) -> list[str]:
    """The targets of links and pictures that stay inside the repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]+`", "", prose(page)))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
