"""The sections of figures: durability matrix, loss window, cost, recovery, amplification, coverage,
faults, marks, audit, mutants, benchmark. Each says its n and its model, or how to get its data."""
from html import escape

import lanes
import page
import svg
import trace


def _bound(cell):
    bound = trace.upper_bound(cell["states"])
    return "" if bound is None else f"≤ {100 * bound:.2g} %"


# ---- durability matrix ----

# What goes wrong besides the power cut, in the words of crashtests/README.md.
FAULTS = {
    "none": "the power cut alone", "eio": "a call fails, dirty pages are dropped",
    "sticky": "a sync fails, and the next ones, too",
    "silent": "pages are lost behind a good write",
    "error": "a call fails with another error", "latent": "a sector cannot be read",
    "bitrot": "a bit reads wrong from then on", "zeroed": "a sector reads as zeros",
    "stale": "a sector reads as it was before", "flip": "a bit reads wrong once",
    "misread": "a read gets the sector beside", "miswrite": "a write hits the sector beside",
    "shorn": "half of a sector is written", "metadata": "read-only from then on",
    "enospc": "the disk is full", "eintr": "a call is interrupted", "short": "half is written",
    "lostsync": "a sync lies", "open-rot": "recovery reads a wrong bit",
    "open-read": "a read of recovery fails", "open-memory": "recovery gets no memory",
    "open-write": "a write of recovery fails", "full": "no block is free",
}

def _cell(cell):
    verdict = cell["verdict"] if cell else "untested"
    glyph, words = trace.GLYPHS[verdict]
    if not cell or not cell["states"]:
        return (f'<td class="v-untested" title="{escape(words)}"><span class="g">?</span>'
                "not tested</td>")
    n = cell["states"]
    count = cell["outcomes"].get(verdict, 0)
    if verdict in trace.BAD:
        numbers = f"<b>{count}</b> of {n}"
    else:
        numbers = f"0 of {n}<small>{_bound(cell)}</small>"
    more = ""
    if verdict == "window" or cell.get("lost_most"):
        more = f"<small>lost: {cell['lost_most']}</small>"
    title = "; ".join(f"{trace.GLYPHS[o][1]}: {c}" for o, c in cell["outcomes"].items() if c)
    return (f'<td class="v-{verdict}" title="{escape(title, quote=True)}"><span '
            f'class="g">{glyph}</span>'
            f"{numbers}{more}</td>")


def _grid(run, level):
    cells = [c for c in run.cells if c["level"] == level]
    models = list(dict.fromkeys(c["model"] for c in cells))
    faults = list(dict.fromkeys(c["fault"] for c in cells))
    by_place = {(c["model"], c["fault"]): c for c in cells}
    first = cells[0]
    head = "".join(f'<th scope="col">{escape(m)}</th>' for m in models)
    rows = "".join(
        f'<tr><th scope="row">{escape(f)}<small>{escape(FAULTS.get(f, ""))}</small></th>' +
        "".join(_cell(by_place.get((m, f))) for m in models) + "</tr>" for f in faults)
    worst = max((c.get("lost_most", 0) for c in cells if c["fault"] == "none"
                 and c["model"] != "process-kill"), default=0)
    window = first.get("window")
    promised = "no acknowledged write" if window == 0 else (
        f"at most {window} acknowledged writes" if window is not None else "everything since the "
        "last flush")
    return (f"<h3>{escape(run.store)}, {escape(level)}</h3>"
            f"<p><b>Promised:</b> {escape(first['promise'].rstrip('.'))}. "
            f"<b>May be lost when the power fails:</b> "
            f"{promised}. <b>Observed without faults:</b> at most {worst}.</p>"
            f'<div class="scroll" tabindex="0" role="region" aria-label="matrix {escape(level)}">'
            f'<table class="matrix"><caption>Columns: what the file system promises. '
            f"Rows: what goes wrong besides the power cut. A cell: bad of recovered states; how "
            f"many acknowledged writes were lost at most. Build "
            f"{escape(run.header.get('build', '?'))}, unit {escape(str(first.get('unit', '?')))} "
            f"bytes.</caption><thead><tr><th></th>{head}</tr>"
            f"</thead><tbody>{rows}</tbody></table></div>" + _replays(run, cells))


