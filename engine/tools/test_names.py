#!/usr/bin/env python3
"""test_names.py TREE: the table "Coming from LevelDB" of engine/README.md names calls that exist.

What it says of minivault is looked up in minivault.h, each name whole. Where LevelDB's own header
is installed, every call of it has to be in the table, and nothing else."""

import os
import re
import sys
import unittest

TREE = None
THEIRS = "/usr/include/leveldb/c.h"


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as stream:
        return stream.read()


def rows():
    section = read(TREE, "engine/README.md").split("## Coming from LevelDB\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code(text):
    return re.findall(r"`([^`]+)`", text)


class Names(unittest.TestCase):
    def test_ours_exist(self):
        header = re.sub(r"/\*.*?\*/", "", read(TREE, "include/minivault/minivault.h"), flags=re.S)
        seen = 0
        for _, _, ours in rows():
            for name in code(ours):
                if not name.startswith("minivault "):
                    word = re.escape(name.split()[-1])
                    self.assertRegex(header, r"\b%s\b" % word, ours)
                    seen += 1
        self.assertGreater(seen, 45)

    def test_none_is_said_of_what_is_missing_only(self):
        """A name that minivault.h has by now must not be called missing."""
        header = read(TREE, "include/minivault/minivault.h")
        hints = {"RepairDB": "vault_repair", "GetApproximateSizes": "vault_approximate_sizes",
                 "Options::compression": "compression", "max_open_files": "max_open_files"}
        for theirs, _, ours in rows():
            for hint, name in hints.items():
                if hint in theirs and ours.startswith("none"):
                    self.assertNotRegex(header, r"\b%s\b *[(;]" % name,
                                        "the table says none for %s" % theirs)

    @unittest.skipUnless(os.path.exists(THEIRS), "libleveldb-dev is not installed")
    def test_all_of_theirs_are_there(self):
        header = re.sub(r"/\*.*?\*/", "", read(THEIRS), flags=re.S)
        calls = set(re.findall(r"\b(leveldb_\w+)\(", header))
        named = {name for _, theirs, _ in rows() for name in code(theirs)}
        self.assertEqual(named, calls)


if __name__ == "__main__":
    TREE = os.path.abspath(sys.argv.pop(1))
    unittest.main()
