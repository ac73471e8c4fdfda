"""The table of a run in docs/internals/reliability.md, between two marks."""

from . import filesystems

BEGIN = "<!-- written by `make soak` -->"
END = "<!-- until here -->"
SECOND = 10**9


def span(ns):
    """A readable duration."""
    if ns is None:
        return "none"
    for unit, size in (("s", SECOND), ("ms", 10**6), ("µs", 10**3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns} ns"


def number(value):
    return f"{value:,}"


def of(counted, name):
    """How many answers of a rival were wrong, of how many."""
    asked = counted[f"{name} asked"]
    return f"{number(counted[f'{name} wrong'])} of {number(asked)}" if asked else "-"


def table(results):
    """The lines: `results` has, by file system, granularity, wait, and what was counted."""
    lines = [
        "| file system | granularity | a trigger's longest wait | histories | checked reads, of them overlapping a change "
        "| wrong answers of epcache | of a cache by mtime | of stevedore's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, (granule, wait, counted) in results.items():
        lines.append(
            f"| {filesystems.TITLES[name]} | {span(granule)} | {wait * 1e3:.1f} ms | {number(counted['histories'])} "
            f"| {number(counted['reads'])}, {number(counted['overlapping'])} | {number(counted['wrong'])} "
            f"| {of(counted, 'mtime')} | {of(counted, 'stevedore')} |"
        )
    total = sum(
        (counted for _, _, counted in results.values()), start=type(next(iter(results.values()))[2])()
    )
    lines.append(
        f"| together | | | {number(total['histories'])} | {number(total['reads'])}, {number(total['overlapping'])} "
        f"| {number(total['wrong'])} | {of(total, 'mtime')} | {of(total, 'stevedore')} |"
    )
    return lines


def write(path, lines):
    """Put the lines between the marks of a document."""
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")
