"""Reading free text: which tasks it asks for, which names it says, which hard filters it sets, and what was not understood.

- Hard filters: prices and a total (`prices`), what to leave out, what is on offer (`phrases`), "nothing I bought before". A category
  or an occasion that is read stays a soft signal: the model sees the text itself, the reading is what the page shows beside it.
- Order: prices, "bought before", names by their words, phrases around the names, names by meaning, task. A name that is said
  is asked for; one that is only meant gives way to a wish to explore ("surprise me").
- Which task that is, among those that what is said allows, is told by the model's own reader of demands (`Catalogue.asks`); in doubt it is
  the next basket, a shelf or what is searched for.
- Wishes combine: `tasks` lists all that were read, `task` is the one that the model is asked for. Tasks that the model was not
  trained on are not named; what is known of them is still applied as a filter ("on sale").
- Content words that nothing explains are listed in `unknown`, never dropped silently.
- Everything that was read says where it stands in the text (`said`), so that a page can show it and let go of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backend.data.calendar import SEASONS
from backend.instructions.catalogue import Catalogue, Found, Name
from backend.instructions.cues import CUES
from backend.instructions.hearing import hear, meant
from backend.instructions.phrases import Phrase
from backend.instructions.prices import cut_out
from backend.instructions.templates import sanitise, wordings
from backend.instructions.words import Word, words

FREE = ("Discover", "Longtail", "Deals", "Replenish")  # tasks that need no name, occasion or price, beside the next basket
SURE = 0.5  # probability above which a task is asked for
CLEAR = 0.8  # … and said clearly


@dataclass(frozen=True)
class Said:
    """Something that was read, and the part of the text that says it.

    Attributes:
        kind: a filter's field name, or "category", "query", "theme".
        value: what it is set to.
        start, stop: text[start:stop] says so.
    """

    kind: str
    value: Any
    start: int
    stop: int


@dataclass(frozen=True)
class Reading:
    """What was understood of a text.

    Attributes:
        text: the text, made safe.
        instruction: what the model should be told: the text without the phrases that became filters.
        task: name of the task that the model is asked for.
        tasks: all tasks that the text asks for, `task` first.
        slots: what fills the task's slots: {"category": …}, {"query": …}, {"holiday": …}, …
        category: the category or department that was said or meant: a soft signal, not a filter.
        theme: the occasion or season that was said: a soft signal too.
        max_price, min_price: hard filters, in dollars, inclusive.
        max_total: hard filter: the list as a whole costs no more.
        seen: "hide" = items of the history are filtered out.
        exclude: hard filter: names whose items are left out.
        deals: hard filter: only what is on discount or with a coupon now.
        names: every name that was recognised and is wanted, in order.
        unknown: content words that nothing explains, as typed.
        said: where each of these stands in the text.
    """

    text: str
    instruction: str
    task: str
    tasks: tuple[str, ...]
    slots: Mapping[str, str]
    category: str | None
    theme: str | None
    max_price: float | None
    min_price: float | None
    max_total: float | None
    seen: Literal["allow", "hide"]
    exclude: tuple[str, ...]
    deals: bool
    names: tuple[str, ...]
    unknown: list[str]
    said: tuple[Said, ...]

    @property
    def filters(self) -> dict[str, Any]:
        """The hard filters that the text sets, by the request's field names."""
        values = {
            "max_price": self.max_price,
            "min_price": self.min_price,
            "max_total": self.max_total,
            "seen": self.seen,
            "exclude": list(self.exclude) or None,
            "deals": self.deals or None,
        }
        return {name: value for name, value in values.items() if value not in (None, "allow")}

    def as_json(self) -> dict[str, Any]:
        """What the pages show: task(s), category and theme (soft signals), filters, unknown, and where each was said. The command line
        prints task, filters and unknown."""
        said = [{"kind": one.kind, "value": one.value, "text": self.text[one.start : one.stop]} for one in self.said]
        return {
            "task": self.task,
            "tasks": list(self.tasks),
            "category": self.category,
            "theme": self.theme,
            "filters": self.filters,
            "unknown": self.unknown,
            "said": said,
        }


