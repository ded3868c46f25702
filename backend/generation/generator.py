"""Three-step generation (SIGMA §1.4): prefix beam → nearest items inside each prefix → adaptive fusion, with a full trace.

- The prompt runs through the backbone once; its KV cache serves every continuation. The K prefixes are branches of one tree behind
  the same cache, so they need neither copies of the cache nor K forward passes.
- What depends on the prompt alone (cache, code probabilities, h_k of prefixes met so far) is kept for the last few prompts: moving a
  filter or a weight, or forcing a prefix, re-runs only what depends on it.
- Filters mask prefixes and items, so every result is legal; a filter that leaves fewer than N items says so in the notes.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import DynamicCache

from backend.data import schema as c
from backend.data.history import Histories, History, compose, repeat_prior
from backend.data.schema import Dataset
from backend.data.store import open_dataset
from backend.errors import RequestError
from backend.generation.beam import prefix_beam
from backend.generation.catalogue import PrefixIndex
from backend.generation.filters import allowed_items
from backend.generation.frames import prefix_frame, prompt_frame
from backend.generation.fusion import fuse
from backend.generation.request import Request
from backend.generation.subset import cosines, nearest
from backend.generation.trace import Trace
from backend.grounding.encoders import shared_text_encoder
from backend.instructions.catalogue import Catalogue, prepare
from backend.instructions.reading import Reading, read
from backend.instructions.templates import profile_text, sanitise
from backend.model.examples import profile_line
from backend.model.prompt import QUERY, SID, SPECIAL, Tokens
from backend.model.sigma import SigmaModel
from backend.tokenization.prefixes import prefix_name
from backend.workspace import Workspace

OnStep = Callable[[str, dict], None]
_PROMPTS_KEPT = 8
DEFAULT_INSTRUCTION = "What should I put in my cart next?"


@dataclass
class PromptState:
    """A prompt after the backbone: KV cache, last hidden state, and what has been computed behind it so far."""

    cache: DynamicCache
    length: int  # tokens
    position: int  # of the first token behind the prompt
    last: Tensor  # (1, dim)
    words: Tensor | None  # (1, item_dim) soft token of the instruction
    code_logits: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)  # prefix → (codes,)
    queries: dict[tuple[int, ...], np.ndarray] = field(default_factory=dict)  # prefix → h_k (item_dim,) and two prior weights


@dataclass(frozen=True)
class Shopper:
    """Who is asked for: profile sentence, distinct history, and all past events for the repeat prior."""

    profile: str
    history: History
    items: np.ndarray
    days: np.ndarray
    steps: np.ndarray


class Generator:
    """Recommends from a trained model.

    Args:
        model: the trained model, with its item store.
        dataset: the catalogue and the households.
        name_vectors: sentence vectors of the catalogue's names, as the grounding stage stores them. Shape: (names, 384).
    """

    def __init__(self, model: SigmaModel, dataset: Dataset, name_vectors: np.ndarray | None = None) -> None:
        self.model, self.dataset = model.eval(), dataset
        self.sids = model.store.sids
        self.index = PrefixIndex(self.sids, model.levels)
        self.histories = Histories(dataset)
        with torch.inference_mode():
            self.soft = model.soft_tokens().float().numpy()  # (n_items, item_dim)
            self.soft_tensor = torch.from_numpy(self.soft)
        self.popularity = model.store.statistics[:, 0]  # standardised log of training baskets, 0 for cold items
        self._users = {user: row for row, user in enumerate(dataset.users[c.USER])}
        self._items = {item: row for row, item in enumerate(dataset.items[c.ITEM])}
        self._catalogue: Catalogue | None = None
        self._name_vectors = name_vectors
        self._states: OrderedDict[Any, PromptState] = OrderedDict()
        self._lock = threading.Lock()  # one request at a time: two cores, one model

    def warm(self) -> None:
        """Answer one request, so that the first user does not wait for what is made once (wordings, kernels)."""
        self.recommend(Request(instruction="something new for dinner", user=str(self.dataset.users[c.USER].iloc[0])))

    # reading the request ------------------------------------------------------------------------------------------------

    def read(self, instruction: str) -> Reading:
        """What is understood of an instruction; an empty one asks for the next basket."""
        if self._catalogue is None:
            self._catalogue = prepare(self.dataset, shared_text_encoder().encode, self._name_vectors)
        return read(instruction or DEFAULT_INSTRUCTION, self._catalogue)

    def shopper(self, request: Request) -> Shopper:
        """The shopper of a request.

        Raises:
            RequestError: unknown shopper or item.
        """
        profile, empty = "", np.zeros(0, np.int64)
        items, days, steps, history = empty, empty, empty, compose(empty)
        if request.user is not None:
            if request.user not in self._users:
                raise RequestError(
                    f"unknown household {request.user[:40]!r}", "user", "`python -m backend info` shows example ids"
                )
            row = self._users[request.user]
            low, high = int(self.histories.first[row]), int(self.histories.first[row + 1])
            profile = str(self.dataset.users[c.PROFILE].iloc[row])
            history = self.histories.before(row, high)
            items, steps = self.histories.items[low:high], self.histories.steps[low:high]
            days = self.histories.days[high - 1] - self.histories.days[low:high] if high > low else empty
        if request.profile is not None:
            profile = profile_text(request.profile)
        if request.history is not None:
            items = np.array([self.item_row(item) for item in request.history], np.int64)
            history, days, steps = compose(items), np.zeros(len(items), np.int64), np.arange(len(items))
        if request.dropped:
            dropped = np.array([self.item_row(item) for item in request.dropped], np.int64)
            keep = ~np.isin(items, dropped)
            history, items, days, steps = history.without(dropped), items[keep], days[keep], steps[keep]
        return Shopper(profile, history, items, days, steps)

    def item_row(self, item_id: str) -> int:
        """Row of an item id.

        Raises:
            RequestError: no such item.
        """
        if item_id not in self._items:
            raise RequestError(f"unknown item {item_id[:40]!r}", "item", "use an item_id of this workspace's catalogue")
        return self._items[item_id]

    # the model ----------------------------------------------------------------------------------------------------------

    def tokens(self, shopper: Shopper, instruction: str) -> Tokens:
        """The prompt's tokens, instruction included."""
        layout, backbone = self.model.layout, self.model.backbone
        profile = profile_line(shopper.profile)
        history = shopper.history.salient(self.model.settings.history_items)
        tokens, position = layout.prompt(profile, len(backbone.features([profile])[0]), history)
        layout.instruction(tokens, instruction, len(backbone.features([instruction])[0]), 0, position)
        return tokens

    @torch.inference_mode()
    def prompt_state(self, tokens: Tokens) -> PromptState:
        """Run a prompt through the backbone, or take it from the last few."""
        key = (
            tuple(tokens.value),
            tuple(tokens.kind),
            tuple(tokens.texts),
            tuple(tokens.grounded),
            tuple(tokens.count),
            tuple(tokens.recency),
        )
        if key in self._states:
            self._states.move_to_end(key)
            return self._states[key]
        batch = self.model.collate([tokens])
        n = len(tokens)
        cache = DynamicCache()
        mask = torch.ones(1, 1, n, n, dtype=torch.bool).tril()
        words = self.model.words(batch)
        hidden = self.model.backbone(self.model.embed(batch, self.soft_tensor, words), mask, batch.position, cache)
        state = PromptState(cache, n, int(batch.position.max()) + 1, hidden[:, -1], words)
        self._states[key] = state
        while len(self._states) > _PROMPTS_KEPT:
            self._states.popitem(last=False)
        return state

    def _behind(self, state: PromptState, paths: list[list[tuple[int, int]]]) -> Tensor:
        """Hidden states of the last token of each path of (kind, value) tokens, all behind the same prompt.

        Shape:
            returns: (paths, dim).
        """
        length = len(paths[0])
        flat = torch.tensor([token for path in paths for token in path]).reshape(1, -1, 2)
        position = (state.position + torch.arange(length)).repeat(len(paths))[None]
        own = torch.block_diag(*[torch.ones(length, length).tril()] * len(paths)).bool()
        mask = torch.cat([torch.ones(len(own), state.length, dtype=torch.bool), own], dim=1)[None, None]
        hidden = self.model.extend(flat[..., 0], flat[..., 1], mask, position, state.cache)
        state.cache.crop(-len(own))  # negative: how many to remove
        return hidden[0, length - 1 :: length]

    @torch.inference_mode()
    def code_log_probs(self, state: PromptState, prefixes: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
        """Log-probabilities of the next code behind each prefix.

        Shape:
            prefixes: (beams, t); prior: (codes,) logits added to the first code; returns: (beams, codes).
        """
        keys = [tuple(prefix) for prefix in prefixes.tolist()]
        missing = [key for key in keys if key not in state.code_logits]
        if missing:
            hidden = state.last if not missing[0] else self._behind(state, [self._path(key) for key in missing])
            logits = self.model.code_logits(hidden, len(missing[0])).float().numpy()
            state.code_logits.update(zip(missing, logits, strict=True))
        table = np.stack([state.code_logits[key] for key in keys])
        return log_softmax(table if prior is None or prefixes.shape[1] else table + prior)

    @torch.inference_mode()
    def prefix_prior(self, state: PromptState, repeat: np.ndarray) -> np.ndarray:
        """Logits that the repeat prior adds to the first code. Shape: (n_items,) → (codes,)."""
        return self.model.prefix_prior(state.last, torch.from_numpy(repeat).float()[None]).numpy()[0]

    @torch.inference_mode()
    def queries(self, state: PromptState, prefixes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Query vectors h_k behind each prefix, and the weights of the two item priors there. Shape: (K, ℓ) → (K, item_dim), (K, 2)."""
        keys = [tuple(prefix) for prefix in prefixes.tolist()]
        missing = [key for key in keys if key not in state.queries]
        if missing:
            hidden = self._behind(state, [[*self._path(key), (SPECIAL, QUERY)] for key in missing])
            h = self.model.query_vectors(hidden, state.words).float()
            both = torch.cat([h, self.model.item_priors(hidden)], dim=1).numpy()
            state.queries.update(zip(missing, both, strict=True))
        both = np.stack([state.queries[key] for key in keys])
        return both[:, :-2], both[:, -2:]

    def _path(self, codes: tuple[int, ...]) -> list[tuple[int, int]]:
        return [(SID, level * self.model.codes + code) for level, code in enumerate(codes)]

    # the three steps ----------------------------------------------------------------------------------------------------

    def recommend(self, request: Request, on_step: OnStep | None = None) -> Trace:
        """The list for a request, and how it came about.

        Args:
            on_step: called with "prompt", "prefixes", "subsets", "fusion" and {"frame", "ms"} as each ends.

        Raises:
            RequestError: unknown shopper, item, category or prefix; an instruction or a price that makes no sense.
        """
        began = time.perf_counter()
        reading = self.read(sanitise(request.instruction)) if request.instruction.strip() else self.read("")
        filters = _merge(request, reading)
        shopper = self.shopper(request)
        allowed, notes = allowed_items(self.dataset, filters, shopper.items, self._items)
        if request.forced_prefix is not None and self.index.row(request.forced_prefix) is None:
            raise RequestError(
                f"no item has the prefix {prefix_name(request.forced_prefix)}", "forced prefix", "take one of the listed ones"
            )
        with self._lock:
            return self._run(request, reading, filters, shopper, allowed, notes, on_step or _ignore, began)

    def _run(
        self,
        request: Request,
        reading: Reading,
        filters: Request,
        shopper: Shopper,
        allowed: np.ndarray,
        notes: list[str],
        on_step: OnStep,
        began: float,
    ) -> Trace:
        settings = request.fusion
        timings = {"reading": 1000 * (time.perf_counter() - began)}

        def ended(step: str, frame: pd.DataFrame, since: float) -> float:
            timings[step] = 1000 * (time.perf_counter() - since)
            on_step(step, {"frame": frame, "ms": timings[step]})
            return time.perf_counter()

        clock = time.perf_counter()
        tokens = self.tokens(shopper, reading.instruction)
        state = self.prompt_state(tokens)
        prompt = prompt_frame(tokens, self.dataset.items[c.TITLE], self.model.codes)
        clock = ended("prompt", prompt, clock)

        width = 1 if settings.top1_prefix else settings.beams
        repeat = repeat_prior(shopper.items, shopper.days, shopper.steps, self.dataset.n_items)
        prior = settings.repeat_weight * self.prefix_prior(state, repeat)

        def log_probs(prefixes: np.ndarray) -> np.ndarray:
            return self.code_log_probs(state, prefixes, prior)

        beams = prefix_beam(self.index, log_probs, width, allowed, request.forced_prefix)
        prefixes = prefix_frame(beams, self.index, request.forced_prefix)
        clock = ended("prefixes", prefixes, clock)

        members = self.index.members[beams.rows]  # (K, L)
        members = members[:, : int((members >= 0).sum(1).max(initial=0))]
        if len(beams.rows) and members.size:
            h, gates = self.queries(state, self.index.last.codes[beams.rows])
            cos = cosines(h, self.soft, members, allowed)
            if not self.model.settings.soft_token:
                cos = np.where(np.isfinite(cos), 0.0, -np.inf)  # SID only: items of one SID cannot be told apart
            safe = np.maximum(members, 0)
            priors = gates[:, :1] * repeat[safe], gates[:, 1:] * self.popularity[safe]
            score, log_item, spread = fuse(beams.log_phi, cos, settings, *priors)
            plain = fuse(beams.log_phi, cos, settings.model_copy(update={"apf": False}), *priors)[0]
            chosen = _choose(cos, score, settings.per_prefix)
        else:
            cos = score = log_item = plain = np.zeros((0, 0))
            priors = cos, cos
            spread, chosen = np.array(1.0), np.zeros((0, 0), bool)
        k, column = np.nonzero(chosen)
        names = [prefix_name(codes) for codes in self.index.last.codes[beams.rows]]
        rows = members[k, column] if len(k) else np.zeros(0, np.int64)
        subsets = pd.DataFrame(
            {
                "prefix": [names[row] for row in k],
                "item": rows,
                "phi": np.exp(beams.log_phi[k]) if len(k) else np.zeros(0),
                "cos": cos[k, column],
                "p_item": np.exp(log_item[k, column]),
                "repeat": priors[0][k, column],
                "popularity": priors[1][k, column],
                "score": score[k, column],
                "score_without_apf": plain[k, column],
            }
        )
        clock = ended("subsets", subsets, clock)

        fused = rank(subsets, settings.top)
        fused["seen"] = fused["item"].isin(shopper.items)
        if len(fused) < settings.top:
            reachable = int(allowed.sum())
            notes.append(
                f"only {reachable} items pass the filters"
                if reachable < settings.top
                else f"the {len(beams.rows)} kept prefixes hold only {len(fused)} of the {reachable} items that pass the filters: raise K or M"
            )
        ended("fusion", fused, clock)
        timings["total"] = 1000 * (time.perf_counter() - began)
        asked = request.model_dump(mode="json")
        asked["reading"] = {**reading.as_json(), "filters": _filters_json(filters), "instruction": reading.instruction}
        return Trace(asked, prompt, prefixes, subsets, fused, float(spread), notes, {k: round(v, 2) for k, v in timings.items()})


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _ignore(step: str, data: dict) -> None:
    """The listener that does nothing."""


def _choose(cos: np.ndarray, score: np.ndarray, m: int) -> np.ndarray:
    """M items of each prefix: the nearest by cosine, or by score where priors put others first. Shape: (K, L) bool."""
    by_cos, by_score = nearest(cos, m), nearest(score, m)
    chosen = np.zeros(cos.shape, bool)
    np.put_along_axis(chosen, by_cos if np.array_equal(by_cos, by_score) else by_score, True, axis=1)
    return chosen & np.isfinite(score)


def rank(subsets: pd.DataFrame, top: int) -> pd.DataFrame:
    """The fused list: the best `top` rows of the subsets, with their ranks with and without APF.

    Ties go to the larger cosine, then to the smaller item row.
    """
    order = np.lexsort((subsets["item"], -subsets["cos"], -subsets["score"]))[:top]
    plain = np.empty(len(subsets), np.int64)
    plain[np.lexsort((subsets["item"], -subsets["cos"], -subsets["score_without_apf"]))] = np.arange(1, len(subsets) + 1)
    fused = subsets.iloc[order].copy()
    fused.insert(0, "rank", np.arange(1, len(fused) + 1))
    fused["rank_without_apf"] = plain[order]
    return fused.reset_index(drop=True)


def _merge(request: Request, reading: Reading) -> Request:
    """Hard filters of request and reading together; the request's own wins."""
    update: dict[str, Any] = {}
    if request.max_price is None:
        update["max_price"] = reading.max_price
    if request.min_price is None:
        update["min_price"] = reading.min_price
    if request.seen == "allow":
        update["seen"] = reading.seen
    return request.model_copy(update=update)


def _filters_json(request: Request) -> dict[str, Any]:
    values = {"category": request.category, "max_price": request.max_price, "min_price": request.min_price, "seen": request.seen}
    out = {name: value for name, value in values.items() if value not in (None, "allow")}
    if request.stock is not None:
        out["stock"] = len(request.stock)
    return out


def load_generator(workspace: Workspace, dataset: Dataset | None = None) -> Generator:
    """The generator of a workspace.

    Raises:
        WorkspaceError: a stage is missing, stale, damaged, or does not fit the others.
    """
    from backend.pipeline import load_model

    dataset = dataset or open_dataset(workspace)
    names = workspace.fresh_stage("grounding").arrays("names")["vectors"].astype(np.float32)
    generator = Generator(load_model(workspace, dataset), dataset, names)
    generator.warm()
    return generator
