"""The same results for other programs: Markdown, JUnit XML, TAP, SARIF, CSV. All are made from what
trace.py read; none counts anything of its own."""
import csv
import io
import json
import xml.etree.ElementTree as xml

import trace

RULES = ("below-floor", "hole", "torn-batch", "phantom", "wrong-bytes", "open", "recovery", "read",
         "structure", "progress", "truth", "fail-stop", "leak", "hang", "crash", "nondeterminism",
         "unverified", "copy", "read-only", "figures", "verify", "repair")


def _replay(run, finding):
    return f"{run.header.get('repeat', 'powercut').split(' ')[0]} replay {finding['file']}"


def markdown(results, base=None):
    """Short enough for a step summary of a pipeline."""
    sorted_out = trace.compare(results, base)
    word, code, reason = trace.verdict(results, sorted_out)
    lines = [f"# powercut: {word}", "", f"{reason}; exit {code}.", ""]
    lines += ["| run | models | traces | crash points | recoveries | findings | exit |",
              "|---|---|---:|---:|---:|---:|---:|"]
    for run in results.runs:
        s = run.summary
        lines.append(f"| {run.title()} | {', '.join(s.get('models', []))} | "
                     f"{s.get('traces', '')} | "
                     f"{s.get('crash_points', '')} | {s.get('recoveries', '')} | "
                     f"{len(run.findings)} | {run.exit} |")
    for kind, found in sorted_out.items():
        if found:
            lines += ["", f"## {kind.capitalize()} findings", ""]
        for run, finding, _ in found:
            lines += [f"- **{finding['rule']}**, {finding.get('meaning', '')}: {finding['text']} "
                      f"(model {finding.get('model', '?')}, {finding['operations']} operations)",
                      f"  `{_replay(run, finding)}`"]
    for run in results.runs:
        for level in dict.fromkeys(c["level"] for c in run.cells):
            lines += ["", f"## {run.store}, {level}", ""] + _grid(run, level)
    return "\n".join(lines) + "\n"


def _grid(run, level):
    cells = [c for c in run.cells if c["level"] == level]
    faults = list(dict.fromkeys(c["fault"] for c in cells))
    place = {(c["model"], c["fault"]): c for c in cells}
    lines = ["| model | " + " | ".join(faults) + " |", "|---|" + "---|" * len(faults)]
    for model in dict.fromkeys(c["model"] for c in cells):
        row = []
        for fault in faults:
            cell = place.get((model, fault))
            verdict = cell["verdict"] if cell and cell["states"] else "untested"
            states = f" {cell['states']}" if cell and cell["states"] else ""
            row.append(trace.GLYPHS[verdict][0] + states)
        lines.append(f"| {model} | " + " | ".join(row) + " |")
    return lines


def _clean(text):
    """XML has no place for most control characters."""
    return "".join(c if c in "\t\n" or ord(c) >= 32 else "�" for c in text)


def junit(results, base=None):
    """A suite per run; a case per rule, or per cell of the matrix; a finding is a failure."""
    known = {f.get("signature") for _, f in base.findings()} if base else set()
    root = xml.Element("testsuites", name="powercut")
    for run in results.runs:
        suite = xml.SubElement(root, "testsuite", name=run.title(), errors="0")
        by_rule = {}
        for finding in run.findings:
            by_rule.setdefault(finding["rule"], []).append(finding)
        failures = cases = skipped = 0
        for rule in RULES if not run.cells and not run.sites else ():
            case = xml.SubElement(suite, "testcase", classname=f"powercut.{run.store}", name=rule)
            cases += 1
            new = [f for f in by_rule.get(rule, []) if f.get("signature") not in known]
            for finding in new[:1]:
                failures += 1
                body = "\n".join(f"{f['text']}\nreplay: {_replay(run, f)}\n{f.get('story', '')}"
                                 for f in new)
                node = xml.SubElement(case, "failure", type=rule,
                                      message=_clean(finding.get("meaning", rule)))
                node.text = _clean(body)
        for cell in run.cells:
            cases += 1
            case = xml.SubElement(suite, "testcase",
                                  classname=f"powercut.{run.store}.{cell['level']}",
                                  name=f"{cell['model']} {cell['fault']}")
            if not cell["states"]:
                skipped += 1
                xml.SubElement(case, "skipped", message="not tested")
            elif cell["verdict"] in trace.BAD:
                failures += 1
                words = trace.GLYPHS[cell["verdict"]][1]
                node = xml.SubElement(case, "failure", type=cell["verdict"], message=words)
                node.text = _clean(f"{cell['outcomes'].get(cell['verdict'], 0)} of "
                                   f"{cell['states']} "
                                   f"recovered states; {cell.get('file', '')}")
        for site in run.sites:
            cases += 1
            case = xml.SubElement(suite, "testcase", classname=f"powercut.{run.store}.audit",
                                  name=f"{site['call']} {site['where']}")
            if site["class"] == "undetected":
                failures += 1
                xml.SubElement(case, "failure", type="undetected",
                               message="left out, and nothing noticed")
        if not run.complete:
            cases += 1
            case = xml.SubElement(suite, "testcase", classname="powercut", name="complete")
            xml.SubElement(case, "error", type="incomplete", message="the run has no summary")
            suite.set("errors", "1")
        suite.set("tests", str(cases))
        suite.set("failures", str(failures))
        suite.set("skipped", str(skipped))
        suite.set("time", f"{run.summary.get('wall_seconds', 0):.3f}")
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, "unicode") + "\n"


