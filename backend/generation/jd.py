"""Recommending by the recipe `jd`: prompt → beam over full semantic IDs, along the catalogue's trie → items.

- The instruction is read for its filters, which mask the trie; the article's model has one task, the next item, and reads no wishes.
- Items are ranked, not SIDs: where several share one, each takes its share. With `jd.repeats` the household's own purchases are mixed in (ours).
- The free beam runs beside the constrained one where it is asked for, so that one sees what the constraint is worth.
- Titles ↔ SIDs: the alignment tasks asked of the trained model.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from backend.data import schema as c
from backend.data.history import History
from backend.data.schema import Dataset
from backend.data.store import open_dataset
from backend.generation.asked import DEFAULT_INSTRUCTION, described, total_notes, understood, within_total
from backend.generation.causal import CodeDecoder
from backend.generation.constrained import Found, NextCode, constrained_beam, free_beam, rank_items
from backend.generation.filters import allowed_items
from backend.generation.logits_processor import own_settings
from backend.generation.repeats import mixed
from backend.generation.request import Request
from backend.generation.searched import BEAMS, Ended, beams_of, searched
from backend.generation.shopper import Shoppers
from backend.generation.turns import Turns
from backend.grounding.encoders import shared_text_encoder
from backend.instructions.catalogue import Catalogue, prepare
from backend.instructions.jd_prompts import Piece, first_wording, item_prompt, title_prompt
from backend.instructions.reading import Reading, read
from backend.instructions.templates import sanitise
from backend.instructions.trained import reader_of, trained_tasks
from backend.model.full_sid import FullSidModel
from backend.model.item_words import safe
from backend.model.jd_examples import ask
from backend.model.jd_loading import load_jd
from backend.settings import JdSettings
from backend.tokenization.prefixes import prefix_name
from backend.tokenization.trie import NodeMask
from backend.workspace import Workspace

ONE_TASK = "this recipe predicts the next item from the history; of the instruction it takes the filters alone"
_LONGEST_TITLE = 40  # tokens
_TITLE_BEAMS = 10  # of a title's search


@dataclass
class JdTrace:
    """Everything that happened between the prompt and the list.

    Frames:
        prompt  position · kind (text|item) · text · item (row or -1)
        nodes, constrained, free   see `searched`; `free` is empty where it was not asked for
        fused   rank · item (row) · sid · p (the item's share of its SID's probability, repeats mixed in) · shared · seen (bought before)
    """

    request: dict[str, Any]
    prompt: pd.DataFrame
    nodes: pd.DataFrame
    constrained: pd.DataFrame
    free: pd.DataFrame
    fused: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    timings_ms: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> str:
        """The whole trace as one JSON document."""
        frames = {name: getattr(self, name) for name in ("prompt", "nodes", "constrained", "free", "fused")}
        told = {name: json.loads(frame.to_json(orient="records")) for name, frame in frames.items()}
        return json.dumps(
            {"recipe": "jd", "request": self.request, "notes": self.notes, "timings_ms": self.timings_ms, **told}, indent=1
        )


@dataclass(frozen=True)
class Translated:
    """A title as items.

    Frames:
        beams  as `searched.beams`, along the trie; `free` without it.
    """

    beams: pd.DataFrame
    free: pd.DataFrame


class JdGenerator:
    """Recommends from a trained model of the recipe.

    Args:
        model: the trained model; LoRA is merged into it here.
        catalogue: what instructions are read with.
    """

    def __init__(self, model: FullSidModel, settings: JdSettings, dataset: Dataset, catalogue: Catalogue) -> None:
        self.words, self.settings, self.dataset, self.catalogue = model.words, settings, dataset, catalogue
        self.plain = model.plain()
        self.decoder = CodeDecoder(self.plain, self.words.levels)
        self.trie = self.words.representation.trie
        self.shoppers = Shoppers(dataset)
        self.titles: list[str] = dataset.items[c.TITLE].tolist()
        self._lock = Turns()

    # the search ----------------------------------------------------------------------------------------------------------

    def sid(self, item: int) -> str:
        """How an item is written: "a17·b203·c9·d41·e0"."""
        return prefix_name(self.words.representation.codes[item])

    def behind(self, pieces: Sequence[Piece]) -> NextCode:
        """The model behind a prompt."""
        asked = self.decoder.ask(torch.tensor(self.words.prompt(pieces)), self.settings.normaliser == "full")
        return Ended(asked) if self.words.representation.padded else asked

    def search(self, pieces: Sequence[Piece], beams: int, mask: NodeMask | None = None, along: bool = True) -> Found:
        """The best SIDs behind a prompt: along the trie, or free."""
        with self._lock, torch.inference_mode():
            model = self.behind(pieces)
            return (
                constrained_beam(self.trie, model, beams, mask, self.settings.normaliser)
                if along
                else free_beam(self.trie, model, beams)
            )

    def next_prompt(self, history: History, profile: str, now: pd.Timestamp | None) -> list[Piece]:
        """The question for the next item."""
        return ask(history, profile, now, self.settings)

    # recommending --------------------------------------------------------------------------------------------------------

    def read(self, instruction: str) -> Reading:
        """What is understood of an instruction; an empty one asks for the next basket."""
        with self._lock:
            return read(instruction or DEFAULT_INSTRUCTION, self.catalogue)

    def recommend(self, request: Request, free_too: bool = True) -> JdTrace:
        """The list for a request, and how it came about.

        Raises:
            RequestError: unknown shopper, item or category; an instruction or a price that makes no sense.
        """
        clock = time.perf_counter()
        reading, asked = understood(request, self.read)
        shopper = self.shoppers.resolve(request)
        allowed, notes = allowed_items(self.dataset, asked, shopper.items, self.shoppers.item_rows)
        timings = {"reading": _ms(clock)}
        clock = time.perf_counter()
        pieces = self.next_prompt(shopper.history, shopper.profile, self.now(request))
        prompt = self._told(pieces)
        timings["prompt"] = _ms(clock)
        mask = None if allowed.all() else self.trie.mask(allowed)
        top = request.fusion.top
        beams = max(self.settings.beams, top) if asked.max_total is None else max(self.settings.beams, 5 * top)
        clock = time.perf_counter()
        with self._lock, torch.inference_mode():
            found, nodes = searched(self.trie, self.behind(pieces), beams, mask, self.settings.normaliser)
            timings["constrained beam"] = _ms(clock)
            clock = time.perf_counter()
            unbound = pd.DataFrame(columns=list(BEAMS))
            if free_too:
                unbound = beams_of(self.trie, free_beam(self.trie, self.behind(pieces), beams))
                timings["free beam"] = _ms(clock)
        items, log_p = rank_items(self.trie, found, None, mask)
        items, p = mixed(items, log_p, shopper.history, self.settings.repeats, allowed)
        fused = pd.DataFrame({"rank": np.arange(1, len(items) + 1), "item": items.astype(np.int64), "p": p})
        if asked.max_total is not None:
            price = self.dataset.items[c.PRICE].to_numpy(float)
            fused, spent = within_total(fused, price, asked.max_total, top)
            notes += total_notes(len(fused), top, spent, asked.max_total)
        fused = fused.head(top)
        codes = self.words.representation.codes[fused["item"].to_numpy(np.int64)]
        leaves = self.trie.walk(codes)
        fused["sid"] = [prefix_name(row) for row in codes]
        fused["shared"] = np.diff(self.trie.leaf_first)[leaves] if len(fused) else 0
        fused["seen"] = fused["item"].isin(shopper.items)
        if self.settings.repeats and len(shopper.history):
            notes.append(f"{self.settings.repeats:.0%} of the probability is the household's own purchases (ours, jd.repeats)")
        if len(fused) < top and asked.max_total is None:
            notes.append(f"{len(fused)} of the {int(allowed.sum())} items that pass the filters were reached by {beams} beams")
        timings["total"] = round(sum(timings.values()), 2)
        told = described(request, reading, asked)
        return JdTrace(told, prompt, nodes, beams_of(self.trie, found), unbound, fused, [*notes, ONE_TASK], timings)

    def now(self, request: Request) -> pd.Timestamp | None:
        """When the next basket of a household is due, whatever of its history was dropped; of a composed shopper's time nothing is known."""
        if request.user is None:
            return None
        ages = self.shoppers.resolve(Request(user=request.user)).days
        if not len(ages):
            return None
        last = int(self.shoppers.histories.first[self.shoppers.user_row(request.user) + 1]) - 1
        when: pd.Timestamp = self.dataset.events[c.TIME].iloc[last] + pd.Timedelta(days=float(ages[-1]))
        return when

    def _told(self, pieces: Sequence[Piece]) -> pd.DataFrame:
        rows = [
            (place, "text", piece, -1) if isinstance(piece, str) else (place, "item", self.sid(piece), piece)
            for place, piece in enumerate(pieces)
        ]
        return pd.DataFrame(rows, columns=["position", "kind", "text", "item"])

    # titles and SIDs -----------------------------------------------------------------------------------------------------

    def title_to_sid(self, title: str) -> Translated:
        """The items that a title may be of.

        Raises:
            RequestError: an empty or too long title.
        """
        pieces = item_prompt(first_wording("item_of", self.settings.language), safe(sanitise(title, "title")))
        along, free = (beams_of(self.trie, self.search(pieces, _TITLE_BEAMS, along=way)) for way in (True, False))
        return Translated(along, free)

    def sid_to_title(self, item: int) -> str:
        """What the model says the title of an item is (greedy)."""
        pieces = title_prompt(first_wording("title_of", self.settings.language), item)
        prompt = torch.tensor([self.words.prompt(pieces)])
        from transformers import GenerationConfig

        config = GenerationConfig(
            max_new_tokens=_LONGEST_TITLE,
            do_sample=False,
            eos_token_id=self.words.end,
            pad_token_id=self.words.end,
            use_cache=True,
        )
        with self._lock, torch.inference_mode(), own_settings(self.plain):
            out = self.plain.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=config)
        return self.words.read(out[0, prompt.shape[1] :].tolist())


def _ms(since: float) -> float:
    return round(1000 * (time.perf_counter() - since), 2)


def load_jd_generator(workspace: Workspace, dataset: Dataset | None = None) -> JdGenerator:
    """The generator of a workspace's second recipe.

    Raises:
        WorkspaceError: the stage is missing, stale, damaged, or of another catalogue.
    """
    dataset = dataset or open_dataset(workspace)
    trained = load_jd(workspace, dataset)
    names = workspace.fresh_stage("grounding").arrays("names")["vectors"].astype(np.float32)
    catalogue = prepare(dataset, shared_text_encoder().known_vectors, names, trained_tasks(workspace))
    reader = reader_of(workspace, catalogue)
    catalogue.asks = reader.of if reader else None
    return JdGenerator(trained.model, trained.settings, dataset, catalogue)
