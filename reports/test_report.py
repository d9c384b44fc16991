#!/usr/bin/env python3
"""Tests of the reports: python3 reports/test_report.py. Needs nothing but the standard library."""
import contextlib
import copy
import csv
import html.parser
import io
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import unittest
import zlib
import xml.etree.ElementTree as xml

import formats
import merge
import page
import report
import submit
import trace

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLE = os.path.join(HERE, "samples", "planted.jsonl")


def sample():
    return trace.load([SAMPLE])


def written(lines):
    handle, path = tempfile.mkstemp(suffix=".jsonl")
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.writelines(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    return path


def from_lines(lines):
    path = written(lines)
    try:
        return trace.load([path])
    finally:
        os.unlink(path)


HEADER = {"type": "header", "schema": trace.SCHEMA, "command": "run", "store": "s", "seed": 1}
PASSED = {"type": "summary", "schema": trace.SCHEMA, "exit": 0, "findings": 0}


def cell(**more):
    base = {"type": "cell", "store": "s", "level": "sync", "promise": "All.", "window": 0,
            "model": "posix", "fault": "none", "unit": 512, "states": 100, "verdict": "kept",
            "outcomes": {"kept": 100}, "lost": [[0, 100]], "lost_most": 0, "file": ""}
    return {**base, **more}


def finding(**more):
    base = {"type": "finding", "number": 1, "rule": "open", "meaning": "m", "text": "t",
            "signature": "ab", "model": "posix", "operations": 1, "items": 1, "file": "f.crash"}
    return {**base, **more}


class Balanced(html.parser.HTMLParser):
    """Every element is closed in its turn, every id is there once."""

    VOID = {"meta", "link", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.ids, self.links = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "a" and attrs.get("href", "").startswith("#"):
            self.links.append(attrs["href"][1:])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


class Reading(unittest.TestCase):
    def test_sample_has_what_it_should(self):
        results = sample()
        self.assertEqual(len(results.runs), 1)
        run = results.runs[0]
        self.assertTrue(run.complete)
        self.assertEqual(run.exit, 1)
        self.assertEqual(run.findings[0]["rule"], "open")
        self.assertTrue(run.findings[0]["lanes"]["crash"]["items"])

    def test_errors_name_file_and_line(self):
        for bad in ("no json\n", "[1]\n", '{"a":1}\n', '{"type":"summary","schema":"other/9"}\n'):
            with self.assertRaisesRegex(trace.Unreadable, ":2: "):
                from_lines([HEADER, bad])

    def test_a_run_without_summary_is_inconclusive(self):
        self.assertEqual(trace.verdict(from_lines([HEADER]))[1], 3)
        self.assertEqual(trace.verdict(from_lines([HEADER, PASSED]))[1], 0)
        self.assertEqual(trace.verdict(trace.Results())[1], 3)

    def test_a_line_that_was_cut_off_is_inconclusive(self):
        results = from_lines([HEADER, '{"type":"sum'])
        self.assertEqual(trace.verdict(results)[1], 3)

    def test_several_runs_in_one_file(self):
        results = from_lines([HEADER, PASSED, HEADER, finding(), {**PASSED, "exit": 1}])
        self.assertEqual([len(r.findings) for r in results.runs], [0, 1])

    def test_a_directory_is_searched_without_planted_mistakes(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, below, "results.jsonl")
                     for below in ("seed-1", "canary/seed-1", "demo/seed-1")]
            for path in paths:
                os.makedirs(os.path.dirname(path))
                with open(path, "w", encoding="utf-8") as out:
                    out.write(json.dumps(HEADER) + "\n" + json.dumps(PASSED) + "\n")
            os.symlink("seed-1", os.path.join(folder, "latest"))
            self.assertEqual(trace.find([folder]), [paths[0]])
            self.assertEqual(trace.find([os.path.join(folder, "canary")]), [paths[1]])


class Comparing(unittest.TestCase):
    def test_new_ongoing_rare_resolved(self):
        one = [HEADER, finding(signature="x"), finding(signature="y"), {**PASSED, "exit": 1}]
        two = [HEADER, finding(signature="x"), {**PASSED, "exit": 1}]
        base = from_lines([HEADER, finding(signature="x"), finding(signature="gone"),
                           finding(signature="y"), {**PASSED, "exit": 1}])
        kinds = trace.compare(from_lines(one + two), base)
        signatures = {k: [f["signature"] for _, f, _ in v] for k, v in kinds.items()}
        self.assertEqual(signatures, {"new": [], "ongoing": ["x"], "rare": ["y"],
                                      "resolved": ["gone"]})
        kinds = trace.compare(from_lines(one), None)
        self.assertEqual(len(kinds["new"]), 2)

    def test_known_findings_do_not_fail_the_gate(self):
        now = from_lines([HEADER, finding(), {**PASSED, "exit": 1}])
        self.assertEqual(trace.verdict(now, trace.compare(now, None))[1], 1)
        self.assertEqual(trace.verdict(now, trace.compare(now, now))[1], 0)

    def test_a_broken_cell_fails(self):
        broken = cell(verdict="lost", outcomes={"kept": 99, "lost": 1}, file="x.crash")
        for cells, code in (([cell()], 0), ([cell(), broken], 1)):
            results = from_lines([{**HEADER, "command": "matrix"}] + cells + [PASSED])
            self.assertEqual(trace.verdict(results, trace.compare(results))[1], code)


class Numbers(unittest.TestCase):
    def test_upper_bound_is_the_rule_of_three(self):
        self.assertIsNone(trace.upper_bound(0))
        self.assertAlmostEqual(trace.upper_bound(1), 0.95)
        for n in (100, 1000, 100000):
            self.assertAlmostEqual(trace.upper_bound(n) * n, 3.0, delta=0.06)

    def test_quantile(self):
        histogram = [[0, 50], [1, 49], [7, 1]]
        self.assertEqual(trace.quantile(histogram, 0.5), 0)
        self.assertEqual(trace.quantile(histogram, 0.99), 1)
        self.assertEqual(trace.quantile(histogram, 1), 7)

    def test_short_number(self):
        self.assertEqual(trace.short_number("27210154202495941"), "2.72e16")
        self.assertEqual(trace.short_number(9999), "9999")
        self.assertEqual(trace.short_number(125000), "125k")


class Page(unittest.TestCase):
    def check(self, results, base=None):
        text = page.build(results, base)
        parser = Balanced()
        parser.feed(text)
        self.assertEqual(parser.wrong, [])
        self.assertEqual(parser.open, [])
        self.assertEqual(len(parser.ids), len(set(parser.ids)))
        self.assertEqual([x for x in parser.links if x not in parser.ids], [])
        self.assertNotIn("<script", text)
        self.assertIsNone(re.search(r'(src|href)="(?!#|data:)', text))
        self.assertIn("default-src 'none'", text)
        self.assertLess(len(text.encode()), report.PAGE_BYTES_MOST)
        return text

    def test_planted_mistake_is_told(self):
        text = self.check(sample())
        self.assertIn("FAILED", text)
        self.assertIn("rename of CURRENT.tmp to CURRENT", text)
        self.assertIn("the power fails here", text)
        self.assertIn("It would not have happened with", text)
        self.assertIn("replay", text)

    def test_empty_sections_say_so(self):
        text = self.check(from_lines([HEADER, PASSED]))
        for name in ("matrix", "loss", "cost", "strip", "recovery", "coverage", "faults", "marks",
                     "audit", "mutants", "bench"):
            part = text[text.index(f'<section id="{name}"'):]
            self.assertIn("No data", part[:part.index("</section>")], name)

    def test_hostile_text_stays_text(self):
        evil = '</style></pre><script>alert(1)</script>"\'&'
        results = from_lines([{**HEADER, "store": evil, "repeat": evil},
                              finding(text=evil, meaning=evil, story=evil, steps=evil, file=evil),
                              cell(level=evil, promise=evil, model=evil, fault=evil),
                              {**PASSED, "exit": 1}])
        text = self.check(results)
        self.assertNotIn("<script>alert", text)

    def test_matrix_shows_verdict_n_and_bound(self):
        broken = cell(model="xfs", verdict="lost", states=50, outcomes={"kept": 48, "lost": 2},
                      lost=[[0, 48], [3, 2]], lost_most=3, file="a/b.crash")
        untested = cell(model="btrfs", states=0, outcomes={}, lost=[], verdict="untested")
        text = self.check(from_lines([{**HEADER, "command": "matrix"}, cell(), broken, untested,
                                      {**PASSED, "exit": 1}]))
        self.assertIn("0 of 100<small>≤ 3 %", text)
        self.assertIn("<b>2</b> of 50", text)
        self.assertIn("b.crash", text)
        self.assertIn("not tested", text)

    def test_torn_call_is_half_filled(self):
        results = sample()
        items = results.runs[0].findings[0]["lanes"]["crash"]["items"]
        data = copy.deepcopy(next(i for i in items if i["kind"] == "data"))
        items.append({**data, "offset": 512, "state": "lost"})
        self.assertIn("torn: lost the sector of", self.check(results))

    def test_big_results_are_slimmed(self):
        lines = [HEADER]
        one = sample().runs[0].findings[0]
        for number in range(400):
            lines.append({**one, "number": number, "signature": f"{number:x}"})
        results = from_lines(lines + [{**PASSED, "exit": 1}])
        self.assertLess(len(report.make_page(results, None).encode()), report.PAGE_BYTES_MOST)


class Formats(unittest.TestCase):
    def matrix(self):
        broken = cell(model="xfs", verdict="wrong", outcomes={"kept": 99, "wrong": 1})
        untested = cell(model="btrfs", states=0, outcomes={}, verdict="untested")
        return from_lines([{**HEADER, "command": "matrix"}, cell(), broken, untested, PASSED])

    def test_junit(self):
        root = xml.fromstring(formats.junit(sample()))
        self.assertEqual(root[0].get("failures"), "1")
        failure = root.find(".//testcase[@name='open']/failure")
        self.assertIn("replay: ", failure.text)
        self.assertEqual(len(root[0]), len(formats.RULES))
        known = xml.fromstring(formats.junit(sample(), sample()))
        self.assertEqual(known[0].get("failures"), "0")
        root = xml.fromstring(formats.junit(self.matrix()))
        counts = [root[0].get(k) for k in ("tests", "failures", "skipped")]
        self.assertEqual(counts, ["3", "1", "1"])

    def test_junit_survives_control_characters(self):
        results = from_lines([HEADER, finding(text="a\x00b\x1b"), {**PASSED, "exit": 1}])
        xml.fromstring(formats.junit(results))

    def test_tap(self):
        lines = formats.tap(self.matrix()).splitlines()
        self.assertEqual(lines[1], "1..3")
        self.assertEqual(sum(line.startswith("ok") for line in lines), 2)
        self.assertEqual(sum("# SKIP" in line for line in lines), 1)
        self.assertEqual(sum(line.startswith("not ok") for line in lines), 1)

    def test_sarif(self):
        log = json.loads(formats.sarif(sample(), sample()))
        result = log["runs"][0]["results"][0]
        self.assertEqual(result["baselineState"], "unchanged")
        rules = [r["id"] for r in log["runs"][0]["tool"]["driver"]["rules"]]
        self.assertIn(result["ruleId"], rules)
        self.assertTrue(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])

    def test_csv(self):
        rows = list(csv.DictReader(io.StringIO(formats.table(self.matrix()))))
        self.assertEqual([r["verdict"] for r in rows], ["kept", "wrong", "untested"])
        self.assertEqual(rows[1]["bad_states"], "1")
        self.assertEqual(rows[1]["upper_bound_95"], "")
        self.assertAlmostEqual(float(rows[0]["upper_bound_95"]), 0.0295, places=3)

    def test_markdown(self):
        self.assertIn("FAILED", formats.markdown(sample()))
        self.assertIn("≠ 100", formats.markdown(self.matrix()))


