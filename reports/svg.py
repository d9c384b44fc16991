"""Charts as SVG text. Colours are classes, so that the page's style sheet decides on them in light
and in dark; every mark has a title, so that it can be read without a picture. No numbers are made
up here: an axis begins at nought, or says that it is logarithmic."""
import math
from html import escape

WIDTH, HEIGHT = 640, 240
GLYPHS = {"lost": "✗", "wrong": "≠", "no-open": "☠", "stuck": "∞"}  # as in trace.py
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 40


def text(x, y, words, anchor="start", kind="label"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">'
            f"{escape(str(words))}</text>")


def title(words):
    return f"<title>{escape(str(words))}</title>"


def _nice(most):
    if most <= 0:
        return 1
    power = 10 ** math.floor(math.log10(most))
    for step in (1, 2, 2.5, 5, 10):
        if most <= step * power:
            return step * power
    return 10 * power


def tick_text(value):
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    if value >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:g}"


class Axis:
    """Maps values to places: linear from nought, or logarithmic (log1p) when `log`."""

    def __init__(self, low, high, first, last, log=False):
        self.low, self.first, self.last, self.log = low, first, last, log
        self.high = high if high > low else low + 1

    def _scaled(self, value):
        return math.log1p(value) if self.log else value

    def at(self, value):
        low, high = self._scaled(self.low), self._scaled(self.high)
        return self.first + (self.last - self.first) * (self._scaled(value) - low) / (high - low)

    def ticks(self):
        if not self.log:
            step = _nice((self.high - self.low) / 4)
            return [self.low + step * i
                    for i in range(int((self.high - self.low) / step + 1e-9) + 1)]
        ticks, value = [0], 1
        while value <= self.high:
            ticks.append(value)
            value *= 10
        if len(ticks) <= 3:
            ticks = sorted(set(ticks + [t * m for t in ticks for m in (2, 5)
                                        if t * m <= self.high]))
        return [t for t in ticks if t >= self.low]


def frame(x, y, x_name, y_name, width=WIDTH, height=HEIGHT):
    parts = []
    for tick in y.ticks():
        at = y.at(tick)
        parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{width - RIGHT}" y2="{at:.1f}" '
                     f'class="grid"/>')
        parts.append(text(LEFT - 6, at + 4, tick_text(tick), "end", "tick"))
    for tick in x.ticks():
        at = x.at(tick)
        parts.append(f'<line x1="{at:.1f}" y1="{height - BOTTOM}" x2="{at:.1f}" '
                     f'y2="{height - BOTTOM + 4}" class="axis"/>')
        parts.append(text(at, height - BOTTOM + 16, tick_text(tick), "middle", "tick"))
    parts.append(f'<line x1="{LEFT}" y1="{height - BOTTOM}" x2="{width - RIGHT}" '
                 f'y2="{height - BOTTOM}" class="axis"/>')
    parts.append(text((LEFT + width - RIGHT) / 2, height - 6, x_name, "middle"))
    parts.append(f'<text x="12" y="{(TOP + height - BOTTOM) / 2:.1f}" class="label" '
                 f'text-anchor="middle" '
                 f'transform="rotate(-90 12 '
                     f'{(TOP + height - BOTTOM) / 2:.1f})">{escape(y_name)}</text>')
    return "".join(parts)


def wrap(inside, label, width=WIDTH, height=HEIGHT):
    return (f'<svg viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{escape(label, quote=True)}" '
            f'style="max-width:{width}px">{inside}</svg>')


DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4", "10 4")
MARKS = ("●", "■", "▲", "◆", "○", "□")


def lines(series, x_name, y_name, label, step=False, log_x=False, log_y=False, percent=False):
    """`series`: (name, [(x, y), ...]). Lines are told apart by colour, dash and a mark."""
    points = [p for _, line in series for p in line]
    if not points:
        return ""
    top = 100 if percent else _nice(max(p[1] for p in points))
    x = Axis(0, max(p[0] for p in points), LEFT, WIDTH - RIGHT - 8, log_x)
    y = Axis(0, top, HEIGHT - BOTTOM, TOP, log_y)
    parts = [frame(x, y, x_name + (" (logarithmic)" if log_x else ""), y_name)]
    for number, (name, line) in enumerate(series):
        path, before = [], None
        for px, py in line:
            if step and before is not None:
                path.append(f"H{x.at(px):.1f}")
            path.append(f"{'L' if path else 'M'}{x.at(px):.1f} {y.at(py):.1f}")
            before = py
        dash = f' stroke-dasharray="{DASHES[number % len(DASHES)]}"' if number % len(DASHES) else ""
        parts.append(f'<path d="{"".join(path)}" class="line c{number % 6}"'
                     f"{dash}>{title(name)}</path>")
        px, py = line[-1]
        parts.append(f'<text x="{x.at(px):.1f}" y="{y.at(py) + 4:.1f}" class="mark c{number % 6}" '
                     f'text-anchor="middle">{MARKS[number % len(MARKS)]}{title(name)}</text>')
    return wrap("".join(parts), label)


