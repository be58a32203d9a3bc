"""The page of what other code may import, made from signatures and docstrings."""

import ast
import copy
import importlib
import re
import textwrap

from st_keras.experiments.reference import source
from st_keras.experiments.reference.source import Module

# What is meant to be called from outside, in the order of the pipeline. Empty: all that
# the package lists in `__all__`.
FRONT_DOOR: dict[str, tuple[str, ...]] = {
    "st_keras.models": (),
    "st_keras.models.weights": (),
    "st_keras.models.weights.importing": ("import_file",),
    "st_keras.ops.images": ("normalize",),
    "st_keras.ops.anchors": ("make_anchors",),
    "st_keras.ops.matching": ("match_anchors", "Matches"),
    "st_keras.ops.targets": ("anchor_targets", "Targets"),
    "st_keras.ops.box_coding": ("encode_boxes", "decode_boxes"),
    "st_keras.ops.boxes": ("clip_to_window",),
    "st_keras.ops.nms": ("non_max_suppression",),
    "st_keras.losses.detection": ("focal_loss", "box_loss"),
    "st_keras.losses.segmentation": ("pixel_loss",),
    "st_keras.losses.classification": ("class_loss",),
    "st_keras.losses.simclr": ("nt_xent",),
    "st_keras.metrics.average_precision": ("AveragePrecision",),
    "st_keras.metrics.mean_iou": ("MeanIoU",),
    "st_keras.metrics.accuracy": ("Accuracy",),
    "st_keras.data.augment.policies": (
        *("Policy", "DETECTION", "SEGMENTATION", "CLASSIFICATION", "menu"),
    ),
    "st_keras.data.augment.augmentation": ("from_policy", "Augmentation"),
    "st_keras.config": ("load", "from_dict", "to_dict", "save", "digest", "Config"),
    "st_keras.types": (),
    "st_keras.data.sources": ("open_source",),
    "st_keras.data.conversion": ("convert",),
    "st_keras.data.dataset_info": ("load", "DatasetInfo"),
    "st_keras.data.splits": ("split", "read_ids"),
    "st_keras.tasks": (),
    "st_keras.training.loop": ("train",),
    "st_keras.training.evaluate": ("evaluate_run",),
    "st_keras.runtime.restored": ("restore_run", "RestoredRun"),
    "st_keras.runtime.stored_labels": ("labels_in",),
    "st_keras.runtime.export": ("export_run",),
    "st_keras.self_training.blend": ("Blend",),
    "st_keras.self_training.labeling": ("label_pictures",),
    "st_keras.experiments.self_train": ("self_train",),
    "st_keras.experiments.predictions": ("predict_files",),
}
_INTRODUCTION = """\
# Functions and classes

What other code may import. Whatever is not here may change without a line in the
changelog. Models take plain arguments, and pictures that
`st_keras.ops.images.normalize` has normalised; what takes a `Config` takes what a YAML
file of [settings](configs.md) becomes.

A heading is the module to import: `from st_keras.ops import nms`; after
`import st_keras`, `st_keras.ops.nms` is there too. Importing `st_keras` alone is cheap:
TensorFlow is loaded by the part that needs it.

Made from the code by `python tools/reference.py --output docs/reference`.
"""
_WIDTH = 88
_LISTS = ("Args", "Raises")
_SECTION = re.compile(r"(Args|Returns|Raises|Yields|Source):\s*(.*)")


def page() -> str:
    """Returns the page in Markdown."""
    return "\n".join([_INTRODUCTION, *map(_module, FRONT_DOOR)])


def members(name: str) -> tuple[str, ...]:
    """Returns the names the page shows of a module: all public if it lists none."""
    if FRONT_DOOR[name]:
        return FRONT_DOOR[name]
    module = source.read(name)
    listed = module.find("__all__")
    if isinstance(listed, ast.Assign):
        return tuple(sorted(ast.literal_eval(listed.value), key=str.lower))
    return module.public_names()


def _module(name: str) -> str:
    said = _docstring(ast.get_docstring(source.read(name).tree) or "")
    parts = [_member(name, member) for member in members(name)]
    return "\n".join([f"## {name}", "", *said, *parts])


def _member(name: str, member: str) -> str:
    module, node = source.resolve(name, member)
    lines = [f"### {member}", ""]
    if node is None:
        lines += ["A module.", "", *_docstring(ast.get_docstring(module.tree) or "")]
        for inner in module.public_names():
            lines += [f"#### {member}.{inner}", "", *_definition(module, inner)]
    else:
        lines += _definition(module, member)
    return "\n".join(lines)


