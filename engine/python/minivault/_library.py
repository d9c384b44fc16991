"""The shared library: where it is, what its calls take, and its structs as it describes them.

The structs are laid out by vault_fields(), not by what this file remembers, so that a newer
library with longer structs is used rightly.
"""

import ctypes
import ctypes.util
import os
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_uint64, c_void_p

OK, NOT_FOUND = 0, 1


class Field(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("kind", c_int), ("offset", c_uint32), ("size", c_uint32),
                ("count", c_uint32)]


class Key(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("len", c_size_t)]


class Found(ctypes.Structure):
    _fields_ = [("status", c_int), ("value", c_void_p), ("value_len", c_size_t)]


class Finding(ctypes.Structure):
    _fields_ = [("kind", c_int), ("file", ctypes.c_char * 48), ("offset", c_uint64),
                ("what", ctypes.c_char * 96), ("first", c_void_p), ("first_len", c_size_t),
                ("last", c_void_p), ("last_len", c_size_t)]


Report = ctypes.CFUNCTYPE(None, c_void_p, POINTER(Finding))

_handle = _options = _error = _batch = _iter = _snapshot = c_void_p
_key = [c_void_p, c_size_t]
_status = c_int

# name: (what it answers, what it takes). tests/test_library.py holds this to minivault.h.
CALLS = {
    "vault_status_name": (c_char_p, [_status]),
    "vault_version": (c_char_p, []),
    "vault_fields": (POINTER(Field), [c_char_p, POINTER(c_size_t)]),
    "vault_options_init": (None, [_options]),
    "vault_open": (_status, [c_char_p, _options, POINTER(c_void_p), _error]),
    "vault_close": (_status, [_handle]),
    "vault_destroy": (_status, [c_char_p, _error]),
    "vault_put": (_status, [_handle, *_key, *_key, c_bool, POINTER(c_uint64)]),
    "vault_delete": (_status, [_handle, *_key, c_bool, POINTER(c_uint64)]),
    "vault_delete_range": (_status, [_handle, *_key, *_key, c_bool, POINTER(c_uint64)]),
    "vault_put_until": (_status, [_handle, *_key, *_key, c_uint64, c_bool, POINTER(c_uint64)]),
    "vault_now": (c_uint64, [_handle]),
    "vault_batch_new": (_batch, []),
    "vault_batch_free": (None, [_batch]),
    "vault_batch_clear": (None, [_batch]),
    "vault_batch_put": (_status, [_batch, *_key, *_key]),
    "vault_batch_put_until": (_status, [_batch, *_key, *_key, c_uint64]),
    "vault_batch_delete": (_status, [_batch, *_key]),
    "vault_batch_delete_range": (_status, [_batch, *_key, *_key]),
    "vault_batch_count": (c_size_t, [_batch]),
    "vault_write": (_status, [_handle, _batch, c_bool, POINTER(c_uint64)]),
    "vault_sync": (_status, [_handle]),
    "vault_get": (_status, [_handle, _snapshot, *_key, POINTER(c_void_p), POINTER(c_size_t)]),
    "vault_value_free": (None, [_handle, c_void_p, c_size_t]),
    "vault_multi_get": (_status, [_handle, _snapshot, POINTER(Key), c_size_t, POINTER(Found)]),
    "vault_snapshot_new": (_status, [_handle, POINTER(c_void_p)]),
    "vault_snapshot_release": (None, [_handle, _snapshot]),
    "vault_iter_new": (_status, [_handle, _snapshot, POINTER(c_void_p)]),
    "vault_iter_free": (None, [_iter]),
    "vault_iter_valid": (c_bool, [_iter]),
    "vault_iter_status": (_status, [_iter]),
    "vault_iter_first": (None, [_iter]),
    "vault_iter_last": (None, [_iter]),
    "vault_iter_seek": (None, [_iter, *_key]),
    "vault_iter_seek_for_prev": (None, [_iter, *_key]),
    "vault_iter_bound": (_status, [_iter, *_key, *_key]),
    "vault_iter_prefix": (_status, [_iter, *_key]),
    "vault_iter_next": (None, [_iter]),
    "vault_iter_prev": (None, [_iter]),
    "vault_iter_key": (c_void_p, [_iter, POINTER(c_size_t)]),
    "vault_iter_value": (c_void_p, [_iter, POINTER(c_size_t)]),
    "vault_flush": (_status, [_handle]),
    "vault_compact_range": (_status, [_handle, *_key, *_key]),
    "vault_checkpoint": (_status, [_handle, c_char_p, c_uint, POINTER(c_uint64)]),
    "vault_approximate_size": (_status, [_handle, *_key, *_key, POINTER(c_uint64)]),
    "vault_verify": (_status, [c_char_p, _options, Report, c_void_p, _error]),
    "vault_repair": (_status, [c_char_p, _options, Report, c_void_p, _error]),
    "vault_last_seq": (c_uint64, [_handle]),
    "vault_durable_seq": (c_uint64, [_handle]),
    "vault_last_error": (None, [_handle, _error]),
    "vault_get_stats": (None, [_handle, c_void_p]),
    "vault_check": (_status, [_handle, _error]),
}


