"""Errors that a user can cause.

One family, so that the command line and the pages can show any of them the same way:
*what* went wrong, *where* (file, row, column, field), and how to *mend* it.
Everything else that is raised is a defect of the program and keeps its traceback.
"""

from __future__ import annotations


class SigmascopeError(Exception):
    """A user's error: one clear line.

    Args:
        what: what went wrong, a short sentence without a full stop.
        where: file, row, column or field; empty when there is only one place it can be.
        mend: what the user can do about it.
    """

    def __init__(self, what: str, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        parts = [what + (f" ({where})" if where else "")]
        if mend:
            parts.append(mend)
        super().__init__(". ".join(parts))


class RequestError(SigmascopeError):
    """A request that cannot be served: unknown shopper, category, preset, an instruction too long …"""


class TableError(SigmascopeError):
    """A table that breaks the schema; `where` names file, row and column."""


class WorkspaceError(SigmascopeError):
    """A workspace that is missing, damaged, mismatched, read-only or full."""


class StorageError(SigmascopeError):
    """A database that cannot be reached, is damaged, read-only or newer than the program; something too large to keep."""


class WeightsError(SigmascopeError):
    """Base-model weights that are missing, incomplete or fail their checksum."""


class Cancelled(Exception):
    """Raised inside long work when its `CancelToken` was set. Finished parts stay on disk."""
