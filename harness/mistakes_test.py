#!/usr/bin/env python3
"""Can the tests of the search fail? Plants mistakes in the search itself, one at a time.

  mistakes_test.py BUILD [NAME ...]

Each is a change of one place of faults/ or harness/, compiled with the command of the clean file
and linked in front of the libraries of one unit test, which has to fail then, in the test function
that is named, and has to pass without. A1 to A6 are the demands of README.md, "Tests of the search
itself"; A7, mistakes in an engine, is crashtests/mutants/.
"""
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECONDS_MOST = 600  # a search that does not end is a mistake that was seen, too

CONFORMANCE = ["conformance", "crashtests/conformance/persistence-models.json"]  # of powercut

# name: (demand, file, the text, what stands there instead, the program, what fails in it)
MISTAKES = {
    "first-passing-not-excluded": (
        "A1", "faults/lazy.c",
        "for (uint32_t i = 0; i < lazy->combination_count; i++)\n        clause_add(",
        "for (uint32_t i = 1; i < lazy->combination_count; i++)\n        clause_add(",
        "lazy_test", "a1_a2_partition_and_outcomes"),
    "clauses-not-weighed": (
        "A1", "faults/count.c", "ok = alternate(group, c + 1, !negative, out);",
        "ok = alternate(group, group->clause_count, !negative, out);",
        "lazy_test", "clauses_are_counted"),
    "leaf-not-weighed": (
        "A1", "harness/explore.c", "        mpz_add(sums->sum, sums->sum, sums->weight);",
        "        mpz_add_ui(sums->sum, sums->sum, 1);",
        "explore_test", "E1"),
    "contents-taken-for-equal": (
        "A2", "faults/lazy.c",
        "if (last && versions->list[v - 1].merges &&\n            same(versions->list[last->first]"
        ".content, content, part->lo, part->hi)) {",
        "if (last && versions->list[v - 1].merges) {",
        "lazy_test", "a1_a2_partition_and_outcomes"),
    "versions-kept-after-a-decision": (
        "A2", "faults/lazy.c", "known->changes == disk->image->changes)", "lazy->era)",
        "lazy_test", "a1_a2_partition_and_outcomes"),
    "only-the-newest-moment-tried": (
        "A2", "faults/lazy.c", "for (uint32_t m = 0; m < n; m++) {\n        if (m > 0 &&",
        "for (uint32_t m = 0; m < 1; m++) {\n        if (m > 0 &&",
        "lazy_test", "a1_a2_partition_and_outcomes"),
    "last-alternative-not-taken": (
        "A2", "harness/tape.c", "if (last->value + 1 < last->n) {",
        "if (last->value + 1 < last->n - (last->n > 2)) {",
        "explore_test", "the_search_finds_the_states_of_brute_force"),
    "no-frontier-before-fdatasync": (
        "A3", "faults/disk.c", "    case PC_CALL_FDATASYNC:\n    case PC_CALL_SYNC:\n"
        "    case PC_CALL_MSYNC:\n        return !", "    case PC_CALL_SYNC:\n"
        "    case PC_CALL_MSYNC:\n        return !",
        "explore_test", "the_search_finds_the_states_of_brute_force"),
    "no-frontier-before-fsync": (
        "A3", "faults/disk.c", "    switch (next->kind) {\n    case PC_CALL_FSYNC:\n",
        "    switch (next->kind) {\n",
        "lazy_test", "a3_frontiers_are_enough"),
    "no-witness": (
        "A4", "harness/explore_verify.c", "#define WITNESSES 2", "#define WITNESSES 0",
        "explore_verify_test", "a4_looking_at_unverified_bytes_is_flagged"),
    "witness-compares-states-only": (
        "A4", "harness/explore_verify.c",
        "pc_disk_looks(judge->disk) != sight->looks)",
        "judge == NULL)",
        "explore_verify_test", "a4_looking_at_unverified_bytes_is_flagged"),
    "witness-ignores-writes": (
        "A4", "harness/explore_verify.c",
        "pc_disk_hash(judge->disk) != sight->log)",
        "judge == NULL)",
        "explore_verify_test", "a4_looking_at_unverified_bytes_is_flagged"),
    "a-trouble-that-is-over-excuses": (
        "J7", "harness/judge.c", "    judge->fault.fired = 0; /* it is over", "    /* it is over",
        "explore_test", "the_open_after_a_failing_call_is_not_excused"),
    "another-question-not-noticed": (
        "A5", "harness/tape.c",
        "if (choice->anchor != anchor || choice->n != n)\n            tape->diverged = true;",
        "(void)anchor;",
        "explore_test", "a_fickle_recovery_is_called_that"),
    "memory-not-reset": (
        "A5", "harness/heap.c", "        heap->free_lists[i] = NULL;\n    heap->current = NULL;\n"
        "    heap->used = 0;", "        heap->free_lists[i] = NULL;",
        "explore_verify_test", "a5_a_recovery_forgets_the_one_before"),
    "samples-by-address": (
        "A5", "harness/explore_sample.c", "rng_seeded(explorer->tape.seed ^ ",
        "rng_seeded((uintptr_t)explorer ^ ",
        "explore_test", "equal_seeds_are_equal_runs"),
    "size-apart-from-its-block": (
        "A6", "faults/models.c", ".journal = true, .data_first = true, .leaps = true},",
        ".journal = true, .data_first = false, .leaps = true},",
        "powercut", ""),
    "no-torn-names": (
        "A6", "faults/models.c", "                      .split_names = true},",
        "                      .split_names = false},",
        "powercut", ""),
    "near-is-less-near": (
        "E7", "harness/explore.c", "allowed += choice->costs[i] <= explorer->left;",
        "allowed += choice->costs[i] < explorer->left || choice->costs[i] == 0;",
        "explore_test", "near_the_poles_nothing_is_missed"),
    "poles-left-out": (
        "E7", "harness/explore_bounded.c", "        if (level == 0 && pole < n && covered(",
        "        if (pole > 0 && pole < n && level < 9)\n            continue;\n"
        "        if (level == 0 && pole < n && covered(",
        "explore_test", "near_the_poles_nothing_is_missed"),
    "dead-units-return": (
        "N2", "harness/explore_nested.c", "judge->answered && !seen_equal(",
        "judge->answered && !returned && !seen_equal(",
        "explore_nested_test", "what_a_recovery_has_dropped_stays_away"),
    "not-deeper-than-two": (
        "N1", "harness/explore_nested.c", "if (level + 1 >= explorer->budget.depth ||",
        "if (level + 1 >= 2 ||",
        "explore_nested_test", "the_third_recovery_is_crashed_to"),
}


