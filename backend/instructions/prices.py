"""Price limits in free text: "under $5", "between 2 and 4 dollars", "nothing over ten dollars".

- First the amounts are found, then the words before and after each say whether it is a limit, and which.
- Money shows by its currency ("$5", "five dollars"). A bare number counts only where the clause ends behind it ("under 5
  please", not "under 500 calories") and no age stands before it ("kids under 5").
- An amount that is no price behind a comparator ("under $abc", "under $-3") is the user's error, never ignored.
- An amount without a comparator ("a $5 wine") is no limit: it stays in the text. Where nothing is named that it could be the price of,
  the reader may take it for one (`bare_limit`).
- Digits are read by price-parser, which knows thousands and decimal separators.
- An upper limit is one of the whole basket where the words around it say so ("in total", "my basket under", "for everything"); there
  an amount of money needs no comparator ("I have $20 to spend").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from price_parser import Price

from backend.errors import RequestError

_MEND = "Write a price in dollars, such as “under $5” or “between $2 and $4”"
# fmt: off
_SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]
# fmt: on
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"]
_VALUE = {word: value for value, word in enumerate(_SMALL)} | {word: 10 * value for value, word in enumerate(_TENS, 2)}
_VALUE |= {"a": 1, "an": 1}

_UNIT = r"\$|€|£|¢|(?:usd|dollars?|bucks?|cents?|euros?)\b"
_SIGN = r"(?<![\d$¢])(?<![\d$¢] )[-−]|minus\s"  # between two numbers a dash is no sign
_AMOUNT = re.compile(
    rf"(?P<sign>{_SIGN})?\s*(?P<symbol>us\$|[$€£])?\s*(?P<inner>{_SIGN})?"
    rf"(?:(?P<digits>\d+(?:[.,]\d+)*|\.\d+)|\b(?P<words>(?:{'|'.join(_TENS)})(?:[\s-](?:{'|'.join(_SMALL)}))?|"
    rf"{'|'.join(sorted(_SMALL, key=len, reverse=True))}|an?))"
    rf"\s*(?P<unit>{_UNIT})?(?!\w|[.,]\d)"
    r"|(?P<junk>[$€£]\s*\S*|\b[^\W\d]+\s(?:dollars|bucks|cents)\b)",
    re.IGNORECASE,
)
_PAY = r"(?:spend|pay|cost|read|exceed|pass|go|be|come|hand\s+over|shell\s+out|part\s+with)"
_NOT = (
    r"(?:(?P<neg>no|not|nothing|none|never"
    rf"|(?:can['’]?t|cannot|must(?:n['’]t|\s+not)|won['’]t|(?:do|should|would)(?:n['’]t|\s+not)|refuse\s+to|not|never)\s+(?:want\s+to\s+)?{_PAY}"
    r"|leave\s+out\s+(?:what(?:ever)?|anything|everything)(?:\s+that)?)\s+)?"
)
_BEFORE = re.compile(
    rf"(?<!\w){_NOT}(?:"
    r"(?P<less>under|below|beneath|south\s+of|sub-|at\s+or\s+(?:under|below)|(?:less|lower|cheaper)\s+than|at\s+most|up\s+to|within|"
    r"cap(?:ped)?(?:\s+(?:the|it|your|my)(?:\s+\w+){0,2})?\s+at|<=|≤|<|"
    r"(?:max(?:imum)?|budget|limit|cap|ceiling|allowance)(?:\s+price)?(?:\s+per\s+\w+)?(?:\s+(?:of|is|at|amounts\s+to)|:)?)|"
    r"(?P<more>over|above|(?:more|higher|dearer|pricier)\s+than|more\s+expensive\s+than|exceed(?:s|ing)?|tops|at\s+least|starting\s+at|>=|≥|>|"
    r"min(?:imum)?(?:\s+price)?(?:\s+(?:of|is)|:)?))\s*\Z",
    re.IGNORECASE,
)
# a refusal that reaches over a few words: "no item may exceed", "don't let the bill go over"
_REFUSED = re.compile(
    r"\b(?:no|not|nowt|never|nothing|none|without|avoid|skip|(?:do|does|did|should|would|could|can|ca|must|wo|is|are)n['’]?t|cannot)\b"
    r"[^.,;:!?$]{0,40}\Z",
    re.IGNORECASE,
)
_NO_THANKS = re.compile(r"[\s,]*(?:i|we)\s+(?:do\s*n['’]?t|do\s+not|wo\s*n['’]?t)\s+(?:want|need|buy|take|care)\b", re.IGNORECASE)
_AFTER = re.compile(
    r"\s*(?:(?P<less>(?:(?:each|apiece)\s+)?(?:(?:or|and)\s+(?:less|under|below|cheaper|lower)|max(?:imum)?|tops|"
    r"at\s+(?:the\s+)?(?:very\s+)?most|budget|limit))|"
    r"(?P<more>(?:or|and)\s+(?:more|over|above|up|higher)|min(?:imum)?|at\s+least))\b",
    re.IGNORECASE,
)
_ONLY_MONEY = re.compile(r"cheaper|dearer|pricier|expensive|price|budget", re.IGNORECASE)  # then a bare number is money too
_AGE = re.compile(
    r"\b(?:aged?|ages|kids?|child(?:ren)?|boys?|girls?|toddlers?|bab(?:y|ies)|people|adults?|anyone)\s*\Z", re.IGNORECASE
)
_ENDS = re.compile(
    r"\s*(?:\Z|[.,;:!?)&]|(?:and|or|but|for|to|please|thanks|each|apiece|with|in|that|which|from|per|nothing|not|no|i|we)\b)",
    re.I,
)
_RANGE = re.compile(r"\s*(?:and|to|[-–—])\s*\Z", re.IGNORECASE)
_BETWEEN = re.compile(r"\b(?:between|from)\s*\Z", re.IGNORECASE)
_LEAD = re.compile(r"\b(?:and|but|for|at|a|with|prices?|priced|costs?|costing|that|which|is|are)\s+\Z", re.IGNORECASE)
_EACH = re.compile(
    r"\s*(?:each|apiece|a\s+piece|an?\s+(?:item|article|product|thing)|per\s+(?:item|piece|product|article))\b", re.IGNORECASE
)
_WHOLE = (
    r"(?:basket|cart|trolley|bill|receipt|order|list|shop|shopping(?:\s+(?:trip|list))?|trip|haul|sum|total|lot|wallet|money|bag)"
)
_TOTAL_BEFORE = re.compile(
    r"(?:\b(?:in\s+total|altogether|all\s+in\s+all|all\s+together|overall|total(?:\s+budget)?(?:\s+(?:of|is|below|under))?:?|all\s+of\s+it|"
    r"the\s+whole\s+(?:thing|lot)|(?:to\s+)?spend(?:ing)?|everything)\b[^.;!?$]{0,25}"
    r"|\b(?:adds?|adding|sums?)(?:\s+up)?(?:\s+to)?|\bat\s+the\s+(?:till|checkout|register)\b[^.;!?$]{0,25}|\bweekly\s"
    rf"|(?<!in )(?<!to )(?<!into )\b(?:my|our|the|a|whole|weekly|this)\s+(?:whole\s+|weekly\s+|entire\s+)?{_WHOLE}\b[^.;!?,$]{{0,40}}"
    rf"|(?<!my )(?<!our )(?<!the )\b{_WHOLE}[\s,]*|\bhow\s+far\s+will\s*|\bg(?:a|i)ve[ns]?\s+(?:me|us|you)\s*|\bwhole\s+{_WHOLE}[\s,]*"
    rf"|\b{_WHOLE}\s+(?:limit|costing|worth|of|for|under|below|within|at)\b[^.;!?,$]{{0,25}})\s*\Z",
    re.IGNORECASE,
)
_TOTAL_AFTER = re.compile(
    r"[\s,]*(?:(?:to\s+spend|at\s+(?:the\s+)?most|tops|max(?:imum)?|or\s+less)[\s,]*)*"
    r"(?:in\s+total|altogether|all\s+together|in\s+all|all\s+in\s+all|overall|all\s+told|in\s+sum|together|total|to\s+spend|a\s+week|"
    r"for\s+(?:everything|the\s+lot|it\s+all|all\s+of\s+it|the\s+(?:(?:whole|entire|complete)\s+)?(?:basket|cart|shop|trip|order|list))|budget\s+overall)\b",
    re.IGNORECASE,
)
_SINGLE = re.compile(
    r"\b(?:each|apiece|a\s+piece|per\s+(?:item|piece|product|article|unit)|single|individual(?:ly)?|one\s+(?:item|thing)|any\s+one)\b",
    re.I,
)
_TAIL = re.compile(r"\s+(?:each|apiece|per\s+(?:item|piece))\b", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """Price limits of a text, in dollars, all inclusive, and the text without the words that said so.

    Attributes:
        max_total: limit of the whole basket.
        said: where each limit stands in the text: (field, start, stop).
    """

    min_price: float | None
    max_price: float | None
    rest: str
    max_total: float | None = None
    said: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class _Amount:
    text: str
    start: int
    stop: int
    money: bool  # has a currency
    in_words: bool
    value: float | None  # None: no price that the data could have

    def price(self) -> float:
        if self.value is None:
            raise RequestError(f"{self.text!r} is no price", mend=_MEND)
        return self.value


def parse_price(text: str, where: str = "price") -> float:
    """A single price in dollars: "5", "$3.50", "five dollars", "80 cents".

    Raises:
        RequestError: no price, not above zero, or another currency.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or match["words"] in ("a", "an"):
        raise RequestError(f"{text!r} is no price", where, "Write a number of dollars above zero, such as 5 or 3.50")
    try:
        return _amount(match).price()
    except RequestError as error:
        raise RequestError(error.what, where, "Write a number of dollars above zero, such as 5 or 3.50") from None


