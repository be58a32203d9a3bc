"""The page of all commands, made from the docstrings and flags of the tools."""

import ast
import dataclasses
import textwrap
from collections.abc import Iterator

from st_keras.experiments.reference import source

_INTRODUCTION = """\
# Commands

Every tool runs from the folder that holds `tools/`, in the environment that `make` or
`pip` has filled. `--config`, `--workdir`, `--checkpoint` and `--set a.b=value` mean the
same everywhere. An error is one line and exit code 1; `--verbosity=1` prints the
traceback too, and `--help` answers at once.

Made from the code by `python tools/reference.py --output docs/reference`.
"""
_WORDS = {
    "string": "text",
    "multi_string": "text, as often as you like",
    "list": "list, with commas",
    "integer": "whole number",
    "float": "number",
    "bool": "on or off",
    "enum": "one of",
}
# Functions of command_line that give a tool the flags of devices, and the default.
_OF_DEVICES = {
    "define_device_flags": "`one_device`",
    "define_device_overrides": "the config's",
}


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of a tool."""

    name: str
    kind: str
    default: str  # In words.
    said: str


def page() -> str:
    """Returns the page in Markdown."""
    return "\n".join([_INTRODUCTION, *map(_tool, source.tools())])


def flags_of(module: source.Module) -> list[Flag]:
    """Returns the flags that a tool defines, in the order of its file."""
    required = _required(module)
    found = list(_defined(module, required))
    called = {n.attr for n in ast.walk(module.tree) if isinstance(n, ast.Attribute)}
    for function in called & _OF_DEVICES.keys():
        said = "Name or address; `local` on a TPU VM."
        found += [
            Flag("strategy", "text", _OF_DEVICES[function], "Devices to run on."),
            Flag("tpu", "text", "empty", said),
        ]
    return found


def _tool(module: source.Module) -> str:
    docstring = ast.get_docstring(module.tree, clean=False) or ""
    lines = [f"## {module.name}", ""]
    for block in docstring.rstrip().split("\n\n"):
        is_code = all(line.startswith("    ") for line in block.split("\n"))
        text = textwrap.dedent(block)
        lines += [f"```sh\n{text}\n```" if is_code else text, ""]
    lines += ["| flag | value | default | what |", "| --- | --- | --- | --- |"]
    for flag in flags_of(module):
        lines.append(
            f"| `--{flag.name}` | {flag.kind} | {flag.default} | {flag.said} |"
        )
    return "\n".join([*lines, ""])


def _defined(module: source.Module, required: set[str]) -> Iterator[Flag]:
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: node.lineno):
        _, is_definition, kind = ast.unparse(call.func).partition("flags.DEFINE_")
        if not is_definition:
            continue
        name, default, *rest = call.args
        word = _WORDS[kind]
        if kind == "enum":
            words = _value(module, rest.pop(0))
            word = f"one of {', '.join(f'`{word}`' for word in words)}"
        name = _value(module, name)
        yield Flag(
            name=name,
            kind=word,
            default="required" if name in required else _default(module, default),
            said=str(_value(module, rest[0])).replace("|", "/"),
        )


def _required(module: source.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            if ast.unparse(node.func) == "flags.mark_flag_as_required":
                names.add(_value(module, node.args[0]))
            if ast.unparse(node.func) == "flags.mark_flags_as_required":
                names.update(_value(module, node.args[0]))
    return names


def _default(module: source.Module, node: ast.expr) -> str:
    value = _value(module, node)
    if value is None or value in ("", []):
        return "empty"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{','.join(value) if isinstance(value, list) else value}`"


def _value(module: source.Module, node: ast.expr):
    """Returns a literal, or the value of a constant of the file."""
    if isinstance(node, ast.List | ast.Tuple):
        return [
            value
            for item in node.elts
            for value in (
                _value(module, item.value)
                if isinstance(item, ast.Starred)
                else [_value(module, item)]
            )
        ]
    if isinstance(node, ast.Name):
        assigned = module.find(node.id)
        return _value(module, assigned.value) if assigned else f"see `{node.id}`"
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
