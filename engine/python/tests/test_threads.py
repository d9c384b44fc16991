"""Many threads on one database; close in the midst of them."""

import gc
import os
import shutil
import tempfile
import threading
import unittest

import minivault


class Threads(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="minivault-test-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.path = os.path.join(self.dir, "db")

    def run_all(self, functions):
        failures = []

        def guarded(function):
            try:
                function()
            except BaseException as error:  # handed to the main thread
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def test_writers_and_readers(self):
        with minivault.open(self.path, write_buffer_size=8192) as db:
            def write(name):
                for i in range(300):
                    with db.batch() as batch:
                        batch[b"%s/%04d/a" % (name, i)] = batch_value = b"%d" % i
                        batch[b"%s/%04d/b" % (name, i)] = batch_value

            def read():
                for _ in range(20):
                    with db.snapshot() as snapshot:
                        pairs = dict(snapshot.scan())
                    for key, value in pairs.items():
                        self.assertEqual(pairs[key[:-1] + b"a"], value)
                        self.assertEqual(pairs[key[:-1] + b"b"], value)

            self.run_all([lambda name=name: write(name) for name in (b"x", b"y", b"z")]
                         + [read, read])
            self.assertEqual(db.count(), 1800)
            db.check()

    def test_one_snapshot_for_all(self):
        with minivault.open(self.path) as db:
            db.update((b"%04d" % i, b"old") for i in range(500))
            snapshot = db.snapshot()

            def read():
                for i in range(500):
                    self.assertEqual(snapshot[b"%04d" % i], b"old")

            def write():
                for i in range(500):
                    db[b"%04d" % i] = b"new"

            self.run_all([read, read, write])

    def test_closing_under_the_hands_of_others(self):
        for turn in range(20):
            db = minivault.open(self.path, write_buffer_size=8192)
            started = threading.Barrier(5)

            def use():
                started.wait()
                try:
                    for i in range(100000):
                        db[b"%d" % (i % 100)] = b"v" * 50
                        for _ in db.scan():
                            pass
                        snapshot = db.snapshot()
                        snapshot.get(b"1")
                except minivault.Closed:
                    pass

            def close():
                started.wait()
                threading.Event().wait(0.002 * turn)
                db.close()

            self.run_all([use, use, use, close, close])
            self.assertTrue(db.closed)

    def test_releasing_under_the_hands_of_others(self):
        with minivault.open(self.path) as db:
            db.update((b"%04d" % i, b"old") for i in range(500))
            for _ in range(20):
                snapshot, scan = db.snapshot(), db.scan()
                started = threading.Barrier(3)

                def read():
                    started.wait()
                    try:
                        for _ in scan:
                            snapshot.get(b"0001")
                    except minivault.Closed:
                        pass

                def release():
                    started.wait()
                    snapshot.release()
                    scan.close()

                self.run_all([read, read, release])

    def test_one_batch_in_many_hands(self):
        with minivault.open(self.path) as db:
            for _ in range(20):
                batch = db.batch()
                started = threading.Barrier(3)

                def fill():
                    started.wait()
                    try:
                        for i in range(2000):
                            batch[b"%d" % i] = b"v" * 20
                            if i % 100 == 0:
                                batch.write()
                    except minivault.Closed:
                        pass

                def close():
                    started.wait()
                    threading.Event().wait(0.003)
                    batch.close()

                self.run_all([fill, fill, close])

    def test_collecting_while_others_work(self):
        with minivault.open(self.path) as db:
            db.update((b"%04d" % i, b"old") for i in range(500))

            def drop():
                for _ in range(300):
                    cycle = [db.scan(), db.snapshot()]
                    next(cycle[0])
                    cycle.append(cycle)
                gc.collect()

            self.run_all([drop, drop, drop])
            gc.collect()
            db.stats()
            self.assertEqual(len(db._guard.live), 0)


if __name__ == "__main__":
    unittest.main()
