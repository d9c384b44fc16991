"""minivault: an embedded key-value store that says what it promises when the power fails.

    import minivault

    with minivault.open("my.db") as db:
        db[b"apple"] = b"red"
        with db.batch(sync=True) as b:      # all of it or nothing, durable when the block ends
            b[b"pear"] = b"green"
            del b[b"apple"]
        for key, value in db.scan(prefix=b"p"):
            print(key, value)

Keys and values are bytes. A write without sync survives the death of the process, and a power cut
only as part of a prefix of the order of writes; sync=True, db.sync() and leaving the `with` block
make it durable.

Thread safety: a Database and its Snapshots may be used by many threads at once; a Scan or a Batch
by one at a time. Whatever is used after its close raises Closed.
"""

import collections
import contextlib
import ctypes
import os
import threading
import warnings

from . import _library
from .errors import (Busy, Closed, Corrupt, DataLoss, DiskError, Error, Exists, Invalid, NoMemory,
                     NoSpace, NotFound, Unsupported, error_of)

__all__ = ["open", "destroy", "verify", "repair", "options", "version", "Database",
           "Snapshot", "Batch", "Scan", "Finding", "Error", "NotFound", "Invalid", "DiskError",
           "NoSpace", "Corrupt", "DataLoss", "Busy", "NoMemory", "Exists", "Unsupported", "Closed"]

_lib = _library.load()
_OPTIONS = _library.Layout(_lib, "options")
_STATS = _library.Layout(_lib, "stats")
_ERROR = _library.Layout(_lib, "error")
_byref = ctypes.byref

version = _lib.vault_version().decode()
__version__ = version


def _bytes(what, data):
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise TypeError("%s must be bytes, not %s%s" % (
        what, type(data).__name__, " (encode the text first)" if isinstance(data, str) else ""))


def _check(status, memory=None):
    """Raises what a status means; `memory` is a struct vault_error that may explain it."""
    if status == _library.OK:
        return
    detail = {}
    if memory is not None and _ERROR.get(memory, "status") == status:
        detail = {name: _ERROR.get(memory, name)
                  for name in ("file", "offset", "system_errno", "what")}
    raise error_of(_lib.vault_status_name(status).decode(), **detail)


def _check_of(handle, status):
    """Within the guard: raises what the status means, with what the handle says about it."""
    if status != _library.OK:
        memory = _ERROR.new()
        _lib.vault_last_error(handle, memory)
        _check(status, memory)


def _default_options():
    memory = _OPTIONS.new()
    _lib.vault_options_init(memory)
    return memory


def options():
    """The options that open() takes, with their defaults."""
    memory = _default_options()
    return {name: _OPTIONS.get(memory, name)
            for name, (kind, _, _) in _OPTIONS.members.items() if kind != 4}


def open(path, **settings):  # pylint: disable=redefined-builtin
    """Opens or creates the database in the directory `path`.

    Settings are the options of the library, for example create_if_missing=False or
    write_buffer_size=1 << 20; options() lists them. Raises Busy when it is open already, NotFound
    when it is not there and create_if_missing is False, Corrupt or DataLoss when it is damaged.
    """
    return Database(path, **settings)


def destroy(path):
    """Removes the database in the directory `path`: its own files, then the directory if empty."""
    memory = _ERROR.new()
    _check(_lib.vault_destroy(os.fsencode(path), memory), memory)


Finding = collections.namedtuple("Finding", "kind file offset what first last")
Finding.__doc__ = """What verify() and repair() tell. `kind` is "damaged", "lost" or "orphan"
(a file that nothing refers to, harmless); `first` and `last` are the keys concerned, None when
unknown."""