def says_money(text: str) -> bool:
    """Whether a text says an amount of money, a limit or not: "$5", "ten dollars"."""
    return any(match["symbol"] or match["unit"] for match in _AMOUNT.finditer(text))


def read_limits(text: str) -> Limits:
    """The price limits that a text states; several are combined.

    Raises:
        RequestError: a limit that is no price, or limits that exclude each other.
    """
    lows: list[float] = []
    highs: list[float] = []
    wholes: list[float] = []
    said: list[tuple[str, int, int]] = []
    amounts = [_amount(match) for match in _AMOUNT.finditer(text)]
    at = 0
    while at < len(amounts):
        amount, following = amounts[at], amounts[at + 1] if at + 1 < len(amounts) else None
        if following and (start := _range_start(text, amount, following)) is not None:
            ends = sorted((amount.price() if amount.money else _with_unit_of(amount, following), following.price()))
            lows.append(ends[0])
            highs.append(ends[1])
            said += [(field, *_widened(text, start, following.stop)) for field in ("min_price", "max_price")]
            at += 2
            continue
        at += 1
        before, after = _BEFORE.search(text, max(0, amount.start - 60), amount.start), _AFTER.match(text, amount.stop)
        limit = before or after
        if limit is not None and not _is_money(text, amount, limit, after if before is None else None):
            continue
        upper = limit is None or (limit["less"] is not None) != bool(
            before and (before["neg"] or _is_refused(text, before, amount))
        )
        start, stop = (before.start() if before else amount.start), (after.end() if after and not before else amount.stop)
        whole = _of_the_whole(text, amount, start, stop) if upper else None
        if whole is not None:
            wholes.append(amount.price())
            said.append(("max_total", *whole))
        elif limit is not None:
            (highs if upper else lows).append(amount.price())
            said.append(("max_price" if upper else "min_price", *_widened(text, start, stop)))
    low, high = max(lows, default=None), min(highs, default=None)
    if low is not None and high is not None and low > high:
        raise RequestError(f"no price is at least ${low:g} and at most ${high:g}", mend=_MEND)
    rest = cut_out(text, sorted({(start, stop) for _, start, stop in said}))
    return Limits(low, high, rest, min(wholes, default=None), tuple(said))


