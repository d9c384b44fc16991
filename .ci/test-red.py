#!/usr/bin/env python3
"""Proves that the gate closes: test-red.py TREE BUILD FOLDER.

The commands are the registered ones: of tests as ctest knows them, of the crash test as `make -n`
prints them. Each is run as it is, and has to pass, then with one thing made wrong, and has to fail:
a scenario, the conformance file, a build with a planted mistake, a canary without one. Last,
.ci/run itself, with a `make` that fails in one part. Exit: 0 proven, 1 not, 77 no crash test build.
"""
import json
import os
import shlex
import shutil
import subprocess
import sys

TREE, BUILD, OUT = (os.path.abspath(path) for path in sys.argv[1:4])
PROBLEMS = []


def check(good, what):
    print(("ok   " if good else "FAIL ") + what)
    if not good:
        PROBLEMS.append(what)


def call(words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    return done.returncode, done.stdout + done.stderr


def registered(name):
    _, text = call(["ctest", "--test-dir", BUILD, "--show-only=json-v1", "-R", f"^{name}$"])
    return json.loads(text[text.index("{"):])["tests"][0]["command"]


def as_ctest(name, words):
    """The exit code of ctest for a test of this command: what `make test` goes by."""
    folder = os.path.join(OUT, "ctest-" + name)
    os.makedirs(folder)
    quoted = " ".join(f"[==[{word}]==]" for word in words)
    with open(os.path.join(folder, "CTestTestfile.cmake"), "w", encoding="utf-8") as out:
        out.write(f"add_test({name} {quoted})\n")
    return call(["ctest", "--test-dir", folder, "--no-tests=error"])[0]


def replaced(words, old, new):
    assert old in words, (old, words)
    return [new if word == old else word for word in words]


def scenario():
    words = registered("crash\\.wal\\.torn_tail")
    file = os.path.join(TREE, "crashtests/wal/torn_tail.crash")
    wrong = os.path.join(OUT, "torn_tail.crash")
    with open(file, encoding="utf-8") as src:
        lines = src.read().split("\n")
    answers = [i for i, line in enumerate(lines) if line == "----"]
    lines.insert(answers[-1] + 1, "an answer that nobody gives")
    with open(wrong, "w", encoding="utf-8") as out:
        out.write("\n".join(lines))
    check(as_ctest("scenario", words) == 0, "a scenario passes")
    check(as_ctest("scenario-wrong", replaced(words, file, wrong)) != 0,
          "a scenario with another answer fails the tests")


def conformance():
    words = registered("conformance\\.models")
    file = os.path.join(TREE, "crashtests/conformance/persistence-models.json")
    wrong = os.path.join(OUT, "models.json")
    with open(file, encoding="utf-8") as src:
        data = json.load(src)
    states = data["traces"][0]["expected"]["posix"]
    states["at"][0] = states["at"][0][1:]  # one state that may be is said not to be
    with open(wrong, "w", encoding="utf-8") as out:
        json.dump(data, out)
    check(as_ctest("conformance", words) == 0, "the conformance file passes")
    check(as_ctest("conformance-wrong", replaced(words, file, wrong)) != 0,
          "a conformance mismatch fails the tests")


def crash_test():
    """The two lines of `make crashtest`, the second with the quick profile instead of the long."""
    code, text = call(["make", "-n", "-o", "build-release", "crashtest"], cwd=TREE)
    lines = [line for line in text.splitlines() if " run " in line]
    check(code == 0 and len(lines) == 2 and "--canary" in lines[1],
          "make crashtest has two runs, one with a canary")
    clean, planted = (os.path.join(BUILD, "bin", n) for n in ("powercut", "powercut-canary"))

    def run(line, program, canary, name):
        words = shlex.split(line.replace("--profile crashtest", "--profile quick"))
        words = [os.path.basename(word) if "/" in word else word for word in words]
        words = [{"powercut": program, "powercut-canary": canary}.get(w, w) for w in words]
        return call(words + ["--quiet", "--out", os.path.join(OUT, name)])

    check(run(lines[1], clean, planted, "passed")[0] == 0, "the crash test passes")
    code, text = run(lines[1], clean, clean, "missed")
    check(code == 3 and "MISSED" in text, "a canary that is not found is inconclusive, exit 3")
    check(run(lines[0], planted, planted, "found0")[0] == 1, "a new finding fails the first run")
    check(run(lines[1], planted, planted, "found1")[0] == 1, "a new finding fails the second run")


def whole():
    """.ci/run goes on after a part that failed, and fails."""
    programs = os.path.join(OUT, "bin")
    os.makedirs(programs)
    make = os.path.join(programs, "make")
    with open(make, "w", encoding="utf-8") as out:
        out.write('#!/bin/sh\nfor word; do [ "$word" = "$RED" ] && exit 2; done\nexit 0\n')
    os.chmod(make, 0o755)
    tree = os.path.join(OUT, "tree")
    os.makedirs(os.path.join(tree, ".ci"))
    shutil.copy(os.path.join(TREE, ".ci/run"), os.path.join(tree, ".ci/run"))
    with open(os.path.join(tree, ".ci/bootstrap"), "w", encoding="utf-8") as out:
        out.write("#!/bin/sh\n")
    os.chmod(os.path.join(tree, ".ci/bootstrap"), 0o755)
    os.makedirs(os.path.join(tree, "crashtests/mutants"))
    shutil.copy("/bin/true", os.path.join(tree, "crashtests/mutants/run"))
    path = programs + os.pathsep + os.environ["PATH"]
    for red in ("", "test", "crashtest", "valgrind", "fuzz-smoke", "mutants"):
        code, text = call([os.path.join(tree, ".ci/run")], env={**os.environ, "RED": red,
                                                                 "PATH": path})
        last = text.strip().split("\n")[-1]
        if red:
            check(code == 1 and red.split("-")[0] in last, f".ci/run is red when {red} is")
        else:
            check(code == 0, ".ci/run is green when every part is")


def main():
    if not os.path.exists(os.path.join(BUILD, "bin/powercut-canary")):
        print("skipped: no bin/powercut-canary")
        return 77
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    for part in (scenario, conformance, crash_test, whole):
        part()
    print(f"{len(PROBLEMS)} problems")
    return 1 if PROBLEMS else 0


if __name__ == "__main__":
    sys.exit(main())
