"""Writing to a disk that may be full or read-only, at a moment when the process may be killed."""

from __future__ import annotations

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from backend.errors import WorkspaceError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`; it takes the place of `path` when the block ends without an error: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")  # two may write the same at once
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def disk_error(error: OSError | SafetensorError, path: Path) -> WorkspaceError:
    """An operating-system error in a user's words. safetensors wraps its own; the number stands in the text."""
    if isinstance(error, OSError):
        number, reason = error.errno, error.strerror or str(error)
    else:
        found = re.search(r"os error (\d+)", str(error))
        number, reason = (int(found[1]) if found else None), str(error)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return WorkspaceError("the disk is full", str(path), "free some space or name another folder")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return WorkspaceError("this folder cannot be written", str(path), "name a folder that you may write to")
    return WorkspaceError(f"the folder cannot be used: {reason}", str(path), "name another folder")
