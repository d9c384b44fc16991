#!/usr/bin/env python3
"""Programs that nobody here wrote, unmodified on the simulated disk.

    programs.py NAME --preload LIBRARY [--bin DIR]      NAME: sqlite leveldb lmdb rocksdb

Each program does the same work in a real directory and on the mount. What it prints has to be the
same, what the mount held has to be readable without the disk, and nothing may have been refused.
Then the power fails: images of several crash points are opened on a real directory.
Exit: 0 good, 1 not, 77 the program is not installed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

MOUNT = "/powercut"


class Failure(Exception):
    pass


class Bench:
    """A scratch directory, and programs run beside or on the simulated disk."""

    def __init__(self, preload, bin_dir, scratch):
        self.preload = preload
        self.bin = bin_dir
        self.scratch = scratch
        self.number = 0

    def path(self, name):
        """A new path below the scratch directory."""
        self.number += 1
        return os.path.join(self.scratch, "%03d-%s" % (self.number, name))

    def real(self, command, stdin=""):
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Failure("%s: exit %d: %s" % (command, done.returncode, done.stderr[-2000:]))
        return done.stdout

    def simulated(self, command, stdin="", quiet=True, **settings):
        """Runs the command with the library; settings: model, unit, crash, export and so on."""
        env = {name: value for name, value in os.environ.items()
               if not name.startswith("POWERCUT_")}
        env["LD_PRELOAD"] = self.preload
        env.update({"POWERCUT_" + name.upper(): str(value) for name, value in settings.items()})
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120,
                              env=env)
        if done.returncode or (quiet and "powercut:" in done.stderr):
            raise Failure("%s %s: exit %d: %s"
                          % (settings, command, done.returncode, done.stderr[-2000:]))
        return done.stdout

    def calls(self, report):
        with open(report) as stream:
            return int(re.search(r"^calls (\d+)$", stream.read(), re.M).group(1))


def same(what, got, expected):
    """Fails unless both are the same; says that they are, and the last line of them."""
    if got != expected:
        raise Failure("%s:\n--- on the disk\n%s\n--- really\n%s" % (what, got, expected))
    lines = str(got).strip().splitlines()
    print("the same, %d lines: %s: %s" % (len(lines), what, lines[-1][:60] if lines else ""))


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            print("%s is not installed, skipped" % program)
            sys.exit(77)


# ---- SQLite ----

SQL = """
pragma journal_mode=%s;
pragma synchronous=full;
create table t(id integer primary key, name text, body blob);
create index by_name on t(name);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 400)
  insert into t select i, 'name' || (i * 7919 %% 1000), zeroblob(i) from n;