def _replays(run, cells):
    """Where to look at what is not as promised: a file per cell."""
    bad = [c for c in cells if c["states"] and c["verdict"] in trace.BAD and c.get("file")]
    if not bad:
        return ""
    program = run.header.get("repeat", "powercut").split(" ")[0]
    rows = [[escape(c["model"]), escape(c["fault"]),
             escape(f"{trace.GLYPHS[c['verdict']][0]} {trace.GLYPHS[c['verdict']][1]}"),
             f"<code>{escape(program)} replay {escape(c['file'])}</code>"] for c in bad]
    return (f"<details><summary>{len(bad)} cells are not as promised: how to replay them</summary>"
            f"{page.table(['model', 'besides', 'what', 'replay'], rows)}</details>")


def matrix(results):
    runs = [r for r in results.runs if r.cells]
    if not runs:
        return page.section("matrix", "Durability matrix", page.missing(
            "no durability matrix among the files", "powercut matrix --json"),
            "Which promise holds under what?")
    used = {c["verdict"] for r in runs for c in r.cells}
    out = [page.outcome_key(used)]
    for run in runs:
        for level in dict.fromkeys(c["level"] for c in run.cells):
            out.append(_grid(run, level))
    out.append("<p class=\"dim\">n: recovered states. “≤ x %”: were states like these drawn at "
               "random, no more than this share would be bad, with 95 % confidence (1 − "
                   "0.05^(1/n)); "
               "it says nothing of states unlike these. Every model was explored by itself: "
                   "images of "
               "different models are made of different changes, so one cannot be labelled with "
               "another.</p>")
    return page.section("matrix", "Durability matrix", "".join(out), "Which promise holds under "
                        "what?")


# ---- loss window and cost ----

def _losses(run, level):
    """Acknowledged writes lost when the power fails, no fault: a histogram over the models."""
    sums = {}
    for cell in run.cells:
        if cell["level"] == level and cell["fault"] == "none" and cell["model"] != "process-kill":
            for lost, states in cell["lost"]:
                sums[lost] = sums.get(lost, 0) + states
    return sorted(sums.items())


def loss(results):
    series, rows, states, models = [], [], 0, []
    for run in [r for r in results.runs if r.cells]:
        for level in dict.fromkeys(c["level"] for c in run.cells):
            histogram = _losses(run, level)
            total = sum(n for _, n in histogram)
            if not total:
                continue
            states += total
            models += [c["model"] for c in run.cells if c["model"] != "process-kill"]
            reached, line = 0, []
            for lost, n in histogram:
                reached += n
                line.append((lost, 100.0 * reached / total))
            series.append((f"{run.store}, {level}", line))
            quantiles = [trace.quantile(histogram, q) for q in (0.5, 0.99)]
            rows.append([escape(run.store), escape(level), str(quantiles[0]), str(quantiles[1]),
                         str(histogram[-1][0]), str(total)])
    if not series:
        return page.section("loss", "Loss window", page.missing(
            "no run counted lost writes", "powercut matrix --json"), "How much can I lose?")
    most = max(p[0] for _, line in series for p in line)
    series = [(name, line + [(most, 100.0)]) for name, line in series]
    chart = svg.lines(series, "acknowledged writes lost", "% of recovered states", "loss window",
                      step=True, log_x=most > 20, percent=True)
    body = (f"<figure>{chart}{svg.legend([n for n, _ in series])}<figcaption>Share of recovered "
            f"states "
            f"that lost at most so many acknowledged writes. n = {states} states; power failure "
            f"without other faults; models {escape(', '.join(dict.fromkeys(models)))}. Shares "
                f"are of "
            "the states that were explored, not chances in the field: the search prefers nasty "
            "ones.</figcaption></figure>" +
            page.table(["store", "level", "median lost", "99 %", "most", "n"], rows))
    return page.section("loss", "Loss window", body, "How much can I lose when the power fails?")


