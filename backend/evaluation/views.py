"""Views: the ways in which one set of cases is looked at.

`all` = every item may be recommended; `new` = items new to the household: bought items are hidden from every recommender and only
the new targets count. A case without new targets has no `new` view.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backend.evaluation.cases import Case

VIEWS: Mapping[str, tuple[str, ...]] = {"JustForYou": ("all", "new")}  # a task that is not named has the view "all"


def view_cases(cases: Sequence[Case], views: Mapping[str, Sequence[str]] = VIEWS) -> Iterator[tuple[str, str, list[Case]]]:
    """(task, view, cases) in the order in which the tasks appear; empty views are left out."""
    for task in dict.fromkeys(case.task for case in cases):
        own = [case for case in cases if case.task == task]
        for view in views.get(task, ("all",)):
            chosen = own if view == "all" else [case.as_new() for case in own if len(case.new_targets)]
            if chosen:
                yield task, view, chosen
