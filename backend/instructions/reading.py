"""Reading free text: which task it asks for, which names it says, which hard filters it sets, and what was not understood.

- Only a price and "nothing I bought before" become hard filters. A category that is read stays a soft signal: the model
  sees the text itself, the reading is what the page shows beside it.
- Order: prices, "bought before", names by their words, names by meaning, task. A name that is said decides the task; one that
  is only meant gives way to a wish to explore ("surprise me").
- A name behind "without" is not what is asked for. Reading cannot act on it, so it is listed as unknown.
- Content words that nothing explains are listed in `unknown`, never dropped silently.
- Small and honest rather than clever: common cases right, everything else visible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backend.instructions.catalogue import PLACEHOLDER, Catalogue, Found, Name
from backend.instructions.prices import cut_out, read_limits
from backend.instructions.templates import sanitise, wordings
from backend.instructions.words import Word, words

SAME_MEANING = 0.75  # cosine from which words mean a name ("rubbish bags" – trash bags .89; "hamster" – ham .74)
_MAX_MEANT = 16  # content words that are searched by meaning, so that a long text stays fast

_CUES = re.compile(
    r"\b(?:surpris|discover|explor|inspir|adventur|experiment|unfamiliar|unusual|unexpected|variety|"
    r"something (?:new|different|else)\b|"
    r"new (?:to (?:me|us)|ideas?|things?|kinds?|products?|categor)|(?:try|trying) (?:out )?(?:something|new)|"
    r"(?:bored|tired|sick) of|"
    r"(?:outside|beyond|out of) (?:my|our|the) (?:usual|habit|routine|comfort)|not (?:my|our|the) (?:usual|same)|"
    r"(?:i|we) (?:never|don['’]t|haven['’]t been) (?:usually |normally )?buy)",
    re.IGNORECASE,
)
_WITHOUT = frozenset({"without", "except", "excluding", "no", "not", "minus", "avoid"})

_DONE = r"(?:bought|purchased|ordered|tried|had|got|eaten|used)"
_WE = r"(?:i|we)(?:['’]ve|\s+have)?(?:\s+(?:already|ever|previously))*"
_BEFORE = r"(?:\s+(?:before|already|in\s+the\s+past|previously|yet|so\s+far))*"
_LATELY = r"(?!\s+(?:lately|recently|in\s+a|for\s+a|for\s+ages|in\s+ages|in\s+months|this|last|in\s+weeks))"
_UNSEEN = re.compile(
    r"\b(?:but\s+|and\s+|with\s+|that(?:['’]s|\s+is|\s+are)?\s+|which\s+(?:is|are)?\s*)*(?:"
    rf"(?:nothing|none|not|no|never|without|hide|exclude|skip)\s+(?:(?:what|that|things?|items?|products?|everything|anything|those|the\s+ones)\s+)*{_WE}\s+{_DONE}{_BEFORE}"
    rf"|{_WE}\s+(?:have\s+)?never\s+{_DONE}{_BEFORE}"
    rf"|(?:i|we)\s*(?:haven['’]t|have\s+not|didn['’]t|did\s+not)\s+(?:yet\s+|ever\s+)?(?:{_DONE}|buy|try){_LATELY}{_BEFORE}"
    rf"|(?:not|never)\s+(?:yet\s+)?(?:bought|purchased|ordered|tried)\s+(?:before|yet){_BEFORE}"
    r"|(?:brand\s+)?new\s+(?:to|for)\s+(?:me|us|(?:my|our|this|the)\s+(?:household|family))"
    r"|no\s+repeats?(?:\s+purchases)?"
    r")(?=\W|\Z)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reading:
    """What was understood of a text.

    Attributes:
        text: the text, made safe.
        instruction: what the model should be told: the text without the phrases that became filters.
        task: name of the task.
        slots: {"category": …} or {"query": …} where the task has one.
        category: the category or department that was said or meant: a soft signal, not a filter.
        max_price, min_price: hard filters, in dollars, inclusive.
        seen: "hide" = items of the history are filtered out.
        names: every name that was recognised, in order.
        unknown: content words that nothing explains, as typed.
    """

    text: str
    instruction: str
    task: str
    slots: Mapping[str, str]
    category: str | None
    max_price: float | None
    min_price: float | None
    seen: Literal["allow", "hide"]
    names: tuple[str, ...]
    unknown: list[str]

    @property
    def filters(self) -> dict[str, Any]:
        """The hard filters that the text sets, by the request's field names."""
        values = {"max_price": self.max_price, "min_price": self.min_price, "seen": self.seen}
        return {name: value for name, value in values.items() if value not in (None, "allow")}

    def as_json(self) -> dict[str, Any]:
        """What the pages show: task, category (a soft signal), filters, unknown. The command line prints all but the category."""
        return {"task": self.task, "category": self.category, "filters": self.filters, "unknown": self.unknown}