def _definition(module: Module, name: str) -> list[str]:
    node = module.find(name)
    if isinstance(node, ast.FunctionDef):
        return [_signature(node), *_docstring(ast.get_docstring(node) or "")]
    if isinstance(node, ast.ClassDef):
        return _class(module, node)
    return _constant(module, name)


def _constant(module: Module, name: str) -> list[str]:
    """Returns what a name stands for; the keys if it is a dictionary.

    Some are made by a loop, so the module is imported.
    """
    node = module.find(name)
    value = getattr(importlib.import_module(module.name), name)
    if isinstance(value, dict):
        is_what = f"has the keys {', '.join(f'`{key}`' for key in value)}."
    else:
        is_what = f"is `{ast.unparse(node.value)}`."
    said = source.comment_of(module, node)
    text = f"A constant of `{module.name}`; it {is_what} {said}".rstrip()
    return [text, ""]


def _class(module: Module, node: ast.ClassDef) -> list[str]:
    lines = _docstring(ast.get_docstring(node) or "")
    rows = list(source.fields(module, node))
    if rows:
        lines += ["| field | type | default | what |", "| --- | --- | --- | --- |"]
        for row in rows:
            default = f"`{row.default}`" if row.default else ""
            # A bar would end the cell, in some renderers even inside of code.
            annotation = row.annotation.replace(" | ", " or ")
            cells = [f"`{row.name}`", f"`{annotation}`", default, row.comment]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    for item in methods:
        if item.name == "__init__":
            _, _, arguments = (ast.get_docstring(item) or "").partition("\n\n")
            lines = [_signature(item, node.name), *lines, *_docstring(arguments)]
    for item in methods:
        if not item.name.startswith("_"):
            lines += [f"#### {node.name}.{item.name}", "", _method(item)]
            lines += _docstring(ast.get_docstring(item) or "")
    return lines


def _method(node: ast.FunctionDef) -> str:
    """Returns a code block: how a method is called, or a property read."""
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    if "property" in decorators:
        return f"```text\n{node.name}: {ast.unparse(node.returns)}\n```\n"
    return _signature(node, is_bound="staticmethod" not in decorators)


def _signature(
    node: ast.FunctionDef, of_class: str = "", *, is_bound: bool = False
) -> str:
    """Returns a code block: one line, or one for each argument."""
    ending = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    name, arguments = of_class or node.name, node.args
    if of_class or is_bound:
        arguments = copy.copy(arguments)
        arguments.args = arguments.args[1:]  # Without `self`.
    text = f"{name}({ast.unparse(arguments)}){ending}"
    if len(text) > _WIDTH:
        rows = "".join(f"    {argument},\n" for argument in _arguments(arguments))
        text = f"{name}(\n{rows}){ending}"
    return f"```text\n{text}\n```\n"


def _arguments(arguments: ast.arguments) -> list[str]:
    """Returns each argument with annotation and default, and the star between."""
    places = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(places) - len(arguments.defaults))
    rows = [
        _argument(place, default)
        for place, default in zip(places, [*missing, *arguments.defaults], strict=True)
    ]
    if arguments.vararg:
        rows.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        rows.append("*")
    for place, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        rows.append(_argument(place, default))
    if arguments.kwarg:
        rows.append(f"**{ast.unparse(arguments.kwarg)}")
    return rows


def _argument(place: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return ast.unparse(place)
    equals = " = " if place.annotation else "="
    return f"{ast.unparse(place)}{equals}{ast.unparse(default)}"


def _docstring(text: str) -> list[str]:
    """Returns a docstring in Markdown: its lists of names become lists."""
    lines, section = [], ""
    for block in text.split("\n\n"):
        first, *rest = block.split("\n")
        match = _SECTION.fullmatch(first)
        body = textwrap.dedent("\n".join(rest))
        if not match:
            is_formula = all(line.startswith("    ") for line in block.split("\n"))
            lines += [
                block if is_formula or not section else textwrap.dedent(block),
                "",
            ]
            continue
        section = match[1]
        if section in _LISTS:
            lines += [f"**{section}**", "", *_items(body), ""]
        else:
            said = " ".join(f"{match[2]} {body}".split())
            lines += [f"**{section}** {said}", ""]
    return lines


def _items(body: str) -> list[str]:
    """Returns a line for each `name: text`, whose later lines are indented."""
    items: list[str] = []
    for line in body.split("\n"):
        if line.startswith(" ") and items:
            items[-1] += f" {line.strip()}"
        else:
            name, _, said = line.partition(": ")
            items.append(f"- `{name}`: {said}")
    return items
