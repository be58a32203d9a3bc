"""Messages that docs/troubleshooting.md explains are those the code has."""

import ast
import re

import pytest

from tests.docs.pages import DOCS, ROOT

GAP = "\0"  # Where a value is filled in.


def texts():
    """Returns every string of the package, with gaps for what is filled in."""
    found = set()
    for path in (ROOT / "st_keras").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(re.sub(r"%[sd]", GAP, node.value))
            elif isinstance(node, ast.JoinedStr):
                found.add("".join(_part(part) for part in node.values))
    return found


def _part(part):
    return part.value if isinstance(part, ast.Constant) else GAP


def messages():
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    tables = page.partition("## Without a message")[0]
    rows = re.findall(r"^\| (`+)( ?)(.+?)\2\1 \| [^|]*\|$", tables, re.MULTILINE)
    return [message for _, _, message in rows]


def is_said(message, said):
    """Whether the pieces of a message stand in one text, in their order."""
    pieces = [re.escape(piece.strip()) for piece in message.split("...")]
    pattern = re.compile(".*".join(pieces), re.DOTALL)
    return any(pattern.search(text) for text in said)


SAID = texts()


@pytest.mark.parametrize("message", messages())
def test_the_code_has_the_message(message):
    assert is_said(message, SAID)


def test_a_message_that_nobody_prints_would_be_found():
    assert len(messages()) > 35
    assert not is_said("`...` is on fire; fetch water.", SAID)
    assert is_said("must have no picture in common, got ...", SAID)