def read(text: str, catalogue: Catalogue) -> Reading:
    """Read an instruction.

    Args:
        text: what the user typed.
        catalogue: the prepared names and wordings.

    Raises:
        RequestError: an empty or too long text, or a price that is no price.
    """
    text = sanitise(text)
    limits = read_limits(text)
    unseen = [match.span() for match in _UNSEEN.finditer(limits.rest)]
    rest = cut_out(limits.rest, unseen)
    said = words(rest)
    found, refused = _found(said, catalogue)
    explained = {place for one in found for place in range(one.first, one.last)}
    refused_at = {place for one in refused for place in range(one.first, one.last)}
    left = [place for place, word in enumerate(said) if place not in explained | refused_at and not catalogue.is_plain(word)]
    names = [one.name for one in found]
    # "something new to me" is a filter and a wish: the task is judged with those words, the model told without them
    explores = not found and _CUES.search(limits.rest) is not None
    if not found and not explores:
        said_something = len(left) < len(said)  # words that are all unknown say nothing of exploring
        names, left = _by_meaning(said, left, catalogue)
        explores = not names and said_something and catalogue.explores(limits.rest)
    left = sorted({*left, *(place for place in refused_at if not said[place].is_function)})
    primary = _primary(found) if found else next(iter(names), None)
    task = ("Discover" if explores else "JustForYou") if primary is None else _asks(limits.rest, primary, catalogue)
    slots = {"Category": {"category": primary.category}, "Query": {"query": primary.query}}.get(task, {}) if primary else {}
    tells = bool(names or left) or any(not word.is_function for word in said) or rest == text
    return Reading(
        text=text,
        instruction=rest if tells else wordings(task, held_out=False)[0],
        task=task,
        slots={name: text for name, text in slots.items() if text},
        category=primary.category if primary else None,
        max_price=limits.max_price,
        min_price=limits.min_price,
        seen="hide" if unseen else "allow",
        names=tuple(name.text for name in names),
        unknown=_as_typed(rest, [said[place] for place in left]),
    )


def _found(said: Sequence[Word], catalogue: Catalogue) -> tuple[list[Found], list[Found]]:
    """Names that a text asks for, and names that it asks to leave out ("no milk left" asks for milk)."""
    wanted: list[Found] = []
    refused: list[Found] = []
    for one in catalogue.find(said):
        before = said[one.first - 1].stem if one.first else ""
        after = said[one.last].stem if one.last < len(said) else ""
        (refused if (before in _WITHOUT and after not in ("left", "more")) or after == "free" else wanted).append(one)
    return wanted, refused


def _by_meaning(said: Sequence[Word], left: list[int], catalogue: Catalogue) -> tuple[list[Name], list[int]]:
    """Names meant by the words that are left: by all of them together with the plain words beside them ("puppy food"), by all of
    them alone, else one by one; and the words still left."""
    places = left[:_MAX_MEANT]
    if not places:
        return [], left
    beside = {near for place in places for near in (place - 1, place, place + 1) if 0 <= near < len(said)}
    wide = sorted(place for place in beside if place in places or not said[place].is_function)
    phrases = [" ".join(said[place].text for place in group) for group in (wide, places)]
    nearest = catalogue.nearest_names([*phrases, *(said[place].text for place in places)])
    if not nearest:
        return [], left
    together = next((name for name, cosine in nearest[:2] if cosine >= SAME_MEANING), None)
    if together:
        return [together], left[_MAX_MEANT:]
    meant = {place: name for place, (name, cosine) in zip(places, nearest[2:], strict=True) if cosine >= SAME_MEANING}
    return list(dict.fromkeys(meant.values())), [place for place in left if place not in meant]


def _primary(found: Sequence[Found]) -> Name:
    """The name that the slot takes: the one of most words, the first of those."""
    return max(found, key=lambda one: (one.last - one.first, -one.first)).name


def _masked(text: str, catalogue: Catalogue) -> str:
    """A text with the placeholder for each name, as the wordings are compared."""
    said = words(text)
    for one in reversed(catalogue.find(said)):
        text = text[: said[one.first].start] + PLACEHOLDER + text[said[one.last - 1].stop :]
    return text


def _asks(text: str, name: Name, catalogue: Catalogue) -> str:
    """Whether a text with a name asks for a category or for the answers to a query."""
    if name.category and name.query:
        return catalogue.nearest_asking(_masked(text, catalogue))
    return "Category" if name.category else "Query"


def _as_typed(text: str, left: Sequence[Word]) -> list[str]:
    """Words as they stand in the text, hyphenated ones joined again, each once."""
    spans: list[tuple[int, int]] = []
    for word in left:
        if spans and text[spans[-1][1] : word.start] in ("-", "/"):
            spans[-1] = (spans[-1][0], word.stop)
        else:
            spans.append((word.start, word.stop))
    return list(dict.fromkeys(text[start:stop] for start, stop in spans))
