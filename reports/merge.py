#!/usr/bin/env python3
"""Adds up the units of a run that was shared among machines.

    merge.py [--into FILE] [--json] [--quiet] FILE|DIR...

FILE: unit-*.jsonl of `powercut run --shard`, or an earlier result of this; DIR: all unit-*.jsonl
below it. Units are known by build and id: the order of the files, files given twice and results
that were merged before change nothing. Exit: 0 all units are there and passed, 1 a finding, also
when one unit was run twice by one build and told two things; 3 units are missing or inconclusive; 4
a file cannot be read or written.
"""
import argparse
import hashlib
import json
import os
import sys
import zlib

import trace

TIMES = ("_seconds", "_per_second")
# What may differ between two runs of one unit: where it was run, and what only tells a finding.
PLACES = {"file", "repeat", "story", "steps", "lanes", "number"}


# What is added up, by line; a list or an object of what stands in it.
SHAPES = {
    "header": {"build": str, "config_hash": str, "store": str},
    "unit": {"id": str, "number": int, "units": int, "first": int},
    "finding": {"signature": str, "rule": str},
    "summary": {"traces": int, "crash_points": int, "recoveries": int, "recovered_states": int,
                "exit": int, "canary": str, "legal_images_accounted": str,
                "legal_images_exhaustive": str, "marks": {}, "store": str, "models": []},
}


class Broken(trace.Unreadable):
    """A unit whose lines are not those that were written."""


def _without(record, names=frozenset()):
    return {k: v for k, v in record.items() if not k.endswith(TIMES) and k not in names}


def _digest(findings, summary):
    plain = [_without(f, PLACES) for f in findings] + [_without(summary, {"repeat"})]
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check(record, where):
    """Has the line what is added up of it?"""
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        raise Broken(f"{where}: no result: a line needs a type")
    for name, kind in SHAPES.get(record["type"], {}).items():
        if name not in record:
            raise Broken(f"{where}: {record['type']}: no {name}")
        of = kind if isinstance(kind, type) else type(kind)
        if type(record[name]) is not of:
            raise Broken(f"{where}: {record['type']}: {name} is no {of.__name__}")
    if record["type"] == "summary" and any(type(n) is not int for n in record["marks"].values()):
        raise Broken(f"{where}: {record['type']}: marks are counts")


