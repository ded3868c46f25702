"""Item representations under one protocol: the same cases, beams and trie code; only how an item is written differs.

- Every representation answers along the trie and free, with beams of 20 and 50. Of a free beam only what the catalogue holds counts; a free
  *title* is also grounded to the item whose title is nearest by sentence vector (`generation.titles`).
- Differences are paired, household by household, from the first representation's constrained beam of 20, and from each baseline.
- The first one's beam also stands mixed with the household's own purchases (ours, `generation.repeats`), β chosen on validation.
- What writing costs (tokens an item, branching, trie bytes) and what a first token says stand beside the figures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backend.data import schema as c
from backend.evaluation.baselines import fit
from backend.evaluation.cases import Case
from backend.evaluation.jd import BEAMS
from backend.evaluation.jd_lists import JdRecommender, beam_rows, measured_lists, next_items
from backend.evaluation.questions import SplitName
from backend.evaluation.repeats import WithRepeats, choose_share
from backend.frames import plain
from backend.generation.jd import JdGenerator
from backend.generation.titles import Encode, TitleGrounder
from backend.progress import CancelToken, Report, silent
from backend.tokenization.representations import compare
from backend.workspace import Workspace, provenance

REFERENCES = ("popularity", "own frequency")


class NearestTitle(JdRecommender):
    """A free beam of titles; what no item is called becomes the item whose title is nearest."""

    def __init__(self, name: str, generator: JdGenerator, beams: int, grounder: TitleGrounder) -> None:
        super().__init__(name, generator, beams, along=False)
        self.kind, self.grounder = "free beam and the nearest title", grounder

    def recommend(self, cases: Sequence[Case], k: int) -> np.ndarray:
        """Item rows, best first. Shape: (len(cases), k); -1 where the beam holds fewer."""
        out = np.full((len(cases), k), -1, np.int64)
        for row, case in enumerate(cases):
            found, asked = self.found(case), len(self.seconds)
            began = time.perf_counter()
            items = self.grounder.items(found, case.legal(self.generator.dataset.n_items), k)
            if case.seen == "allow":  # the view that searched: its request is the search and the grounding
                self.seconds[asked - 1] += time.perf_counter() - began
            out[row, : len(items)] = items
        return out


def measure_representations(
    workspace: Workspace,
    models: Mapping[str, JdGenerator],
    encode: Encode,
    split_name: SplitName = "test",
    limit: int | None = None,
    seed: int = 7,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Measure models of the recipe `jd` over one dataset, the first of them the reference.

    Args:
        workspace: holds the dataset and the grounded vectors.
        encode: sentence vectors, for free titles.
        limit: at most this many households; None = all.

    Returns:
        JSON-able: `results` and `differences` as an evaluation has them, `rows` of beams (model · what · beams · value · low · high · n),
        `representations` (what writing costs), `repeats` (β of the mixture), `others`, and where and when it was measured.

    Raises:
        WorkspaceError: there is no basket to evaluate on.
    """
    asking = next_items(workspace, split_name, limit, seed, report)
    asked: list[JdRecommender] = []
    for name, generator in models.items():
        ways = [(beams, along) for beams in BEAMS for along in (True, False)]
        asked += [
            JdRecommender(f"{name}, {'constrained' if along else 'free'} beam {beams}", generator, beams, along)
            for beams, along in ways
        ]
        if generator.words.separated:
            grounder = TitleGrounder(generator.words, generator.titles, encode)
            asked.append(NearestTitle(f"{name}, free beam {BEAMS[0]} and the nearest title", generator, BEAMS[0], grounder))
    beam = asked[0]
    share = choose_share(beam, workspace, seed, report)
    repeats = WithRepeats(beam, share)
    baselines = [fit(name, asking.dataset, asking.parts, report=report, cancel=cancel) for name in REFERENCES]
    references = [asked[0].name, *REFERENCES]
    lists = measured_lists(workspace, asking, [*asked, repeats, *baselines], references, seed, report, cancel)
    results = lists.results[lists.results["k"] == 10]
    written = compare([one.words.representation for one in models.values()], asking.dataset.items[c.CATEGORY].tolist())
    about = provenance()
    return {
        **{key: about[key] for key in ("commit", "date", "machine")},
        "split": split_name,
        "seed": seed,
        "resamples": lists.resamples,
        "households": asking.households,
        "others": [*(one.name for one in asked), repeats.name],
        "repeats": share,
        "results": plain(results),
        "differences": plain(lists.differences[~lists.differences["recommender"].isin(REFERENCES)]),
        "rows": [row for one in asked for row in beam_rows(one, seed)],
        "representations": plain(written.assign(representation=list(models))),
    }
