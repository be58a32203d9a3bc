"""Reads from a config class which values its fields may have."""

import ast
import re
from collections.abc import Iterator

from st_keras.experiments.reference.source import Module, read, resolve

# What the checks of config/checks.py require, in the page's words.
_OF_CHECK = {
    "check_above_zero": "above 0",
    "check_not_negative": "0 or more",
    "check_share": "in [0, 1]",
}
_UNKNOWN = "…"  # In place of a value that only a run knows.


def ranges(module: Module, node: ast.ClassDef) -> dict[str, str]:
    """Returns what `__post_init__` requires of fields, by name.

    A check that cannot be read, such as one of a computed name, is left out; so are
    the conditions under which a check is made.
    """
    found: dict[str, list[str]] = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__post_init__":
            for name, wanted in _statements(module, item.body, {}):
                texts = found.setdefault(name, [])
                if wanted and wanted not in texts:
                    texts.append(wanted)
    return {name: "; ".join(texts) for name, texts in found.items()}


def _statements(
    module: Module, body: list[ast.stmt], names: dict[str, ast.expr]
) -> Iterator[tuple[str, str]]:
    """Yields (field, wanted), resolving names that are assigned on the way."""
    for item in body:
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            names[item.targets[0].id] = item.value
        elif isinstance(item, ast.Expr) and isinstance(item.value, ast.Call):
            yield from _call(module, item.value, names)
        elif isinstance(item, ast.If):
            yield from _statements(module, item.body, names)
            yield from _statements(module, item.orelse, names)
        elif isinstance(item, ast.For) and isinstance(item.iter, ast.Tuple):
            if isinstance(item.target, ast.Name):
                for value in item.iter.elts:
                    inside = {**names, item.target.id: value}
                    yield from _statements(module, item.body, inside)


def _call(module, call: ast.Call, names) -> Iterator[tuple[str, str]]:
    kind = ast.unparse(call.func)
    if kind in _OF_CHECK:
        for argument in call.args[1:]:
            yield _text(argument, names), _OF_CHECK[kind]
    elif kind == "check_choice":
        choices = _choices(module, call.args[2], names)
        yield _text(call.args[1], names), choices and f"one of {choices}"
    elif kind == "check":
        yield _text(call.args[0], names), _tidy(_text(call.args[3], names))
    elif kind == "self.check_sides":
        yield "image_size_px", f"multiples of {_tidy(_text(call.args[1], names))}"


def _text(node: ast.expr, names) -> str:
    """Returns a string as written in the source, with a mark for what is filled in."""
    if isinstance(node, ast.Name) and node.id in names:
        return _text(names[node.id], names)
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.IfExp):
        return f"{_text(node.body, names)}, or {_text(node.orelse, names)}"
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _text(part.value, names)
            if isinstance(part, ast.FormattedValue)
            else str(part.value)
            for part in node.values
        )
    return _UNKNOWN


def _tidy(text: str) -> str:
    """Drops what only a run can fill in: a bracketed value, or else the whole text."""
    text = re.sub(rf" \({_UNKNOWN}\)", "", text)
    return "" if _UNKNOWN in text else text


def _choices(module: Module, node: ast.expr, names) -> str:
    if isinstance(node, ast.Name):
        if node.id in names:
            return _choices(module, names[node.id], names)
        where, statement = resolve(module.name, node.id)
        return _choices(where, statement.value, {}) if statement else ""
    if not isinstance(node, ast.Tuple):
        return ""
    words = []
    for item in node.elts:
        if isinstance(item, ast.Starred):
            words.append(_choices(module, item.value, names))
        else:
            words.append(f"`{_text(item, names)}`")
    return ", ".join(words)


def class_of(module_name: str, name: str) -> tuple[Module, ast.ClassDef]:
    """Returns a class of a module, and the module.

    Raises:
      ValueError: There is no such class.
    """
    module = read(module_name)
    node = module.find(name)
    if not isinstance(node, ast.ClassDef):
        raise ValueError(f"`{module_name}` has no class `{name}`.")
    return module, node
