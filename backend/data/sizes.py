"""Package sizes in readable form: "12 PK/12 OZ" → "12 × 12 oz", "48-54 CT" → "48–54 count".

- A size is one measure ("16 OZ"), a pack of equal measures ("6/4 OZ"), a count with a total ("12 CT/16 OZ") or a word
  ("LARGE"). Whatever is none of these is junk and becomes "" (no size), never a guess.
- Two spellings of one size give the same text ("1.0 OZ", "1 OZ", "L     1 OZ"), because the text is part of an item's identity.
- Fluid and weight ounces stay one unit: the data writes "OZ" for both.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import gcd

_UNITS = {
    "oz": "OZ OZS OZS. O Z",
    "lb": "LB LBS LB.",
    "count": "CT C",
    "pack": "PK PKS P",
    "gallon": "GAL GA GALON",
    "quart": "QT QTS",
    "pint": "PT PTS",
    "liter": "L LT LTR LRT",
    "ml": "ML ML.",
    "dozen": "DZ DOZ DZN",
    "g": "G GM GS",
    "in": "IN IN.",
    "ft": "FT",
    "sq ft": "SQFT",
    "yd": "YD",
    "loads": "LOAD LOADS LD LDS",
    "uses": "USE USES",
    "pieces": "PC PCS",
    "stems": "STEM STEMS",
    "rolls": "ROLL ROLLS",
    "sheets": "SHEET SHEETS",
    "doses": "DOSE DOSES",
    "cups": "CUP CUPS CP",
    "kit": "KIT",
}
_UNIT = {spelling: unit for unit, spellings in _UNITS.items() for spelling in spellings.split()}
_PLURAL = {"loads", "uses", "pieces", "stems", "rolls", "sheets", "doses", "cups"}  # "1 load", "32 loads"
_COUNTED = {"count", "pieces", "stems", "doses", "rolls"}
_WORDS = {
    "LARGE": "large", "LRG": "large", "MEDIUM": "medium", "MED": "medium", "SMALL": "small", "SML": "small", "MINI": "mini",
    "SOFT": "soft", "XL": "extra large", "XLG": "extra large", "X-LARGE": "extra large", "LG": "large", "MED.": "medium",
    "CELL PK": "cell pack", "ONE SIZE": "one size", "ASSORTMENT": "assorted", "KING": "king", "QUEEN": "queen",
}  # fmt: skip
_FORMS = {
    "REFIL": "refill",
    "REFILL": "refill",
    "TUB": "tub",
    "CAN": "can",
    "CN": "can",
    "JUMBO": "jumbo",
}  # kept behind the size
# bottles and wrappings that say nothing a shopper needs
_WRAPPING = r"(?:BTL|NR|LNNR|LN|LN NR|PET|PLST|PLAST|BAG|BOX|LOOSE|AEROS?|AER|JAR|TUBE|POUCH|FM|SIZE)"
_NUMBER = r"(?:\d+ \d+/\d+|\d+/\d+|\d*\.\d+|\d+)"
_UNITS_ALONE = "|".join(sorted(map(re.escape, _UNIT), key=len, reverse=True))
_ALONE = re.compile(rf"({_NUMBER})?\s*({_UNITS_ALONE})")
_PACK_LIMIT = 24.0  # ounces: "8 PK/24.8 OZ" states the total, "8 PK/20 OZ" the single bottle


BY_WEIGHT, EACH = "by weight", "each"
_CASE_POUNDS, _CASE_COUNT = 10, 9  # fresh produce at or above these is the grower's shipping case, not what a shopper takes home
_POTATO_BAG = re.compile(r"POTATOES (?!SWEET)")  # potatoes do come in bags of 10 and 15 lb


def sold_as(size: str, raw_type: str) -> str:
    """Size of fresh produce as a shopper sees it: "Bananas, 40 lb" at $1 are bananas from a 40 lb case.

    >>> sold_as("40 lb", "BANANAS"), sold_as("24 count", "HEAD LETTUCE"), sold_as("3 lb", "APPLES GALA (BULK&BAG)")
    ('by weight', 'each', '3 lb')
    """
    found = re.fullmatch(r"([\d.]+)(–\d+)? (lb|count)", size)
    if not found:
        return size
    number = float(found[1])
    if found[3] == "count":
        return EACH if number >= _CASE_COUNT else size
    return BY_WEIGHT if number >= _CASE_POUNDS and not found[2] and not _POTATO_BAG.match(raw_type) else size


@lru_cache(maxsize=8192)
def normalise_size(raw: str | None) -> str:
    """Readable size of a raw package size; "" when there is none or it is junk.

    >>> normalise_size("12 PK/12 OZ"), normalise_size("(600) 4 LB"), normalise_size("N/A")
    ('12 × 12 oz', '4 lb', '')
    """
    text, form = _clean(raw or "")
    if text in _WORDS:
        return _WORDS[text]
    if text in ("OZ", "IN", "CT", "FT"):
        return ""  # a unit that never stands for one
    size = _pack_by_dash(text) or _range(text) or _area(text) or _parts(text) or _leading(text)
    return f"{size} {form}" if size and form else size


def _clean(raw: str) -> tuple[str, str]:
    """Upper case, single spaces, without item codes, flavour letters and wrappings; and the form that is kept ("refill")."""
    text = re.sub(r"\s+", " ", raw.upper()).strip()
    text = re.sub(r"^\d{5,6} (?:PK|CTN)$|^(?:PK|CTN)$", "", text)  # cigarettes: an article code, sold by the pack either way
    text = re.sub(r"^\d{5,6} | \d{5,6}$", "", text)  # an article code beside the size
    text = re.sub(r"(\d)\. ", r"\1 ", text).rstrip("*")  # "14. OZ", "2 L*"
    text = re.sub(r"^FNPK/", "", text)
    text = re.sub(r"^\(\d+\) ?|\([^)]*\)?$", "", text).strip()  # "(600) 4 LB", "3 OZ(15 SL)"
    text = re.sub(r"^(?:ALL ?|[A-Z](?: ?[A-Z]){0,3} )(?=[\d.])", "", text)  # letters of store zones: "L     8 OZ", "AB 8 OZ"
    text = re.sub(r"^HALF ", "1/2 ", text)
    text = re.sub(r"^(\d+) 00 ", r"\1 ", text)  # "15 00 OZ"
    text = re.sub(r"FL OZ", "OZ", text)
    text = text.replace("SQ FT", "SQFT")
    text = re.sub(rf"[ /]{_WRAPPING}$", "", text)
    words = re.split(r"[ /]+", text)
    form = _FORMS.get(words[-1], "")
    if form:
        text = re.sub(rf"[ /]+{words[-1]}$", "", text)
    return text.strip(" /"), form


def _number(text: str) -> float:
    whole, _, fraction = text.rpartition(" ")
    if "/" in fraction:
        top, bottom = fraction.split("/")
        return (float(whole) if whole else 0.0) + float(top) / max(float(bottom), 1.0)
    return float(text)


def _show(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _measure(value: float, unit: str) -> str:
    if unit == "ml" and value >= 1000:
        value, unit = value / 1000, "liter"
    if value == 0.5 and unit in ("gallon", "pint"):
        return f"half {unit}"
    return f"{_show(value)} {unit[:-1] if unit in _PLURAL and value == 1 else unit}"


def _pack_by_dash(text: str) -> str:
    """ "2-8 OZ" → "2 × 8 oz"; "3-LB" → "3 lb"."""
    found = re.fullmatch(rf"(\d+) ?- ?({_NUMBER})? ?(OZ|LB|L)", text)
    if not found or (found[3] != "OZ" and found[2]):
        return ""
    count, unit = int(found[1]), _UNIT[found[3]]
    return _measure(count, unit) if not found[2] else f"{count} × {_measure(_number(found[2]), unit)}"


def _range(text: str) -> str:
    """ "48-54 CT" → "48–54 count"."""
    found = re.fullmatch(r"(\d+) ?[-/] ?(\d+) ?(CT|LB|STEM|IN)", text)
    if not found or not int(found[1]) < int(found[2]) or ("/" in text and int(found[1]) <= 36):
        return ""
    return f"{found[1]}–{found[2]} {_UNIT[found[3]]}"


def _area(text: str) -> str:
    """ "22 X28 IN" → "22 × 28 in"; "3 X5 100 CT" → "100 count, 3 × 5 in"."""
    found = re.fullmatch(rf"({_NUMBER}) ?X ?({_NUMBER})(?: ?IN(?:/EA)?)?(?: (\d+) CT)?", text)
    if not found:
        return ""
    area = f"{_show(_number(found[1]))} × {_show(_number(found[2]))} in"
    return f"{found[3]} count, {area}" if found[3] else area


def _parts(text: str) -> str:
    """One or two measures: "16 OZ", "12 CT/16 OZ", "6/4 OZ", "12 OZ/12 PK", "4 PK 5.48 OZ"."""
    lone = re.fullmatch(r"(\d+)/(\d*\.?\d+) ?([A-Z.]+)", text)
    if lone and lone[3] in _UNIT and not _is_fraction(lone[1], lone[2]):
        return f"{int(lone[1])} × {_measure(float(lone[2]), _UNIT[lone[3]])}"
    measures = _measures(text)
    if not measures:
        return ""
    (value, unit), *rest = measures
    if not rest:
        return _measure(value, unit)
    (other, other_unit) = rest[0]
    if unit in ("kit",):
        return _measure(other, other_unit)
    if other_unit == "pack" or (unit not in ("pack", *_COUNTED) and other_unit in _COUNTED):
        value, unit, other, other_unit = other, other_unit, value, unit  # the count first
        if unit == "pack" and other_unit == "oz" and other < 10 and other * value > 16:
            return f"{_measure(value, unit)}, {_measure(other, other_unit)}"  # candy: "8.7 OZ/6 PK" states the total
    if unit == "pack" and not (other_unit == "oz" and other > _PACK_LIMIT):
        return f"{_show(value)} × {_measure(other, other_unit)}"
    return f"{_measure(value, unit)}, {_measure(other, other_unit)}"


def _leading(text: str) -> str:
    """The measure before a remark that cannot be read: "20 OZ SNGAL" → "20 oz"."""
    found = re.fullmatch(rf"({_NUMBER}) ?({_UNITS_ALONE})[ /][A-Z]+", text)
    return _measure(_number(found[1]), _UNIT[found[2]]) if found else ""


def _is_fraction(top: str, bottom: str) -> bool:
    return "." not in bottom and int(bottom) in (2, 3, 4, 8, 16) and int(top) < int(bottom) and gcd(int(top), int(bottom)) == 1


def _measures(text: str) -> list[tuple[float, str]]:
    """The one or two measures of a text, or nothing when any of it cannot be read."""
    measures: list[tuple[float, str]] = []
    rest = text
    while rest and len(measures) < 2:
        found = _ALONE.match(rest)
        ends = found and (found.end() == len(rest) or rest[found.end()] in " /")
        if not found or not ends:
            counted = bool(measures) and measures[0][1] in ("count", "pack")
            found = re.fullmatch(rf"({_NUMBER})", rest) if counted else None  # "12 CT/16.5" lost its unit: ounces
            if not found:
                return []
            measures.append((_number(found[1]), "oz"))
            return measures
        measures.append((_number(found[1]) if found[1] else 1.0, _UNIT[found[2]]))
        rest = rest[found.end() :].lstrip(" /")
    return [] if rest else measures
