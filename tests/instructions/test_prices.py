"""Price limits in free text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import RequestError
from backend.instructions.prices import bare_limit, parse_price, read_limits, says_money


@pytest.mark.parametrize(
    ("text", "low", "high", "rest"),
    [
        ("under $5", None, 5, ""),
        ("snacks below 5 dollars", None, 5, "snacks"),
        ("cheaper than 3.50", None, 3.5, ""),
        ("cheese at most five dollars", None, 5, "cheese"),
        ("between $2 and $4", 2, 4, ""),
        ("wine between 2 and 4 dollars please", 2, 4, "wine please"),
        ("between 4 and 2", 2, 4, ""),
        ("from $2 to $4", 2, 4, ""),
        ("soup, $2-$4", 2, 4, "soup"),
        ("soup 2 - 4 dollars", 2, 4, "soup"),
        ("$2 to 4", 2, 4, ""),
        ("50 to 80 cents", 0.5, 0.8, ""),
        ("toys over $10 and under $20.50", 10, 20.5, "toys"),
        ("no more than $7 for pizza", None, 7, "for pizza"),
        ("nothing over ten dollars", None, 10, ""),
        ("nothing under twenty-five bucks", 25, None, ""),
        ("not exceeding $8", None, 8, ""),
        ("a treat for less than a dollar", None, 1, "a treat"),
        ("candy under 50 cents", None, 0.5, "candy"),
        ("candy under 50¢ each", None, 0.5, "candy"),
        ("milk, under 5, please", None, 5, "milk, please"),
        ("milk under 5 please", None, 5, "milk please"),
        ("snacks that cost less than $5", None, 5, "snacks"),
        ("$5 or less", None, 5, ""),
        ("dinner, $12 max", None, 12, "dinner"),
        ("ham 10 dollars and up", 10, None, "ham"),
        ("my budget is $9", None, 9, "my"),
        ("max price 4", None, 4, ""),
        ("tv under $1,000", None, 1000, "tv"),
        ("roses under 3,50 $", None, 3.5, "roses"),
        ("gum <$2", None, 2, "gum"),
        ("gum <= 2", None, 2, "gum"),
        ("under $5 but over $1", 1, 5, ""),
        ("under $5, below $3", None, 3, ""),
        ("UNDER $5", None, 5, ""),
        ("under 5$", None, 5, ""),
        ("under US$5", None, 5, ""),
        # no limits
        ("snacks under 500 calories", None, None, "snacks under 500 calories"),
        ("toys for kids under 5", None, None, "toys for kids under 5"),
        ("a $5 wine", None, None, "a $5 wine"),
        ("at least one pizza", None, None, "at least one pizza"),
        ("cheaper than steak", None, None, "cheaper than steak"),
        ("more than 2 liters of cola", None, None, "more than 2 liters of cola"),
        ("7 up", None, None, "7 up"),
        ("less than 5 minutes", None, None, "less than 5 minutes"),
        ("one of each", None, None, "one of each"),
        ("under 5oz", None, None, "under 5oz"),
        ("my two dollars, a plain text", None, None, "my two dollars, a plain text"),
    ],
)
def test_limits(text: str, low: float | None, high: float | None, rest: str) -> None:
    limits = read_limits(text)
    assert (limits.min_price, limits.max_price, limits.rest) == (low, high, rest)


@pytest.mark.parametrize(
    "text",
    [
        "under $abc", "under $-3", "under -$3", "under -3", "below minus 3 dollars", "under $0", "cheaper than 0", "under €5",
        "at most 5 euros", "under £3", "under abc dollars", "between $2 and $x", "between -2 and 4 dollars", "over $10 under $5",
        "under $1e9", "under $nan", "under $", "$5k or less",
    ],
)  # fmt: skip
def test_a_price_that_is_no_price(text: str) -> None:
    with pytest.raises(RequestError, match=r"Write a price in dollars"):
        read_limits(f"cereal {text}")


@pytest.mark.parametrize(
    ("text", "price"), [("5", 5), ("$3.50", 3.5), (" five dollars ", 5), ("80 cents", 0.8), ("1,200.50", 1200.5)]
)
def test_parse_price(text: str, price: float) -> None:
    assert parse_price(text) == price


@pytest.mark.parametrize("text", ["abc", "", "-3", "$-3", "0", "nan", "inf", "1e5", "a", "5 or 6", "€4", "$"])
def test_parse_price_refuses(text: str) -> None:
    with pytest.raises(RequestError, match="max price"):
        parse_price(text, where="max price")


@given(st.integers(1, 99_999))
def test_every_price_is_read_back(cents: int) -> None:
    assert read_limits(f"anything under ${cents / 100:,.2f} please").max_price == cents / 100
    assert read_limits(f"anything under {cents / 100:.2f} dollars").max_price == cents / 100


@given(st.text(alphabet=st.sampled_from(list("under $5 between and-to4.,<\u20acabc ")), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        limits = read_limits(text)
    except RequestError:
        return
    assert limits.max_price is None or limits.max_price > 0


@pytest.mark.parametrize(
    ("text", "least", "most", "total"),
    [
        ("no item may exceed $5", None, 5, None),
        ("don't let the bill go over $40", None, None, 40),
        ("I don't want to pay more than $3 for anything", None, 3, None),
        ("stay south of $6 for each", None, 6, None),
        ("never mind the rest at least $5", 5, None, None),  # "at least" is meant as it is said
        ("no candy, over $5", 5, None, None),  # a refusal ends with its clause
    ],
)
def test_a_refused_lower_limit_is_an_upper_one(text: str, least: float | None, most: float | None, total: float | None) -> None:
    found = read_limits(text)
    assert (found.min_price, found.max_price, found.max_total) == (least, most, total)


def test_an_amount_alone() -> None:
    assert bare_limit("I have $20 in my pocket") == ("max_total", 20.0, 7, 10)
    assert bare_limit("$4 each") == ("max_price", 4.0, 0, 2)
    assert bare_limit("5 apples") is None
    assert says_money("ten dollars")
    assert not says_money("5 apples")
