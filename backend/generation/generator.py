"""Three-step generation (SIGMA §1.4): prefix beam → nearest items inside each prefix → adaptive fusion, with a full trace.

- Filters mask prefixes and items, so every result is legal; a filter that leaves fewer than N items says so in the notes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from backend.data import schema as c
from backend.data.prices import log_price
from backend.data.record import Records
from backend.data.schema import Dataset
from backend.data.store import open_dataset
from backend.errors import RequestError
from backend.generation.asked import DEFAULT_INSTRUCTION, described, to_choose_from, total_notes, understood, within_total
from backend.generation.beam import Beams, prefix_beam
from backend.generation.catalogue import PrefixIndex
from backend.generation.diversity import POOL, spaced
from backend.generation.filters import allowed_items
from backend.generation.frames import prefix_frame, prompt_frame
from backend.generation.fusion import fuse, item_priors
from backend.generation.judged import Judged, Moment, log_shares
from backend.generation.logits import nearness
from backend.generation.request import Request
from backend.generation.runner import PromptState, Runner
from backend.generation.shopper import Shopper, Shoppers
from backend.generation.subset import best_of_each, cosines, without_items
from backend.generation.trace import Trace
from backend.generation.turns import Turns
from backend.instructions.reading import Reading, read
from backend.model.loading import load_model
from backend.model.prompt import Tokens
from backend.model.sigma import SigmaModel
from backend.settings import FusionSettings
from backend.tokenization.prefixes import prefix_name
from backend.workspace import Workspace

OnStep = Callable[[str, dict], None]
SUBSETS = (
    "prefix", "item", "phi", "cos", "p_item", "sureness", "repeat", "popularity", "judge", "score", "score_without_apf",
)  # fmt: skip


class Generator:
    """Recommends from a trained model.

    Args:
        model: the trained model, with its item store.
        dataset: the catalogue and the households.
        judge: scores items for `FusionSettings.judge_weight`; None = that weight plays no part.
    """

    def __init__(self, model: SigmaModel, dataset: Dataset, judge: Judged | None = None) -> None:
        self.model, self.dataset = model, dataset
        self.sids = model.store.sids
        self.index = PrefixIndex(self.sids, model.levels)
        self.shoppers = Shoppers(dataset)
        self.runner = Runner(model)
        self.records = Records(dataset)
        self.price = log_price(dataset)
        self.judge = judge
        self._lock = Turns()  # held while the model computes, not while somebody draws: sessions take turns step by step

    def warm(self) -> None:
        """Answer a request and read two more, so that the first user does not wait for what is made once (kernels, prepared names)."""
        for text in (
            "my weekly shop",
            f"something in {self.dataset.items[c.CATEGORY].iloc[0]}",
        ):  # names nothing, names something
            self.read(text)
        self.recommend(Request(instruction="something new for dinner", user=str(self.dataset.users[c.USER].iloc[0])))

    # reading the request ------------------------------------------------------------------------------------------------

    def read(self, instruction: str) -> Reading:
        """What is understood of an instruction; an empty one asks for the next basket."""
        with self._lock:
            return read(instruction or DEFAULT_INSTRUCTION, self.model.listen.catalogue)

    # the three steps ----------------------------------------------------------------------------------------------------

    def recommend(self, request: Request, on_step: OnStep | None = None) -> Trace:
        """The list for a request, and how it came about.

        Args:
            on_step: called with "prompt", "prefixes", "subsets", "fusion" and {"frame", "ms"} as each ends; its own time is not counted.

        Raises:
            RequestError: unknown shopper, item, category or prefix; an instruction or a price that makes no sense.
        """
        began = time.perf_counter()
        reading, asked = understood(request, self.read)
        shopper = self.shoppers.resolve(request)
        allowed, notes = allowed_items(self.dataset, asked, shopper.items, self.shoppers.item_rows)
        forced = request.forced_prefix
        if forced is not None and self.index.row(forced) is None:
            raise RequestError(f"no item has the prefix {prefix_name(forced)}", "forced prefix", "take one of the listed ones")
        read_ms = 1000 * (time.perf_counter() - began)
        fusion = request.fusion.with_hidden(asked.seen == "hide")
        trace = self.generate(shopper, reading.instruction, fusion, allowed, forced, on_step, asked.max_total)
        trace.request = described(request, reading, asked)
        trace.notes = notes + trace.notes
        steps = {"reading": round(read_ms, 2), **trace.timings_ms}
        trace.timings_ms = {**steps, "total": round(sum(steps.values()), 2)}
        return trace

    def generate(
        self,
        shopper: Shopper,
        instruction: str,
        settings: FusionSettings,
        allowed: np.ndarray,
        forced: tuple[int, ...] | None = None,
        on_step: OnStep | None = None,
        total: float | None = None,
    ) -> Trace:
        """The three steps for a shopper and an instruction that were read already.

        Args:
            total: dollars that the list as a whole may cost.

        Shape:
            allowed: (n_items,) bool, what the filters leave.
        """
        timings: dict[str, float] = {}

        def ended(step: str, frame: pd.DataFrame, since: float) -> float:
            timings[step] = round(1000 * (time.perf_counter() - since), 2)
            if on_step:
                on_step(step, {"frame": frame, "ms": timings[step]})
            return time.perf_counter()

        clock = time.perf_counter()
        tokens, state = self.prompt(shopper, instruction)
        prompt = prompt_frame(tokens, self.dataset.items[c.TITLE], self.model.codes)
        clock = ended("prompt", prompt, clock)

        width = 1 if settings.top1_prefix else settings.beams
        beams = prefix_beam(
            self.index,
            lambda prefixes: self.runner.code_log_probs(state, prefixes, settings.repeat_weight),
            width,
            allowed,
            forced,
        )
        prefixes = prefix_frame(beams, self.index, forced)
        clock = ended("prefixes", prefixes, clock)

        scores = self._judged(shopper, settings)
        subsets, spread = self._subsets(state, beams, settings, allowed, scores)
        clock = ended("subsets", subsets, clock)

        fused = rank(subsets, to_choose_from(settings, total), self.model.store.text)
        notes = []
        if total is not None:
            fused, spent = within_total(fused, self.dataset.items[c.PRICE].to_numpy(float), total, settings.top)
            notes = total_notes(len(fused), settings.top, spent, total)
        fused["seen"] = fused["item"].isin(shopper.items)
        ended("fusion", fused, clock)
        notes = notes or _shortage(len(fused), settings.top, int(allowed.sum()), len(beams.rows), forced)
        if settings.judge_weight and scores is None:
            notes.append(f"the judge's weight plays no part: {self.judge.missing() if self.judge else 'no judge was opened'}")
        return Trace({}, prompt, prefixes, subsets, fused, spread, notes, timings, state.demand, state.pools)

    def prompt(self, shopper: Shopper, instruction: str) -> tuple[Tokens, PromptState]:
        """The prompt's tokens, and the prompt after the backbone (from the last few, where it is among them)."""
        tokens = self.runner.tokens(shopper, instruction)
        return tokens, self.runner.prompt_state(
            tokens, self.records.of(shopper.items, shopper.days, shopper.steps, deals=self.records.deals_now)
        )

    def _judged(self, shopper: Shopper, settings: FusionSettings) -> np.ndarray | None:
        """The judge's scores s_hol of all items, where they play a part. Shape: (n_items,)."""
        if not settings.judge_weight or self.judge is None or self.judge.missing():
            return None
        return self.judge.scores(Moment.of(shopper))

    def _subsets(
        self, state: PromptState, beams: Beams, settings: FusionSettings, allowed: np.ndarray, scores: np.ndarray | None
    ) -> tuple[pd.DataFrame, float]:
        """Steps 2 and 3 inside the kept prefixes: the M best items of each with all their scores, and σ.

        Shape:
            scores: (n_items,) of the judge; None = they play no part.
        """
        if not len(beams.rows):
            return pd.DataFrame(columns=SUBSETS), 1.0
        members = self.index.members[beams.rows]  # (K, L)
        members = members[:, : int((members >= 0).sum(1).max())]
        h, weights = self.runner.queries(state, self.index.last.codes[beams.rows])
        cos = nearness(cosines(h, self.runner.soft, members, allowed), state.known, 0, members)
        if not self.model.settings.soft_token:
            cos = without_items(cos)
        safe = np.maximum(members, 0)
        judge = np.zeros(1) if scores is None else log_shares(scores)[safe]
        terms = (weights[:, 0], *item_priors(weights, state.known.terms[0].numpy()[safe]), self.price[safe], judge)
        _, repeat, popularity, *_ = terms
        score, log_item, spread = fuse(beams.log_phi, cos, settings, *terms)
        unspread = settings.model_copy(update={"apf": False})
        plain = fuse(beams.log_phi, cos, unspread, *terms)[0]
        k, column = best_of_each(score, settings.per_prefix)
        names = np.array([prefix_name(codes) for codes in self.index.last.codes[beams.rows]])
        rows = members[k, column]
        columns = (
            names[k], rows, np.exp(beams.log_phi[k]), cos[k, column], np.exp(log_item[k, column]),
            weights[k, 0], repeat[k, column], popularity[k, column], np.full(len(k), np.nan) if scores is None else scores[rows],
            score[k, column], plain[k, column],
        )  # fmt: skip
        return pd.DataFrame(dict(zip(SUBSETS, columns, strict=True))), float(spread)