def _look_over(call, path):
    memory, findings = _ERROR.new(), []

    def report(_, finding):
        f = finding.contents
        first, last = (ctypes.string_at(p, n) if p is not None else None
                       for p, n in ((f.first, f.first_len), (f.last, f.last_len)))
        findings.append(Finding(("damaged", "lost", "orphan")[f.kind], f.file.decode(), f.offset,
                                f.what.decode(), first, last))

    status = call(os.fsencode(path), None, _library.Report(report), None, memory)
    return status, memory, findings


def verify(path):
    """Reads everything in the database `path`, which must not be open, and answers a list of
    Findings: all that is wrong with it, and harmless orphans. Changes nothing."""
    status, memory, findings = _look_over(_lib.vault_verify, path)
    if not any(f.kind == "damaged" for f in findings):
        _check(status, memory)
    return findings


def repair(path):
    """Makes a damaged database open again with all that is intact; answers a list of Findings that
    says what was lost. Damaged files are kept as NAME.damaged; one that is good stays as it is."""
    status, memory, findings = _look_over(_lib.vault_repair, path)
    _check(status, memory)
    return findings


def _after(prefix):
    """The smallest key above all keys with this prefix; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def _expires(handle, ttl):
    if ttl < 0:
        raise ValueError("a time to live is not negative")
    return _lib.vault_now(handle) + int(ttl * 1000)


class _Reads:
    """What can be read, of a database or of a snapshot. Subclasses give _reading(), a context
    that yields the handle and the snapshot's pointer, and _database."""

    def get(self, key, default=None):
        """The value of the key, or `default`."""
        key = _bytes("a key", key)
        value, size = ctypes.c_void_p(), ctypes.c_size_t()
        with self._reading() as (handle, pinned):
            status = _lib.vault_get(handle, pinned, key, len(key), _byref(value), _byref(size))
            if status == _library.NOT_FOUND:
                return default
            _check_of(handle, status)
            try:
                return ctypes.string_at(value, size.value)
            finally:
                _lib.vault_value_free(handle, value, size)

    def get_many(self, keys):
        """A dict of those of the keys that are there, all as of one moment."""
        keys = [_bytes("a key", key) for key in keys]
        wanted = (_library.Key * len(keys))()
        found = (_library.Found * len(keys))()
        for at, key in zip(wanted, keys):
            at.data, at.len = ctypes.cast(ctypes.c_char_p(key), ctypes.c_void_p), len(key)
        pairs = {}
        with self._reading() as (handle, pinned):
            _check_of(handle, _lib.vault_multi_get(handle, pinned, wanted, len(keys), found))
            for key, value in zip(keys, found):
                if value.status == _library.OK:
                    pairs[key] = ctypes.string_at(value.value, value.value_len)
                    _lib.vault_value_free(handle, value.value, value.value_len)
        return pairs

    def __getitem__(self, key):
        missing = object()
        value = self.get(key, missing)
        if value is missing:
            raise KeyError(key)
        return value

    def __contains__(self, key):
        missing = object()
        return self.get(key, missing) is not missing

    def scan(self, prefix=None, start=None, stop=None, reverse=False):
        """Pairs (key, value) in the order of the keys, as they are now; later writes are not seen.

        With `prefix` those that begin so; with `start` from there on; with `stop` those before it
        (not included). reverse=True gives the same pairs, the last one first.
        """
        return Scan(self, prefix, start, stop, reverse)

    def items(self):
        return self.scan()

    def keys(self):
        return (key for key, _ in self.scan())

    def values(self):
        return (value for _, value in self.scan())

    __iter__ = keys

    def count(self, prefix=None, start=None, stop=None):
        """How many keys there are. Reads them all, which is why there is no len()."""
        return sum(1 for _ in self.scan(prefix, start, stop))


class _Token:
    """A pointer into the library that has to be freed once, by whoever comes first of its owner,
    the garbage collector and the close of the database."""

    def __init__(self, pointer, free):
        self.pointer, self.free = pointer, free

    def release(self, handle):
        pointer, self.pointer = self.pointer, None
        if pointer is not None:
            self.free(handle, pointer)


