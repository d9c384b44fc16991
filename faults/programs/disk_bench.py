#!/usr/bin/env python3
"""The engine's benchmark on the simulated disk, beside a real directory.

    disk_bench.py KVBENCH LIBRARY [--dir DIR] [--pairs N] [--entries N] [--workloads A,B]

KVBENCH is build/release/bin/kvbench, LIBRARY libpowercut-preload.so, DIR a place on a tmpfs. One
pair is the whole benchmark of minivault here and there, one after the other and each first in turn,
so that a load that comes and goes meets both. What is printed are medians over the pairs: thousands
of operations in a second for each workload, then the seconds of the clock and those that processors
worked, for the program or for the system on its behalf. `recover` is left out: it kills a child and
reads what that has left, and the simulated disk of a child dies with it.
Exit: 0 the disk takes less time by both, 1 it does not, 77 there is no tmpfs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

WORKLOADS = ("fillseq,fillbatch,fillrandbatch,fillsync,fillsync4,fillrandom,overwrite,"
             "readrandom-left,compact,readrandom,readmissing,readseq,readreverse,seekrandom,"
             "deleterandom,readwhilewriting,readrandom-tables")


def run(command, env):
    """Seconds by the clock, seconds of processors, and the rates."""
    begin = time.monotonic()
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             text=True)
    lines = child.stderr.read().splitlines()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit("%s: status %d" % (" ".join(command), status))
    rates = {}
    for line in lines:
        words = line.split()
        if words and words[0] == "minivault" and words[-1] == "kops/s":
            rates.setdefault(words[1], float(words[2]))
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, rates


def is_tmpfs(path):
    kinds = {}
    with open("/proc/mounts") as mounts:
        for line in mounts:
            kinds[line.split()[1]] = line.split()[2]
    path = os.path.realpath(path)
    while path not in kinds:
        path = os.path.dirname(path)
    return kinds[path] == "tmpfs"


def report(pairs):
    """Prints the table; answers whether the disk is faster by both times."""
    def middle(values):
        return statistics.median(values)

    print("%-20s%12s%12s%8s" % ("", "disk", "tmpfs", "ratio"))
    for name in pairs[0][0][2]:
        print("%-20s%12.1f%12.1f%8.2f"
              % (name + " kops/s", middle(here[2][name] for here, _ in pairs),
                 middle(there[2][name] for _, there in pairs),
                 middle(here[2][name] / there[2][name] for here, there in pairs)))
    ratios = []
    for what, name in enumerate(("seconds", "processor seconds")):
        ratios.append(middle(here[what] / there[what] for here, there in pairs))
        print("%-20s%12.3f%12.3f%8.2f" % (name, middle(here[what] for here, _ in pairs),
                                          middle(there[what] for _, there in pairs), ratios[-1]))
    return max(ratios) < 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kvbench")
    parser.add_argument("library")
    parser.add_argument("--dir", default="/dev/shm/powercut-disk-bench")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--entries", type=int, default=20000)
    parser.add_argument("--workloads", default=WORKLOADS)
    options = parser.parse_args()
    if not is_tmpfs(options.dir):
        print("%s is on no tmpfs, skipped" % options.dir)
        return 77
    plain = {name: value for name, value in os.environ.items() if not name.startswith("POWERCUT_")}
    simulated = dict(plain, LD_PRELOAD=os.path.abspath(options.library))
    command = [options.kvbench, "--engines", "minivault", "--runs", "1", "--workloads",
               options.workloads, "--entries", str(options.entries), "--dir"]
    pairs = []
    for i in range(options.pairs):
        if i % 2:
            there = run(command + [options.dir], plain)
        here = run(command + ["/powercut/bench"], simulated)
        if not i % 2:
            there = run(command + [options.dir], plain)
        pairs.append((here, there))
    print("%d pairs, %d entries" % (options.pairs, options.entries))
    return 0 if report(pairs) else 1


if __name__ == "__main__":
    sys.exit(main())