def read(text: str, catalogue: Catalogue) -> Reading:
    """Read an instruction.

    Args:
        text: what the user typed.
        catalogue: the prepared names and wordings.

    Raises:
        RequestError: an empty or too long text, or a price that is no price.
    """
    text = sanitise(text)
    told = hear(text, catalogue)
    limits, prices, said, theme, left = told.limits, told.prices, told.words, told.theme, told.left
    found, refused = told.wanted, told.refused
    deals = any(phrase.kind == "deals" for phrase in told.phrases)

    excluding, offers = told.places("exclude"), told.places("deals", "no deals")
    wish = cut_out(text, sorted([*prices, *excluding]))  # the task is judged without these words
    names = [one.name for one in found]
    free = "JustForYou"
    if not found:
        free = _free_task(wish, catalogue, bool(prices)) if CUES.search(wish) else free
        if free in ("JustForYou", "Budget"):
            said_something = len(left) < len(said)  # words that are all unknown say nothing of exploring
            if not theme:
                names, left = meant(said, left, catalogue)
            if not names and said_something:
                free = _free_task(wish, catalogue, bool(prices))
    deals = deals or (free == "Deals" and not theme)  # "ideas for Easter" are no offers, whatever they sound like
    primary = _primary(found) if found else next(iter(names), None)
    named = cut_out(text, sorted([*prices, *excluding, *told.unseen]))
    tasks, slots = _tasks(named, primary, names, theme, free, deals, limits.max_price, limits.max_total, catalogue)

    untold = [*told.unseen, *excluding]  # the model is not told what the filters do, unless that is what it is asked for
    untold += [] if tasks[0] == "Budget" else prices
    untold += [] if tasks[0] == "Deals" else offers
    instruction = cut_out(text, sorted(untold))
    tells = bool(names or left or theme) or any(not word.is_function for word in words(instruction)) or not untold
    where = [Said(kind, getattr(limits, kind), start, stop) for kind, start, stop in limits.said]
    where += [Said("seen", "hide", start, stop) for start, stop in told.unseen]
    where += [_of_phrase(phrase, told.spans) for phrase in told.phrases if phrase.kind not in ("need", "no deals")]
    where += [_of_name(one, said) for one in found]
    return Reading(
        text=text,
        instruction=instruction if tells else wordings(tasks[0], held_out=False)[0] if not slots else instruction or text,
        task=tasks[0],
        tasks=tasks,
        slots=slots,
        category=primary.category if primary else None,
        theme=theme,
        max_price=limits.max_price,
        min_price=limits.min_price,
        max_total=limits.max_total,
        seen="hide" if told.unseen else "allow",
        exclude=tuple(dict.fromkeys(one.name.text for one in refused)),
        deals=deals,
        names=tuple(name.text for name in names),
        unknown=_as_typed(text, [said[place] for place in left]),
        said=tuple(sorted(where, key=lambda one: one.start)),
    )


def _free_task(text: str, catalogue: Catalogue, priced: bool) -> str:
    """Which task a text that names nothing asks for, its prices and exclusions left out; what is vague asks for the next basket.

    Args:
        priced: a price was said: another task must be said clearly beside it, and offers by their own words.
    """
    budget = priced and "Budget" in catalogue.tasks
    if all(word.is_function for word in words(text)):
        return "Budget" if budget else "JustForYou"
    told = catalogue.asks(text) if catalogue.asks else {}
    task = next((task for task in FREE if told.get(task, 0.0) > (CLEAR if budget else SURE)), "JustForYou")
    if task == "JustForYou" and CUES.search(text) and not budget:
        task = "Discover"
    return "Budget" if budget and task in ("JustForYou", "Deals") else task


def _tasks(
    text: str,
    primary: Name | None,
    names: Sequence[Name],
    theme: str | None,
    free: str,
    deals: bool,
    max_price: float | None,
    max_total: float | None,
    catalogue: Catalogue,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """All tasks that a text asks for, the one of the model first, and that one's slots."""
    asked: dict[str, dict[str, str]] = {}
    if primary is not None:
        items = " and ".join(dict.fromkeys(name.text for name in names))
        values = {"category": primary.category or "", "query": primary.query or "", "items": items}
        task, slot = _asked_of(text, primary, catalogue)
        asked[task] = {slot: values[slot]}
    if theme is not None:
        asked["Season" if theme in SEASONS else "Holiday"] = {"season" if theme in SEASONS else "holiday": theme}
    if free not in ("JustForYou", "Budget"):
        asked[free] = {}
    if deals:
        asked["Deals"] = {}
    limit = max_price if max_price is not None else max_total
    if limit is not None:
        asked["Budget"] = {"price" if max_price is not None else "total": f"${limit:g}"}
    asked = {task: slots for task, slots in asked.items() if task in catalogue.tasks} or {"JustForYou": {}}
    return tuple(asked), next(iter(asked.values()))


def _of_phrase(phrase: Phrase, spans: Mapping[int, Found]) -> Said:
    if phrase.kind == "exclude":
        return Said("exclude", [spans[start].name.text for start in phrase.names], phrase.start, phrase.stop)
    return Said(phrase.kind, phrase.theme or True, phrase.start, phrase.stop)


def _of_name(one: Found, said: Sequence[Word]) -> Said:
    kind = "category" if one.name.category else "query"
    return Said(kind, one.name.text, said[one.first].start, said[one.last - 1].stop)


def _primary(found: Sequence[Found]) -> Name:
    """The name that the slot takes: the one of most words, the first of those."""
    return max(found, key=lambda one: (one.last - one.first, -one.first)).name


def _asked_of(text: str, name: Name, catalogue: Catalogue) -> tuple[str, str]:
    """What a text asks for of the name it says: what goes with it, its shelf, or the answers to a query; the task and its slot."""
    told = catalogue.asks(text) if catalogue.asks else {}
    if told.get("Complement", 0.0) > SURE:
        return "Complement", "items"
    if name.category and (not name.query or told.get("Category", 0.0) >= told.get("Query", 0.0)):
        return "Category", "category"
    return "Query", "query"


def _as_typed(text: str, left: Sequence[Word]) -> list[str]:
    """Words as they stand in the text, hyphenated ones joined again, each once."""
    spans: list[tuple[int, int]] = []
    for word in left:
        if spans and text[spans[-1][1] : word.start] in ("-", "/"):
            spans[-1] = (spans[-1][0], word.stop)
        else:
            spans.append((word.start, word.stop))
    return list(dict.fromkeys(text[start:stop] for start, stop in spans))