commit;
delete from t where id %% 3 = 0;
update t set name = name || 'x' where id %% 5 = 0;
begin; insert into t(name) values('undone'); rollback;
insert into t(name) values('last');
vacuum;
select count(*), sum(id), sum(length(body)), max(name) from t;
pragma integrity_check;
"""
CHECK = "pragma integrity_check; select count(*), sum(id) from t;"


def sqlite(bench):
    needs("sqlite3")
    for mode in ("delete", "truncate", "persist", "wal"):
        sql = SQL % mode
        real = bench.path("real")
        os.mkdir(real)
        expected = bench.real(["sqlite3", real + "/t.db"], sql)
        left, report = bench.path("left"), bench.path("report")
        got = bench.simulated(["sqlite3", MOUNT + "/t.db"], sql, export=left, report=report)
        same("sqlite3, " + mode, got, expected)
        same("content left by sqlite3, " + mode, bench.real(["sqlite3", left + "/t.db"], ".dump"),
             bench.real(["sqlite3", real + "/t.db"], ".dump"))
        same("sqlite3 on an imported database, " + mode,
             bench.simulated(["sqlite3", MOUNT + "/t.db"], ".dump", **{"import": left}),
             bench.real(["sqlite3", left + "/t.db"], ".dump"))
        sqlite_crashes(bench, mode, sql, bench.calls(report),
                       bench.real(["sqlite3", real + "/t.db"], CHECK))


def sqlite_crashes(bench, mode, sql, calls, final):
    """Every image opens and is sound; the last one has every committed row."""
    for k in sorted({calls * i // 12 for i in range(1, 13)}):
        for model, manner in (("ext4-ordered", "oldest"), ("posix", "newest")):
            left = bench.path("crash")
            bench.simulated(["sqlite3", MOUNT + "/t.db"], sql, export=left, model=model,
                            crash="%d:%s" % (k, manner))
            database = left + "/t.db"
            if not os.path.exists(database):
                continue
            sound = bench.real(["sqlite3", database], "pragma integrity_check;")
            same("%s, crash %d %s" % (mode, k, manner), sound, "ok\n")
            if k == calls:
                same("%s, %s after the last call" % (mode, manner),
                     bench.real(["sqlite3", database], CHECK), final)


# ---- LevelDB ----

def leveldb(bench):
    program = os.path.join(bench.bin, "leveldb_program")
    if not os.path.exists(program):
        print("built without leveldb/c.h, skipped")
        sys.exit(77)
    real, left = bench.path("real"), bench.path("left")
    report = bench.path("report")
    expected = bench.real([program, real, "fill", "3000"])
    got = bench.simulated([program, MOUNT + "/db", "fill", "3000"], export=left, report=report)
    same("LevelDB", got, expected)
    same("what LevelDB left", bench.real([program, left + "/db", "sum"]), expected)
    # The copy was opened for real meanwhile, and its files have changed.
    same("LevelDB on an imported database",
         bench.simulated([program, MOUNT + "/db", "sum"], **{"import": left}), expected)
    calls = bench.calls(report)  # a few more or less every time: there is a thread
    for k in [calls * i // 8 for i in range(1, 8)] + ["end", "end:newest"]:
        left = bench.path("crash")
        bench.simulated([program, MOUNT + "/db", "fill", "3000"], export=left, crash=k)
        if os.path.exists(left + "/db/CURRENT"):
            bench.real([program, left + "/db", "sum"])


# ---- LMDB ----

def lmdb(bench):
    needs("mdb_load", "mdb_stat", "mdb_dump", "mdb_copy")
    text = "".join("key%04d\nvalue %d %s\n" % (i, i * i, "x" * (i % 700)) for i in range(400))
    real, empty, left, copied = (bench.path(name) for name in ("real", "empty", "left", "copied"))
    os.makedirs(real + "/db")
    os.makedirs(real + "/copy")
    os.makedirs(empty + "/db")
    os.makedirs(empty + "/copy")
    bench.real(["mdb_load", "-T", real + "/db"], text)
    bench.simulated(["mdb_load", "-T", MOUNT + "/db"], text, export=left, **{"import": empty})
    for command in (["mdb_dump"], ["mdb_dump", "-p"], ["mdb_stat", "-e", "-f", "-a"]):
        expected = bench.real(command + [real + "/db"])
        same(" ".join(command) + " of what was left", bench.real(command + [left + "/db"]),
             expected)
        same(" ".join(command), bench.simulated(command + [MOUNT + "/db"], **{"import": left}),
             expected)
    bench.simulated(["mdb_copy", "-c", MOUNT + "/db", MOUNT + "/copy"], export=copied,
                    **{"import": left})
    same("mdb_copy", bench.real(["mdb_dump", copied + "/copy"]),
         bench.real(["mdb_dump", real + "/db"]))
    # mdb_load commits every hundred records; each commit is synced.
    for k in range(1, 40, 6):
        crash = bench.path("crash")
        bench.simulated(["mdb_load", "-T", MOUNT + "/db"], text, export=crash, crash=k,
                        quiet=False, **{"import": empty})
        if os.path.exists(crash + "/db/data.mdb") and os.path.getsize(crash + "/db/data.mdb"):
            bench.real(["mdb_dump", crash + "/db"])


# ---- RocksDB ----

WORK = ["--benchmarks=fillrandom,overwrite,readrandom,readseq,compact,readrandom", "--num=4000",
        "--seed=1", "--write_buffer_size=131072", "--threads=2", "--value_size=100",
        "--compression_type=none", "--compression_ratio=1"]
VARIANTS = {
    "plain": [],
    "sync": ["--sync=1", "--num=400"],
    "mapped reads": ["--mmap_read=1"],
    "direct": ["--use_direct_reads=1", "--use_direct_io_for_flush_and_compaction=1"],
    "mapped writes": ["--mmap_write=1"],
}


def found(output):
    """The counts of db_bench: "(3412 of 4000 found)"."""
    counts = re.findall(r"^(\w+) .* \((\d+) of (\d+) found\)", output, re.M)
    if len(counts) == 0:
        raise Failure("db_bench found nothing: %s" % output[-2000:])
    return counts


def rocksdb(bench):
    needs("db_bench")
    for name, options in VARIANTS.items():
        real, left = bench.path("real"), bench.path("left")
        expected = found(bench.real(["db_bench", "--db=" + real] + WORK + options))
        got = found(bench.simulated(["db_bench", "--db=" + MOUNT + "/db"] + WORK + options,
                                    export=left))
        same("db_bench, " + name, got, expected)
        again = ["db_bench", "--use_existing_db=1", "--benchmarks=readrandom"] + WORK[1:] + options
        same("what db_bench left, " + name, found(bench.real(again + ["--db=" + left + "/db"])),
             found(bench.real(again + ["--db=" + real])))
        same("db_bench on an imported database, " + name,
             found(bench.simulated(again + ["--db=" + MOUNT + "/db"], **{"import": left})),
             found(bench.real(again + ["--db=" + real])))
    for crash in ("400", "4000:newest", "end", "end:newest"):
        left = bench.path("crash")
        bench.simulated(["db_bench", "--db=" + MOUNT + "/db"] + WORK, export=left, crash=crash)
        if os.path.exists(left + "/db/CURRENT"):
            found(bench.real(["db_bench", "--use_existing_db=1", "--benchmarks=readrandom",
                              "--db=" + left + "/db"] + WORK[1:]))


PROGRAMS = {"sqlite": sqlite, "leveldb": leveldb, "lmdb": lmdb, "rocksdb": rocksdb}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(PROGRAMS))
    parser.add_argument("--preload", required=True, metavar="LIBRARY")
    parser.add_argument("--bin", default=".", metavar="DIR")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="powercut-programs-") as scratch:
        try:
            PROGRAMS[arguments.name](Bench(arguments.preload, arguments.bin, scratch))
        except Failure as failure:
            print(failure)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
