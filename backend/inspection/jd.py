"""What pages and the command line may ask of a workspace's second recipe: a list with its trace, titles ↔ SIDs. Loaded once, when first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from backend.data import schema as s
from backend.inspection.answers import Recommendation
from backend.workspace import Workspace, command_of

if TYPE_CHECKING:  # these load torch
    from backend.generation.jd import JdGenerator, JdTrace, Translated
    from backend.generation.request import Request

STAGE = "jd"


@dataclass(frozen=True)
class JdAnswer(Recommendation):
    """A list of the second recipe; `items` has rank · item (row) · item_id · title · department · category · path · price · score ·
    prefix (its full SID) · sid · shared · seen, and the source texts."""

    jd: JdTrace = field(kw_only=True)


class JdBench:
    """The second recipe of a workspace.

    Args:
        dataset: makes the tables.
    """

    def __init__(self, workspace: Workspace, dataset: Callable[[], s.Dataset]) -> None:
        self.workspace, self._dataset = workspace, dataset
        self._generator: JdGenerator | None = None
        self._made = ""
        self._lock = threading.Lock()

    @property
    def there(self) -> bool:
        """Whether a trained model is there and fits the workspace."""
        return self.workspace.fits(STAGE)

    @property
    def command(self) -> str:
        """What trains one."""
        return command_of(STAGE, self.workspace.path)

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._generator is not None

    def generator(self) -> JdGenerator:
        """The generator; loaded once, and again when it was trained again.

        Raises:
            WorkspaceError: missing, stale or damaged.
        """
        with self._lock:
            made = self.workspace.fresh_stage(STAGE).fingerprint
            if self._generator is None or made != self._made:
                from backend.generation.jd import load_jd_generator

                self._generator, self._made = load_jd_generator(self.workspace, self._dataset()), made
            return self._generator

    def recommend(self, request: Request, free_too: bool = True) -> JdAnswer:
        """The list for a request, with its trace.

        Args:
            free_too: run the free beam beside the constrained one.

        Raises:
            RequestError: the request cannot be served.
            WorkspaceError: no trained model.
        """
        trace = self.generator().recommend(request, free_too)
        facts = self._dataset().items.iloc[trace.fused["item"]].reset_index(drop=True)
        fused = trace.fused.rename(columns={"p": "score"}).reset_index(drop=True)
        table = pd.concat([fused, facts.drop(columns=[s.TEXT])], axis=1)
        table["prefix"] = table["sid"]
        table["path"] = facts[s.DEPARTMENT] + " › " + facts[s.CATEGORY]
        reading: dict[str, Any] = trace.request["reading"]
        return JdAnswer(table, trace, reading, trace.timings_ms, tuple(trace.notes), jd=trace)  # type: ignore[arg-type]

    def title_to_sid(self, title: str) -> Translated:
        """The items that a title may be of, along the trie and free.

        Raises:
            RequestError: an empty or too long title.
        """
        return self.generator().title_to_sid(title)

    def sid_to_title(self, item_id: str) -> tuple[str, str]:
        """An item's SID, and what the model says its title is.

        Raises:
            RequestError: no such item.
        """
        generator = self.generator()
        row = generator.shoppers.item_row(item_id)
        return generator.sid(row), generator.sid_to_title(row)