def unit_file(folder, number, found=(), units=3, build="b1", **more):
    """A finished unit as the program writes it."""
    summary = {"type": "summary", "store": "s", "seed": 1, "models": ["posix"], "schema":
               trace.SCHEMA, "traces": 4, "crash_points": 10 + number, "recoveries": 100,
               "recovered_states": 5, "legal_images_accounted": "9" * 30,
               "legal_images_exhaustive": "1", "marks": {"m": number, "n": 0}, "hooks": "h",
               "faults": {"eio": {"fired": 1, "mattered": 1}}, "findings": len(found),
               "violations": len(found), "canary": "found" if number == 0 else "not run",
               "canary_rule": "", "exit": 1 if found else 0, "repeat": "powercut run",
               "marks_not_reached": [], "wall_seconds": 1.5, **more}
    lines = [{**HEADER, "build": build, "config_hash": "c", "repeat": "powercut run"},
             {"type": "unit", "id": f"{number:016x}", "number": number, "units": units,
              "first": 4 * number, "traces": 4}, *found, summary]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    path = os.path.join(folder, f"unit-{number:016x}-{build}{len(os.listdir(folder))}.jsonl")
    with open(path, "w", encoding="utf-8") as out:
        out.write(body + json.dumps({"type": "trailer", "records": len(lines), "crc32":
                                     f"{zlib.crc32(body.encode()):08x}"}) + "\n")
    return path


