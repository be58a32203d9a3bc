"""What a reader relies on: links lead somewhere, and the site has no fault."""

import pathlib
import re

import pytest
import yaml

from tests.docs.pages import DOCS, NOTEBOOKS, PAGES, ROOT, name, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page):
    """Returns the addresses of a page's headings, as GitHub and mkdocs make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in HEADING.findall(text)
    }


def files_linked(page):
    """Returns the files of this repository that a page links, without headings."""
    targets = LINK.findall(prose(page))
    return {(page.parent / target.partition("#")[0]).resolve() for target in targets}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading_of_it(page):
    offences = []
    for target in LINK.findall(prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            offences.append(f"{target}: no such file")
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            offences.append(f"{target}: no such heading")
    assert not offences, "\n".join(offences)


def settings_of_site():
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def test_every_page_of_docs_is_in_the_navigation():
    listed = [
        path
        for group in settings_of_site()["nav"]
        for pages in group.values()
        for entry in (pages if isinstance(pages, list) else [{"": pages}])
        for path in entry.values()
    ]
    # A notebook becomes a page.
    files = (*DOCS.rglob("*.md"), *(path.with_suffix(".md") for path in NOTEBOOKS))
    pages = {file.relative_to(DOCS).as_posix() for file in files}
    # Those of results/ are reached from results.md: see below.
    assert sorted(listed) == sorted(p for p in pages if not p.startswith("results/"))


@pytest.mark.parametrize("first", ["README.md", "docs/index.md"])
def test_a_table_of_the_paper_is_two_clicks_from_the_first_page(first):
    tables = DOCS / "paper.md"
    assert tables in files_linked(ROOT / first)
    for grid in (*(f"table{number}" for number in range(2, 9)), "fig1"):
        path = ROOT / "configs" / "experiments" / f"{grid}.yaml"
        assert path in files_linked(tables), grid


def test_every_config_is_linked_by_the_list_of_configs():
    page = ROOT / "configs" / "README.md"
    missing = set(ROOT.glob("configs/*/*.yaml")) - files_linked(page)
    assert not missing, sorted(map(name, missing))


def test_every_file_of_numbers_is_on_the_page_of_results():
    page = (DOCS / "results.md").read_text()
    missing = [
        path.name
        for path in (DOCS / "results").iterdir()
        if path.suffix in (".json", ".md") and f"](results/{path.name})" not in page
    ]
    assert not missing


def test_every_picture_of_results_is_shown_on_a_page():
    shown = {
        (page.parent / path).resolve()
        for page in PAGES
        for path in PICTURE.findall(prose(page))
    }
    missing = set((DOCS / "results").glob("*.png")) - shown
    assert not missing, sorted(map(name, missing))


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs comes with the extra `dev`.")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    config = load_config(
        str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path / "site")
    )
    try:
        build(config)
    except Abort as error:
        pytest.fail(f"mkdocs: {error}; `mkdocs build --strict` lists the warnings.")
    site = pathlib.Path(config["site_dir"])
    assert (site / "index.html").exists()
    # A file outside docs/ that a page links is a page of the site.
    source = site / "source" / "configs" / "experiments" / "table2.yaml.html"
    assert "S1/random: 39.2" in source.read_text()
    # A notebook is one too, with what it drew.
    notebook = (site / "notebooks" / "detection.html").read_text()
    assert "label_pictures(" in notebook and "data:image/png;base64," in notebook
