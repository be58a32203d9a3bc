"""Reads our modules' source, comments included, without importing them."""

import ast
import dataclasses
import functools
import io
import pathlib
import tokenize
from collections.abc import Iterator

_ROOT = pathlib.Path(__file__).parents[3]


@dataclasses.dataclass(frozen=True)
class Module:
    """A parsed file."""

    name: str
    tree: ast.Module
    lines: tuple[str, ...]
    comments: dict[int, str]  # By the number of the line, from 1; without `#`.

    def find(self, name: str) -> ast.stmt | None:
        """Returns the function, class or assignment of a name."""
        for node in self.tree.body:
            if name in _names(node):
                return node
        return None

    def public_names(self) -> tuple[str, ...]:
        """Returns what it defines itself and does not mark as private, in order."""
        names = [name for node in self.tree.body for name in _names(node)]
        return tuple(name for name in names if not name.startswith("_"))

    def imported(self, name: str) -> str:
        """Returns the module that a name is imported from; empty if from none."""
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                if name in (alias.name for alias in node.names):
                    return node.module
        return ""


@dataclasses.dataclass(frozen=True)
class Field:
    """One annotated name of a class."""

    name: str
    annotation: str
    default: str  # As it is written; empty: required.
    comment: str


@functools.cache
def read(name: str) -> Module:
    """Returns a module of the package by its dotted name.

    Raises:
      ValueError: There is no such file.
    """
    path = _ROOT.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.exists():
        raise ValueError(f"`name` must be a module of st_keras, got {name!r}.")
    return _parse(name, path)


def tools() -> list[Module]:
    """Returns the tools, named as they are called, in the order of their names."""
    paths = sorted((_ROOT / "tools").glob("*.py"))
    return [_parse(f"tools/{path.name}", path) for path in paths]


def _parse(name: str, path: pathlib.Path) -> Module:
    text = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }
    return Module(name, ast.parse(text), tuple(text.splitlines()), comments)


def resolve(name: str, member: str) -> tuple[Module, ast.stmt | None]:
    """Returns where a member of a module is defined, and its definition.

    A module that is a member of a package has no definition: None.

    Raises:
      ValueError: The module has no such member.
    """
    module = read(name)
    node = module.find(member)
    if node is not None:
        return module, node
    where = module.imported(member)
    if not where.startswith("st_keras"):
        raise ValueError(f"`{name}` has no `{member}`.")
    if where == name:  # `from package import module`, in the package itself.
        return read(f"{name}.{member}"), None
    return resolve(where, member)


def fields(module: Module, node: ast.ClassDef) -> Iterator[Field]:
    """Yields the annotated names of a class, each with its comment.

    That is the comment behind it, and the whole lines of comment right above it.
    """
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            yield Field(
                name=item.target.id,
                annotation=ast.unparse(item.annotation),
                default=ast.unparse(item.value) if item.value else "",
                comment=comment_of(module, item),
            )


def comment_of(module: Module, node: ast.stmt) -> str:
    """Returns the comments above and behind a statement, as one text."""
    above: list[str] = []
    line = node.lineno - 1
    while line in module.comments and _is_comment(module, line):
        above.insert(0, module.comments[line])
        line -= 1
    end = node.end_lineno or node.lineno
    behind = [module.comments[line] for line in (end,) if line in module.comments]
    return " ".join(above + behind)


def _is_comment(module: Module, line: int) -> bool:
    return module.lines[line - 1].lstrip().startswith("#")


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []
