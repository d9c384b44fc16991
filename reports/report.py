#!/usr/bin/env python3
"""Turns results of powercut into a page and other formats.

    report.py [--html FILE] [--markdown FILE] [--junit FILE] [--tap FILE] [--sarif FILE]
              [--csv FILE] [--base FILE]... [--gate] FILE|DIR...

FILE: JSON lines of `powercut run|matrix|audit --json`, mutants.json, a benchmark's JSON. DIR: all
of those below it. "-" as an output is standard output. Without any output: --markdown -.
--base: an earlier result; findings are then new, ongoing, rare or resolved. --gate: the exit code
is that of the verdict: 0 passed, 1 a new finding or a promise not kept, 3 inconclusive. Otherwise 0
when the outputs are written; 2 usage, 4 a file cannot be read or written.
"""
import argparse
import os
import sys

import formats
import page
import trace

PAGE_BYTES_MOST = 2 * 1000 * 1000
OUTPUTS = {"html": page.build, "markdown": formats.markdown, "junit": formats.junit,
           "tap": formats.tap, "sarif": formats.sarif, "csv": formats.table}


def write(path, text):
    if path == "-":
        sys.stdout.write(text)
        return
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    half = f"{path}.{os.getpid()}.tmp"
    with open(half, "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(half, path)


def slim(results):
    """Findings beyond the first ten lose their pictures: a page has to stay small."""
    for number, (_, finding) in enumerate(results.findings()):
        if number >= 10:
            finding.pop("lanes", None)


def make_page(results, base):
    text = page.build(results, base)
    if len(text.encode()) > PAGE_BYTES_MOST:
        slim(results)
        text = page.build(results, base)
    return text


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog="See README.md.")
    for name in OUTPUTS:
        parser.add_argument(f"--{name}", metavar="FILE")
    parser.add_argument("--base", action="append", default=[], metavar="FILE",
                        help="an earlier result to compare with")
    parser.add_argument("--gate", action="store_true", help="the exit code is the verdict's")
    parser.add_argument("files", nargs="+", metavar="FILE|DIR")
    args = parser.parse_args(argv)
    try:
        results = trace.load(args.files)
        base = trace.load(args.base) if args.base else None
        if not results.files:
            print(f"report: no results below {' '.join(args.files)}; 'powercut run' leaves some",
                  file=sys.stderr)
            return 4
        wanted = [(n, getattr(args, n)) for n in OUTPUTS if getattr(args, n)]
        for name, path in wanted or [("markdown", "-")]:
            make = make_page if name == "html" else OUTPUTS[name]
            write(path, make(results, base))
            if path != "-":
                print(f"report: {path}", file=sys.stderr)
    except (trace.Unreadable, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 4
    except BrokenPipeError:
        return 0
    if args.gate:
        word, code, reason = trace.verdict(results, trace.compare(results, base))
        print(f"report: {word}: {reason}", file=sys.stderr)
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
