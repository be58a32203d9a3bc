"""Makes pages of the site from files outside docs/ that its pages link.

So a link such as `../configs/experiments/table2.yaml` leads to the file wherever the
page is read: in the repository, or in the site that mkdocs builds.
"""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File, Files

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_DOCS, _SOURCE = "docs", "source"
_LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", "": "text"}


def on_files(files: Files, config) -> Files:
    """Adds a page for each file that is linked, and for those that these link."""
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
        return path.removeprefix(f"{_DOCS}/")
    return f"{_SOURCE}/{path}" + ("" if path.endswith(".md") else ".md")


def _content(path: str) -> str:
    text = (_ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    language = _LANGUAGES.get(pathlib.Path(path).suffix, "text")
    return f"# {path}\n\n~~~~{language}\n{text}\n~~~~\n"
