"""What pages and the command line may ask of a workspace's third recipe: the generator of the first one with a policy arm's weights.

- The answer is the first recipe's in every respect, trace and all: what differs are the weights. So the bench of an arm is a `Workbench`
  whose generator has them.
- The judge that the arm was trained with is not asked here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from backend.data import schema as s
from backend.inspection.answers import Recommendation
from backend.workspace import Workspace, command_of

if TYPE_CHECKING:  # loads torch
    from backend.generation.generator import Generator, OnStep
    from backend.generation.request import Request
    from backend.workbench import Workbench

STAGE = "policy"
START = "sft"  # the arm that is no training at all: the first recipe itself


class SgrecBench:
    """The third recipe of a workspace.

    Args:
        dataset: makes the tables.
        make: opens a bench over a workspace with loaders of its own for tables and generator, as `Workbench` does.
    """

    def __init__(self, workspace: Workspace, dataset: Callable[[], s.Dataset], make: Callable[..., Workbench]) -> None:
        self.workspace, self._dataset, self._make = workspace, dataset, make
        self._benches: dict[str, Workbench] = {}
        self._made = ""
        self._lock = threading.Lock()

    @property
    def there(self) -> bool:
        """Whether trained arms are there and fit the workspace."""
        return self.workspace.fits(STAGE)

    @property
    def command(self) -> str:
        """What trains them."""
        return command_of(STAGE, self.workspace.path)

    @property
    def chosen(self) -> str:
        """The arm that is served where none is named.

        Raises:
            WorkspaceError: the stage is missing, stale or damaged.
        """
        return str(self.workspace.fresh_stage(STAGE).manifest["settings"]["chosen"])

    @property
    def arms(self) -> list[str]:
        """The arms whose weights are there, the chosen one first; none where the stage is missing or stale."""
        if not self.there:
            return []
        settings, chosen = self.workspace.stage(STAGE).manifest["settings"], self.chosen
        return list(dict.fromkeys([chosen, *(arm for arm in settings["arms"] if arm != START)]))

    def bench(self, arm: str | None = None) -> Workbench:
        """A workbench that answers with an arm's weights; its model loads when first asked for, and again when it was trained again.

        Raises:
            WorkspaceError: the stage is missing, stale or damaged.
        """
        with self._lock:
            made = self.workspace.fresh_stage(STAGE).fingerprint
            if made != self._made:
                self._benches, self._made = {}, made
            name = arm or self.chosen
            if name not in self._benches:

                def load(workspace: Workspace, dataset: s.Dataset) -> Generator:
                    from backend.alignment.serving import load_policy_generator

                    return load_policy_generator(workspace, dataset, name)

                self._benches[name] = self._make(self.workspace, lambda _: self._dataset(), load)
            return self._benches[name]

    def recommend(self, request: Request, arm: str | None = None, on_step: OnStep | None = None) -> Recommendation:
        """The list for a request, with its trace.

        Raises:
            RequestError: the request cannot be served, or no such arm.
            WorkspaceError: no trained arms.
        """
        return self.bench(arm).recommend(request, on_step)
