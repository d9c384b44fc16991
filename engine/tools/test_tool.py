#!/usr/bin/env python3
"""test_tool.py MINIVAULT: the command as scripts and people use it, error paths and a terminal."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest

PROGRAM = None


class Tool(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="minivault-test-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.env = dict(os.environ, MINIVAULT_HISTORY="")
        for name in ("NO_COLOR", "TERM"):
            self.env.pop(name, None)

    def run_tool(self, *words, stdin="", code=0):
        done = subprocess.run([PROGRAM, *words], input=os.fsencode(stdin), cwd=self.dir,
                              env=self.env, capture_output=True)
        out, err = os.fsdecode(done.stdout), os.fsdecode(done.stderr)
        self.assertEqual(done.returncode, code, (words, out, err))
        self.assertNotIn("Sanitizer", err)
        return out if not code else (out, err)

    def fill(self, count=100):
        lines = "".join("k%04d\tvalue %d\n" % (i, i) for i in range(count))
        self.assertEqual(self.run_tool("load", "db", stdin=lines), "%d pairs\n" % count)


class Commands(Tool):
    def test_put_get_del(self):
        self.run_tool("put", "db", "apple", "red")
        self.assertEqual(self.run_tool("get", "db", "apple"), "red\n")
        self.run_tool("del", "db", "apple", "never there")
        _, err = self.run_tool("get", "db", "apple", code=1)
        self.assertEqual(err, "minivault: no such key\n")

    def test_delrange(self):
        self.fill(10)
        self.run_tool("delrange", "db", "k0002", "k0008")
        self.assertEqual(self.run_tool("scan", "--keys", "db"), "k0000\nk0001\nk0008\nk0009\n")
        self.assertEqual(self.run_tool("batch", "db", stdin="put k0005 x\ndelrange k0000 k0005\n"),
                         "2 operations\n")
        self.assertEqual(self.run_tool("scan", "--keys", "db"), "k0005\nk0008\nk0009\n")
        _, err = self.run_tool("delrange", "db", "b", "a", code=2)
        self.assertIn("TO has to be behind FROM", err)
        self.run_tool("flush", "db")
        table = next(n for n in os.listdir(os.path.join(self.dir, "db")) if n.endswith(".sst"))
        dump = self.run_tool("dump", "sst", os.path.join("db", table))
        self.assertIn("delete-range     k0000\n", dump)
        self.assertIn("  value          k0005\n", dump)

    def test_checkpoint(self):
        self.fill(50)
        for words in ((), ("--copy",)):
            self.run_tool("checkpoint", "db", "copy", *words)
            self.assertEqual(self.run_tool("export", "copy"), self.run_tool("export", "db"))
            _, err = self.run_tool("checkpoint", "db", "copy", code=4)
            self.assertIn("EXISTS", err)
            self.run_tool("del", "copy", "k0001")
            self.assertEqual(self.run_tool("count", "db"), "50\n")
            self.run_tool("destroy", "--force", "copy")
        before = sorted(os.listdir(os.path.join(self.dir, "db")))
        self.assertEqual(self.run_tool("count", "db", "--set", "read_only=1"), "50\n")
        self.assertEqual(sorted(os.listdir(os.path.join(self.dir, "db"))), before)
        _, err = self.run_tool("put", "db", "a", "b", "--set", "read_only=1", code=2)
        self.assertIn("open to read only", err)

    def test_verify_and_repair(self):
        self.fill(300)
        self.run_tool("compact", "db")
        self.assertEqual(self.run_tool("verify", "db"), "ok, 300 keys\n")
        self.assertEqual(self.run_tool("repair", "db"), "ok, nothing to repair, 300 keys\n")
        os.unlink(os.path.join(self.dir, "db", "CURRENT"))
        out, err = self.run_tool("verify", "db", code=3)
        self.assertIn("damaged: CURRENT at offset 0: ", out)
        self.assertIn("CORRUPT", err)
        out = self.run_tool("repair", "db")
        self.assertIn("lost: CURRENT", out)
        self.assertIn("repaired, 1 losses, 300 keys\n", out)
        self.assertIn('{"type":"verify","keys":300,"damaged":0,"lost":0,"orphans":0}',
                      self.run_tool("verify", "--json", "db"))
        self.assertEqual(self.run_tool("count", "db"), "300\n")
        self.run_tool("verify", "none", code=4)

    def test_binary_keys_and_values(self):
        self.run_tool("put", "db", r"\x00\\ \n", r"\xff\t")
        self.assertEqual(self.run_tool("scan", "db"), "\\x00\\\\ \\n\t\\xff\\t\n")
        self.assertEqual(self.run_tool("get", "db", "--raw", "nothing", code=1)[0], "")
        self.run_tool("put", "--raw", "db", r"a\b", "x")
        self.assertEqual(self.run_tool("get", "db", r"a\\b"), "x\n")
        self.run_tool("put", "db", "--raw", "file", "-", stdin="a\nb\udcff")
        done = subprocess.run([PROGRAM, "get", "--raw", "db", "file"], cwd=self.dir,
                              capture_output=True)
        self.assertEqual(done.stdout, b"a\nb\xff")
        self.run_tool("put", "db", "--", "-k", "-v")
        self.assertEqual(self.run_tool("get", "db", "--", "-k"), "-v\n")
        self.run_tool("put", "db", "", "")
        self.assertEqual(self.run_tool("get", "db", ""), "\n")
        self.run_tool("put", "db", "grün", "ü\u200b\x9b")
        self.assertEqual(self.run_tool("get", "db", "grün"), "ü\u200b\\xc2\\x9b\n")

    def test_bad_escapes(self):
        for word, what in ((r"a\q", "unknown escape"), (r"a\x4", "two hexadecimal"),
                           ("a\\", "backslash at the end")):
            self.assertIn(what, self.run_tool("get", "db", word, code=2)[1])
        self.assertFalse(os.path.exists(self.dir + "/db"))

    def test_scan(self):
        self.fill()
        self.assertEqual(self.run_tool("scan", "db", "k0003", "k0005", "--keys"),
                         "k0003\nk0004\n")
        self.assertEqual(self.run_tool("scan", "db", "-n", "2", "--reverse", "-k"),
                         "k0099\nk0098\n")
        self.assertEqual(self.run_tool("scan", "db", "k0001", "k0003", "-R", "-k"),
                         "k0002\nk0001\n")
        self.assertEqual(self.run_tool("count", "db", "--prefix", "k001"), "10\n")
        self.assertEqual(self.run_tool("count", "db"), "100\n")
        self.assertIn("either --prefix or", self.run_tool("count", "db", "a", "-pk", code=2)[1])

    def test_time_to_live(self):
        self.run_tool("put", "db", "a", "1", "--ttl", "0s")
        self.run_tool("put", "db", "b", "1", "--ttl=1h")
        self.assertEqual(self.run_tool("scan", "db", "-k"), "b\n")
        self.assertIn("unit", self.run_tool("put", "db", "a", "1", "--ttl", "10", code=2)[1])

    def test_json(self):
        self.run_tool("put", "db", "a\"b", r"\xff")
        lines = [json.loads(line) for line in self.run_tool("scan", "db", "--json").splitlines()]
        self.assertEqual(lines, [
            {"type": "pair", "key": "a\"b", "value_hex": "ff"},
            {"type": "summary", "schema": "minivault.result/1", "command": "scan", "exit": 0}])
        out, _ = self.run_tool("get", "db", "x", "--json", code=1)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((lines[0]["status"], lines[1]["exit"]), ("NOT_FOUND", 1))
        stats = json.loads(self.run_tool("stats", "db", "--json").splitlines()[0])
        self.assertEqual((stats["last_seq"], len(stats["tables"])), (1, 7))
        out, _ = self.run_tool("get", "nowhere", "x", "--json", code=4)
        self.assertEqual(json.loads(out.splitlines()[0])["errno"], 0)
        self.assertEqual(json.loads(self.run_tool("--version", "--json"))["name"], "minivault")

    def test_looking_after_it(self):
        self.fill()
        self.run_tool("flush", "db")
        self.run_tool("compact", "db")
        self.run_tool("compact", "db", "k0001", "k0002")
        self.assertEqual(self.run_tool("verify", "db"), "ok, 100 keys\n")
        self.assertIn("--force", self.run_tool("destroy", "db", code=2)[1])
        self.run_tool("destroy", "db", "--force")
        self.assertFalse(os.path.exists(self.dir + "/db"))

    def test_options_of_the_database(self):
        self.run_tool("put", "db", "a", "b", "--set", "write_buffer_size=64k", "-sblock_size=512")
        for bad, what in (("write_bufer=1", "no option"), ("hooks=1", "no option"),
                          ("block_size", "NAME=VALUE"), ("block_size=x", "not a number"),
                          ("create_if_missing=2", "not a value"), ("level0_tables=5G", "not a va")):
            self.assertIn(what, self.run_tool("get", "db", "a", "--set", bad, code=2)[1])
        self.assertIn("write_buffer_size", self.run_tool("help", "set"))

    def test_batches(self):
        self.assertEqual(self.run_tool("batch", "db", stdin="put a 1\n\n# so\nput 'b c' \"\\t\"\n"
                                       "del a\n"), "3 operations\n")
        self.assertEqual(self.run_tool("scan", "db"), "b c\t\\t\n")
        _, err = self.run_tool("batch", "db", stdin="put x 1\nput y\n", code=2)
        self.assertIn("line 2: put needs more words: put KEY VALUE", err)
        self.assertIn("nothing was written", err)
        self.assertIn("line 1: a batch has", self.run_tool("batch", "db", stdin="scan", code=2)[1])
        self.assertEqual(self.run_tool("count", "db"), "1\n")


class Usage(Tool):
    def test_the_nearest_is_suggested(self):
        for word, near in (("gte", "get"), ("scna", "scan"), ("delete", "del"), ("ls", "scan"),
                           ("compct", "compact")):
            self.assertIn("did you mean '%s'?" % near, self.run_tool(word, "db", code=2)[1])
        self.assertIn("help' lists", self.run_tool("frobnicate", code=2)[1])
        self.assertIn("did you mean '--prefix'", self.run_tool("scan", "db", "--prefx", code=2)[1])
        self.assertIn("belong to get, but to: scan",
                      self.run_tool("get", "db", "k", "--limit", "1", code=2)[1])

    def test_words_are_counted(self):
        self.assertIn("needs more words", self.run_tool("put", "db", "k", code=2)[1])
        self.assertIn("at most 2 words", self.run_tool("get", "db", "k", "l", code=2)[1])
        self.assertIn("needs a value: --limit N", self.run_tool("scan", "db", "-n", code=2)[1])
        self.assertIn("takes no value", self.run_tool("scan", "db", "--keys=1", code=2)[1])
        self.assertIn("whole number", self.run_tool("scan", "db", "-nx", code=2)[1])

    def test_help(self):
        self.assertIn("examples:", self.run_tool())
        self.assertIn("--reverse", self.run_tool("help", "scan"))
        self.assertEqual(self.run_tool("help", "scan"), self.run_tool("scan", "--help"))
        for name in re.findall(r"^  (\w+) ", self.run_tool("help").split("examples")[0], re.M):
            self.assertIn("minivault " + name, self.run_tool("help", name))

    def test_no_database(self):
        for command in ("get db k", "del db k", "scan db", "stats db", "verify db", "export db"):
            self.assertIn("no database in 'db'", self.run_tool(*command.split(), code=4)[1])
        self.assertFalse(os.path.exists(self.dir + "/db"))

    def test_in_use(self):
        self.fill(1)
        held = subprocess.Popen([PROGRAM, "shell", "db"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, cwd=self.dir, env=self.env)
        held.stdin.write(b"count\n")
        held.stdin.flush()
        self.assertEqual(held.stdout.readline(), b"1\n")
        self.assertIn("BUSY", self.run_tool("get", "db", "k", code=4)[1])
        held.communicate()

    def test_no_colour_but_on_a_terminal(self):
        self.env["TERM"] = "xterm"
        self.assertNotIn("\033", self.run_tool("gte", code=2)[1])


class Lines(Tool):
    def test_there_and_back(self):
        pairs = {bytes([i]) + b"#\t\n\\\xff": bytes(range(i, 256)) for i in range(256)}
        text = "".join("%s\t%s\n" % ("".join("\\x%02x" % c for c in key),
                                     "".join("\\x%02x" % c for c in value))
                       for key, value in pairs.items())
        self.assertEqual(self.run_tool("load", "db", stdin=text), "256 pairs\n")
        self.assertEqual(self.run_tool("export", "db", "a.txt"), "256 pairs\n")
        self.assertEqual(self.run_tool("load", "db2", "a.txt"), "256 pairs\n")
        with open(self.dir + "/a.txt") as stream:
            self.assertEqual(self.run_tool("export", "db2"), stream.read())
        self.assertIn("is there already", self.run_tool("export", "db", "a.txt", code=2)[1])
        self.assertEqual(self.run_tool("export", "--force", "--prefix", r"\x01", "db", "a.txt"),
                         "1 pairs\n")
        self.assertFalse(os.path.exists(self.dir + "/a.txt.part"))

    def test_what_was_cut_off(self):
        self.fill(3)
        whole = self.run_tool("export", "db")
        cut = whole[:whole.index("# end")]
        self.assertIn("cut off", self.run_tool("load", "db2", stdin=cut, code=2)[1])
        fewer = whole.replace("k0001\tvalue 1\n", "")
        self.assertIn("had 3 pairs, here are 2",
                      self.run_tool("load", "db3", stdin=fewer, code=2)[1])
        self.assertIn("behind the end", self.run_tool("load", "db3", stdin=whole + "a\tb\n",
                                                      code=2)[1])
        self.assertIn("knows version 1",
                      self.run_tool("load", "db3", stdin="# minivault lines 2\n", code=2)[1])

    def test_mistakes_name_the_line(self):
        for text, what in (("a\tb\nc\n", "line 2: no tab"), ("a\tb\tc\n", "line 1: more than one"),
                           ("#\n\na\t\\q\n", "line 3: an unknown escape"),
                           ("%s\tb\n" % ("k" * 70000), "line 1: the key or the value is too long")):
            self.assertIn(what, self.run_tool("load", "db", stdin=text, code=2)[1])
        _, err = self.run_tool("load", "db", stdin="a\tb\n" * 1500 + "c\n", code=2)
        self.assertIn("1000 pairs were written", err)
        self.assertIn("No such file", self.run_tool("load", "db", "nowhere", code=4)[1])

    def test_written_by_hand(self):
        self.run_tool("load", "db", stdin="# mine\r\na\tb\r\nc\td")
        self.assertEqual(self.run_tool("scan", "db"), "a\tb\nc\td\n")


class Pipes(Tool):
    def test_a_reader_that_leaves(self):
        self.fill(20000)
        for command in (["scan", "db"], ["export", "db"], ["scan", "db", "--json"]):
            tool = subprocess.Popen([PROGRAM, *command], cwd=self.dir, env=self.env,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            tool.stdout.read(10)
            tool.stdout.close()
            self.assertEqual((tool.wait(), tool.stderr.read()), (141, b""))
            tool.stderr.close()
        self.assertEqual(self.run_tool("verify", "db"), "ok, 20000 keys\n")

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_output_that_is_full(self):
        self.fill(3)
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "scan", "db"], cwd=self.dir, stdout=full,
                                  stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"No space left", done.stderr)

    def test_interrupted(self):
        tool = subprocess.Popen([PROGRAM, "load", "db2"], cwd=self.dir, env=self.env,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        tool.stdin.write(b"a\tb\n")
        tool.stdin.flush()
        while not os.path.exists(self.dir + "/db2/CURRENT"):
            time.sleep(0.01)
        time.sleep(0.2)
        tool.send_signal(signal.SIGINT)
        self.assertEqual(tool.wait(20), 130)
        tool.communicate()

    def test_a_script_on_standard_input(self):
        script = "put a 1\nfrob\nget b\nbegin\nput b 2\ncommit\nget b\nat s get b\nquit\nget a\n"
        out, err = self.run_tool("shell", "db", stdin=script, code=2)
        self.assertEqual(out, "2\n")
        self.assertEqual([line.split(": ")[1] for line in err.splitlines()],
                         ["line 2", "line 3", "line 8"])
        out, err = self.run_tool("shell", "db", stdin="begin\nput c 3\n", code=2)
        self.assertIn("a batch of 1 operations was not committed", err)
        self.assertEqual(self.run_tool("count", "db"), "2\n")
        script = "snapshot x\nput a 9\nat x get a\nget a\nsnapshots\nrelease x\nsnapshots\n"
        self.assertEqual(self.run_tool("shell", "db", stdin=script), "1\n9\nx\n")


class Dumps(Tool):
    def files(self, ending):
        return sorted("db/" + n for n in os.listdir(self.dir + "/db") if re.search(ending, n))

    def damage(self, name, offset):
        with open(os.path.join(self.dir, name), "r+b") as stream:
            stream.seek(offset)
            byte = stream.read(1)
            stream.seek(offset)
            stream.write(bytes([byte[0] ^ 0xff]))

    def test_every_kind(self):
        self.run_tool("shell", "db", stdin="put apple red\ndel pear\nput -t 1h fig x\n")
        wal, = self.files("log$")
        out = self.run_tool("dump", "wal", wal)
        for want in ("00000000  checksum .*good", "magic +MVLG", "put +apple",
                     "  value +red", "delete +pear", "put-until +fig", "  expires +1", "claim",
                     "end +"):
            self.assertRegex(out, want)
        self.run_tool("flush", "db")
        out = self.run_tool("dump", "sst", self.files("sst$")[0])
        self.assertRegex(out, "(?s)MVST.*up to +pear.*put +apple.*value +red.*put-until")
        out = self.run_tool("dump", "manifest", self.files("MANIFEST")[0])
        self.assertRegex(out, "(?s)MVMF.*next_file.*add.*smallest +apple.*largest +pear")
        self.assertRegex(self.run_tool("dump", "current", "db/CURRENT"), "manifest +[1-9]")
        for line in self.run_tool("dump", "--json", "current", "db/CURRENT").splitlines():
            self.assertIn("type", json.loads(line))

    def test_offsets_are_those_of_the_file(self):
        self.run_tool("put", "db", "apple", "crimson")
        wal, = self.files("log$")
        with open(os.path.join(self.dir, wal), "rb") as stream:
            at = stream.read().index(b"crimson")
        self.assertIn("%08x    value          crimson" % at, self.run_tool("dump", "wal", wal))

    def test_up_to_the_damage(self):
        self.run_tool("shell", "db", stdin="put apple red\nput pear green\nput plum blue\n")
        wal, = self.files("log$")
        self.damage(wal, 123)
        out, err = self.run_tool("dump", "wal", wal, code=3)
        self.assertIn("apple", out)
        self.assertNotIn("pear", out)
        self.assertIn("damaged: %s at offset 120" % wal, err)
        self.damage(wal, 123)
        self.run_tool("compact", "db")
        table = self.files("sst$")[0]
        self.damage(table, 4)
        out, err = self.run_tool("dump", "sst", table, code=3)
        self.assertRegex(out, "(?s)MVST.*up to +plum.*WRONG")
        self.assertIn("damaged: %s at offset 0: wrong checksum" % table, err)
        out, err = self.run_tool("verify", "db", code=3)
        self.assertIn("CORRUPT: block checksum: %s at offset 0" % table[3:], err)

    def test_a_torn_log_is_no_damage(self):
        self.run_tool("shell", "db", stdin="put -N apple red\nput -N pear green\n")
        wal, = self.files("log$")
        with open(os.path.join(self.dir, wal), "r+b") as stream:
            stream.truncate(128)
        self.assertRegex(self.run_tool("dump", "wal", wal), "00000078  torn +8 bytes")

    def test_any_cut_and_any_flip_is_survived(self):
        self.run_tool("shell", "db", stdin="put apple red\nflush\nput pear green\n")
        for kind, ending in (("wal", "log$"), ("sst", "sst$"), ("manifest", "MANIFEST"),
                             ("current", "CURRENT$")):
            name = self.files(ending)[0]
            with open(os.path.join(self.dir, name), "rb") as stream:
                good = stream.read()
            for i in range(0, len(good), 3):
                for bad in (good[:i], good[:i] + bytes([good[i] ^ 0x81]) + good[i + 1:]):
                    with open(self.dir + "/bad", "wb") as stream:
                        stream.write(bad)
                    done = subprocess.run([PROGRAM, "dump", kind, "bad"], cwd=self.dir,
                                          env=self.env, capture_output=True)
                    self.assertIn(done.returncode, (0, 3), (kind, i, done.stderr))

    def test_not_such_a_file(self):
        self.run_tool("put", "db", "a", "b")
        self.assertIn("not the magic", self.run_tool("dump", "manifest", self.files("log$")[0],
                                                     code=3)[1])
        self.assertIn("No such file", self.run_tool("dump", "wal", "x", code=4)[1])
        self.assertIn("not 'log'", self.run_tool("dump", "log", "db/CURRENT", code=2)[1])
        self.run_tool("dump", "wal", ".", code=4)


class Terminal(Tool):
    """A prompt on a pseudo terminal, typed at as a person would."""

    def start(self, *words, **env):
        self.edits = "true" in self.run_tool("--version", "--json")
        try:
            pid, self.terminal = pty.fork()
        except OSError as error:
            self.skipTest(f"no terminal can be made here: {error}")
        if pid == 0:
            os.chdir(self.dir)
            # libedit keeps the names of commands that were added to it.
            os.execve(PROGRAM, [PROGRAM, *words],
                      dict(self.env, TERM="xterm", ASAN_OPTIONS="detect_leaks=0", **env))
        self.pid = pid
        self.seen = ""
        self.addCleanup(os.close, self.terminal)

    def expect(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return match
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
                self.fail("no %r in %r" % (pattern, self.seen))
            try:
                self.seen += os.read(self.terminal, 65536).decode("utf-8", "replace")
            except OSError:
                self.fail("ended before %r: %r" % (pattern, self.seen))

    def prompt(self, name="minivault"):
        """libedit takes the terminal just behind its prompt; what is typed before that is echoed
        by the terminal, and a Ctrl-D is lost."""
        self.expect(re.escape(name) + "> (?!.*> )")
        end = time.monotonic() + 20
        while self.edits and termios.tcgetattr(self.terminal)[3] & termios.ICANON:
            self.assertLess(time.monotonic(), end, "the terminal stays in its lines")
            time.sleep(0.001)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def say(self, line, answer, prompt="minivault"):
        self.type(line + "\r")
        self.expect(answer)
        self.prompt(prompt)

    def leave(self):
        self.type("\x04")
        left = ""
        try:
            while select.select([self.terminal], [], [], 20)[0]:
                left += os.read(self.terminal, 65536).decode("utf-8", "replace")
            os.kill(self.pid, signal.SIGKILL)  # it does not end
        except OSError:
            pass
        self.assertEqual(os.waitpid(self.pid, 0)[1], 0, left)

    def test_a_session(self):
        self.start("shell", "db", NO_COLOR="1")
        self.expect("'help' lists the commands")
        self.prompt()
        self.say("put apple red", "")
        self.say("get apple", "red\r\n")
        self.say("gte apple", "minivault: no command 'gte', did you mean 'get'")
        self.say("get 'a b", "a quote is not closed")
        self.say("begin", "", "batch(0)")
        self.say("put k 1", "", "batch(1)")
        self.say("commit", "1 operation written")
        self.say("snapshot", "s1; 'at s1 scan'")
        self.say("put k 2", "")
        self.say("at s1 get k", "\n1\r\n")
        self.type("get half")
        self.expect("half")
        self.type("\x03")
        self.prompt()
        self.say("count", "\n2\r\n")
        self.say("put grün \"ß\"", "")
        self.say("get grün", "\nß\r\n")
        self.leave()

    def test_colour(self):
        self.start("shell", "db")
        self.prompt()
        self.say("frob", "\033\\[1;31mminivault:\033\\[0m no command")
        self.leave()

    def test_history_and_completion(self):
        if "true" not in self.run_tool("--version", "--json"):
            self.skipTest("built without libedit")
        history = self.dir + "/history"
        self.start("shell", "db", MINIVAULT_HISTORY=history)
        self.prompt()
        self.say("put apple red", "")
        self.say("cou\t", "\n1\r\n")
        self.leave()
        self.assertEqual(os.stat(history).st_mode & 0o777, 0o600)
        self.start("shell", "db", MINIVAULT_HISTORY=history)
        self.prompt()
        self.say("\x1b[A", "count(.|\n)*\n1\r\n")
        self.leave()

    def test_interrupting_a_scan(self):
        self.fill(20000)
        self.start("db", NO_COLOR="1")
        self.prompt()
        self.type("scan\r")
        self.expect("k0001")
        self.type("\x03")
        self.expect("interrupted|k19999")
        self.prompt()
        self.say("get k0000", "value 0")
        self.leave()


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