class Merging(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def merged(self, *paths):
        groups = merge.group(merge.collect(paths))
        return "".join(merge.text_of(merge.records(units)) for units in groups)

    def kept(self, text):
        path = os.path.join(self.folder, f"m{len(os.listdir(self.folder))}")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def test_order_and_repetition_change_nothing(self):
        a, b, c = (unit_file(self.folder, n, [finding(signature="x", task=n)] if n else [])
                   for n in range(3))
        whole = self.merged(a, b, c)
        self.assertEqual(whole, self.merged(c, a, b, a))
        left = self.merged(self.kept(self.merged(a, b)), c)
        right = self.merged(a, self.kept(self.merged(c, b)))
        self.assertEqual(whole, left)
        self.assertEqual(whole, right)
        self.assertEqual(whole, self.merged(self.kept(whole), self.kept(whole), b))
        run = trace.load([self.kept(whole)]).runs
        self.assertEqual(len(run), 1)
        self.assertEqual(run[0].summary["crash_points"], 33)
        self.assertEqual(run[0].summary["legal_images_accounted"], str(3 * int("9" * 30)))
        self.assertEqual(run[0].summary["marks_not_reached"], ["n"])
        self.assertEqual([f["in_units"] for f in run[0].findings], [2])
        self.assertEqual(run[0].exit, 1)
        self.assertEqual(len(trace.load([self.folder]).runs), 1)

    def test_missing_units_are_inconclusive(self):
        run = trace.load([unit_file(self.folder, 0), unit_file(self.folder, 2)]).runs[0]
        self.assertEqual(run.summary["units_missing"], [1])
        self.assertEqual(run.exit, 3)

    def test_two_answers_of_one_unit_are_a_finding(self):
        paths = [unit_file(self.folder, n) for n in range(3)] + [
            unit_file(self.folder, 1, recoveries=101)]
        for given in (paths, paths[::-1]):
            run = trace.load(given).runs[0]
            self.assertEqual([f["rule"] for f in run.findings], ["nondeterminism"])
            self.assertEqual(run.exit, 1)
        self.assertEqual(self.merged(*paths), self.merged(*paths[::-1]))
        slower = unit_file(self.folder, 1, wall_seconds=99.0)
        self.assertEqual(trace.load(paths[:3] + [slower]).runs[0].exit, 0)

    def test_builds_are_not_added_up(self):
        one = [unit_file(self.folder, n) for n in range(3)]
        two = [unit_file(self.folder, n, build="b2") for n in range(3)]
        self.assertEqual([r.exit for r in trace.load(one + two).runs], [0, 0])

    def merge_it(self, *paths):
        into = os.path.join(self.folder, "into")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return merge.main(["--into", into, *paths])

    def test_any_bytes_are_refused_or_left_out(self):
        """Damage is never a unit that passed. Seeded: one seed, one test."""
        whole = unit_file(self.folder, 0, [], units=2)
        other = unit_file(self.folder, 1, [], units=2)
        self.assertEqual(self.merge_it(whole, other), 0)
        with open(other, "rb") as file:
            good = file.read()
        rng = random.Random(1)
        codes = set()
        for _ in range(400):
            bad = bytearray(good)
            at = rng.randrange(len(bad))
            kind = rng.randrange(4)
            if kind == 0:
                bad[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del bad[at:]
            elif kind == 2:
                del bad[at:at + rng.randrange(1, 40)]
            else:
                bad[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
            path = os.path.join(self.folder, "bad")
            with open(path, "wb") as out:
                out.write(bad)
            code = self.merge_it(whole, path)
            if bad.strip(b"\n") != good.strip(b"\n"):
                self.assertIn(code, (3, 4), bytes(bad))
            codes.add(code)
        self.assertLessEqual({3, 4}, codes)

    def test_fields_that_are_missing_or_strange_are_refused(self):
        """The same with the checksum made right again."""
        with open(unit_file(self.folder, 0, [finding(task=1)], units=1), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file][:-1]
        rng = random.Random(2)
        for _ in range(400):
            bad = copy.deepcopy(lines)
            record = bad[rng.randrange(len(bad))]
            name = rng.choice(sorted(record))
            if rng.randrange(2):
                del record[name]
            else:
                record[name] = rng.choice([None, -1, "x", [], {}, [[]], 1e400, True])
            body = "".join(json.dumps(line) + "\n" for line in bad)
            path = os.path.join(self.folder, "bad")
            with open(path, "w", encoding="utf-8") as out:
                out.write(body + json.dumps({"type": "trailer", "records": len(bad), "crc32":
                                             f"{zlib.crc32(body.encode()):08x}"}) + "\n")
            self.assertIn(self.merge_it(path), (0, 1, 3, 4), (record, name))

    def test_a_damaged_unit_is_no_unit(self):
        path = unit_file(self.folder, 0)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as out:
            out.write(text.replace('"recoveries": 100', '"recoveries": 999'))
        with self.assertRaisesRegex(trace.Unreadable, "checksum"):
            merge.collect([path])
        with open(path, "w", encoding="utf-8") as out:
            out.write(text[:len(text) // 2])
        self.assertEqual(merge.collect([path]), [])

    def test_scripts_name_every_shard_and_the_merge(self):
        for kind in submit.KINDS:
            text = submit.script(kind, 7, "all.jsonl", "powercut",
                                 ["--seed", "1", "--store", "it's.so"])
            self.assertIn("merge --into all.jsonl powercut-out", text)
            self.assertIn("6" if kind != "k8s" else "completions: 7", text)
            if kind != "k8s":
                done = subprocess.run(["sh", "-n"], input=text, text=True, check=False)
                self.assertEqual(done.returncode, 0, kind)
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(submit.main(["local", "--", "--traces", "3"]), 2)
            self.assertEqual(submit.main(["moon", "--", "--seed", "3"]), 2)


class Command(unittest.TestCase):
    def run_it(self, *argv):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = report.main(list(argv))
        return code, out.getvalue(), err.getvalue()

    def test_outputs_and_gate(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "new", "page.html")
            code, out, _ = self.run_it("--html", path, "--junit", "-", SAMPLE)
            self.assertEqual(code, 0)
            self.assertIn("<testsuites", out)
            self.assertTrue(os.path.exists(path))
            self.assertEqual(os.listdir(os.path.dirname(path)), ["page.html"])
        self.assertEqual(self.run_it("--gate", SAMPLE)[0], 1)
        self.assertEqual(self.run_it("--gate", "--base", SAMPLE, SAMPLE)[0], 0)

    def test_unreadable_is_4(self):
        self.assertEqual(self.run_it("/nowhere/results.jsonl")[0], 4)
        with tempfile.TemporaryDirectory() as folder:
            code, _, err = self.run_it(folder)
            self.assertEqual(code, 4)
            self.assertIn("no results below", err)


if __name__ == "__main__":
    unittest.main()
