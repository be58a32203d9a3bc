"""The pages that are held against the code: README, CONTRIBUTING and docs/."""

import json
import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "configs" / "README.md",
    *sorted(DOCS.rglob("*.md")),
]
NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code in a page."""

    page: pathlib.Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{name(self.page)}:{self.line}"


def cells(notebook: pathlib.Path) -> list[dict]:
    """Returns the cells of a notebook, the source of each as one string."""
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in found]


def name(page: pathlib.Path) -> str:
    """Returns a path as a reader would say it."""
    return page.relative_to(ROOT).as_posix()


def blocks(*languages: str) -> list[Block]:
    """Returns all blocks of the languages, in the order of the pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, match[1], match[2]))
    return [block for block in found if block.language in languages]


def prose(page: pathlib.Path) -> str:
    """Returns a page without its blocks of code and its code between backticks."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"`+[^`\n]*`+", "", text)