def cost(results):
    rows, stacks = [], []
    for run in results.runs:
        for c in run.costs:
            histogram = _losses(run, c["level"])
            writes, user = max(c["writes"], 1), max(c["user_bytes"], 1)
            total = sum(c["bytes"].values())
            rows.append([escape(run.store), escape(c["level"]), f"{1000 * c['syncs'] / writes:.0f}",
                         f"{total / user:.2f}", f"{c['reads'] / writes:.2f}",
                         str(histogram[-1][0]) if histogram else "–",
                         f"{c['writes']} writes, {c['traces']} traces"])
            stacks.append((c["level"], [(part, value / user) for part, value in
                                        sorted(c["bytes"].items())]))
    if not rows:
        return page.section("cost", "What durability costs", page.missing(
            "no run counted syncs and bytes", "powercut matrix --json"), "What does durability "
                            "cost?")
    names = sorted({part for run in results.runs for c in run.costs for part in c["bytes"]})
    body = page.table(["store", "level", "syncs per 1000 writes", "bytes written per user byte",
                       "reads per write", "most acknowledged writes lost", "n"], rows,
                      "Counted on the simulated disk, small buffers; no seconds are involved.")
    body += ("<figure>" + svg.stacked(stacks, "write amplification", "bytes per user byte") +
             svg.legend(names) + "<figcaption>Bytes written per byte that the user wrote, by the "
                 "kind of "
             "file. The stores have buffers of a few kilobytes here, so that flushes and "
                 "compactions "
             "happen: a real setting writes less.</figcaption></figure>")
    return page.section("cost", "What durability costs", body,
                        "What does each level of durability cost, and what does it save?")


# ---- recovery ----

def _fit(points):
    n = len(points)
    mean_x = sum(p[0] for p in points) / n
    mean_y = sum(p[1] for p in points) / n
    spread = sum((p[0] - mean_x) ** 2 for p in points)
    slope = sum((p[0] - mean_x) * (p[1] - mean_y) for p in points) / spread if spread else 0.0
    return mean_y - slope * mean_x, slope


def recovery(results):
    records = [(run, r) for run in results.runs for r in run.recoveries]
    if not records:
        return page.section("recovery", "Recovery against log size", page.missing(
            "no run measured recoveries", "powercut matrix --json"), "How long is the outage?")
    series = [(f"{run.store}, {r['level']}", [tuple(p) for p in r["points"]]) for run, r in records]
    points = [p for _, dots in series for p in dots]
    fit = _fit(points)
    chart = svg.scatter(series, "bytes in the log when the power failed", "calls of the disk",
                        "recovery against log size", fit=fit)
    body = (f"<figure>{chart}{svg.legend([n for n, _ in series])}<figcaption>One dot per crash "
            f"point: "
            "calls of the disk, reads included, until the store was open and everything had been "
                "read "
            f"back. n = {len(points)} crash points, model {escape(records[0][1]['model'])}. The "
                f"line "
            f"is a least-squares fit: {fit[0]:.0f} calls, and {1000 * fit[1]:.1f} more per 1000 "
                f"bytes "
            "of log. Counts, not seconds: they do not depend on this machine.</figcaption>"
                "</figure>")
    return page.section("recovery", "Recovery against log size", body, "How long is the outage?")


