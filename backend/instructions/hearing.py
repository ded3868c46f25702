"""What is said in a text, word by word: prices, names of the catalogue, and the phrases around them. What it *means* is for `reading`.

- Names that only happen to stand inside an offer ("on special") are none, and a name that is an occasion ("Halloween" beside the shelf
  "Halloween items") is the occasion where the model knows occasions.
- A name in an exclusion ("no onions") is refused, the others are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.instructions.catalogue import Catalogue, Found, Name
from backend.instructions.cues import UNSEEN
from backend.instructions.phrases import Phrase, occasion, phrases
from backend.instructions.prices import Limits, bare_limit, read_limits
from backend.instructions.words import Word, words

SAME_MEANING = 0.75  # cosine from which words mean a name ("rubbish bags" – trash bags .89; "hamster" – ham .74)
_MAX_MEANT = 16  # content words that are searched by meaning, so that a long text stays fast
Span = tuple[int, int]


@dataclass(frozen=True)
class Heard:
    """What a text says.

    Attributes:
        limits: prices and a total, with the places where they stand.
        unseen: where "nothing I bought before" stands.
        words: the words beside these.
        spans: the names that are said, by where they start in the text.
        phrases: exclusions, offers, occasions.
        left: places of the content words that none of these explains.
    """

    limits: Limits
    unseen: tuple[Span, ...]
    words: Sequence[Word]
    spans: Mapping[int, Found]
    phrases: Sequence[Phrase]
    left: list[int]

    @property
    def prices(self) -> list[Span]:
        """Where prices stand."""
        return [(start, stop) for _, start, stop in self.limits.said]

    @property
    def refused(self) -> list[Found]:
        """The names that are not wanted."""
        return [self.spans[start] for phrase in self.phrases if phrase.kind == "exclude" for start in phrase.names]

    @property
    def wanted(self) -> list[Found]:
        """The other names, in the order of the text."""
        refused = self.refused
        return [one for one in self.spans.values() if one not in refused]

    @property
    def theme(self) -> str | None:
        """The occasion or season that is said, in the calendar's word."""
        said = next((phrase.theme for phrase in self.phrases if phrase.theme), None)
        return said or next((word for one in self.wanted if (word := occasion(one.name.text))), None)

    def places(self, *kinds: str) -> list[Span]:
        """Where phrases of some kinds stand."""
        return [(phrase.start, phrase.stop) for phrase in self.phrases if phrase.kind in kinds]


def hear(text: str, catalogue: Catalogue) -> Heard:
    """What a text says.

    Args:
        text: as `templates.sanitise` leaves it.

    Raises:
        RequestError: a price that is no price.
    """
    limits = limits_of(text, catalogue)
    open_text = _blanked(text, [(start, stop) for _, start, stop in limits.said])  # places stay those of the text
    unseen = tuple(match.span() for match in UNSEEN.finditer(open_text))
    open_text = _blanked(open_text, unseen)
    said = words(open_text)
    themed = {"Holiday", "Season"} & set(catalogue.tasks)
    offered = [(phrase.start, phrase.stop) for phrase in phrases(open_text, []) if phrase.kind in ("deals", "no deals")]
    found = [
        one
        for one in catalogue.find(said)
        if not (themed and occasion(one.name.text))
        and not any(start <= said[one.first].start and said[one.last - 1].stop <= stop for start, stop in offered)
    ]
    spans = {said[one.first].start: one for one in found}
    told = phrases(open_text, [(start, said[one.last - 1].stop) for start, one in spans.items()])
    explained = {place for one in found for place in range(one.first, one.last)}
    explained |= {place for place, word in enumerate(said) if any(p.start <= word.start < p.stop for p in told)}
    left = [place for place, word in enumerate(said) if place not in explained and not catalogue.is_plain(word)]
    return Heard(limits, unseen, said, spans, told, left)


def limits_of(text: str, catalogue: Catalogue) -> Limits:
    """Price limits that are said; where a budget can be asked for, also an amount alone beside which nothing else is said that it could be of."""
    limits = read_limits(text)
    bare = None if limits.said or "Budget" not in catalogue.tasks else bare_limit(text)
    if bare is None or catalogue.find(words(text)) or phrases(text, []):
        return limits
    field, value, start, stop = bare
    whole = field == "max_total"
    return Limits(None, None if whole else value, limits.rest, value if whole else None, ((field, start, stop),))


def meant(said: Sequence[Word], left: list[int], catalogue: Catalogue) -> tuple[list[Name], list[int]]:
    """Names meant by the words that are left: by all of them together with the plain words beside them ("puppy food"), by all of
    them alone, else one by one; and the words still left."""
    places = left[:_MAX_MEANT]
    if not places:
        return [], left
    beside = {near for place in places for near in (place - 1, place, place + 1) if 0 <= near < len(said)}
    wide = sorted(place for place in beside if place in places or not said[place].is_function)
    together = [" ".join(said[place].text for place in group) for group in (wide, places)]
    nearest = catalogue.nearest_names([*together, *(said[place].text for place in places)])
    if not nearest:
        return [], left
    whole = next((name for name, cosine in nearest[:2] if cosine >= SAME_MEANING), None)
    if whole:
        return [whole], left[_MAX_MEANT:]
    found = {place: name for place, (name, cosine) in zip(places, nearest[2:], strict=True) if cosine >= SAME_MEANING}
    return list(dict.fromkeys(found.values())), [place for place in left if place not in found]


def _blanked(text: str, spans: Sequence[Span]) -> str:
    """The text with some parts as spaces, so that places do not move."""
    for start, stop in spans:
        text = f"{text[:start]}{' ' * (stop - start)}{text[stop:]}"
    return text
