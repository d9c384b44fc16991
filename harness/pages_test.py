#!/usr/bin/env python3
"""pages_test.py TREE POWERCUT MINIVAULT: the pages say what the programs say, well-formed."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pages  # noqa: E402

TREE, PROGRAMS = None, {}


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, **more)


def plain(page):
    """Roff without its escapes."""
    text = re.sub(r"\\f[BIR]|\\&", "", page)
    return text.replace("\\-", "-").replace("\\e", "\\")


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.out = tempfile.mkdtemp(prefix="pages-test-")
        cls.files = pages.pages(TREE, "1.2.3")
        for path, content in cls.files.items():
            full = os.path.join(cls.out, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as stream:
                stream.write(content)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.out)

    def helps(self, name):
        """command: the long options that its --help names."""
        text = run(PROGRAMS[name], "help").stdout
        commands = re.findall(r"^  (\w+) ", text.split("examples")[0], re.M)
        self.assertGreater(len(commands), 8)
        answers = {}
        for command in commands:
            done = run(PROGRAMS[name], "help", command)
            self.assertEqual(done.returncode, 0, done.stderr)
            answers[command] = set(re.findall(r"^ +(?:-\w, )? *--([\w-]+)", done.stdout, re.M))
        return answers

    def test_the_table_is_what_help_says(self):
        for table in pages.tables(TREE):
            helps = self.helps(table.name)
            self.assertEqual([c[0] for c in table.commands], list(helps))
            for command, options in helps.items():
                self.assertEqual({o.name for o in table.options_of(command)},
                                 options - {"help"}, command)

    def test_the_page_names_everything(self):
        for table in pages.tables(TREE):
            page = plain(self.files["man1/%s.1" % table.name])
            for command, operands, _ in table.commands + table.shell:
                self.assertRegex(page, r"(?m)^%s %s$" % (command, re.escape(operands)))
            for option in table.options:
                self.assertIn("--" + option.name, page)

    @unittest.skipUnless(shutil.which("groff"), "no groff here")
    def test_groff_has_nothing_to_complain(self):
        for path in self.files:
            if path.startswith("man"):
                done = run("groff", "-man", "-Tutf8", "-ww", "-K", "utf8", "-z",
                           os.path.join(self.out, path))
                self.assertEqual((done.returncode, done.stderr), (0, ""), path)

    @unittest.skipUnless(shutil.which("mandoc"), "no mandoc here")
    def test_mandoc_finds_no_error(self):
        for path in self.files:
            if path.startswith("man"):
                done = run("mandoc", "-T", "lint", "-W", "error", os.path.join(self.out, path))
                self.assertEqual((done.returncode, done.stdout), (0, ""), path)

    def test_formats_are_whole(self):
        page = plain(self.files["man5/minivault-format.5"])
        for word in ("MVST", "prev_synced", "WORKED EXAMPLE", "0000  "):
            self.assertIn(word, page)
        self.assertNotIn("```", page)
        self.assertNotIn("|---", page)

    def complete(self, name, *words):
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _%s; '
                  'printf "%%s\\n" "${COMPREPLY[@]}"' % name)
        done = run("bash", "-c", script, "bash", os.path.join(self.out, "bash", name), name,
                   *words, cwd=self.out)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    @unittest.skipUnless(shutil.which("bash"), "no bash here")
    def test_bash(self):
        self.assertEqual(self.complete("minivault", "sc"), ["scan"])
        self.assertIn("man1", self.complete("minivault", ""))
        self.assertEqual(self.complete("minivault", "scan", "db", "--re"), ["--reverse"])
        self.assertEqual(self.complete("minivault", "get", "db", "--re"), [])
        self.assertEqual(self.complete("minivault", "dump", "ss"), ["sst"])
        self.assertEqual(self.complete("powercut", "ru"), ["run"])
        self.assertEqual(self.complete("powercut", "run", "--see"), ["--seed"])
        self.assertEqual(self.complete("powercut", "run", "--color", "al"), ["always"])
        self.assertEqual(self.complete("powercut", "help", "exp"), ["explain"])

    def test_other_shells_can_read_them(self):
        for shell, ending in (("zsh", "zsh/_%s"), ("fish", "fish/%s.fish")):
            if shutil.which(shell):
                for name in PROGRAMS:
                    done = run(shell, "-n", os.path.join(self.out, ending % name))
                    self.assertEqual((done.returncode, done.stderr), (0, ""), ending % name)

    @unittest.skipUnless(shutil.which("fish"), "no fish here")
    def test_fish(self):
        script = "source fish/minivault.fish; complete -C 'minivault scan db --rev'"
        done = run("fish", "--no-config", "-c", script, cwd=self.out)
        self.assertIn("--reverse", done.stdout, done.stderr)


if __name__ == "__main__":
    TREE, PROGRAMS["powercut"], PROGRAMS["minivault"] = sys.argv[1:4]
    del sys.argv[1:4]
    unittest.main()