def bare_limit(text: str) -> tuple[str, float, int, int] | None:
    """What an amount of money without a comparator would limit, if it is meant as a limit: (field, dollars, start, stop).

    One of each item where the text speaks of single ones ("$4 each"), else of the whole basket ("I have $20 in my pocket").
    """
    for match in _AMOUNT.finditer(text):
        amount = _amount(match)
        if amount.money and amount.value is not None:
            return ("max_price" if _SINGLE.search(text) else "max_total"), amount.value, amount.start, amount.stop
    return None


def _is_refused(text: str, limit: re.Match[str], amount: _Amount) -> bool:
    """Whether the words around a lower limit turn it into an upper one."""
    if limit["more"] is None or limit["more"].lower().startswith(("at least", "starting", "min")):
        return False
    return _REFUSED.search(text, 0, limit.start()) is not None or _NO_THANKS.match(text, amount.stop) is not None


def _of_the_whole(text: str, amount: _Amount, start: int, stop: int) -> tuple[int, int] | None:
    """Where a limit of the whole basket stands, or None when the limit is one of each item (or none at all)."""
    if not amount.money or amount.value is None or _EACH.match(text, stop):
        return None
    after, before = _TOTAL_AFTER.match(text, stop), _TOTAL_BEFORE.search(text, max(0, start - 60), start)
    if after is None and before is None:
        return None
    return _widened(text, start, after.end() if after else stop)