def scatter(series, x_name, y_name, label, log_x=False, log_y=False, fit=None):
    points = [p for _, dots in series for p in dots]
    if not points:
        return ""
    x = Axis(0, max(p[0] for p in points), LEFT, WIDTH - RIGHT - 8, log_x)
    y = Axis(0, _nice(max(p[1] for p in points)), HEIGHT - BOTTOM, TOP, log_y)
    parts = [frame(x, y, x_name, y_name)]
    for number, (name, dots) in enumerate(series):
        for px, py in dots:
            parts.append(f'<circle cx="{x.at(px):.1f}" cy="{y.at(py):.1f}" r="2.6" class="dot '
                         f'c{number % 6}">'
                         f'{title(f"{name}: {px:g}, {py:g}")}</circle>')
    if fit:
        base, slope = fit
        last = max(p[0] for p in points)
        parts.append(f'<line x1="{x.at(0):.1f}" y1="{y.at(base):.1f}" x2="{x.at(last):.1f}" '
                     f'y2="{y.at(base + slope * last):.1f}" class="fit"/>')
    return wrap("".join(parts), label)


def legend(names):
    return ('<ul class="legend">' + "".join(
        f'<li><span class="c{i % 6} key" aria-hidden="true">{MARKS[i % len(MARKS)]}</span> '
                                            f'{escape(n)}</li>'
        for i, n in enumerate(names)) + "</ul>")


def stacked(rows, label, unit="bytes"):
    """Rows of (name, [(part, value), ...]) as bars on one scale; parts share an order."""
    most = max((sum(v for _, v in parts) for _, parts in rows), default=0)
    if most <= 0:
        return ""
    height = 26 * len(rows) + 6
    out = []
    for number, (name, parts) in enumerate(rows):
        y, at = 4 + 26 * number, 150.0
        out.append(text(144, y + 14, name, "end"))
        for order, (part, value) in enumerate(parts):
            width = (WIDTH - 150 - 70) * value / most
            out.append(f'<rect x="{at:.1f}" y="{y}" width="{max(width, 0):.1f}" height="18" '
                       f'class="bar c{order % 6}">'
                       f'{title(f"{name}, {part}: {value:g} {unit}")}</rect>')
            at += width
        out.append(text(at + 5, y + 14, f"{sum(v for _, v in parts):.3g}", "start", "tick"))
    return wrap("".join(out), label, WIDTH, height)


def shares(rows, label):
    """Crash-point strip: per point a column of shares. Rows: (title, [(class, count)...], mark)."""
    if not rows:
        return ""
    step = max(5.0, min(28.0, (WIDTH - LEFT - RIGHT) / len(rows)))
    width, height = LEFT + RIGHT + step * len(rows), 120
    out = [text(LEFT - 6, 20, "100 %", "end", "tick"), text(LEFT - 6, 92, "0", "end", "tick"),
           f'<line x1="{LEFT}" y1="92" x2="{width - RIGHT:.1f}" y2="92" class="axis"/>']
    for number, (words, counts, mark) in enumerate(rows):
        total = sum(count for _, count in counts)
        x, y = LEFT + step * number, 92.0
        out.append(f"<g>{title(words)}")
        for kind, count in counts:
            tall = 78.0 * count / total if total else 0
            if count:
                tall = max(tall, 3.0)
            y -= tall
            out.append(f'<rect x="{x + .5:.1f}" y="{y:.1f}" width="{max(step - 1, 3):.1f}" '
                       f'height="{tall:.1f}" class="o-{kind}"/>')
            if kind in GLYPHS and count and step >= 9:
                out.append(f'<text x="{x + step / 2:.1f}" y="{y + min(tall - 1, 11):.1f}" '
                           f'class="on" text-anchor="middle">{GLYPHS[kind]}</text>')
        if step >= 7:
            out.append(text(x + step / 2, 105, mark, "middle", "tick"))
        out.append("</g>")
    return wrap("".join(out), label, width, height)


def sector(state, note=""):
    """What became of one change: kept is full, lost is hollow with a cross, torn is half full,
    durable is full with a bar beneath."""
    inside = {
        "durable": '<rect x="2" y="2" width="12" height="12" class="s-full"/><line x1="2" '
              'y1="16.5" x2="14" y2="16.5" class="s-bar"/>',
        "kept": '<rect x="2" y="2" width="12" height="12" class="s-full"/>',
        "lost": '<rect x="2" y="2" width="12" height="12" class="s-empty"/><path d="M4 4L12 '
              '12M12 4L4 12" class="s-cross"/>',
        "torn": '<rect x="2" y="2" width="12" height="12" class="s-empty"/><path d="M2 '
              '2H8V14H2Z" class="s-full"/><path d="M8 1V15" class="s-cross"/>',
        "later": '<rect x="2" y="2" width="12" height="12" class="s-later"/>',
    }[state]
    words = note or state
    return (f'<svg viewBox="0 0 16 18" width="16" height="18" class="sector" role="img" '
            f'aria-label="{escape(words, quote=True)}">{title(words)}{inside}</svg>')