def strips(results):
    out = []
    for run in results.runs:
        for record in run.strips:
            out.append(f"<h3>{escape(run.store)}, {escape(record['level'])}, "
                       f"model {escape(record['model'])}</h3>")
            out.append(lanes.strip(record["points"], record["calls"], record["model"],
                                   trace.OUTCOMES, f"crash points, {record['level']}"))
    if not out:
        drawn = any(f.get("lanes", {}).get("strip") for _, f in results.findings())
        body = ('<p>Each finding above has the strip of its own trace.</p>' if drawn else
                page.missing("no strip of a whole trace", "powercut matrix --json"))
        return page.section("strip", "Crash points along a trace", body, "Where is the hole?")
    out.append(page.outcome_key({o for r in results.runs for s in r.strips for p in s["points"]
                                 for o in trace.OUTCOMES if p.get(o)}))
    return page.section("strip", "Crash points along a trace", "".join(out),
                        "Where in the protocol is data at risk?")


# ---- search ----

def coverage(results):
    runs = [r for r in results.runs if len(r.progress) > 1]
    if not runs:
        return page.section("coverage", "Coverage growth", page.missing(
            "no run with progress lines", "powercut run --json"), "Go on, or stop?")
    out = []
    series = [(run.title(), [(p["recoveries"], p["recovered_states"]) for p in run.progress])
              for run in runs[:6]]
    out.append("<figure>" + svg.lines(series, "recoveries", "distinct recovered states",
                                      "coverage") +
               svg.legend([n for n, _ in series]) + "<figcaption>Distinct recovered states, "
                   "counted "
               f"within each trace, against recoveries. n = {len(runs)} run"
               f"{'s' if len(runs) != 1 else ''}; models: as listed above. A curve that still "
               "rises has not seen everything; one that is flat has not either, but looking on the "
               "same way helps little.</figcaption></figure>")
    rows = []
    for run in runs:
        last = run.progress[-1]
        new = next((p for p in reversed(run.progress[:-1])
                    if p["marks_reached"] < last["marks_reached"]), None)
        rows.append([escape(run.title()), str(last["recoveries"]), str(last["recovered_states"]),
                     str(last["marks_reached"]),
                     f"after {new['recoveries']} recoveries" if new else "with the first traces"])
    out.append(page.table(["run", "recoveries", "states", "marks reached", "last new mark"], rows))
    return page.section("coverage", "Coverage growth", "".join(out), "Go on, or stop?")


def faults(results):
    rows = []
    for run in results.runs:
        s = run.summary
        for kind, n in s.get("faults", {}).items():
            note = "" if n["fired"] else "never fired: untested"
            if n["fired"] and not n["mattered"]:
                note = "fired and never mattered"
            rows.append([escape(run.title()), escape(kind), str(n["fired"]), str(n["mattered"]),
                         note])
        for kind, n in s.get("troubles", {}).items():
            rows.append([escape(run.title()), escape(kind) + ", during recovery",
                         str(n["recoveries"]), str(n["noticed"]), ""])
    if not rows:
        body = page.missing("no run with faults", "powercut run --json")
    else:
        body = page.table(["run", "fault", "fired", "mattered", ""], rows,
                          "A fault mattered when the run without it answers or writes something "
                              "else; "
                          "during recovery: when the store noticed. n is the first number.")
    return page.section("faults", "Faults: fired and mattered", body, "Did the faults do anything?")


def marks(results):
    runs = [r for r in results.runs if "marks" in r.summary]
    if not runs:
        return page.section("marks", "Marks", page.missing("no run with marks", "powercut run "
                                                           "--json"),
                            "Does the test reach it?")
    names = sorted({name for run in runs for name in run.summary["marks"]})
    rows = []
    for name in names:
        hits = [run.summary["marks"].get(name, 0) for run in runs]
        state = "✓ reached" if any(hits) else '<b class="bad">✗ never reached</b>'
        rows.append([f"<code>{escape(name)}</code>", state] + [str(h) for h in hits])
    body = page.table(["branch of the store", ""] + [r.title() for r in runs], rows,
                      "How often a marked branch was taken. Not reached is not passed.")
    return page.section("marks", "Marks never reached", body, "Does the test reach it?")


