"""One self-contained page: no script, no network, a style sheet within. See README.md for what each
figure means; a figure without data says which command gives it."""
import re
from html import escape

import charts
import lanes
import trace
from style import STYLE

POLICY = ("default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
          "form-action 'none'")
FINDINGS_DRAWN = 40  # with pictures; more are listed


def missing(what, command):
    return (f'<p class="nodata">No data: {escape(what)}. <span>To get it: '
            f"<code>{escape(command)}</code></span></p>")


def section(ident, heading, body, question=""):
    ask = f'<p class="question">{escape(question)}</p>' if question else ""
    return (f'<section id="{ident}"><h2><a href="#{ident}">{escape(heading)}</a></h2>{ask}{body}'
            "</section>")


def table(head, rows, caption=""):
    cap = f"<caption>{caption}</caption>" if caption else ""
    cells = "".join(f'<th scope="col">{escape(h)}</th>' for h in head)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return (f'<div class="scroll" tabindex="0" role="region" '
            f'aria-label="{escape(heading_of(caption, head), quote=True)}">'
            f"<table>{cap}<thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>")


def heading_of(caption, head):
    return re.sub("<[^>]*>", "", caption) or ", ".join(head)


def plural(count, what):
    return f"{count} {what}{'' if count == 1 else 's'}"


def number(value):
    return f'<span title="{escape(str(value))}">{trace.short_number(value)}</span>'


# ---- can I trust this run? ----

def _facts(run):
    s, h = run.summary, run.header
    exhaustive = s.get("crash_points_exhaustive")
    points = "–"
    if s.get("crash_points"):
        points = (f"{s['crash_points']}: {exhaustive} exhaustive, {s['crash_points_sampled']} "
                  f"sampled, "
                  f"{s['crash_points_skipped']} skipped")
    never = s.get("marks_not_reached")
    return [
        ("result", {0: "✓ passed", 1: "✗ failed"}.get(run.exit, "? inconclusive") + f" (exit "
         f"{run.exit})"),
        ("store, build", escape(f"{run.store}, {h.get('build', 'unknown build')}, compiler "
                                f"{h.get('compiler', '?')}, "
                                f"sanitizers {h.get('sanitizer', '?')}")),
        ("seed, settings", escape(f"{h.get('seed', s.get('seed', '?'))}, "
                                  f"{h.get('config_hash', '?')}")),
        ("models", escape(", ".join(s.get("models", h.get("models", []))) or "–")),
        ("traces, operations", f"{s['traces']}, {s['operations']}" if "operations" in s
         else str(s.get("traces", "–"))),
        ("crash points", points),
        ("legal images accounted for", number(s["legal_images_accounted"])
         if "legal_images_accounted" in s else "–"),
        ("recoveries judged", number(s["recoveries"]) if "recoveries" in s else "–"),
        ("distinct recovered states, per trace", str(s.get("recovered_states", "–"))),
        ("canary (planted mistake)", escape(s.get("canary", "not run")) + (f", "
            f"{escape(s['canary_rule'])}" if s.get("canary_rule") else "")),
        ("traces explored twice and compared", str(s.get("traces_rechecked", "–"))),
        ("marks never reached", escape(", ".join(never)) if never else ("none" if never == []
            else "–")),
        ("shared among machines", "no" if "units" not in s else f"{s['units']} units, "
         + (f"missing: {', '.join(map(str, s['units_missing'][:10]))}" if s["units_missing"]
            else "none missing")),
        ("wall time of the test", f"{s['wall_seconds']:.1f} s" if "wall_seconds" in s else "–"),
        ("repeat", f"<code>{escape(s.get('repeat', h.get('repeat', '–')))}</code>"),
    ]


def head(results, sorted_out):
    word, _, reason = trace.verdict(results, sorted_out)
    sign = {"PASSED": "✓", "FAILED": "✗"}.get(word, "?")
    kind = {"PASSED": "good", "FAILED": "bad"}.get(word, "unsure")
    out = [f'<div class="verdict {kind}"><p class="word">{sign} {word}</p>'
           f'<p>{escape(reason)}.</p></div>']
    first = sorted_out["new"][:1] or sorted_out["ongoing"][:1]
    if first:
        _, finding, _ = first[0]
        out.append(f'<p class="lead">'
                   f'<strong>{escape(finding.get("meaning", finding["rule"]))}.</strong> '
                   f'{escape(lead(finding))} <a '
                       f'href="#finding-{escape(finding_id(finding))}">What was lost, and why '
                           f'↓</a></p>')
    if word == "PASSED":
        out.append('<p class="dim">“No finding” is never “safe”: see <a href="#trust">how much was '
                   "looked at</a>.</p>")
    return section("verdict", "Verdict", "".join(out))


def trust(results):
    rows = [_facts(run) for run in results.runs]
    if not rows:
        body = missing("nothing was run", "make crashtest")
    else:
        lines = [[f"<b>{name}</b>"] + [facts[i][1] for facts in rows]
                 for i, (name, _) in enumerate(rows[0])]
        body = table([""] + [run.title() for run in results.runs], lines,
                     "Each run by itself; different builds are never added up.")
    return section("trust", "How much was looked at", body, "Can I trust this?")


