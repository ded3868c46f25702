"""The advantage plane: what the rollouts of a few contexts are worth to business and to the judge, side by side (S-GRec eq. 6-7).

One row a rollout. Nothing is trained here: it shows on which rollouts the gate would open, and how far the judge would be heard.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from backend.alignment.a2po import coefficient, gate
from backend.alignment.arm import Scorer
from backend.alignment.policy import Policy, rollouts, with_truth
from backend.evaluation.cases import Case
from backend.judge.group_relative import normalised
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import PolicySettings

COLUMNS = (
    "group", "user", "item", "rank", "added", "bought", "business", "semantic", "a_biz", "a_sem", "gate", "coefficient", "advantage",
)  # fmt: skip
_BATCH = 8  # contexts in one pass: small, so that a page sees progress


@torch.no_grad()
def advantage_plane(
    policy: Policy,
    cases: Sequence[Case],
    scorer: Scorer,
    settings: PolicySettings,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> pd.DataFrame:
    """Rollouts of some contexts with both rewards, both advantages, the gate and λ.

    Returns:
        `COLUMNS`: group (place of the context), user and item (rows), rank in the rollout, whether it was added as the right answer, whether
        it was bought, rewards, advantages, gate (0 or 1), coefficient (λ), advantage (A_biz + λ·A_sem).

    Raises:
        Cancelled: asked to stop.
    """
    prefix_of = torch.from_numpy(policy.generator.index.last.of_item)
    frames = []
    for begin in range(0, len(cases), _BATCH):
        if cancel:
            cancel.check()
        part = list(cases[begin : begin + _BATCH])
        batch = policy.prepare(part)
        items, prefixes = policy.log_probs(batch)
        plain = rollouts(items, prefixes, prefix_of, settings.group, settings.beams)
        group = with_truth(plain, items, [case.targets for case in part]) if settings.truth else plain
        valid, safe = group >= 0, group.clamp(min=0)
        business, semantic = scorer.rewards(part, safe, np.ones(len(part), bool))
        first, second = normalised(business), normalised(semantic)
        weight = coefficient(first, second)
        told = (business, semantic, first, second, gate(first, second), weight, first + weight * second)
        for row, case in enumerate(part):
            keep = valid[row].numpy()
            own = group[row].numpy()
            columns = [each[row].double().numpy() for each in told]
            frame = pd.DataFrame(
                [np.full(len(own), begin + row), np.full(len(own), case.user), own, np.arange(1, len(own) + 1),
                 (group[row] != plain[row]).numpy(), np.isin(own, case.targets), *columns],
                index=list(COLUMNS),
            ).T  # fmt: skip
            frames.append(frame[keep])
        report(Progress("plane", min(begin + _BATCH, len(cases)), len(cases), "rollouts"))
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))
    whole = ["group", "user", "item", "rank"]
    return table.astype({**dict.fromkeys(whole, np.int64), "added": bool, "bought": bool, **dict.fromkeys(COLUMNS[6:], float)})
