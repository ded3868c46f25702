"""Readable English for the abbreviations of the Complete Journey tables.

- `names/{types,categories,departments}.tsv` were written and reviewed by hand: one line a raw text, `raw<TAB>name`.
- A raw text without a name is an error that quotes it: the tables cover the package's texts completely, and a test proves it.
- A title is the readable type, the size and whose brand it is: "Frozen plain vegetables, 16 oz (store brand)".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from backend.data.sizes import normalise_size
from backend.errors import TableError

__all__ = ["FOLDER", "NATIONAL", "PRIVATE", "category_name", "make_title", "name_table", "normalise_size", "readable"]

FOLDER = Path(__file__).parent / "names"
NATIONAL, PRIVATE = "National", "Private"  # the two brands that the data tells apart
_HEADER = "raw\tname"


@lru_cache(maxsize=8)
def name_table(kind: str, folder: Path = FOLDER) -> Mapping[str, str]:
    """The table raw text → readable name.

    Args:
        kind: "types", "categories" or "departments".
        folder: where the tables lie.

    Raises:
        TableError: missing table, or a line that is not `raw<TAB>name`, or a raw text that stands twice; names file and row.
    """
    path = folder / f"{kind}.tsv"
    try:
        header, *lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise TableError("the table of names cannot be read", str(path), "restore the file from the repository") from error
    if header != _HEADER:
        raise TableError(f"the header must be {_HEADER!r}, found {header!r}", f"{path.name}, row 0")
    table: dict[str, str] = {}
    for row, line in enumerate(lines, start=1):
        raw, tab, name = line.partition("\t")
        if not raw or not tab or not name.strip() or "\t" in name:
            raise TableError(f"{line!r} is not `raw<TAB>name`", f"{path.name}, row {row}")
        if raw in table:
            raise TableError(f"{raw!r} stands twice", f"{path.name}, row {row}, column 'raw'")
        table[raw] = name
    return table


def readable(kind: str, raws: Iterable[str], folder: Path = FOLDER) -> list[str]:
    """The readable names of raw texts.

    Raises:
        TableError: a raw text has no name; the message quotes the first one and counts the rest.
    """
    table = name_table(kind, folder)
    raws = list(raws)
    missing = sorted({raw for raw in raws if raw not in table})
    if missing:
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise TableError(f"no readable name for {missing[0]!r}{others}", f"{kind}.tsv", "add a line `raw<TAB>name` to the table")
    return [table[raw] for raw in raws]


def category_name(category: str, department: str) -> str:
    """Readable category; a product without a category is named by its department."""
    return readable("categories", [category])[0] if category else readable("departments", [department])[0]


def make_title(type_name: str, size: str, brand: str) -> str:
    """Title of an item from its readable type, normalised size ("" = none) and brand.

    >>> make_title("Frozen plain vegetables", "16 oz", "Private")
    'Frozen plain vegetables, 16 oz (store brand)'
    """
    sized = f"{type_name}, {size}" if size else type_name
    return f"{sized} (store brand)" if brand == PRIVATE else sized