def cut_out(text: str, spans: list[tuple[int, int]]) -> str:
    """The text without some spans, its spaces and commas mended."""
    if not spans:
        return text
    for start, stop in sorted(spans, reverse=True):
        text = f"{text[:start]} {text[stop:]}"
    text = re.sub(r"\s+(?=[,.;:!?])", "", " ".join(text.split()))
    return re.sub(r"[,;:](?:\s*[,;:.])+", ",", text).strip(" ,;:-")


def _amount(match: re.Match[str]) -> _Amount:
    text = match[0].strip()
    currency = f"{match['symbol'] or ''}{match['unit'] or ''}".lower()
    value: float | None = None
    if match["digits"]:
        amount = Price.fromstring(match["digits"]).amount
        value = None if amount is None else float(amount)
    elif match["words"]:
        value = float(sum(_VALUE[word] for word in re.split(r"[\s-]", match["words"].lower())))
    if value is not None and (currency.startswith("cent") or currency == "¢"):
        value /= 100
    impossible = match["sign"] or match["inner"] or any(foreign in currency for foreign in ("€", "£", "euro")) or not value
    start = match.start() + (len(match[0]) - len(match[0].lstrip()))
    stop = start + len(text)
    return _Amount(text, start, stop, bool(currency or match["junk"]), bool(match["words"]), None if impossible else value)


def _is_money(text: str, amount: _Amount, limit: re.Match[str], after: re.Match[str] | None) -> bool:
    if amount.money:
        return True
    if amount.text.lower() in ("a", "an"):  # "on a budget"
        return False
    if _ONLY_MONEY.search(limit[0]):
        return True
    end = after.end() if after else amount.stop
    return not amount.in_words and _ENDS.match(text, end) is not None and not _AGE.search(text[: limit.start()])


def _range_start(text: str, one: _Amount, two: _Amount) -> int | None:
    """Where a range of two amounts starts, or None when they are none."""
    if not _RANGE.match(text, one.stop, two.start):
        return None
    between = _BETWEEN.search(text, 0, one.start)
    if not (one.money or two.money or (between and not one.in_words and _ENDS.match(text, two.stop))):
        return None
    if not between and _BEFORE.search(text, 0, one.start):  # "over $2 and …": the comparator has its own amount
        return None
    return between.start() if between else one.start


def _with_unit_of(one: _Amount, two: _Amount) -> float:
    """In "50 to 80 cents" both are cents."""
    return one.price() / (100 if re.search(r"cent|¢", two.text, re.IGNORECASE) else 1)


def _widened(text: str, start: int, stop: int) -> tuple[int, int]:
    """A price phrase with the words that only lead to it or follow from it."""
    while lead := _LEAD.search(text, 0, start):
        start = lead.start()
    tail = _TAIL.match(text, stop)
    return start, tail.end() if tail else stop
