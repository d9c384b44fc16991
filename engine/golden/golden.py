#!/usr/bin/env python3
"""Databases of every released format, kept so that later versions go on reading them.

    golden.py make MINIVAULT [WHAT]   writes the databases of the current format anew, or one
    golden.py test MINIVAULT          opens all of them, and forged ones of formats yet to come

Each folder v<format>-<what> is a database as the engine left it; beside it, in
v<format>-<what>.lines, is what `minivault export` says of it. A test never opens the folder itself
but a copy. `make` replaces those of the newest format only, and only before its release; older
ones are never made again.
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
FORMAT = 1
PROGRAM = None
# Small, so that a few hundred keys make several levels; inline, so that each making is the same.
SMALL = ["background=1", "write_buffer_size=4096", "block_size=512", "table_size=4096",
         "level0_tables=2", "level1_size=16384", "level_multiplier=2", "restart_interval=4"]


def run(*words, stdin="", code=0, cwd=None):
    done = subprocess.run([PROGRAM, *words], input=os.fsencode(stdin), capture_output=True,
                          cwd=cwd)
    if done.returncode != code:
        raise AssertionError("%s: %d, not %d\n%s" % (words, done.returncode, code,
                                                     os.fsdecode(done.stdout + done.stderr)))
    return os.fsdecode(done.stdout if code == 0 else done.stderr)


def compressed(method):
    return SMALL + ["compression=" + ",".join(["0"] + [str(method)] * 6)]


def unreadable(name, place):
    """Is it compressed by a method that this library was built without? Then it says so."""
    if not name.endswith(("-lz4", "-zstd")):
        return False
    done = subprocess.run([PROGRAM, "scan", place], capture_output=True)
    return done.returncode == 3 and b"UNSUPPORTED" in done.stderr


# ---- making ----

def settings(values):
    return [word for value in values for word in ("--set", value)]


EVERY_OPERATION = r"""
put apple red
put '' ''
put "\x00\xff\\" "\n\t\x80"
put gone at-once --ttl 0s
put stays 'a hundred years' --ttl 36500d
put pear green
del pear
begin
put batch/1 one
put batch/2 two
del apple
commit
put apple crimson --no-sync
"""

RANGES = r"""
delrange k050 k150
put k100 again
flush
begin
put k120 hidden
delrange k110 k130
put k125 shown
commit
flush
delrange a b
delrange k300 k310
"""


def many(count):
    lines = ["put -N k%03d %s" % (i * 7 % count, "v%d-" % i + "x" * (i % 60))
             for i in range(2 * count)]
    lines += ["del -N k%03d" % i for i in range(0, count, 5)]
    return "\n".join(lines) + "\n"


def torn(place):
    """As a power cut leaves it: the log ends within its last record."""
    log = max(name for name in os.listdir(place) if name.endswith(".log"))
    os.truncate(os.path.join(place, log), os.path.getsize(os.path.join(place, log)) - 45)


def make_all(only):
    recipes = {
        "log": (SMALL, EVERY_OPERATION, None),
        "torn-log": (SMALL, EVERY_OPERATION, torn),
        "tables": (SMALL, EVERY_OPERATION + many(400) + "flush\n" + "put last log\n", None),
        "compacted": (SMALL, EVERY_OPERATION + many(400) + "compact\n", None),
        "no-filter": (SMALL + ["bloom_bits_per_key=0"], EVERY_OPERATION + many(100) + "flush\n",
                      None),
        "ranges": (SMALL, EVERY_OPERATION + many(400) + "compact\n" + RANGES, None),
        "lz4": (compressed(1), EVERY_OPERATION + many(200) + "compact\n", None),
        "zstd": (compressed(2), EVERY_OPERATION + many(200) + "compact\n", None),
        "defaults": ([], EVERY_OPERATION + "flush\nput last log\n", None),
    }
    for name, (values, script, after) in recipes.items():
        if only and name not in only:
            continue
        place = os.path.join(HERE, "v%d-%s" % (FORMAT, name))
        shutil.rmtree(place, ignore_errors=True)
        run("shell", place, *settings(values), stdin=script)
        if after:
            after(place)
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(place, copy + "/db")
            lines = run("export", copy + "/db")
        with open(place + ".lines", "w", encoding="utf-8") as stream:
            stream.write(lines)
        print("%s: %d files, %d lines" % (os.path.basename(place), len(os.listdir(place)),
                                          lines.count("\n")))


# ---- testing ----

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def contents(place):
    """name: bytes, of everything but the lock."""
    files = {}
    for name in sorted(os.listdir(place)):
        if name != "LOCK":
            with open(os.path.join(place, name), "rb") as stream:
                files[name] = stream.read()
    return files


KINDS = {".log": "wal", ".sst": "sst", "MANI": "manifest", "CURR": "current"}


def kind_of(name):
    return KINDS.get(name[-4:]) or KINDS.get(name[:4])


class Golden(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="minivault-golden-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def names(self):
        return sorted(name[:-6] for name in os.listdir(HERE) if name.endswith(".lines"))

    def copy(self, name):
        place = os.path.join(self.dir, name)
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(os.path.join(HERE, name), place)
        return place

    def test_there_are_some_of_every_format(self):
        for version in range(1, FORMAT + 1):
            count = sum(name.startswith("v%d-" % version) for name in self.names())
            self.assertGreaterEqual(count, 6)

    def test_content(self):
        for name in self.names():
            with open(os.path.join(HERE, name + ".lines"), encoding="utf-8") as stream:
                want = stream.read()
            place = self.copy(name)
            if unreadable(name, place):
                continue
            self.assertEqual(run("export", place), want, name)
            self.assertIn("ok", run("verify", place))
            # What this version made of it is read again, and can be written.
            run("put", place, "new", "pair")
            run("compact", place)
            self.assertEqual(run("count", place), "%d\n" % (want.count("\n") - 2 + 1))

    def test_dump_knows_every_file(self):
        for name in self.names():
            place = self.copy(name)
            if unreadable(name, place):
                continue
            for file in contents(place):
                run("dump", kind_of(file), os.path.join(place, file))

    def test_every_feature_is_there(self):
        """What the databases are for: each kind of operation, block and file is in some of them."""
        dumps = ""
        for name in self.names():
            place = self.copy(name)
            if unreadable(name, place):
                continue
            for file in contents(place):
                dumps += run("dump", kind_of(file), os.path.join(place, file))
        for word in ("delete ", "put ", "put-until ", "delete-range ", "claim ", "torn ",
                     "filter ", "index ", "ranges ", "add ", "add-with-ranges ",
                     "  level          0", "  level          1"):
            self.assertTrue("  " + word in dumps, word)

    # ---- formats yet to come ----

    def forge(self, place, name, at, value, begin, end, sum_at):
        """Sets bytes at `at`, and the checksum at sum_at of [begin, end) to match."""
        path = os.path.join(place, name)
        with open(path, "rb") as stream:
            data = bytearray(stream.read())
        data[at:at + len(value)] = value
        data[sum_at:sum_at + 4] = struct.pack("<I", crc32c(data[begin:end]))
        with open(path, "wb") as stream:
            stream.write(data)

    def refused(self, place, *words, file=None):
        before = contents(place)
        told = run("scan", place, code=3)
        self.assertIn("UNSUPPORTED", told)
        if file:
            self.assertIn(file, told)
        self.assertEqual(contents(place), before, "a refused database was changed")

    def test_an_unknown_version_is_refused(self):
        for ending in ("CURRENT", "MANIFEST", ".log"):
            place = self.copy("v1-tables")
            name = max(n for n in os.listdir(place) if ending in n)
            end = 32 if ending == "CURRENT" else 64
            self.forge(place, name, 8, struct.pack("<I", 99), 4, end, 0)
            self.refused(place, file=name)
            self.assertIn("unknown version 99",
                          run("dump", kind_of(name), os.path.join(place, name), code=3))

    def test_an_unknown_version_of_a_table_is_refused(self):
        place = self.copy("v1-compacted")
        for name in [n for n in os.listdir(place) if n.endswith(".sst")]:
            foot = os.path.getsize(os.path.join(place, name)) - 64
            self.forge(place, name, foot + 8, struct.pack("<I", 99), foot + 4, foot + 64, foot)
        self.assertIn("UNSUPPORTED", run("scan", place, code=3))

    def test_an_unknown_type_of_block_is_refused(self):
        place = self.copy("v1-compacted")
        for name in [n for n in os.listdir(place) if n.endswith(".sst")]:
            path = os.path.join(place, name)
            dump = [line.split() for line in run("dump", "sst", path).splitlines()]
            begin = next(int(d[0], 16) for d in dump if d[1] == "block" and d[2] != "at")
            length = next(int(d[2]) for d in dump if d[1] == "block" and d[2] != "at")
            end = begin + length
            self.forge(place, name, end, b"\x63", begin, end + 1, end + 1)
        self.assertIn("UNSUPPORTED", run("scan", place, code=3))

    def test_an_unknown_kind_of_record_is_refused(self):
        for ending in ("MANIFEST", ".log"):
            place = self.copy("v1-log")
            name = max(n for n in os.listdir(place) if ending in n)
            with open(os.path.join(place, name), "rb") as stream:
                length, = struct.unpack("<I", stream.read()[72:76])
            self.forge(place, name, 70, b"\x63", 68, 64 + 40 + length, 64)
            self.refused(place, file=name)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("make", "test"):
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv[2])
    if sys.argv[1] == "make":
        make_all(sys.argv[3:])
    else:
        del sys.argv[1:3]
        unittest.main()