def read_unit(path):
    """One finished unit; None when it has no trailer: it is not finished."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise trace.Unreadable(f"{path}: {error}") from None
    body, _, last = text.rstrip("\n").rpartition("\n")
    body += "\n"
    try:
        trailer = json.loads(last)
        records = [json.loads(line) for line in body.splitlines()] if body.strip() else []
    except ValueError:
        return None
    if not isinstance(trailer, dict) or trailer.get("type") != "trailer":
        return None
    if f"{zlib.crc32(body.encode()):08x}" != trailer["crc32"] or len(records) != trailer["records"]:
        raise Broken(f"{path}: the lines do not have the checksum of the trailer")
    kinds = {"unit": [], "header": [], "summary": []}
    for number, record in enumerate(records, 1):
        _check(record, f"{path}:{number}")
        kinds.setdefault(record["type"], []).append(record)
    for kind in ("unit", "header", "summary"):
        if len(kinds[kind]) != 1:
            raise Broken(f"{path}: {len(kinds[kind])} lines of type {kind}; a unit has one")
    unit, header, summary = kinds["unit"][0], kinds["header"][0], kinds["summary"][0]
    findings = kinds.get("finding", [])
    for finding in findings:
        finding["unit_id"] = unit["id"]
    return {**unit, "build": header["build"], "header": header, "summary": summary,
            "digests": [_digest(findings, summary)], "found": findings}


def read_merged(path):
    """The units of a file that this program wrote."""
    units, by_place = [], {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["type"] == "unit":
                record["found"] = []
                by_place[record["build"], record["id"]] = record
                units.append(record)
            elif record["type"] == "unit-finding":
                finding = record["finding"]
                by_place[record["build"], finding["unit_id"]]["found"].append(finding)
    return units


def is_merged(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.loads(file.readline()).get("merged") is True
    except (OSError, ValueError, AttributeError):
        return False


def holds_units(path):
    name = os.path.basename(path)
    return name.startswith("unit-") and name.endswith(".jsonl") or is_merged(path)


def find(paths):
    found = []
    for path in paths:
        if not os.path.isdir(path):
            found.append(path)
            continue
        for folder, below, names in sorted(os.walk(path)):
            below.sort()
            found += [os.path.join(folder, n) for n in sorted(names)
                      if n.startswith("unit-") and n.endswith(".jsonl")]
    return found


def collect(paths, complain=lambda text: None):
    units = []
    for path in paths:
        if is_merged(path):
            units += read_merged(path)
            continue
        unit = read_unit(path)
        if unit is None:
            complain(f"{path}: not finished, left out")
        else:
            units.append(unit)
    return units


# ---- adding up ----

def _add(total, part):
    for key, value in part.items():
        if isinstance(value, dict) or isinstance(total.get(key), dict):
            if not isinstance(value, dict) or not isinstance(total.setdefault(key, {}), dict):
                raise Broken(f"{key} is an object in one unit, and none in another")
            _add(total[key], value)
        elif isinstance(value, bool):
            total[key] = total.get(key, False) or value
        elif isinstance(value, (int, float)):
            total[key] = total.get(key, 0) + value


def _coverage(total):
    """As the run says it of its own counts: how thoroughly its crash points were searched."""
    complete = total["crash_points_complete_to"]
    rest = total["crash_points"] - total["crash_points_exhaustive"]
    if total["crash_points_skipped"] or sum(complete) != rest:
        return "sampled"
    if not rest:
        return "exhaustive"
    return f"complete up to k = {next(k for k, points in enumerate(complete) if points)}"


def _sum(units):
    first = units[0]["summary"]
    counted = [{k: v for k, v in u["summary"].items() if k not in ("seed", "exit")
                and not k.endswith("_per_second")} for u in units]
    total = {}
    for part in counted:
        _add(total, part)
    for name in ("legal_images_accounted", "legal_images_exhaustive"):
        total[name] = str(sum(int(u["summary"][name]) for u in units))
    if all("coverage" in u["summary"] for u in units):
        total["crash_points_complete_to"] = [
            sum(points)
            for points in zip(*(u["summary"]["crash_points_complete_to"] for u in units))]
        total["coverage"] = _coverage(total)
    said = {u["summary"]["canary"] for u in units}
    total["canary"] = next(c for c in ("missed", "found", "not run") if c in said)
    total["canary_rule"] = next((u["summary"]["canary_rule"] for u in units
                                 if u["summary"].get("canary_rule")), "")
    total["marks_not_reached"] = sorted(n for n, hits in total["marks"].items() if not hits)
    for name in ("type", "schema", "store", "seed", "models", "hooks", "repeat"):
        total[name] = first[name]
    return total


def _progress(units):
    """How far the search was after each unit, were they run in their order."""
    so_far = {"traces": 0, "crash_points": 0, "recoveries": 0, "recovered_states": 0}
    reached, signatures, lines = set(), set(), []
    for unit in units:
        for name in so_far:
            so_far[name] += unit["summary"][name]
        reached |= {name for name, hits in unit["summary"]["marks"].items() if hits}
        signatures |= {f["signature"] for f in unit["found"]}
        lines.append({"type": "progress", **so_far, "marks_reached": len(reached),
                      "findings": len(signatures)})
    return lines


def _two_answers(unit):
    """A unit that was run twice by one build and told two things."""
    return {"type": "finding", "task": unit["first"], "rule": "nondeterminism",
            "signature": hashlib.sha256(unit["id"].encode()).hexdigest()[:16],
            "meaning": "one seed, two runs", "store": unit["header"]["store"],
            "text": f"unit {unit['id']} (traces from {unit['first']}) was run twice by one build, "
                    "and told two things", "model": "", "unit": 0, "shows_under": [],
            "operations": 0, "items": 0, "story": "", "steps": "", "file": unit["id"],
            "unit_id": unit["id"]}


def group(units):
    """[[unit, ...], ...]: per build and settings the units in their order, each once."""
    known = {}
    for unit in units:
        key = (unit["build"], unit["id"])
        if key not in known:
            known[key] = dict(unit)
            continue
        kept = known[key]
        digests = sorted(set(kept["digests"]) | set(unit["digests"]))
        if unit["digests"][0] < kept["digests"][0]:
            known[key] = kept = dict(unit)
        kept["digests"] = digests
    groups = {}
    for (build, _), unit in known.items():
        place = (build, unit["header"]["config_hash"], unit["units"])
        groups.setdefault(place, []).append(unit)
    return [sorted(groups[place], key=lambda u: u["number"]) for place in sorted(groups)]


def records(units):
    """The lines of one group: header, units, their findings, findings by signature, summary."""
    header = {k: v for k, v in units[0]["header"].items() if k != "settings"}
    lines = [{**header, "merged": True}]
    by_signature = {}
    for unit in units:
        findings = unit["found"] + ([_two_answers(unit)] if len(unit["digests"]) > 1 else [])
        for finding in findings:
            by_signature.setdefault(finding["signature"], []).append(finding)
        lines.append({k: v for k, v in unit.items() if k != "found"})
        lines += [{"type": "unit-finding", "build": unit["build"], "finding": f}
                  for f in unit["found"]]
    lines += _progress(units)
    for number, signature in enumerate(sorted(by_signature), 1):
        seen = by_signature[signature]
        lines.append({**seen[0], "number": number, "in_units": len({f["unit_id"] for f in seen})})
    summary = _sum(units)
    there = {u["number"] for u in units}
    missing = [n for n in range(units[0]["units"]) if n not in there]
    summary["findings"] = len(by_signature)
    summary["units"] = len(units)
    summary["units_missing"] = missing
    codes = {u["summary"]["exit"] for u in units}
    unsure = missing or summary["canary"] == "missed" or codes - {0, 1}
    summary["exit"] = 1 if by_signature else (3 if unsure else 0)
    return lines + [summary]


def text_of(lines):
    return "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
                   for line in lines)


def write(path, text):
    """The file appears whole or not at all."""
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, exist_ok=True)
    made = f"{path}.tmp.{os.getpid()}"
    with open(made, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(made, path)
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def tell(summary):
    word = {0: "passed", 1: "FAILED"}.get(summary["exit"], "INCONCLUSIVE")
    missing = summary["units_missing"]
    some = ", ".join(map(str, missing[:10])) + (" ..." if len(missing) > 10 else "")
    return (f"{word}: {summary['units']} units, {summary['traces']} traces, "
            f"{summary['crash_points']} crash points, {summary['recoveries']} recoveries, "
            f"{summary['findings']} findings, exit {summary['exit']}"
            + (f"; missing units: {some}" if missing else ""))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", default="powercut-out/results-merged.jsonl", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="the lines on standard output, too")
    parser.add_argument("--quiet", action="store_true", help="the result line only")
    parser.add_argument("files", nargs="+", metavar="FILE|DIR")
    args = parser.parse_args(argv)

    def complain(text):
        print(f"merge: {text}", file=sys.stderr)

    try:
        units = collect(find(args.files), complain)
        if not units:
            complain(f"no finished unit below {' '.join(args.files)}; 'powercut run --shard' "
                     "leaves some")
            return 4
        runs = [records(units) for units in group(units)]
        text = "".join(text_of(lines) for lines in runs)
        write(args.into, text)
    except (trace.Unreadable, OSError, ValueError, KeyError) as error:
        complain(error if not isinstance(error, KeyError) else f"a field is missing: {error}")
        return 4
    if args.json:
        sys.stdout.write(text)
    for lines in runs:
        if not args.json:
            print(tell(lines[-1]))
    if not args.quiet:
        complain(f"{args.into}; a page of it: powercut report --html page.html {args.into}")
    codes = [lines[-1]["exit"] for lines in runs]
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
