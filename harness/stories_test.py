#!/usr/bin/env python3
"""Are the stories of planted mistakes small, and do they name the right call?

  stories_test.py BUILD [--seeds N] [K10 ...]

Per mistake of crashtests/mutants/ and seed: the ordinary crash test finds it; the story has at most
six operations and two lost items; search, shrinking and story together take less than thirty
seconds of one processor; `powercut explain` of the written finding tells the same counterfactual as
the story; and what it names is what the patch has spoilt. Without names: all of the table.
"""
import argparse
import json
import pathlib
import re
import resource
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "crashtests/mutants"))
import plant  # noqa: E402

OPERATIONS_MOST, ITEMS_MOST, SECONDS_MOST = 6, 2, 30

# What a story of the mistake has to say; one of them. Where no call is at fault: the check that was
# not heeded, or the operation and the branch of the engine that it takes.
LOG, TABLE = r"\w+/\d+\.log", r"\w+/\d+\.sst"
RIGHT = {
    "K02": [rf"the check of \d+ bytes of {LOG} at offset \d+ failed,\s+and they were used",
            r"a value is damaged and was delivered[\s\S]*while it recovers: bitrot"],
    "K06": [rf"had the unlink of {LOG}[^\n]*\n\s+waited for the (fdatasync of \w+/MANIFEST-\d+|"
            r"fsync of \w+ )"],  # a directory, whose sync fails before the manifest's
    "K07": [rf"a sync of {LOG} after the write of {LOG}"],
    "K09": [r"a sync of \w+/CURRENT.tmp after the write of \w+/CURRENT.tmp"],
    "K10": [r"a sync of \w+ after the rename of \w+/CURRENT.tmp to \w+/CURRENT"],
    "K11": [rf"a sync of \w+ after the create of {TABLE}"],
    "K14": [rf"a sync of {TABLE} after the write of {TABLE}"],
    "K19": [r"does not happen without\s+op \d+: reopen",
            r"nothing was lost, [^\n]*: look at how what is there is read",
            r"sequence numbers are missing in \d+\.log[\s\S]*look at how the store reads"],
    "K20": [r"does not happen without\s+(op \d+: [^\n]*\n\s+)*?op \d+: (compact|flush|reopen)",
            r"compaction_dropped_tombstone"],  # an open compacts, too
    "K22": [r"op \d+: get differs from the scan"],
    "K23": [rf"had the unlink of {TABLE}[^\n]*\n\s+waited for the (fdatasync of \w+/MANIFEST-\d+|"
            r"fsync of \w+ )",  # a directory: CURRENT comes to name another manifest
            r"a sync of \w+/MANIFEST-\d+ after the write of \w+/MANIFEST-\d+"],  # the other side
    "K31": [r"look at what the store does with the answer of the f(data)?sync of \w+/"],
    "K33": [r"without\s+fault short op=write[^\n]*\n\s+which met the write of \w+/"],
}


def command(argv):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def counterfactual(story):
    """What follows the operations and the lanes, without the models."""
    told = re.search(r"^(it would|no sync|no single|more than one|nothing was|no power)[\s\S]*?"
                     r"(?=^shows under)", story, flags=re.M)
    return told[0] if told else ""


def examine(build, name, seed):
    """'' or what is wrong."""
    patch = next((ROOT / "crashtests/mutants").glob(f"{name}-*.patch"))
    folder = build / "stories" / name
    program = folder / "powercut"
    plant.plant(ROOT, build, patch, folder, program)
    out = folder / f"out-{seed}"
    done, seconds = command([program, "run", "--profile", "crashtest", "--max-findings", 1,
                             "--jobs", 1, "--seed", seed, "--json", "--quiet", "--out", out])
    found = [json.loads(l) for l in done.stdout.splitlines() if l.startswith('{"type":"finding"')]
    if done.returncode != 1 or not found:
        return f"not found (exit {done.returncode})"
    finding, story = found[0], found[0]["story"]
    said = counterfactual(story)
    told = next((m for m in RIGHT[name] if re.search(m, story)), None)
    print(f"{name} seed {seed}: {finding['operations']} operations, {finding['items']} items, "
          f"{seconds:.1f} s; {' '.join(said.split())}", flush=True)
    wrong = []
    if finding["operations"] > OPERATIONS_MOST or finding["items"] > ITEMS_MOST:
        wrong.append("the story is not small")
    if seconds > SECONDS_MOST:
        wrong.append(f"{seconds:.1f} seconds")
    if told is None:
        wrong.append(f"it does not name the right call:\n{story}")
    again, _ = command([program, "explain", finding["file"]])
    if told and not re.search(told, again.stdout):
        wrong.append(f"explain tells something else:\n{again.stdout}")
    return "; ".join(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    bad = 0
    for name in args.names or sorted(RIGHT):
        for seed in range(1, args.seeds + 1):
            wrong = examine(args.build, name, seed)
            if wrong:
                print(f"{name} seed {seed}: WRONG: {wrong}")
                bad += 1
    return 1 if bad else 0


sys.exit(main())