# Called from C alone. vault_report is a type of function. open() takes no option that is a pointer,
# so each database has a cache of its own: a shared one would have to outlive them all.
NOT_BOUND = {"vault_report", "vault_cache_new", "vault_cache_free", "vault_cache_used"}


def candidates():
    """Where to look, in order: the variable alone if it is set; beside this file; the system."""
    named = os.environ.get("MINIVAULT_LIBRARY")
    if named:
        return [named]
    here = os.path.dirname(os.path.abspath(__file__))
    places = [os.path.join(here, "libminivault.so")]
    # The tree itself, before any installation.
    places.append(os.path.join(here, "../../../build/release/lib/libminivault.so"))
    found = [os.path.normpath(place) for place in places if os.path.exists(place)]
    return found + [ctypes.util.find_library("minivault") or "libminivault.so.0"]


def load():
    tried = []
    for name in candidates():
        try:
            library = ctypes.CDLL(name)
            break
        except OSError as error:
            tried.append(str(error))
    else:
        raise ImportError("libminivault was not found; build it (make) or install it, or name "
                          "the file in MINIVAULT_LIBRARY. Tried: " + "; ".join(tried))
    for call, (answer, takes) in CALLS.items():
        function = getattr(library, call, None)
        if function is None:
            raise ImportError("%s is another version: it has no %s()" % (library._name, call))
        function.restype, function.argtypes = answer, takes
    return library


def _member(field):
    kinds = {0: {1: ctypes.c_uint8},
             1: {1: ctypes.c_int8, 2: ctypes.c_int16, 4: ctypes.c_int32, 8: ctypes.c_int64},
             2: {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: c_uint32, 8: c_uint64},
             3: {1: ctypes.c_char}, 4: {8: c_uint64, 4: c_uint32}}
    member = kinds[field.kind][field.size]
    return member * field.count if field.count > 1 or field.kind == 3 else member


class Layout:
    """One struct of the library: its size, and its members by name."""

    def __init__(self, library, name):
        size = c_size_t()
        fields = library.vault_fields(name.encode(), ctypes.byref(size))
        self.size = size.value
        self.members = {}
        for field in iter_fields(fields):
            self.members[field.name.decode()] = (field.kind, field.offset, _member(field))

    def new(self):
        # Words, so that the memory is aligned as the members of the struct want it.
        return (c_uint64 * ((self.size + 7) // 8))()

    def get(self, memory, name):
        kind, offset, member = self.members[name]
        value = member.from_buffer(memory, offset)
        if kind == 3:
            return value.value.decode("utf-8", "replace")
        if isinstance(value, ctypes.Array):
            return tuple(value)
        return bool(value.value) if kind == 0 else value.value

    def set(self, memory, name, value):
        kind, offset, member = self.members[name]
        bits = 8 * ctypes.sizeof(member)
        low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if kind == 1 else (0, (1 << bits) - 1)
        if kind == 0:
            low, high = 0, 1
        if not low <= value <= high:
            raise ValueError("%s=%r is not within %d and %d" % (name, value, low, high))
        member.from_buffer(memory, offset).value = int(value)


def iter_fields(fields):
    index = 0
    while fields[index].name is not None:
        yield fields[index]
        index += 1
