"""ALS: implicit-feedback matrix factorisation (Hu, Koren, Volinsky 2008), through the `implicit` library.

- Trained on the household × item counts of the training period, dampened by log1p (weekly milk is not fifty times a preference).
- A case's household vector is folded in from its history with the item factors fixed, so the newest purchases count and
  nothing after training is learned from.
- One thread and a fixed seed: reproducible, and no quarrel with OpenBLAS's own threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from backend.data.schema import EVENT_ITEM, EVENT_USER, Dataset
from backend.data.split import Split
from backend.evaluation.baselines.base import Baseline, Floats, history_matrix, training_events
from backend.evaluation.cases import Case


class ALS(Baseline):
    """Alternating least squares with fold-in."""

    name = "ALS"
    GRID: ClassVar[tuple[dict[str, Any], ...]] = tuple(
        {"factors": factors, "alpha": alpha, "regularization": regularization}
        for factors in (64, 128)
        for alpha in (1.0, 2.0)
        for regularization in (10.0, 30.0)
    )

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        factors: int = 64,
        alpha: float = 2.0,
        regularization: float = 30.0,
        half_life: float | None = None,
        iterations: int = 12,
        seed: int = 7,
    ) -> None:
        super().__init__(dataset)
        self.half_life = half_life
        events = training_events(dataset, split)
        pairs = (events[EVENT_USER].to_numpy(), events[EVENT_ITEM].to_numpy())
        counts = sparse.csr_matrix((np.ones(len(events), np.float32), pairs), shape=(len(dataset.users), dataset.n_items))
        counts.sum_duplicates()
        with threadpool_limits(1, user_api="blas"):
            self.model = AlternatingLeastSquares(
                factors=factors,
                alpha=alpha,
                regularization=regularization,
                iterations=iterations,
                num_threads=1,
                random_state=seed,
            )
            self.model.fit(counts.log1p(), show_progress=False)

    def scores(self, cases: Sequence[Case]) -> Floats:
        """Inner products of folded-in households and items."""
        history = history_matrix(cases, self.n_items, self.half_life).log1p()
        households = self.model.recalculate_user(np.arange(len(cases)), history)  # (n, factors)
        return households @ self.model.item_factors.T
