"""Prints pygments' lexers for many files."""

from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

SUFFIXES = ["py", "rs", "c", "h", "cpp", "js", "ts", "css", "html", "xml", "toml", "ini", "json"]
SUFFIXES += ["yaml", "md", "rst", "sh", "go", "rb", "pl", "java", "kt", "sql", "tex", "moth", "none"]

for suffix in SUFFIXES * 2:
    try:
        print(suffix, get_lexer_for_filename(f"file.{suffix}").name)
    except ClassNotFound as error:
        print(suffix, error)