def rank(subsets: pd.DataFrame, settings: FusionSettings, vectors: np.ndarray) -> pd.DataFrame:
    """The fused list: the best `top` rows of the subsets, spread out where that is asked for, with their ranks with and without APF.

    Ties go to the larger cosine, then to the smaller item row.

    Shape:
        vectors: (n_items, d) grounded vectors, unit norm.
    """
    order = np.lexsort((subsets["item"], -subsets["cos"], -subsets["score"]))
    if settings.diversity:
        pool = order[: max(POOL, settings.top)]
        score, items = (subsets[name].to_numpy()[pool] for name in ("score", "item"))
        order = pool[spaced(score, vectors[items], settings.diversity, settings.top)]
    order = order[: settings.top]
    plain = np.empty(len(subsets), np.int64)
    plain[np.lexsort((subsets["item"], -subsets["cos"], -subsets["score_without_apf"]))] = np.arange(1, len(subsets) + 1)
    fused = subsets.iloc[order].copy()
    fused.insert(0, "rank", np.arange(1, len(fused) + 1))
    fused["rank_without_apf"] = plain[order]
    return fused.reset_index(drop=True)


def _shortage(found: int, wanted: int, reachable: int, prefixes: int, forced: tuple[int, ...] | None) -> list[str]:
    """What to say when the list is shorter than it was asked to be."""
    if found >= wanted:
        return []
    if forced is not None:
        return [f"the forced prefix holds {found} of the {reachable} items that pass the filters: let go of it for more"]
    if reachable < wanted:
        return [f"only {reachable} items pass the filters"] if reachable else []
    return [f"the {prefixes} kept prefixes hold only {found} of the {reachable} items that pass the filters: raise K or M"]


def load_generator(
    workspace: Workspace, dataset: Dataset | None = None, judge: Judged | None = None, model: SigmaModel | None = None
) -> Generator:
    """The generator of a workspace. From here on numpy's products take one thread in this process.

    Args:
        judge: scores items where the fusion asks for it; None = nobody does.
        model: with other weights than the workspace's model stage (a policy's); None = that stage's.

    Raises:
        WorkspaceError: a stage is missing, stale, damaged, or does not fit the others.
    """
    threadpool_limits(1, user_api="blas")  # its idle threads spin on after a product, and torch's would wait for them
    dataset = dataset or open_dataset(workspace)
    generator = Generator(model or load_model(workspace, dataset), dataset, judge)
    generator.warm()
    return generator
