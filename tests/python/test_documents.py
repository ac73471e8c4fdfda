"""What documents say of the repository is there: files that they link to, tests that they name."""

import pathlib
import re

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(path.relative_to(CHECKOUT)) for path in DOCUMENTS])
def test_links_lead_to_files(document):
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", document.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


def test_attacks_are_shown_by_tests_that_exist():
    text = (CHECKOUT / "docs/threats.md").read_text(encoding="utf-8")
    named = {
        name
        for line in text.splitlines()
        if line.startswith("|")
        for name in re.findall(r"`([a-z0-9_]+)`", line.rstrip(" |").rpartition("|")[2])
    }
    sources = [*CHECKOUT.glob("tests/**/*.rs"), *CHECKOUT.glob("tests/**/*.py")]
    code = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    defined = set(re.findall(r"^\s*(?:fn|def) ([a-z0-9_]+)\(", code, re.MULTILINE))
    assert len(named) > 20
    assert named <= defined
