"""Names: every text of the package has one, and sizes and titles read like English."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.data.complete_journey import DROPPED_DEPARTMENTS, package_folder
from backend.data.naming import category_name, category_overrides, make_title, make_titles, name_table, readable, type_names
from backend.data.sizes import normalise_size, sold_as
from backend.errors import TableError


@pytest.fixture(scope="module")
def products() -> pd.DataFrame:
    columns = ["department", "product_category", "product_type", "package_size"]
    frame = pd.read_parquet(package_folder() / "products.parquet", columns=columns)
    return frame[~frame["department"].isin(DROPPED_DEPARTMENTS)]


@pytest.mark.parametrize(
    ("kind", "column", "number"),
    [("types", "product_type", 2368), ("categories", "product_category", 301), ("departments", "department", 29)],
)
def test_every_text_of_the_package_has_a_name(products: pd.DataFrame, kind: str, column: str, number: int) -> None:
    raws = products[column].dropna().unique()
    assert len(raws) == number
    names = readable(kind, raws)
    assert all(3 <= len(name) <= 60 and name == name.strip() for name in names)


def test_names_are_not_the_raw_abbreviations() -> None:
    for raw, name in name_table("types").items():
        assert not re.search(r"\b(FRZN|RTE|SNGL|MISC|PKG|BTL)\b", name), raw
        assert name[0].isupper() or name[0].isdigit(), raw
        assert not name.isupper() or len(name) <= 4, raw


def test_overrides_name_texts_of_the_package(products: pd.DataFrame) -> None:
    known = set(zip(products["product_type"], products["product_category"], strict=True))
    for (raw, category), name in category_overrides().items():
        assert (raw, category) in known, (raw, category)
        assert name != name_table("types")[raw] or raw == "PREMIUM", raw


def test_one_text_means_different_things_in_different_categories() -> None:
    assert type_names(["PREMIUM", "PREMIUM"], ["BACON", "ICE CREAM/MILK/SHERBTS"]) == ["Premium bacon", "Premium ice cream"]


def test_a_missing_name_is_quoted() -> None:
    with pytest.raises(TableError, match=r"'ZZ UNHEARD OF'.*types\.tsv"):
        readable("types", ["ZUCCHINI MYSTERY", "ZZ UNHEARD OF"][1:])


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("raw;name\n", "row 0"),
        ("raw\tname\nA\tApples\nB\n", "row 2"),
        ("raw\tname\nA\tApples\nA\tAvocados\n", "row 2"),
        ("raw\tname\nA\tApples\n\tPears\n", "row 2"),
    ],
)
def test_a_broken_table_of_names_is_refused_with_its_row(tmp_path: Path, content: str, where: str) -> None:
    (tmp_path / "types.tsv").write_text(content, "utf-8")
    with pytest.raises(TableError, match=where):
        name_table("types", tmp_path)


def test_a_product_without_category_is_named_by_its_department() -> None:
    assert category_name("", "DELI") == "Deli"
    assert category_name("YOGURT", "GROCERY") == "Yogurts"


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        ("16 OZ", "16 oz"), ("1.0 OZ", "1 oz"), (".5 OZ", "0.5 oz"), ("10 3/4 OZ", "10.75 oz"), ("3/4 OZ", "0.75 oz"),
        ("15 00 OZ", "15 oz"), ("13    OZ", "13 oz"), ("16 OZS.", "16 oz"), ("12 FL OZ", "12 oz"), ("20 OZ PET", "20 oz"),
        ("1 GA", "1 gallon"), ("GAL", "1 gallon"), ("1/2 GAL", "half gallon"), (".5 GAL", "half gallon"),
        ("2.5 GAL", "2.5 gallon"),
        ("PT", "1 pint"), ("QT", "1 quart"), ("1 L", "1 liter"), ("2000 ML", "2 liter"), ("750 ML", "750 ml"),
        ("1/2 L", "0.5 liter"),
        ("1 DZ", "1 dozen"), ("DZ", "1 dozen"), ("LB", "1 lb"), ("5 LB BAG", "5 lb"), ("2 LB(32 OZ)", "2 lb"),
        ("12 PK/12 OZ", "12 × 12 oz"), ("12 OZ/12 PK", "12 × 12 oz"), ("12/12 OZ", "12 × 12 oz"), ("2-8 OZ", "2 × 8 oz"),
        ("2 - 7.5 OZ", "2 × 7.5 oz"), ("6 PK/.5 LT", "6 × 0.5 liter"), ("6/500 ML", "6 × 500 ml"),
        ("12 PK/16.9 Z", "12 × 16.9 oz"),
        ("8 PK/24.8 OZ", "8 pack, 24.8 oz"), ("8.7 OZ/6 PK", "6 pack, 8.7 oz"), ("12 CT/16.5", "12 count, 16.5 oz"),
        ("10.4 OZ/8 CT", "8 count, 10.4 oz"), ("20 CT/13 GAL", "20 count, 13 gallon"), ("1 KIT/10 CT", "10 count"),
        ("(600) 4 LB", "4 lb"), ("L     8 OZ", "8 oz"), ("AB    8 OZ", "8 oz"), ("22515 32 OZ", "32 oz"), ("974246  PK", ""),
        ("522946 CTN", ""), ("48-54 CT", "48–54 count"), ("80-88 CT", "80–88 count"), ("100 SQ FT", "100 sq ft"),
        ("32 LD", "32 loads"), ("40 LOADS", "40 loads"), ("10 STEMS", "10 stems"), ("42 CT REFIL", "42 count refill"),
        ("22 X28 IN", "22 × 28 in"), ("3 X5 100 CT", "100 count, 3 × 5 in"), ("LARGE", "large"), ("CELL PK", "cell pack"),
        ("N/A", ""), ("", ""), (None, ""), ("SCAN KPC", ""), ("OZ", ""),
    ],
)  # fmt: skip
def test_sizes(raw: str | None, size: str) -> None:
    assert normalise_size(raw) == size


def test_most_sizes_of_the_package_are_read(products: pd.DataFrame) -> None:
    sizes = products["package_size"].dropna()
    assert sizes.map(normalise_size).ne("").mean() > 0.98


@given(st.text(max_size=30))
def test_any_text_gives_a_size_or_nothing(raw: str) -> None:
    assert normalise_size(raw) == normalise_size(raw).strip()


def test_the_growers_case_is_not_the_size_of_loose_produce() -> None:
    assert sold_as("40 lb", "BANANAS") == "by weight"
    assert sold_as("48–54 count", "PEPPERS GREEN BELL") == "each"
    assert sold_as("10 lb", "POTATOES RUSSET (BULK&BAG)") == "10 lb"
    assert sold_as("3 lb", "APPLES GALA (BULK&BAG)") == "3 lb"
    assert sold_as("", "BANANAS") == ""


def test_titles() -> None:
    assert make_title("Frozen plain vegetables", "16 oz", "Private") == "Frozen plain vegetables, 16 oz (store brand)"
    assert make_title("Beef kabobs", "", "National") == "Beef kabobs"
    stated = make_titles(["Soft drinks, 2-liter bottle"], ["2 liter"], ["National"])
    assert stated == ["Soft drinks, 2-liter bottle"]
    twins = make_titles(["Soft drinks, 2-liter bottle"] * 2, ["2 liter", ""], ["National"] * 2)
    assert len(set(twins)) == 2
