"""What may go wrong: one class for each status of the library."""

import os


class Error(Exception):
    """Base of all. `status` is the library's word ("CORRUPT"); `file` is a name within the
    database directory, "" when none is to blame; `offset` is in bytes; `errno` is the system's
    number, 0 when the system did not fail; `what` says it in words."""

    def __init__(self, what="", status="", file="", offset=0, errno=0):
        super().__init__(what)
        self.status, self.file, self.offset, self.errno = status, file, offset, errno
        self.what = what

    def __str__(self):
        text = ": ".join(part for part in (self.status, self.what) if part)
        if self.file:
            text += " in %s at offset %d" % (self.file, self.offset)
        if self.errno:
            text += " (errno %d: %s)" % (self.errno, os.strerror(self.errno))
        return text


class NotFound(Error):
    """There is no such database. (A missing key is a KeyError.)"""


class Invalid(Error, ValueError):
    """A bad argument or option."""


class DiskError(Error):
    """The operating system reported an error; see errno."""


class NoSpace(DiskError):
    """The disk is full."""


class Corrupt(Error):
    """Bytes on disk are damaged; see file and offset."""


class DataLoss(Error):
    """Bytes known to have been synced are gone."""


class Busy(Error):
    """Another handle, here or in another process, has the database open."""


class NoMemory(Error, MemoryError):
    """There is no memory; nothing was written."""


class Exists(Error):
    """error_if_exists was set, and it does."""


class Unsupported(Error):
    """A format version or feature that this library does not know."""


class Closed(Error, ValueError):
    """The database, snapshot, scan or batch was closed before."""


_CLASSES = {"NOT_FOUND": NotFound, "INVALID": Invalid, "IO": DiskError, "NO_SPACE": NoSpace,
            "CORRUPT": Corrupt, "DATA_LOSS": DataLoss, "BUSY": Busy, "NO_MEMORY": NoMemory,
            "EXISTS": Exists, "UNSUPPORTED": Unsupported}


def error_of(status, file="", offset=0, system_errno=0, what=""):
    return _CLASSES.get(status, Error)(what, status, file, offset, system_errno)
