"""The only reader of results: JSON lines of powercut, mutants.json, the file of the benchmark.

A *run* is one header with what follows it, up to its summary. Records of different builds are never
added up: each run keeps its own. What cannot be read is an error with file and line, not a gap.
"""
import json
import os

SCHEMA = "powercut.result/1"

OUTCOMES = ("kept", "false-failure", "window", "refused", "lost", "wrong", "no-open", "stuck")
BAD = ("lost", "wrong", "no-open", "stuck")
# glyph, words. A glyph is never alone: the words are beside it or in the key of the table.
GLYPHS = {
    "kept": ("✓", "kept as promised"),
    "window": ("◐", "acknowledged writes lost, none that was promised"),
    "refused": ("⚠", "damage detected and refused"),
    "false-failure": ("↺", "false failure: reported failed, later there"),
    "lost": ("✗", "lost a write that was promised"),
    "wrong": ("≠", "wrong data"),
    "no-open": ("☠", "does not open"),
    "stuck": ("∞", "hangs, dies or does not go on"),
    "untested": ("?", "not tested"),
}


class Unreadable(Exception):
    """A file that is no result; the text says where and why."""


class Run:
    """One run of run, matrix or audit."""

    def __init__(self, path):
        self.path = path
        self.header = {}
        self.summary = {}
        self.findings = []
        self.progress = []
        self.sites = []
        self.cells = []
        self.costs = []
        self.recoveries = []
        self.strips = []

    @property
    def command(self):
        return self.header.get("command") or self.summary.get("command") or "run"

    @property
    def store(self):
        return self.header.get("store") or self.summary.get("store") or "?"

    @property
    def complete(self):
        """Did it come to its end? A run without a summary says nothing about what it did not do."""
        return bool(self.summary) or (self.command == "audit" and bool(self.sites))

    @property
    def exit(self):
        if self.summary:
            return self.summary.get("exit", 0)
        if self.command == "audit":
            return 1 if any(s["class"] == "undetected" for s in self.sites) else 0
        return 3

    def title(self):
        seed = self.header.get("seed", self.summary.get("seed", "?"))
        return f"{self.command} {self.store} seed {seed}"


class Results:
    def __init__(self):
        self.runs = []
        self.mutants = []
        self.benches = []
        self.files = []

    def findings(self):
        return [(run, finding) for run in self.runs for finding in run.findings]

    def of(self, command):
        return [run for run in self.runs if run.command == command]


def _check_schema(record, where):
    schema = record.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise Unreadable(f"{where}: schema {schema}; this reads {SCHEMA}")


def _add(record, run):
    kind = record["type"]
    lists = {"finding": run.findings, "progress": run.progress, "site": run.sites,
             "cell": run.cells, "cost": run.costs, "recovery": run.recoveries,
             "strip": run.strips}
    if kind == "header":
        run.header = record
    elif kind == "summary":
        run.summary = record
    elif kind in lists:
        lists[kind].append(record)
    # Others are of a later version that kept the schema: left out.


def _read_lines(results, path, text):
    run = None
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("::"):
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            if run and number == len(lines):
                break  # it was stopped while it wrote: without a summary, so inconclusive
            raise Unreadable(f"{where}: no JSON: {error}") from None
        if not isinstance(record, dict) or "type" not in record:
            raise Unreadable(f"{where}: no result: a line needs a type")
        _check_schema(record, where)
        if run is None or record["type"] == "header" or run.summary:
            run = Run(path)
            results.runs.append(run)
        _add(record, run)
    if run is None:
        raise Unreadable(f"{path}: empty")