def tap(results, base=None):
    """Test Anything Protocol, version 13, from the same cases as JUnit."""
    root = xml.fromstring(junit(results, base).split("\n", 1)[1])
    cases = [(suite.get("name"), case) for suite in root for case in suite]
    lines = ["TAP version 13", f"1..{len(cases)}"]
    for number, (suite, case) in enumerate(cases, 1):
        name = f"{suite}: {case.get('name')}".replace("#", "＃")
        bad = case.find("failure")
        bad = case.find("error") if bad is None else bad
        skip = " # SKIP not tested" if case.find("skipped") is not None else ""
        lines.append(f"{'not ok' if bad is not None else 'ok'} {number} - {name}{skip}")
        if bad is not None:
            lines += ["  ---", f"  message: {json.dumps(bad.get('message', ''))}", "  ..."]
    return "\n".join(lines) + "\n"


def sarif(results, base=None):
    """SARIF 2.1.0: a result per finding, at the file that replays it."""
    sorted_out = trace.compare(results, base)
    states = {"new": "new", "ongoing": "unchanged", "rare": "unchanged", "resolved": "absent"}
    version = next((r.header["version"] for r in results.runs if "version" in r.header), "0")
    used, found = {}, []
    for kind, findings in sorted_out.items():
        for run, finding, _ in findings:
            used.setdefault(finding["rule"], finding.get("meaning", finding["rule"]))
            result = {
                "ruleId": finding["rule"], "level": "error",
                "message": {"text": f"{finding.get('meaning', '')}: {finding['text']} "
                                    f"(model {finding.get('model', '?')}). "
                                        f"{_replay(run, finding)}"},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": finding["file"]}, "region": {"startLine": 1}}}],
                "partialFingerprints": {"powercut/1": finding.get("signature", finding["file"])}}
            if base:
                result["baselineState"] = states[kind]
            found.append(result)
    rules = [{"id": rule, "shortDescription": {"text": words}} for rule,
             words in sorted(used.items())]
    return json.dumps({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "powercut", "version": version, "rules": rules}},
                  "results": found}]}, indent=1, ensure_ascii=False) + "\n"


def table(results, base=None):
    """CSV: a row per finding and per cell of the matrix."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["kind", "store", "build", "seed", "level", "model", "fault", "verdict",
                     "states",
                     "bad_states", "upper_bound_95", "lost_most", "rule", "operations", "signature",
                     "file"])
    for run in results.runs:
        start = [run.store, run.header.get("build", ""), run.header.get("seed", "")]
        for f in run.findings:
            writer.writerow(["finding"] + start + ["", f.get("model", ""), "", "", "", "", "", "",
                                                   f["rule"], f["operations"],
                                                   f.get("signature", ""), f["file"]])
        for c in run.cells:
            bad = sum(c["outcomes"].get(o, 0) for o in trace.BAD)
            bound = trace.upper_bound(c["states"]) if not bad else None
            writer.writerow(["cell"] + start + [c["level"], c["model"], c["fault"], c["verdict"],
                                                c["states"], bad,
                                                f"{bound:.6f}" if bound is not None else "",
                                                c.get("lost_most", ""), "", "", "",
                                                c.get("file", "")])
    return out.getvalue()
