"""A plot of how long programs take: bars, as SVG."""

WIDTH = 820
LABELS = 250  # room for names
RIGHT = 70  # room for the last number
BAR = 13
GAP = 16
TOP = 74
STYLE = """\
text { font: 12px sans-serif; fill: #222 }
.title { font-size: 15px; font-weight: bold }
.name, .key, .number { dominant-baseline: central }
.name { text-anchor: end }
.number { font-size: 11px; fill: #444 }
.axis { stroke: #ddd }
.tick { text-anchor: middle; fill: #777; font-size: 11px }
.without { fill: #b9b9b9 }
.with { fill: #2a6f97 }
.background { fill: #fff }
"""


def bars(times, facts):
    """The plot of medians in ms: for each name without and with acceleration, in the larger environment."""
    pairs = {name: sizes["many"] for name, sizes in times.items()}
    longest = max(max(pair) for pair in pairs.values())
    step = next(step for step in (50, 100, 200, 250, 500, 1000, 2000, 5000) if longest / step <= 8)
    scale = (WIDTH - LABELS - RIGHT) / longest
    height = TOP + len(pairs) * (2 * BAR + GAP) + 24
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>\n{STYLE}</style>",
        f'<rect class="background" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="16" y="24">Real programs in an environment of {facts["many"]} distributions</text>',
        *_legend(facts),
    ]
    for tick in range(0, int(longest) + 1, step):
        x = LABELS + tick * scale
        lines.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 22}"/>')
        lines.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}">{tick} ms</text>')
    y = TOP
    for name, (ours, theirs) in pairs.items():
        lines.append(f'<text class="name" x="{LABELS - 8}" y="{y + BAR}">{name}</text>')
        for kind, value in (("without", theirs), ("with", ours)):
            bar = value * scale
            lines.append(f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{bar:.1f}" height="{BAR}"/>')
            x = LABELS + bar + 5
            lines.append(f'<text class="number" x="{x:.1f}" y="{y + BAR / 2}">{value:.0f}</text>')
            y += BAR
        y += GAP
    return "\n".join([*lines, "</svg>\n"])


def _legend(facts):
    y = 40
    lines = []
    what = f"with epcache enable --accelerate ({facts['python']}, the processor's time of whole processes, medians)"
    for kind, x, text in (("without", 16, "without acceleration"), ("with", 180, what)):
        lines.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{BAR}" height="{BAR}"/>')
        lines.append(f'<text class="key" x="{x + 20}" y="{y + BAR / 2}">{text}</text>')
    return lines