class _Guard:
    """Lets calls in while the handle is open, and the close wait for those inside."""

    def __init__(self, handle):
        self.handle, self.inside, self.pid = handle, 0, os.getpid()
        self.changed = threading.Condition(threading.Lock())
        self.live = {}  # id: the tokens that are not freed
        # A finalizer may run in the middle of anything, so it only leaves its token here.
        self.garbage = collections.deque()

    def __enter__(self):
        if self.pid != os.getpid():
            raise Closed("the database was opened by another process; open it after the fork")
        with self.changed:
            if self.handle is None:
                raise Closed("the database is closed")
            self.inside += 1
            handle = self.handle
        try:
            while self.garbage:
                self.drop(handle, self.garbage.popleft())
        except IndexError:
            pass  # another thread was quicker
        return handle

    def __exit__(self, *_):
        with self.changed:
            self.inside -= 1
            if not self.inside:
                self.changed.notify_all()

    def adopt(self, pointer, free):
        token = _Token(pointer, free)
        self.live[id(token)] = token
        return token

    def drop(self, handle, token):
        """Within the guard."""
        self.live.pop(id(token), None)
        token.release(handle)

    def release(self, token):
        try:
            with self as handle:
                self.drop(handle, token)
        except Closed:
            pass  # the close has freed it, or is about to

    def take(self):
        """Nobody enters from now on; answers the handle, to one caller only, when all have left
        and every token is freed."""
        with self.changed:
            handle, self.handle = self.handle, None
            while self.inside:
                self.changed.wait()
        if handle is not None:
            for token in list(self.live.values()):
                self.drop(handle, token)
        return handle


def _free_iter(_, pointer):
    _lib.vault_iter_free(pointer)


