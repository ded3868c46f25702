"""The figures of the recipe `jd`: next items under the protocol, how much of a free beam exists, titles ↔ SIDs.

- Beams of 20 and 50, free and along the trie, and the first one mixed with the household's own purchases (ours), beside the baselines (`jd_lists`).
- Titles are asked of items drawn evenly from the catalogue: shares with Wilson intervals, word overlap (F1) with a bootstrap interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.errors import RequestError
from backend.evaluation.baselines import fit
from backend.evaluation.intervals import intervals
from backend.evaluation.jd_lists import JdRecommender, beam_rows, measured_lists, next_items
from backend.evaluation.questions import SplitName
from backend.evaluation.repeats import WithRepeats, choose_share
from backend.frames import plain
from backend.generation.jd import JdGenerator, load_jd_generator
from backend.instructions.measure import Share
from backend.progress import CancelToken, Progress, Report, silent
from backend.workspace import Workspace, provenance

BASELINES = ("popularity", "recent popularity", "own frequency", "own frequency + popularity", "item-kNN", "ALS", "SASRec")
BEAMS = (20, 50)
TRANSLATED = 200  # items whose titles are asked


def evaluate_jd(
    workspace: Workspace,
    split_name: SplitName = "validation",
    report: Report = silent,
    cancel: CancelToken | None = None,
    others: Sequence[tuple[str, Workspace]] = (),
    limit: int | None = None,
    baselines: Sequence[str] = BASELINES,
    seed: int = 7,
) -> dict[str, Any]:
    """Measure the stage `jd`.

    Args:
        others: further (name, workspace) with a stage `jd` over the same dataset (ablations); they answer with the first beam width.
        limit: at most this many households; None = all.

    Returns:
        JSON-able: `results` and `differences` as an evaluation has them (next item, the columns of the protocol), `rows` of beams and translations
        (model · what · beams · value · low · high · n), `others`, and where and when it was measured.

    Raises:
        RequestError: another workspace holds another dataset.
        WorkspaceError: a stage is missing, stale or damaged, or there is no basket to evaluate on.
    """
    asking = next_items(workspace, split_name, limit, seed, report)
    dataset, parts = asking.dataset, asking.parts
    models = [("JD", load_jd_generator(workspace, dataset))]
    for name, other in others:
        if other.stage("dataset").manifest.get("content") != workspace.stage("dataset").manifest.get("content"):
            raise RequestError(
                "the other workspace holds another dataset", f"{name}: {other.path}", "build it from the same source"
            )
        models.append((f"JD, {name}", load_jd_generator(other, dataset)))
    asked = [
        JdRecommender(f"{name}, {'constrained' if along else 'free'} beam {beams}", generator, beams, along)
        for name, generator in models
        for beams in (BEAMS if name == "JD" else BEAMS[:1])
        for along in (True, False)
    ]
    mixed = WithRepeats(asked[0], choose_share(asked[0], workspace, seed, report))
    references: list[Any] = [fit(name, dataset, parts, report=report, cancel=cancel) for name in baselines]
    lists = measured_lists(workspace, asking, [*asked, mixed, *references], [asked[0].name, *baselines], seed, report, cancel)
    rows = [row for one in asked for row in beam_rows(one, seed)]
    for name, generator in models:
        rows += translations(name, generator, seed, report, cancel)
    about = provenance()
    return {
        "command": " ".join(
            [
                f"python -m backend evaluate --recipe jd --split {split_name}",
                *([f"--limit {limit}"] if limit is not None else []),
                *(f'--compare "{name}=DIR"' for name, _ in others),
                "--json",
            ]
        ),
        **{key: about[key] for key in ("commit", "date", "machine")},
        "split": split_name,
        "seed": seed,
        "resamples": lists.resamples,
        "households": asking.households,
        "others": [*(one.name for one in asked), mixed.name],
        "repeats": mixed.share,
        "settings": {name: generator.settings.model_dump(mode="json") for name, generator in models},
        "steps": workspace.stage("jd").metrics.get("steps"),
        "results": plain(lists.results),
        "differences": plain(lists.differences[~lists.differences["recommender"].isin(baselines)]),
        "rows": rows,
    }


def translations(
    name: str, generator: JdGenerator, seed: int, report: Report = silent, cancel: CancelToken | None = None, n: int = TRANSLATED
) -> list[dict[str, Any]]:
    """How well titles are told from SIDs and SIDs from titles, over items drawn evenly from the catalogue."""
    items = np.random.default_rng(seed).permutation(generator.dataset.n_items)[:n].tolist()
    first, among, unbound, exact = 0, 0, 0, 0
    overlap: list[float] = []
    for done, item in enumerate(items, start=1):
        if cancel is not None:
            cancel.check()
        found = generator.title_to_sid(generator.titles[item])
        places = found.beams["item"].tolist()
        first += places[:1] == [item]
        among += item in places
        unbound += found.free["item"].tolist()[:1] == [item]
        said = plain_words(generator.sid_to_title(item))
        wanted = plain_words(generator.words.read(generator.words.title(generator.titles[item])))
        exact += said == wanted
        overlap.append(f1(said, wanted))
        report(Progress("titles", done, len(items), name))
    rows = []
    for what, right in (
        ("title → SID, the item first, along the trie", first),
        ("title → SID, the item first, free beam", unbound),
        ("title → SID, the item among 10, along the trie", among),
        ("SID → title, every word", exact),
    ):
        share = Share(int(right), len(items))
        low, high = share.interval
        rows.append(
            {
                "model": name,
                "beams": None,
                "what": what,
                "value": share.right / max(share.n, 1),
                "low": low,
                "high": high,
                "n": share.n,
            }
        )
    (each,) = intervals(np.array(overlap)[:, None], seed=seed)
    rows.append(
        {
            "model": name,
            "beams": None,
            "what": "SID → title, F1 of the words",
            "value": each.mean,
            "low": each.low,
            "high": each.high,
            "n": each.n,
        }
    )
    return rows


def plain_words(text: str) -> list[str]:
    """The words of a title without case and punctuation."""
    return "".join(mark if mark.isalnum() or mark in ".%" else " " for mark in text.casefold()).split()


def f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    """Harmonic mean of precision and recall of the words, repeats counted."""
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if said or wanted else 1.0
