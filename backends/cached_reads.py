"""Reading a file where the kernel has it in memory: at once, and never waiting for the disk.

A MiB that is in the page cache takes a tenth of a millisecond, about what it costs to have a thread fetch it, and a
thread leaves it in another core's cache. One that is not may take as long as the disk likes, which the event loop must
not wait for. Linux tells them apart (``preadv2`` with ``RWF_NOWAIT``); where it cannot, all is left to threads.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import cast

_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_UNABLE = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM})
"""What systems and file systems that cannot tell answer."""

_unset = ctypes.pythonapi.PyByteArray_FromStringAndSize
"""Makes a bytearray without writing zeros into it, which would be a tenth of the cost of what is read over them."""
_unset.argtypes, _unset.restype = (ctypes.c_char_p, ctypes.c_ssize_t), ctypes.py_object


class CachedReads:
    """Reads of the files of one file system."""

    def __init__(self) -> None:
        self._able = bool(_NOWAIT)

    def read(self, fd: int, size: int, at: int) -> bytes:
        """At most ``size`` bytes that are in memory; none where the first of them is not, or there is none.

        Raises OSError.
        """
        if not self._able:
            return b""
        chunk = _unset(None, size)
        try:
            got = os.preadv(fd, (chunk,), at, _NOWAIT)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
            self._able = False
            return b""
        if got < size:
            del chunk[got:]
        return cast(bytes, chunk)  # nobody changes it, and making it bytes would copy it
