#!/usr/bin/env python3
"""Does `powercut audit` tell a sync that matters from one that does not?

  audit_test.py BUILD

In minivault as it is, the sync of a flushed table is load-bearing. In one where the table is synced
twice in a row neither of the two is: without one there is the other. Whoever calls these
load-bearing has counted calls, not looked at what is lost.
"""
import difflib
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "crashtests/mutants"))
import plant  # noqa: E402

SITE = "fdatasync sst_finish < core_build < core_flush_full"
ONCE = "        st = os_sync(b->env, &b->file); /* S1 */\n"
TWICE = ONCE + "    if (!st)\n        st = os_sync(b->env, &b->file);\n"


def classes(program, folder):
    """The class of every mistake at SITE."""
    done = subprocess.run([str(program), "audit", "--traces", "1", "--leaves", "40", "--jobs", "1",
                           "--model", "ext4-ordered", "--only", SITE,
                           "--out", str(folder / "out")], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    found = re.findall(rf"^drop +{re.escape(SITE)}.*?\)\s+(load-bearing: [\w-]+|\w[\w ]*)",
                       done.stdout, flags=re.M)
    return found or [f"no line (exit {done.returncode}): {done.stdout}"]


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    folder = build / "audit-test"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = (ROOT / "engine/sst.c").read_text(encoding="utf-8")
    if source.count(ONCE) != 1:
        sys.exit("audit_test: engine/sst.c does not sync a table as this test knows it")
    patch = folder / "synced-twice.patch"
    patch.write_text("".join(difflib.unified_diff(
        source.splitlines(True), source.replace(ONCE, TWICE).splitlines(True), "a/engine/sst.c",
        "b/engine/sst.c")), encoding="utf-8")
    twice = folder / "powercut"
    plant.plant(ROOT, build, patch, folder / "twice", twice)
    once_told = classes(build / "bin/powercut", folder)
    twice_told = classes(twice, folder)
    good = (len(once_told) == 1 and re.fullmatch(r"load-bearing: (?!figures)[\w-]+", once_told[0])
            and len(twice_told) == 2 and all(t.startswith("undetected") for t in twice_told))
    print(f"synced once: {once_told}; synced twice: {twice_told}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
