"""Makes pages of the site from notebooks, and from files outside docs/ that pages link.

So a link such as `../configs/experiments/table2.yaml` leads to the file wherever the
page is read: in the repository, or in the site that mkdocs builds.
"""

import json
import pathlib
import posixpath
import re

from mkdocs.structure.files import File, Files

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_DOCS, _SOURCE = "docs", "source"
_NOTEBOOK = ".ipynb"
_LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", "": "text"}


def on_files(files: Files, config) -> Files:
    """Adds a page for each file that is linked, and for those that these link."""
    for file in list(files):
        if file.src_uri.endswith(_NOTEBOOK):
            content = _notebook(f"{_DOCS}/{file.src_uri}")
            page = f"{file.src_uri.removesuffix(_NOTEBOOK)}.md"
            files.append(File.generated(config, page, content=content))
            files.remove(file)
    pages = [file for file in files if file.src_uri.endswith(".md")]
    while pages:
        page = pages.pop()
        for path in _linked(page.src_uri, page.content_string):
            uri = _uri(path)
            if files.get_file_from_path(uri) or not (_ROOT / path).is_file():
                continue
            if path.startswith(f"{_DOCS}/"):  # A dead link: mkdocs says so.
                continue
            made = File.generated(config, uri, content=_content(path))
            files.append(made)
            pages.append(made)
    return files


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Turns links to such files into links to their pages."""
    here = page.file.src_uri

    def turned(match: re.Match) -> str:
        uri = _uri(_path(here, match[2]))
        if not files.get_file_from_path(uri):
            return match[0]
        target = posixpath.relpath(uri, posixpath.dirname(here) or ".")
        return f"{match[1]}{target}{match[3]}"

    return _LINK.sub(turned, markdown)


def _linked(uri: str, markdown: str) -> list[str]:
    """Returns the files that a page links, from the root of the repository."""
    return [_path(uri, match[2]) for match in _LINK.finditer(markdown)]


def _path(uri: str, target: str) -> str:
    if uri.startswith(f"{_SOURCE}/"):
        page = uri.removeprefix(f"{_SOURCE}/")
    else:
        page = f"{_DOCS}/{uri}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def _uri(path: str) -> str:
    """Returns what mkdocs calls a file of the repository."""
    if path.startswith(f"{_DOCS}/"):
        uri = path.removeprefix(f"{_DOCS}/")
        is_notebook = uri.endswith(_NOTEBOOK)
        return f"{uri.removesuffix(_NOTEBOOK)}.md" if is_notebook else uri
    return f"{_SOURCE}/{path}" + ("" if path.endswith(".md") else ".md")


def _content(path: str) -> str:
    text = (_ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    language = _LANGUAGES.get(pathlib.Path(path).suffix, "text")
    return f"# {path}\n\n~~~~{language}\n{text}\n~~~~\n"


def _notebook(path: str) -> str:
    cells = json.loads((_ROOT / path).read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in _cell(cell)) + "\n"


def _cell(cell: dict) -> list[str]:
    """Returns a cell of a notebook as Markdown: its text, or code and what it gave."""
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return [source]
    parts = [f"~~~~python\n{source}\n~~~~"]
    for output in cell["outputs"]:
        data = output.get("data", {})
        text = "".join(output.get("text", data.get("text/plain", "")))
        if "image/png" in data:
            picture = "".join(data["image/png"]).replace("\n", "")
            parts.append(f"![What the cell drew](data:image/png;base64,{picture})")
        elif text:
            parts.append(f"~~~~text\n{text.rstrip()}\n~~~~")
    return parts