def run(argv, cwd, seconds=None):
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False, cwd=cwd, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        return 124, str(late.stdout)
    return done.returncode, done.stdout


def last_command(build, target):
    code, text = run(["ninja", "-C", str(build), "-t", "commands", target], build)
    if code != 0 or not text.strip():
        sys.exit(f"ninja knows no command for {target}")
    return text.strip().splitlines()[-1]


def compile_file(build, file, source, obj):
    folder, name = file.split("/")
    argv = shlex.split(last_command(build, f"{folder}/CMakeFiles/{folder}.dir/{name}.o"))
    kept, skip = [], False
    for word in argv:
        if skip or word in ("-MD", "-c"):
            skip = False
        elif word in ("-MF", "-MT", "-o"):
            skip = True
        elif not word.endswith(f"/{name}") or word.startswith("-"):
            kept.append(word)
    return run(kept + ["-iquote", str(ROOT / folder), "-o", str(obj), "-c", str(source)], build)


def examine(build, name):
    """'' or what is wrong."""
    demand, file, old, new, test, function = MISTAKES[name]
    folder = build / "mistakes" / name
    folder.mkdir(parents=True, exist_ok=True)
    text = (ROOT / file).read_text(encoding="utf-8")
    if text.count(old) != 1:
        return f"{file} has the text {text.count(old)} times: {old!r}"
    source, obj = folder / pathlib.Path(file).name, folder / (pathlib.Path(file).name + ".o")
    source.write_text(text.replace(old, new), encoding="utf-8")
    code, told = compile_file(build, file, source, obj)
    if code != 0:
        return f"does not build:\n{told[-1500:]}"
    link = last_command(build, f"bin/{test}")
    if name == "memory-not-reset" and "-fsanitize" in link:
        print(f"{demand} {name}: not asked, as sanitizers have every block from malloc")
        return ""
    program = folder / test
    link = link.replace(f" -o bin/{test} ",
                        f" {shlex.quote(str(obj))} -o {shlex.quote(str(program))} ")
    code, told = run(["sh", "-c", link], build)
    if code != 0:
        return f"does not link:\n{told[-1500:]}"
    code, told = run([str(program), *(CONFORMANCE if test == "powercut" else [])], ROOT,
                     SECONDS_MOST)
    failed = re.findall(r"\[  FAILED  \] (\w+)$", told, flags=re.M)
    how = f"{', '.join(sorted(set(failed)))} failed" if failed else \
        f"exit {code}: {told.strip().splitlines()[-1][:120] if told.strip() else ''}"
    print(f"{demand} {name}: {how}", flush=True)
    if code == 0:
        return f"{test} passes"
    if failed and function and function not in failed:
        return f"{function} of {test} passes"
    return ""


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    names = sys.argv[2:] or list(MISTAKES)
    bad = 0
    for test in sorted({MISTAKES[name][4] for name in names}):
        if not (build / "bin" / test).exists():
            sys.exit(f"{build}/bin/{test} is not built")
    for name in names:
        wrong = examine(build, name)
        if wrong:
            print(f"{name}: WRONG: {wrong}")
            bad += 1
    return 1 if bad else 0


sys.exit(main())
