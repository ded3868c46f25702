"""Readable English for the abbreviations of the Complete Journey tables.

- `names/{types,categories,departments}.tsv` were written and reviewed by hand: one line a raw text, `raw<TAB>name`.
- A few raw texts mean different things in different categories ("PREMIUM" is ice cream, pasta sauce or bacon):
  `names/types_by_category.tsv`, `raw<TAB>category<TAB>name`, comes first.
- A raw text without a name is an error that quotes it: the tables cover the package's texts completely, and a test proves it.
- A title is the readable type, the size and whose brand it is: "Frozen plain vegetables, 16 oz (store brand)".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from backend.data.sizes import normalise_size
from backend.errors import TableError

__all__ = [
    "FOLDER",
    "NATIONAL",
    "PRIVATE",
    "category_name",
    "category_overrides",
    "make_title",
    "make_titles",
    "name_table",
    "normalise_size",
    "readable",
    "type_names",
]

FOLDER = Path(__file__).parent / "names"
NATIONAL, PRIVATE = "National", "Private"  # the two brands that the data tells apart


@lru_cache(maxsize=8)
def name_table(kind: str, folder: Path = FOLDER) -> Mapping[str, str]:
    """The table raw text → readable name.

    Args:
        kind: "types", "categories" or "departments".
        folder: where the tables lie.

    Raises:
        TableError: missing table, or a line that is not `raw<TAB>name`, or a raw text that stands twice; names file and row.
    """
    return {fields[0]: fields[1] for fields in _rows(folder / f"{kind}.tsv", ("raw", "name"))}


@lru_cache(maxsize=8)
def category_overrides(folder: Path = FOLDER) -> Mapping[tuple[str, str], str]:
    """Names of the product types whose meaning depends on the category: (raw type, raw category) → name.

    Raises:
        TableError: as for `name_table`.
    """
    columns = ("raw", "category", "name")
    return {(raw, category): name for raw, category, name in _rows(folder / "types_by_category.tsv", columns)}


def _rows(path: Path, columns: tuple[str, ...]) -> list[list[str]]:
    """The lines of a table of names; the last column is the name, those before it are the key."""
    try:
        header, *lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise TableError("the table of names cannot be read", str(path), "restore the file from the repository") from error
    expected = "\t".join(columns)
    if header != expected:
        raise TableError(f"the header must be {expected!r}, found {header!r}", f"{path.name}, row 0")
    rows: dict[tuple[str, ...], list[str]] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t")
        if len(fields) != len(columns) or not all(field.strip() for field in fields):
            raise TableError(f"{line!r} is not {'<TAB>'.join(columns)!r}", f"{path.name}, row {number}")
        key = tuple(fields[:-1])
        if key in rows:
            raise TableError(f"{' in '.join(key)!r} stands twice", f"{path.name}, row {number}, column 'raw'")
        rows[key] = fields
    return list(rows.values())


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


def type_names(types: Sequence[str], categories: Sequence[str], folder: Path = FOLDER) -> list[str]:
    """Readable product types, each in its category.

    Raises:
        TableError: a raw type has no name.
    """
    overrides = category_overrides(folder)
    plain = readable("types", types, folder)
    return [overrides.get(key, name) for key, name in zip(zip(types, categories, strict=True), plain, strict=True)]


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


def make_titles(type_names: Sequence[str], sizes: Sequence[str], brands: Sequence[str]) -> list[str]:
    """Titles of all items; a size that the type already states ("…, 2-liter bottle") is not repeated where that stays unique."""
    facts = list(zip(type_names, sizes, brands, strict=True))
    short = [make_title(name, "" if size and size.replace(" ", "-") in name else size, brand) for name, size, brand in facts]
    count = Counter(short)
    return [title if count[title] == 1 else make_title(*fact) for title, fact in zip(short, facts, strict=True)]