class Database(_Reads):
    """An open database; minivault.open() makes one. Close it, or use it in a `with` block."""

    def __init__(self, path, **settings):
        self._guard = None
        memory, failure = _default_options(), _ERROR.new()
        for name, value in settings.items():
            if name not in _OPTIONS.members or _OPTIONS.members[name][0] == 4:
                raise TypeError("no option %r; there are: %s" % (name, ", ".join(options())))
            _OPTIONS.set(memory, name, value)
        handle = ctypes.c_void_p()
        self.path = os.fspath(path)
        _check(_lib.vault_open(os.fsencode(path), memory, _byref(handle), failure), failure)
        self._guard = _Guard(handle)

    @property
    def _database(self):
        return self

    @contextlib.contextmanager
    def _reading(self):
        with self._guard as handle:
            yield handle, None

    def __repr__(self):
        return "<minivault.Database %r%s>" % (self.path, " (closed)" if self.closed else "")

    @property
    def closed(self):
        return self._guard is None or self._guard.handle is None

    def close(self):
        """Makes everything durable and closes; scans and snapshots of it are closed, too.

        Waits for calls of other threads. To close twice is no error. Raises when what was
        acknowledged could not be made durable; the database is closed nevertheless.
        """
        if self._guard is None or self._guard.pid != os.getpid():
            return
        handle = self._guard.take()
        if handle is None:
            return
        memory = _ERROR.new()
        _lib.vault_last_error(handle, memory)
        _check(_lib.vault_close(handle), memory)

    def __enter__(self):
        if self.closed:
            raise Closed("the database is closed")
        return self

    def __exit__(self, kind, *_):
        try:
            self.close()
        except Error:
            if kind is None:  # what happened in the block matters more
                raise

    def __del__(self):
        if not self.closed and self._guard.pid == os.getpid():
            warnings.warn("unclosed database %r" % self.path, ResourceWarning, source=self)
            try:
                self.close()
            except Error:
                pass

    # ---- writes ----

    def put(self, key, value, sync=False, ttl=None):
        """Writes one pair; answers its sequence number. With sync it is durable on return; with
        ttl the value is there for so many seconds."""
        key, value = _bytes("a key", key), _bytes("a value", value)
        seq = ctypes.c_uint64()
        with self._guard as handle:
            if ttl is None:
                status = _lib.vault_put(handle, key, len(key), value, len(value), sync,
                                        _byref(seq))
            else:
                status = _lib.vault_put_until(handle, key, len(key), value, len(value),
                                              _expires(handle, ttl), sync, _byref(seq))
            _check_of(handle, status)
        return seq.value

    def delete(self, key, sync=False):
        """Removes a key, whether it is there or not; answers the sequence number."""
        key, seq = _bytes("a key", key), ctypes.c_uint64()
        with self._guard as handle:
            _check_of(handle, _lib.vault_delete(handle, key, len(key), sync, _byref(seq)))
        return seq.value

    def delete_range(self, start, stop, sync=False):
        """Removes all keys from start on, those before stop, as one operation; answers its
        sequence number. Raises Invalid when stop is not behind start."""
        start, stop, seq = _bytes("start", start), _bytes("stop", stop), ctypes.c_uint64()
        with self._guard as handle:
            _check_of(handle, _lib.vault_delete_range(handle, start, len(start), stop, len(stop),
                                                      sync, _byref(seq)))
        return seq.value

    def __setitem__(self, key, value):
        self.put(key, value)

    def __delitem__(self, key):
        """As with a dict, an absent key is a KeyError. delete() does not look."""
        if key not in self:
            raise KeyError(key)
        self.delete(key)

    def update(self, pairs):
        """Writes the pairs of a mapping or of a sequence as one batch."""
        with self.batch() as batch:
            for key, value in pairs.items() if hasattr(pairs, "items") else pairs:
                batch[key] = value

    def batch(self, sync=False):
        """Writes that are applied whole or not at all: at the end of a `with` block, unless it
        raised, or by its write()."""
        return Batch(self, sync)

    def sync(self):
        """Makes every write so far durable."""
        with self._guard as handle:
            _check_of(handle, _lib.vault_sync(handle))

    # ---- the rest ----

    def snapshot(self):
        """The state of this moment, for reading later. Release it, or use it in a `with` block."""
        return Snapshot(self)

    def flush(self):
        """Writes what is in memory to a table and waits for it."""
        with self._guard as handle:
            _check_of(handle, _lib.vault_flush(handle))

    def compact(self, start=None, stop=None):
        """Compacts the keys from start to stop, both included, and waits for it."""
        start = None if start is None else _bytes("start", start)
        stop = None if stop is None else _bytes("stop", stop)
        with self._guard as handle:
            _check_of(handle, _lib.vault_compact_range(handle, start, len(start or b""), stop,
                                                 len(stop or b"")))

    def checkpoint(self, path, copy=False):
        """Copies the database as it is now into the new directory `path`, durable on return;
        answers the newest sequence number in it. Its tables are hard links to the same files,
        which never change; with copy=True they are files of their own. Raises Exists when the
        path is there."""
        seq = ctypes.c_uint64()
        with self._guard as handle:
            _check_of(handle, _lib.vault_checkpoint(handle, os.fsencode(path), int(bool(copy)),
                                                    _byref(seq)))
        return seq.value

    def approximate_size(self, start=None, stop=None):
        """About how many bytes of tables hold the keys from start on, those before stop."""
        start = None if start is None else _bytes("start", start)
        stop = None if stop is None else _bytes("stop", stop)
        size = ctypes.c_uint64()
        with self._guard as handle:
            _check_of(handle, _lib.vault_approximate_size(
                handle, start, len(start or b""), stop, len(stop or b""), _byref(size)))
        return size.value

    def check(self):
        """Raises Corrupt when levels or files are not what they should be."""
        memory = _ERROR.new()
        with self._guard as handle:
            _check(_lib.vault_check(handle, memory), memory)

    def stats(self):
        """The figures of the library as a dict; those of levels are tuples."""
        memory = _STATS.new()
        with self._guard as handle:
            _lib.vault_get_stats(handle, memory)
        return {name: _STATS.get(memory, name) for name in _STATS.members}

    @property
    def last_seq(self):
        """The newest sequence number written; 0: none."""
        with self._guard as handle:
            return _lib.vault_last_seq(handle)

    @property
    def durable_seq(self):
        """Every write with a sequence number up to this survives loss of power."""
        with self._guard as handle:
            return _lib.vault_durable_seq(handle)


