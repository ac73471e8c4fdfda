"""Statements of the documents about the repository: linked files and headings, and named tests, exist."""

import re

import pytest
from support.checkout import CHECKOUT

DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])
every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(CHECKOUT)) for path in DOCUMENTS]
)


def links(document):
    """Pairs of a file and the name of a heading in it, or an empty string."""
    found = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", document.read_text(encoding="utf-8"))
    return [((document.parent / path).resolve() if path else document, heading) for path, heading in found]


def headings(document):
    """The names by which GitHub links to the headings of a document."""
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_document
def test_linked_files_exist(document):
    missing = [path for path, _ in links(document) if not path.exists()]
    assert missing == []


@every_document
def test_linked_headings_exist(document):
    missing = [
        f"{path.name}#{heading}"
        for path, heading in links(document)
        if heading and heading not in headings(path)
    ]
    assert missing == []


def test_the_index_lists_every_page():
    index = CHECKOUT / "docs/index.md"
    listed = {path for path, _ in links(index)}
    assert set(CHECKOUT.glob("docs/**/*.md")) - {index} <= listed


def test_tests_named_in_threats_exist():
    text = (CHECKOUT / "docs/threats.md").read_text(encoding="utf-8")
    named = {
        name
        for line in text.splitlines()
        if line.startswith("|")
        for name in re.findall(r"`([a-z0-9_]+)`", line.rstrip(" |").rpartition("|")[2])
    }
    folders = ["src/**/*.rs", "tests/**/*.rs", "tests/**/*.py"]
    sources = [source for folder in folders for source in CHECKOUT.glob(folder)]
    code = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    defined = set(re.findall(r"^\s*(?:fn|def) ([a-z0-9_]+)\(", code, re.MULTILINE))
    assert len(named) > 20
    assert named <= defined
