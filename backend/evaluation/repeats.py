"""The repeat prior of the recipe `jd` under the protocol: a beam that was searched already, mixed with the household's own purchases.

β is chosen on validation baskets by NDCG@10 of the next basket; on the test split nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.data.history import distinct
from backend.errors import WorkspaceError
from backend.evaluation.cases import Case
from backend.evaluation.jd_lists import JdRecommender, next_items
from backend.evaluation.metrics import accuracy
from backend.generation.constrained import rank_items
from backend.generation.repeats import mixed
from backend.progress import Report, silent
from backend.workspace import Workspace

SHARES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
TUNED_ON = 200  # validation households


class WithRepeats:
    """A constrained beam mixed with the household's own purchases; the beams are those of `beam`, searched once for both.

    Args:
        share: β.
    """

    def __init__(self, beam: JdRecommender, share: float) -> None:
        self.beam, self.share = beam, share
        self.name = f"{beam.name}, with repeats (ours)"

    def recommend(self, cases: Sequence[Case], k: int) -> np.ndarray:
        """Item rows, best first. Shape: (len(cases), k); -1 where both hold fewer."""
        trie, n_items = self.beam.generator.trie, self.beam.generator.dataset.n_items
        out = np.full((len(cases), k), -1, np.int64)
        for row, case in enumerate(cases):
            legal = case.legal(n_items)
            mask = None if legal.all() else trie.mask(legal)
            items, log_p = rank_items(trie, self.beam.found(case, mask), None, mask)
            items, _ = mixed(items, log_p, distinct(case.history, case.ages), self.share, legal)
            out[row, : len(items)] = items[:k]
        return out


def choose_share(beam: JdRecommender, workspace: Workspace, seed: int, report: Report = silent) -> float:
    """The β of the best mean NDCG@10 over validation cases; ties go to the smaller one, and without validation baskets it is 0.

    What `beam` was asked so far is not touched.
    """
    try:
        cases = next_items(workspace, "validation", TUNED_ON, seed, report).cases
    except WorkspaceError:
        return 0.0
    beam = JdRecommender(beam.name, beam.generator, beam.beams)
    targets, price = [case.targets for case in cases], np.zeros(beam.generator.dataset.n_items)
    lists = [WithRepeats(beam, share).recommend(cases, 10) for share in SHARES]
    scores = [float(accuracy(each, targets, price, (10,))["ndcg", 10].mean()) for each in lists]
    return SHARES[int(np.argmax(scores))]