class Snapshot(_Reads):
    """The state of a moment; reads as a database does. Database.snapshot() makes one."""

    _token = None

    def __init__(self, db):
        pointer = ctypes.c_void_p()
        self._database, self._lock = db, threading.Lock()
        with db._guard as handle:
            _check_of(handle, _lib.vault_snapshot_new(handle, _byref(pointer)))
            self._token = db._guard.adopt(pointer, _lib.vault_snapshot_release)

    @contextlib.contextmanager
    def _reading(self):
        with self._lock, self._database._guard as handle:
            if self._token.pointer is None:
                raise Closed("the snapshot is released")
            yield handle, self._token.pointer

    def release(self):
        """Lets go of the state. Twice is no error; nor is it after the database was closed."""
        with self._lock:
            self._database._guard.release(self._token)

    close = release

    def __enter__(self):
        with self._reading():
            return self

    def __exit__(self, *_):
        self.release()

    def __del__(self):
        if self._token is not None and self._token.pointer is not None:
            self._database._guard.garbage.append(self._token)


class Batch:
    """Writes that are applied whole or not at all. Database.batch() makes one.

    In a `with` block they are written when the block ends, and forgotten when it raised. `seq` is
    the sequence number of the last operation, once written.
    """

    _pointer = None

    def __init__(self, db, sync=False):
        self._database, self._sync, self.seq = db, sync, None
        self._lock = threading.RLock()
        self._pointer = _lib.vault_batch_new()
        if not self._pointer:
            raise NoMemory("no memory for a batch")

    @contextlib.contextmanager
    def _open(self):
        with self._lock:
            if self._pointer is None:
                raise Closed("the batch is closed")
            yield self._pointer

    def put(self, key, value, ttl=None):
        """With ttl the value is there for so many seconds, counted from now."""
        key, value = _bytes("a key", key), _bytes("a value", value)
        with self._open() as batch:
            if ttl is None:
                _check(_lib.vault_batch_put(batch, key, len(key), value, len(value)))
                return
            with self._database._guard as handle:
                _check(_lib.vault_batch_put_until(batch, key, len(key), value, len(value),
                                                  _expires(handle, ttl)))

    def delete(self, key):
        """Removes a key, whether it is there or not."""
        key = _bytes("a key", key)
        with self._open() as batch:
            _check(_lib.vault_batch_delete(batch, key, len(key)))

    def delete_range(self, start, stop):
        """Removes all keys from start on, those before stop."""
        start, stop = _bytes("start", start), _bytes("stop", stop)
        with self._open() as batch:
            _check(_lib.vault_batch_delete_range(batch, start, len(start), stop, len(stop)))

    __setitem__ = put
    __delitem__ = delete

    def clear(self):
        with self._open() as batch:
            _lib.vault_batch_clear(batch)

    def __len__(self):
        with self._open() as batch:
            return _lib.vault_batch_count(batch)

    def __bool__(self):
        return True

    def write(self, sync=None):
        """Applies the operations so far, then forgets them; answers the last sequence number.

        None when there was nothing to write.
        """
        seq = ctypes.c_uint64()
        with self._open() as batch:
            if not len(self):
                return None
            with self._database._guard as handle:
                _check_of(handle, _lib.vault_write(
                    handle, batch, self._sync if sync is None else sync, _byref(seq)))
            self.clear()
            self.seq = seq.value
        return self.seq

    def close(self):
        """Forgets what was not written."""
        with self._lock:
            pointer, self._pointer = self._pointer, None
        if pointer is not None:
            _lib.vault_batch_free(pointer)

    def __enter__(self):
        with self._open():
            return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.write()
        finally:
            self.close()

    def __del__(self):
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            _lib.vault_batch_free(pointer)