def audit(results):
    sites = [(run, s) for run in results.runs for s in run.sites]
    if not sites:
        return page.section("audit", "Which sync matters", page.missing(
            "no audit among the files", "powercut audit --json"), "Which sync does safety hang on?")
    rows = []
    for run, s in sites:
        found = s["class"] == "load-bearing"
        what = "✓ load-bearing" if found else '<b class="bad">? undetected</b>'
        how = (f"without it: {s['rule']}, {s['operations']} operations" if found else
               f"left out, nothing showed in {s['recoveries']} recoveries")
        rows.append([escape(run.store), escape(s["call"]), f"<code>{escape(s['where'])}</code>",
                     what,
                     escape(how)])
    return page.section("audit", "Which sync matters", page.table(
        ["store", "call", "where", "class", "what happens without it"], rows,
        f"n = {len(sites)} call sites, each left out in turn."), "Which sync does safety hang on?")


def mutants(results):
    if not results.mutants:
        return page.section("mutants", "Mutant scoreboard", page.missing(
            "no mutants.json among the files", "make mutants"), "Would it find a mistake?")
    rows = []
    for m in results.mutants:
        how = ", ".join(m["rules"]) if m["found_in"] else ""
        sign = "✓ found" if m["found"] else (f"◐ {m['found_in']} of {len(m['runs'])} seeds"
                                             if m["found_in"] else "✗ missed")
        rows.append([f"<code>{escape(m['name'])}</code>", escape(m["what"]), sign,
                     escape(how or m.get("missed", "")), str(m["operations_most"] or ""),
                     f"{m['seconds_median']:.1f}"])
    found = sum(1 for m in results.mutants if m["found"])
    seeds = max(len(m["runs"]) for m in results.mutants)
    return page.section("mutants", "Mutant scoreboard", page.table(
        ["mutant", "the mistake", "found", "by rule, or why not", "operations", "median s"], rows,
        f"{found} of n = {len(results.mutants)} planted mistakes found with every seed ({seeds} "
            f"each); "
        "models and faults: those of the crash test."), "Would it find a mistake?")


def bench(results):
    if not results.benches:
        return page.section("bench", "Benchmark ratios", page.missing(
            "no benchmark among the files", "make bench"), "How fast is it beside others?")
    out = []
    for b in results.benches:
        config, rows = b["config"], []
        engines = [e["name"] for e in b["engines"]]
        by_place = {}
        for r in b["results"]:
            by_place.setdefault((r["workload"], r.get("tables")), {})[r["engine"]] = r
        for (workload, tables), found in by_place.items():
            mine = found.get("minivault")
            row = [escape(workload + (f", {tables} tables" if tables else ""))]
            for engine in engines:
                r = found.get(engine)
                if r is None or not r["median"]:
                    row.append("–")
                elif engine == "minivault" or not mine or not mine["median"]:
                    row.append(f"{r['median']:,.1f} {escape(r['unit'])} ± "
                               f"{100 * r['spread']:.0f} %")
                else:
                    ratio = mine["median"] / r["median"]
                    row.append(f"×{ratio if r['unit'] != 'ms' else 1 / ratio:.2f}")
            rows.append(row)
        versions = ", ".join(f"{e['name']} {e['version']}" for e in b["engines"])
        out.append(page.table(["workload"] + engines, rows,
                              escape(f"minivault: median and spread; others: how many times as "
                                     f"fast minivault is. No persistence model: a real disk. n = "
                                         f"{config['runs']} runs each, {config['entries']} "
                                     f"entries. {versions}.")))
    return page.section("bench", "Benchmark ratios", "".join(out), "How fast is it beside others?")


def sections(results):
    return [f(results) for f in (matrix, loss, cost, strips, recovery, coverage, faults, marks,
                                 audit,
                                 mutants, bench)]
