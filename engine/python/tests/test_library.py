"""The bindings against the header: every call is bound, with as many arguments."""

import os
import re
import unittest

import minivault
from minivault import _library

HEADER = os.path.join(os.path.dirname(__file__), "../../../include/minivault/minivault.h")


def declared():
    """name: number of parameters, of every function of the header."""
    with open(HEADER, encoding="utf-8") as stream:
        text = re.sub(r"/\*.*?\*/", "", stream.read(), flags=re.S)
    calls = {}
    for name, parameters in re.findall(r"^[\w *]+?\b(vault_\w+)\(([^;{]*?)\);", text, re.M | re.S):
        depth, count = 0, 1
        for letter in parameters:
            depth += {"(": 1, ")": -1}.get(letter, 0)
            count += letter == "," and not depth
        calls[name] = 0 if parameters.strip() == "void" else count
    return calls


class Header(unittest.TestCase):
    def test_the_header_is_read(self):
        calls = declared()
        self.assertEqual(calls["vault_put"], 7)
        self.assertEqual(calls["vault_batch_new"], 0)
        self.assertGreater(len(calls), 35)

    def test_every_call_is_bound(self):
        bound = {name: len(takes) for name, (_, takes) in _library.CALLS.items()}
        self.assertEqual(bound, {name: count for name, count in declared().items()
                                 if name not in _library.NOT_BOUND})

    def test_versions_agree(self):
        project = os.path.join(os.path.dirname(__file__), "../pyproject.toml")
        with open(project, encoding="utf-8") as stream:
            self.assertIn('version = "%s"' % minivault.version, stream.read())


class Finding(unittest.TestCase):
    def test_the_variable_alone_counts(self):
        before = os.environ.get("MINIVAULT_LIBRARY")
        os.environ["MINIVAULT_LIBRARY"] = "/nowhere/libminivault.so"
        try:
            with self.assertRaisesRegex(ImportError, "nowhere.*"):
                _library.load()
        finally:
            del os.environ["MINIVAULT_LIBRARY"]
            if before is not None:
                os.environ["MINIVAULT_LIBRARY"] = before

    def test_another_library_is_refused(self):
        os.environ["MINIVAULT_LIBRARY"], before = "libc.so.6", os.environ.get("MINIVAULT_LIBRARY")
        try:
            with self.assertRaisesRegex(ImportError, "has no vault_"):
                _library.load()
        finally:
            del os.environ["MINIVAULT_LIBRARY"]
            if before is not None:
                os.environ["MINIVAULT_LIBRARY"] = before


if __name__ == "__main__":
    unittest.main()
