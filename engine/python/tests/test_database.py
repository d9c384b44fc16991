"""The mapping, batches, scans, snapshots, errors: what one thread sees."""

import errno
import gc
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings

import minivault


class WithDirectory(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="minivault-test-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.path = os.path.join(self.dir, "db")

    def open(self, **settings):
        db = minivault.open(self.path, **settings)
        self.addCleanup(db.close)
        return db


class Mapping(WithDirectory):
    def test_put_get_delete(self):
        db = self.open()
        db[b"a"] = b"1"
        db[bytearray(b"b")] = memoryview(b"2")
        self.assertEqual(db[b"a"], b"1")
        self.assertIn(b"b", db)
        self.assertNotIn(b"c", db)
        self.assertEqual(db.get(b"c"), None)
        self.assertEqual(db.get(b"c", b"none"), b"none")
        del db[b"a"]
        with self.assertRaises(KeyError) as raised:
            db[b"a"]
        self.assertEqual(raised.exception.args, (b"a",))
        with self.assertRaises(KeyError):
            del db[b"a"]
        db.delete(b"a")
        self.assertEqual(list(db), [b"b"])

    def test_any_byte_and_nothing_at_all(self):
        db = self.open()
        every = bytes(range(256))
        db[every] = every
        db[b""] = b""
        db[b"\0"] = b"\0\0"
        self.assertEqual(dict(db.items()), {b"": b"", b"\0": b"\0\0", every: every})
        self.assertEqual((db[b""], db[b"\0"], db[every]), (b"", b"\0\0", every))

    def test_it_is_there_after_reopening(self):
        with minivault.open(self.path) as db:
            db.update({b"a": b"1", b"b": b"2"})
        with minivault.open(self.path, create_if_missing=False) as db:
            self.assertEqual(list(db.items()), [(b"a", b"1"), (b"b", b"2")])
            self.assertEqual(list(db.values()), [b"1", b"2"])
            self.assertEqual(db.count(), 2)

    def test_text_is_refused_with_advice(self):
        db = self.open()
        for call in (lambda: db.put("a", b""), lambda: db.put(b"a", "x"), lambda: db["a"],
                     lambda: db.scan(prefix="a"), lambda: db.delete(3)):
            with self.assertRaisesRegex(TypeError, "must be bytes, not (str.*encode|int)"):
                call()

    def test_durable_seq(self):
        db = self.open()
        first = db.put(b"a", b"1", sync=True)
        self.assertEqual(db.durable_seq, first)
        second = db.put(b"b", b"2")
        self.assertEqual((db.last_seq, db.durable_seq), (second, first))
        db.sync()
        self.assertEqual(db.durable_seq, second)
        third = db.delete(b"a", sync=True)
        self.assertEqual(db.durable_seq, third)

    def test_time_to_live(self):
        db = self.open()
        db[b"a"] = b"older"
        db.put(b"a", b"gone at once", ttl=0)
        db.put(b"b", b"stays a while", ttl=3600)
        with db.batch() as batch:
            batch.put(b"c", b"gone", ttl=0)
            batch.put(b"d", b"stays", ttl=3600.5)
        self.assertEqual(list(db.items()), [(b"b", b"stays a while"), (b"d", b"stays")])
        self.assertNotIn(b"a", db)
        with self.assertRaises(ValueError):
            db.put(b"a", b"", ttl=-1)

    def test_delete_range(self):
        with minivault.open(self.path) as db:
            db.update({b"k%d" % i: b"v" for i in range(10)})
            before = db.snapshot()
            self.assertEqual(db.delete_range(b"k2", b"k5", sync=True), db.last_seq)
            self.assertEqual(db.durable_seq, db.last_seq)
            db[b"k3"] = b"later"
            with db.batch() as b:
                b[b"k8"] = b"first"
                b.delete_range(b"k7", b"k9")
                b[b"k7"] = b"last"
            self.assertEqual([k for k in db], [b"k0", b"k1", b"k3", b"k5", b"k6", b"k7", b"k9"])
            self.assertEqual(before.count(), 10)
            before.release()
            for start, stop in ((b"b", b"a"), (b"a", b"a")):
                self.assertRaises(minivault.Invalid, db.delete_range, start, stop)

    def test_get_many(self):
        with minivault.open(self.path) as db:
            db.update({b"k%d" % i: b"v%d" % i for i in range(5)})
            then = db.snapshot()
            db[b"k1"] = b""
            del db[b"k2"]
            self.assertEqual(db.get_many([b"k2", b"k4", b"none", b"k1", b"k4"]),
                             {b"k4": b"v4", b"k1": b""})
            self.assertEqual(then.get_many([b"k1", b"k2"]), {b"k1": b"v1", b"k2": b"v2"})
            self.assertEqual(db.get_many([]), {})
            self.assertRaises(TypeError, db.get_many, ["text"])
            then.release()

    def test_checkpoint_and_read_only(self):
        copy = os.path.join(self.dir, "copy")
        for flag in (False, True):
            with minivault.open(self.path) as db:
                db[b"a"] = b"1"
                self.assertEqual(db.checkpoint(copy, copy=flag), db.last_seq)
                self.assertRaises(minivault.Exists, db.checkpoint, copy)
                db[b"a"] = b"2"
            names = sorted(os.listdir(copy))
            with minivault.open(copy, read_only=True) as db:
                self.assertEqual(dict(db.items()), {b"a": b"1"})
                self.assertRaises(minivault.Invalid, db.put, b"a", b"3")
                with minivault.open(copy, read_only=True) as other:
                    self.assertEqual(other[b"a"], b"1")
                self.assertRaises(minivault.Busy, minivault.open, copy)
            self.assertEqual(sorted(os.listdir(copy)), names)
            minivault.destroy(copy)
        self.assertRaises(minivault.NotFound, minivault.open, copy, read_only=True)

    def test_approximate_size(self):
        with minivault.open(self.path, block_size=512) as db:
            self.assertEqual(db.approximate_size(), 0)
            db.update({b"k%03d" % i: bytes([i]) * 100 for i in range(200)})
            db.flush()
            whole = db.approximate_size()
            self.assertGreater(whole, 20000)
            half = db.approximate_size(stop=b"k100")
            self.assertEqual(half + db.approximate_size(b"k100"), whole)
            self.assertTrue(whole * 0.4 < half < whole * 0.6)

    def test_there_is_no_len(self):
        db = self.open()
        with self.assertRaises(TypeError):
            len(db)
        self.assertTrue(db)

    def test_flush_compact_stats_check(self):
        db = self.open()
        for i in range(100):
            db[b"%03d" % i] = b"x" * 100
        self.assertEqual(db.stats()["tables"][0], 0)
        db.flush()
        self.assertEqual(db.stats()["tables"][0], 1)
        db.compact()
        db.compact(b"010", b"020")
        db.check()
        stats = db.stats()
        self.assertEqual(sum(stats["tables"]), 1)
        self.assertGreater(stats["log_bytes"], 10000)
        self.assertEqual(db.count(), 100)


class Scans(WithDirectory):
    def test_against_a_dict(self):
        rng = random.Random(1)
        db, want = self.open(write_buffer_size=4096), {}
        for _ in range(2000):
            key = bytes(rng.choice(b"ab\xff") for _ in range(rng.randrange(5)))
            if rng.random() < 0.2:
                db.delete(key)
                want.pop(key, None)
            else:
                want[key] = db_value = b"%d" % rng.randrange(1000)
                db[key] = db_value
        for _ in range(300):
            low, high, prefix = (rng.choice([None, bytes(rng.choice(b"ab\xff") for _ in range(
                rng.randrange(4)))]) for _ in range(3))
            pairs = sorted((k, v) for k, v in want.items()
                           if (low is None or k >= low) and (high is None or k < high)
                           and (prefix is None or k.startswith(prefix)))
            self.assertEqual(list(db.scan(prefix, low, high)), pairs, (prefix, low, high))
            self.assertEqual(list(db.scan(prefix, low, high, True)), pairs[::-1])
            self.assertEqual(db.count(prefix, low, high), len(pairs))

    def test_writing_while_scanning(self):
        db = self.open(write_buffer_size=4096)
        for i in range(1000):
            db[b"%04d" % i] = b"old"
        seen = []
        for key, value in db.scan():
            seen.append(value)
            db[key] = b"new"
            db.delete(b"%04d" % (999 - len(seen)))
        self.assertEqual(seen, [b"old"] * 1000)

    def test_the_end_stays_the_end(self):
        db = self.open()
        scan = db.scan()
        self.assertEqual(next(scan, None), None)
        db[b"a"] = b"1"
        self.assertEqual(next(scan, None), None)

    def test_closing_early(self):
        db = self.open()
        db.update((b"%d" % i, b"") for i in range(9))
        with db.scan() as scan:
            next(scan)
        with self.assertRaises(minivault.Closed):
            next(scan)
        scan.close()

    def test_big_values_are_not_fetched_far_ahead(self):
        db = self.open()
        for i in range(64):
            db[b"%02d" % i] = bytes(1 << 18)
        scan = db.scan()
        for _ in range(20):
            next(scan)
        self.assertLess(len(scan._pairs), 3)


class Batches(WithDirectory):
    def test_all_or_nothing(self):
        db = self.open()
        db[b"a"] = b"1"
        with db.batch(sync=True) as batch:
            batch[b"b"] = b"2"
            del batch[b"a"]
            self.assertEqual(len(batch), 2)
            self.assertNotIn(b"b", db)
        self.assertEqual(list(db.items()), [(b"b", b"2")])
        self.assertEqual(db.durable_seq, batch.seq)
        with self.assertRaises(ZeroDivisionError):
            with db.batch() as batch:
                batch[b"c"] = b"3"
                1 / 0
        self.assertNotIn(b"c", db)
        with self.assertRaises(minivault.Closed):
            batch[b"c"] = b"3"

    def test_write_and_clear_by_hand(self):
        db = self.open()
        batch = db.batch()
        self.assertIsNone(batch.write())
        batch[b"a"] = b"1"
        batch.clear()
        batch[b"b"] = b"2"
        self.assertEqual(batch.write(), db.last_seq)
        self.assertEqual(len(batch), 0)
        self.assertEqual(list(db), [b"b"])
        batch.close()

    def test_an_empty_block_writes_nothing(self):
        db = self.open()
        with db.batch() as batch:
            pass
        self.assertIsNone(batch.seq)
        self.assertEqual(db.last_seq, 0)


class Snapshots(WithDirectory):
    def test_it_stays(self):
        db = self.open(write_buffer_size=4096)
        db.update((b"%03d" % i, b"old") for i in range(100))
        with db.snapshot() as snapshot:
            db.update((b"%03d" % i, b"new") for i in range(0, 200, 2))
            db.compact()
            self.assertEqual(snapshot[b"000"], b"old")
            self.assertEqual(db[b"000"], b"new")
            self.assertNotIn(b"150", snapshot)
            self.assertEqual(snapshot.count(), 100)
            self.assertEqual({value for _, value in snapshot.scan(reverse=True)}, {b"old"})
            scan = snapshot.scan(start=b"05")
            next(scan)
        self.assertEqual(next(scan), (b"051", b"old"))  # it pins what it sees by itself
        with self.assertRaises(minivault.Closed):
            snapshot[b"000"]
        snapshot.release()


class Errors(WithDirectory):
    def test_options(self):
        with self.assertRaisesRegex(TypeError, "no option 'write_bufer'.*write_buffer_size"):
            minivault.open(self.path, write_bufer=1)
        with self.assertRaisesRegex(TypeError, "no option 'hooks'"):
            minivault.open(self.path, hooks=1)
        with self.assertRaises(ValueError):
            minivault.open(self.path, restart_interval=1 << 40)
        with self.assertRaises(ValueError):
            minivault.open(self.path, level1_size=-1)
        self.assertEqual(minivault.options()["create_if_missing"], True)
        self.assertFalse(os.path.exists(self.path))

    def test_statuses_are_classes(self):
        with self.assertRaises(minivault.NotFound):
            minivault.open(self.path, create_if_missing=False)
        db = self.open()
        with self.assertRaises(minivault.Busy) as raised:
            minivault.open(self.path)
        self.assertEqual((raised.exception.status, raised.exception.file), ("BUSY", "LOCK"))
        with self.assertRaises(minivault.Invalid):
            db[b"k" * 65536] = b""
        db.close()
        with self.assertRaises(minivault.Exists):
            minivault.open(self.path, error_if_exists=True)
        self.assertIsInstance(raised.exception, minivault.Error)
        with self.assertRaises(minivault.DiskError) as raised:
            minivault.open(os.path.join(self.path, "CURRENT", "db"))
        self.assertEqual(raised.exception.errno, errno.ENOTDIR)
        self.assertIn("errno 20", str(raised.exception))

    def test_damage_names_file_and_offset(self):
        with minivault.open(self.path) as db:
            db.update((b"%04d" % i, os.urandom(50)) for i in range(500))
            db.flush()
        table = [name for name in os.listdir(self.path) if name.endswith(".sst")][0]
        with open(os.path.join(self.path, table), "r+b") as stream:
            stream.seek(5000)
            stream.write(b"\xff" * 8)
        db = self.open()
        with self.assertRaises(minivault.Corrupt) as raised:
            for _ in db.scan():
                pass
        self.assertEqual(raised.exception.file, table)
        self.assertGreater(raised.exception.offset, 0)
        self.assertIn(table, str(raised.exception))
        with self.assertRaises(minivault.Corrupt):
            for i in range(500):
                db.get(b"%04d" % i)

    def test_verify_and_repair(self):
        with minivault.open(self.path, block_size=256) as db:
            db.update({b"k%03d" % i: b"v%d" % i for i in range(200)})
            db.flush()
        self.assertEqual(minivault.verify(self.path), [])
        self.assertEqual(minivault.repair(self.path), [])
        table = next(n for n in os.listdir(self.path) if n.endswith(".sst"))
        with open(os.path.join(self.path, table), "r+b") as stream:
            stream.seek(1000)
            stream.write(b"rot")
        found = minivault.verify(self.path)
        self.assertEqual([(f.kind, f.file) for f in found], [("damaged", table)])
        lost = minivault.repair(self.path)
        self.assertEqual([f.kind for f in lost], ["lost"])
        self.assertIn(table + ".damaged", os.listdir(self.path))
        with minivault.open(self.path) as db:
            gone = [b"k%03d" % i for i in range(200) if b"k%03d" % i not in db]
        self.assertTrue(0 < len(gone) < 50)
        self.assertTrue(all(lost[0].first < k <= lost[0].last for k in gone))
        self.assertEqual(minivault.verify(self.path), [])
        self.assertRaises(minivault.NotFound, minivault.verify, self.path + "none")

    def test_destroy(self):
        with minivault.open(self.path) as db:
            db[b"a"] = b"1"
            with self.assertRaises(minivault.Busy):
                minivault.destroy(self.path)
        minivault.destroy(self.path)
        self.assertFalse(os.path.exists(self.path))


class Closing(WithDirectory):
    def test_everything_raises_afterwards(self):
        db = self.open()
        db.update((b"%04d" % i, b"") for i in range(1000))
        scan, snapshot, batch = db.scan(), db.snapshot(), db.batch()
        batch[b"x"] = b""
        next(scan)
        db.close()
        db.close()
        self.assertTrue(db.closed)
        self.assertIn("closed", repr(db))
        for call in (lambda: db.get(b"a"), lambda: db.put(b"a", b""), lambda: db.scan(), db.sync,
                     db.flush, db.compact, db.check, db.stats, db.snapshot, lambda: db.last_seq,
                     lambda: snapshot.get(b"a"), snapshot.scan, batch.write, lambda: next(scan),
                     db.__enter__, snapshot.__enter__):
            with self.assertRaises(minivault.Closed):
                call()
        scan.close()
        snapshot.release()
        batch.close()

    def test_collected_after_close(self):
        db = self.open()
        db[b"a"] = b"1"
        scan, snapshot = db.scan(), db.snapshot()
        db.close()
        del scan, snapshot
        gc.collect()

    def test_collected_before_close(self):
        db = self.open()
        db.update((b"%04d" % i, b"") for i in range(1000))
        for _ in range(50):
            next(db.scan())
            db.snapshot().get(b"0001")
        gc.collect()
        db[b"a"] = b"1"  # gives back what was left
        self.assertEqual(len(db._guard.live), 0)

    def test_a_forgotten_database_closes_and_says_so(self):
        db = minivault.open(self.path)
        db[b"a"] = b"1"
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            del db
            gc.collect()
        self.assertEqual([w.category for w in told], [ResourceWarning])
        self.assertEqual(self.open()[b"a"], b"1")

    def test_a_forgotten_cycle_closes(self):
        db = minivault.open(self.path)
        db.scan_of_itself = db.scan()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            del db
            gc.collect()
        self.open()

    @unittest.skipIf(not hasattr(os, "fork"), "no fork here")
    def test_a_child_must_not_use_it(self):
        db = self.open()
        db[b"a"] = b"1"
        child = os.fork()
        if child == 0:
            try:
                db.get(b"a")
            except minivault.Closed:
                os._exit(0)
            os._exit(1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(db[b"a"], b"1")

    def test_the_end_of_the_program(self):
        program = ("import minivault, sys\ndb = minivault.open(sys.argv[1])\ndb[b'a'] = b'1'\n"
                   "scan = db.scan()\nnext(scan)\nsnapshot = db.snapshot()\n")
        done = subprocess.run([sys.executable, "-c", program, self.path], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.open()[b"a"], b"1")


if __name__ == "__main__":
    unittest.main()