class Scan:
    """An iterator over pairs (key, value); scan() makes one. close() gives its memory back early,
    as does reaching the end."""

    # Pairs are fetched ahead, twice as many each time: the state is pinned, so nobody can tell.
    _AHEAD_PAIRS, _AHEAD_BYTES = 256, 1 << 18

    _token = None

    def __init__(self, source, prefix=None, start=None, stop=None, reverse=False):
        low, high = _bounds(prefix, start, stop)
        self._database, self._lock = source._database, threading.Lock()
        self._low, self._high, self._reverse = low, high, reverse
        self._begun, self._ended, self._want = False, False, 1
        self._pairs = collections.deque()
        pointer = ctypes.c_void_p()
        with source._reading() as (handle, pinned):
            _check_of(handle, _lib.vault_iter_new(handle, pinned, _byref(pointer)))
            self._token = self._database._guard.adopt(pointer, _free_iter)

    def _move(self, it):
        if self._begun:
            (_lib.vault_iter_prev if self._reverse else _lib.vault_iter_next)(it)
        elif not self._reverse:
            _lib.vault_iter_seek(it, self._low, len(self._low))
        elif self._high is None:
            _lib.vault_iter_last(it)
        else:
            _lib.vault_iter_seek_for_prev(it, self._high, len(self._high))
            if self._shows(it) and self._view(_lib.vault_iter_key, it) == self._high:
                _lib.vault_iter_prev(it)  # the upper end is not included
        self._begun = True

    @staticmethod
    def _shows(it):
        return _lib.vault_iter_valid(it)

    @staticmethod
    def _view(call, it):
        size = ctypes.c_size_t()
        place = call(it, _byref(size))
        return ctypes.string_at(place, size.value) if size.value else b""

    def _fill(self, handle):
        """Within lock and guard: fetches the next pairs, or sees the end."""
        it, size = self._token.pointer, 0
        if it is None:
            raise Closed("the scan is closed")
        while len(self._pairs) < self._want and size < self._AHEAD_BYTES:
            self._move(it)
            key = self._view(_lib.vault_iter_key, it) if self._shows(it) else None
            if key is None or (key < self._low if self._reverse else
                               self._high is not None and key >= self._high):
                self._ended = True
                _check_of(handle, _lib.vault_iter_status(it))
                self._database._guard.drop(handle, self._token)
                break
            value = self._view(_lib.vault_iter_value, it)
            self._pairs.append((key, value))
            size += len(key) + len(value)
        self._want = min(2 * self._want, self._AHEAD_PAIRS)

    def __iter__(self):
        return self

    def __next__(self):
        with self._lock:
            if self._token.pointer is None and not self._ended:
                raise Closed("the scan is closed")
            if not self._pairs and not self._ended:
                with self._database._guard as handle:
                    self._fill(handle)
            if not self._pairs:
                raise StopIteration
            return self._pairs.popleft()

    def close(self):
        with self._lock:
            self._pairs.clear()
            self._database._guard.release(self._token)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if self._token is not None and self._token.pointer is not None:
            self._database._guard.garbage.append(self._token)


def _bounds(prefix, start, stop):
    """The lower end, included, and the upper end, not included; None: open."""
    low = b"" if start is None else _bytes("start", start)
    high = None if stop is None else _bytes("stop", stop)
    if prefix is not None:
        prefix = _bytes("prefix", prefix)
        low = max(low, prefix)
        above = _after(prefix)
        high = above if high is None else high if above is None else min(high, above)
    return low, high