def read(results, path):
    """Reads one file into `results`."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {error}") from None
    results.files.append(path)
    try:
        whole = json.loads(text)
    except ValueError:
        _read_lines(results, path, text)
        return
    if isinstance(whole, list) and all("witness" in row for row in whole):
        results.mutants.extend(whole)
    elif isinstance(whole, dict) and whole.get("type") == "bench":
        results.benches.append(whole)
    else:
        _read_lines(results, path, text)


def find(paths):
    """Files as they are, and of directories every results*.jsonl, mutants.json and bench*.json.
    Below a directory `latest` is another name of a run, and `canary` and `demo` are runs of a
    build with a planted mistake: left out."""
    found = []
    for path in paths:
        if not os.path.isdir(path):
            found.append(path)
            continue
        for folder, below, names in os.walk(path):
            below[:] = sorted(b for b in below if b not in ("latest", "canary", "demo"))
            found += [os.path.join(folder, n) for n in sorted(names)
                      if (n.startswith("results") and n.endswith(".jsonl"))
                      or (n.startswith("unit-") and n.endswith(".jsonl"))
                      or n == "mutants.json" or (n.startswith("bench") and n.endswith(".json"))]
    return found


def load(paths):
    """Units of a run that was shared among machines are added up first: they are one run."""
    import merge  # it reads with this module
    results, shared = Results(), []
    for path in find(paths):
        if merge.holds_units(path):
            shared.append(path)
        else:
            read(results, path)
    try:
        for units in merge.group(merge.collect(shared)):
            run = Run(shared[0])
            for record in merge.records(units):
                _add(record, run)
            results.runs.append(run)
    except (KeyError, ValueError) as error:
        raise Unreadable(f"{shared[0]}: no result of powercut merge: {error}") from None
    results.files += shared
    return results


# ---- comparing with an earlier result ----

def compare(results, base=None):
    """Sorts findings by signature: new, ongoing (in both, in every run of this one), rare (in both,
    but not in every run here that could show it), resolved (only earlier). Without an earlier
    result everything is new."""
    earlier = {f["signature"]: (r, f) for r, f in base.findings()
               if "signature" in f} if base else {}
    now = {}
    for run, finding in results.findings():
        now.setdefault(finding.get("signature", finding["file"]), []).append((run, finding))
    runs = max(1, len(results.of("run")))
    sorted_out = {"new": [], "ongoing": [], "rare": [], "resolved": []}
    for signature, seen in now.items():
        run, finding = seen[0]
        if signature not in earlier:
            kind = "new"
        else:
            kind = "ongoing" if len({id(r) for r, _ in seen}) >= runs else "rare"
        sorted_out[kind].append((run, finding, len(seen)))
    for signature, (run, finding) in earlier.items():
        if signature not in now:
            sorted_out["resolved"].append((run, finding, 0))
    return sorted_out


def verdict(results, sorted_out=None):
    """(word, exit code, reason) of everything together; with an earlier result known findings do
    not fail it."""
    if not results.runs:
        return "NOTHING RUN", 3, "there is no run among the files"
    new = sorted_out["new"] if sorted_out is not None else results.findings()
    broken = [c for run in results.runs for c in run.cells if c["verdict"] in BAD]
    if new or broken:
        what = []
        if new:
            what.append(f"{len(new)} new finding{'s' if len(new) != 1 else ''}")
        if broken:
            what.append(f"{len(broken)} cell{'s' if len(broken) != 1 else ''} of the durability "
                        "matrix where a promise is not kept")
        return "FAILED", 1, " and ".join(what)
    known = len(sorted_out["ongoing"]) + len(sorted_out["rare"]) if sorted_out else 0
    unfinished = [r for r in results.runs if not r.complete]
    if unfinished:
        return "INCONCLUSIVE", 3, f"{unfinished[0].title()} did not come to its end"
    for run in results.runs:
        if run.exit and run.command == "audit":
            return "FAILED", 1, "a sync can be left out and nothing notices (audit)"
        if run.exit and not (run.exit == 1 and known):
            return "INCONCLUSIVE", run.exit, f"{run.title()} ended with exit code {run.exit}"
    if known:
        return "PASSED", 0, f"no new finding; {known} known one{'s' if known != 1 else ''} remain"
    return "PASSED", 0, "no finding"


# ---- numbers ----

def upper_bound(states, exhaustive=False):
    """The share of bad states that 95 % confidence leaves after `states` good ones, were they drawn
    at random; None when nothing was seen."""
    if states <= 0:
        return None
    return 1.0 - 0.05 ** (1.0 / states)


def short_number(value):
    value = int(value)
    if value < 10000:
        return str(value)
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10 ** power:
            if value >= 10 ** 16:
                break
            return f"{value / 10 ** power:.3g}{letter}"
    digits = str(value)
    return f"{digits[0]}.{digits[1:3]}e{len(digits) - 1}"


def quantile(histogram, share):
    """Of [[value, count], ...], sorted: the value below which `share` of the counts lie."""
    total = sum(count for _, count in histogram)
    reached = 0
    for value, count in histogram:
        reached += count
        if total and reached >= share * total:
            return value
    return 0
