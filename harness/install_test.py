#!/usr/bin/env python3
"""install_test.py TREE BUILD VERSION CC [FLAG]: installs BUILD into a prefix of its own, moves it,
and builds consumers against it: with CMake, with pkg-config, and the store of the tutorial. FLAG is
what the libraries were sanitized with."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TREE = BUILD = VERSION = CC = FLAG = None

FILES = """bin/minivault bin/powercut bin/powercut-canary
include/minivault/minivault.h include/powercut/store.h include/powercut/disk.h
include/powercut/base/bytes.h lib/libminivault.a lib/libminivault.so lib/libpowercut.a
lib/libpowercut-posix.a lib/libpowercut-preload.so lib/pkgconfig/minivault.pc
lib/pkgconfig/powercut.pc lib/cmake/minivault/minivaultConfig.cmake
lib/cmake/powercut/powercutConfig.cmake share/man/man1/powercut.1 share/man/man1/minivault.1
share/man/man5/minivault-format.5 share/man/man5/powercut-crash.5
share/bash-completion/completions/powercut share/zsh/site-functions/_minivault
share/fish/vendor_completions.d/minivault.fish""".split()


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="powercut-install-")
        cls.prefix = cls.dir + "/moved"
        cls.run_it("cmake", "--install", BUILD, "--prefix", cls.dir + "/first")
        os.rename(cls.dir + "/first", cls.prefix)  # nothing may remember where it was

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    @classmethod
    def run_it(cls, *words, code=0, **more):
        env = dict(os.environ, PKG_CONFIG_PATH=cls.dir + "/moved/lib/pkgconfig",
                   ASAN_OPTIONS="detect_leaks=0")
        env.pop("CMAKE_GENERATOR", None)
        done = subprocess.run(words, capture_output=True, text=True, env=env, cwd=cls.dir, **more)
        if done.returncode != code:
            raise AssertionError("%s: %d\n%s%s" % (" ".join(words), done.returncode, done.stdout,
                                                   done.stderr))
        return done.stdout

    def build(self, source, name):
        self.run_it("cmake", "-S", os.path.join(TREE, source), "-B", name, "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_C_COMPILER=" + CC,
                    "-DCMAKE_PREFIX_PATH=" + self.prefix, "-DCMAKE_C_FLAGS=-Wall -Wextra " + FLAG)
        out = self.run_it("cmake", "--build", name)
        self.assertNotIn("warning:", out)
        return os.path.join(self.dir, name)

    def test_everything_is_there(self):
        for path in FILES:
            self.assertTrue(os.path.exists(os.path.join(self.prefix, path)), path)
        outside = [name for name in os.listdir(self.prefix + "/include")
                   if name not in ("minivault", "powercut")]
        self.assertEqual(outside, [])

    def test_components(self):
        where = self.dir + "/part"
        self.run_it("cmake", "--install", BUILD, "--prefix", where, "--component", "minivault-lib")
        names = sorted(os.listdir(where + "/lib"))
        self.assertEqual(os.listdir(where), ["lib"])
        self.assertEqual(names, ["libminivault.so." + VERSION.split(".")[0],
                                 "libminivault.so." + VERSION])

    def test_versions_agree(self):
        for name in ("minivault", "powercut"):
            program = os.path.join(self.prefix, "bin", name)
            self.assertEqual(self.run_it(program, "--version"), "%s %s\n" % (name, VERSION))
            self.assertEqual(json.loads(self.run_it(program, "--version", "--json"))["version"],
                             VERSION)
            self.assertEqual(self.run_it("pkg-config", "--modversion", name), VERSION + "\n")

    def test_only_calls_of_the_header_are_shown(self):
        symbols = self.run_it("nm", "-D", "--defined-only", self.prefix + "/lib/libminivault.so")
        names = {line.split()[-1].split("@")[0] for line in symbols.splitlines()} - {"VAULT_0"}
        with open(self.prefix + "/include/minivault/minivault.h", encoding="utf-8") as stream:
            header = stream.read()
        self.assertGreater(len(names), 35)
        for name in names:
            self.assertRegex(header, r"\b%s\(" % name)

    def test_minivault_with_cmake(self):
        build = self.build("engine/consumer", "words")
        for program in ("count-words", "count-words-shared"):
            for writes in (3, 6):
                out = self.run_it(build + "/" + program, program + ".db", input="a b a\n")
                self.assertEqual(out, "%d writes\n" % writes)
        self.assertEqual(self.run_it(self.prefix + "/bin/minivault", "count", "count-words.db"),
                         "2\n")

    def test_minivault_with_pkg_config(self):
        flags = self.run_it("pkg-config", "--cflags", "--libs", "minivault").split()
        self.run_it(CC, *FLAG.split(), TREE + "/engine/consumer/count_words.c", "-o", "by-hand",
                    *flags, "-Wl,-rpath," + self.prefix + "/lib")
        self.assertEqual(self.run_it("./by-hand", "by-hand.db", input="a"), "1 writes\n")

    def test_the_tutorial(self):
        build = self.build("harness/tutorial", "notes")
        powercut = self.prefix + "/bin/powercut"
        words = ["--faults", "none", "--seed", "1", "--traces", "20"]
        out = self.run_it("ctest", "--test-dir", build, "--verbose")
        self.assertIn("passed: 0 findings", out)
        out = self.run_it(powercut, "run", "--store", build + "/notes-forgetful.so", *words, code=1)
        self.assertIn("a sync of db after the create of db/notes.log", out)
        with open(TREE + "/harness/TUTORIAL.md", encoding="utf-8") as stream:
            self.assertIn("  a sync of db after the create of db/notes.log (op 1)", stream.read())
        self.assertEqual(self.run_it(build + "/disk-states"), "4 states under posix\n")

    def test_the_disk_with_pkg_config(self):
        flags = self.run_it("pkg-config", "--variable=posix", "powercut").split()
        flags += self.run_it("pkg-config", "--cflags", "--libs", "powercut").split()
        self.run_it(CC, *FLAG.split(), TREE + "/harness/tutorial/disk_states.c", "-o", "states",
                    *flags)
        self.assertEqual(self.run_it("./states"), "4 states under posix\n")

    def test_another_version_is_refused(self):
        with open(self.dir + "/CMakeLists.txt", "w", encoding="utf-8") as stream:
            stream.write("cmake_minimum_required(VERSION 3.25)\nproject(x LANGUAGES C)\n"
                         "find_package(minivault 99 REQUIRED)\n")
        self.run_it("cmake", "-S", ".", "-B", "refused", "-DCMAKE_PREFIX_PATH=" + self.prefix,
                    code=1)


if __name__ == "__main__":
    TREE, BUILD, VERSION, CC = sys.argv[1:5]
    FLAG = sys.argv[5] if len(sys.argv) > 5 else ""
    del sys.argv[1:]
    unittest.main()