def lead(finding):
    """The story in one or two sentences."""
    crash = (finding.get("lanes") or {}).get("crash")
    if not crash:
        return finding.get("text", "")
    lost = [i for i in crash["items"] if i["state"] == "lost"]
    calls = {call["n"]: call for call in finding["lanes"]["calls"]}
    what = list(dict.fromkeys(f"the {lanes.item_words(i, calls)}" for i in lost))
    more = f" and {len(what) - 3} more" if len(what) > 3 else ""
    under = ", ".join(finding.get("shows_under") or [finding.get("model", "?")])
    if not what:
        return f"When the power fails {crash['where']}, then: {finding['text']}."
    return (f"When the power fails {crash['where']} and {', '.join(what[:3])}{more} did not reach "
            f"the disk (legal under {under}), then: {finding['text']}.")


# ---- findings ----

def finding_id(finding):
    return re.sub("[^0-9a-zA-Z]", "", finding.get("signature", "")) or str(finding["number"])


def remedy(finding):
    """The lines of the story between 'it would not have happened with' and the models."""
    match = re.search(r"it would not have happened with\n((?:  .*\n)+)", finding.get("story", ""))
    if not match:
        return ""
    rows = "".join(f"<li>{escape(line.strip())}</li>" for line in match.group(1).splitlines())
    return f'<div class="remedy"><b>It would not have happened with</b><ul>{rows}</ul></div>'


def card(kind, run, finding, times, drawn):
    data = finding.get("lanes") or {}
    under = finding.get("shows_under") or [finding.get("model", "?")]
    tags = "".join(f'<span class="tag">{escape(m)}</span>' for m in under)
    out = [f'<article class="finding {kind}" id="finding-{finding_id(finding)}">'
           f'<h3><span class="kind">{kind}</span> {escape(finding["rule"])}: '
               f'{escape(finding.get("meaning", ""))}</h3>'
           f"<p>{escape(finding.get('text', ''))}</p>"
           f'<p class="dim">{escape(run.title())}; {plural(finding["operations"], "operation")} '
               f'and {plural(finding["items"], "lost or kept change")} after '
               f'shrinking; unit {finding.get("unit", "?")} bytes'
           f'{f"; in {times} of these results" if times > 1 else ""}. Shows under: {tags}</p>']
    if drawn and data.get("operations") is not None:
        out.append(lanes.swim(data, finding.get("text", "")))
    if drawn:
        out.append(remedy(finding))
    if drawn and data.get("strip"):
        out.append("<h4>Where in the trace</h4>")
        out.append(lanes.strip(data["strip"], data["calls"], finding.get("model", "?"),
                               trace.OUTCOMES,
                               "share of outcomes per crash point of the finding's trace"))
        out.append(outcome_key({o for p in data["strip"] for o in trace.OUTCOMES if p.get(o)}))
    program = run.header.get("repeat", "powercut").split(" ")[0]
    out.append(f'<p><b>Replay</b> <code>{escape(program)} replay {escape(finding["file"])}</code>'
               f'</p>')
    if finding.get("steps"):
        out.append(f"<details><summary>finding.crash: the steps that replay it</summary>"
                   f"<pre>{escape(finding['steps'])}</pre></details>")
    if finding.get("story"):
        out.append(f"<details><summary>the story as text</summary>"
                   f"<pre>{escape(finding['story'])}</pre></details>")
    return "".join(out) + "</article>"


def findings(results, sorted_out, base):
    out, drawn = [], 0
    words = {"new": "not in the earlier result" if base else "there is no earlier result to "
             "compare with",
             "ongoing": "in the earlier result, too, and in every run here",
             "rare": "known, but not in every run here", "resolved": "in the earlier result only"}
    counts = [[f"<b>{kind}</b>", str(len(sorted_out[kind])), words[kind]] for kind in sorted_out]
    out.append(table(["findings", "n", "meaning"], counts))
    for kind in ("new", "ongoing", "rare"):
        for run, finding, times in sorted_out[kind]:
            out.append(card(kind, run, finding, times, drawn < FINDINGS_DRAWN))
            drawn += 1
    for run, finding, _ in sorted_out["resolved"]:
        out.append(f'<article class="finding resolved"><h3><span class="kind">resolved</span> '
                   f'{escape(finding["rule"])}</h3>'
                   f"<p>{escape(finding.get('text', ''))}</p></article>")
    if not any(sorted_out.values()):
        out.append('<p>None. See below for how much was looked at.</p>' if results.runs else
                   missing("nothing was run", "make crashtest"))
    return section("findings", "Findings", "".join(out), "What was lost, and why?")


def outcome_key(used=None):
    rows = "".join(f'<li><span class="o-{o} key" aria-hidden="true">{g}</span> {escape(w)}</li>'
                   for o, (g, w) in trace.GLYPHS.items() if used is None or o in used)
    return f'<ul class="legend">{rows}</ul>'


# ---- the whole ----

def build(results, base=None):
    sorted_out = trace.compare(results, base)
    word, _, reason = trace.verdict(results, sorted_out)
    parts = [head(results, sorted_out), findings(results, sorted_out, base),
             trust(results)] + charts.sections(results)
    links = "".join(f'<li><a href="#{i}">{escape(n)}</a></li>' for i, n in re.findall(
        r'<section id="([^"]+)"><h2><a href="#[^"]+">([^<]+)', "".join(parts)))
    return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>powercut: {word.lower()}, {escape(reason)}</title>"
            f'<link rel="icon" href="data:,"><style>{STYLE}</style></head><body>'
            '<a class="skip" href="#verdict">to the verdict</a>'
            f'<header><h1>powercut report</h1><nav aria-label="sections"><ul>{links}</ul></nav>'
                f'</header>'
            f"<main>{''.join(parts)}</main>"
            f'<footer><p>Made from {len(results.files)} '
                f'file{"s" if len(results.files) != 1 else ""}: '
            f'{escape(", ".join(results.files)[:600])}</p></footer></body></html>\n')
