"""SASRec: causal self-attention over the household's last purchases (Kang & McAuley 2018), for baskets.

- The order of items inside a basket means nothing, so it is shuffled anew each epoch, and the question is put where it makes
  sense: at the last item of each basket, "what is in the next basket?".
- Full softmax cross-entropy over all items against the uniform distribution over the next basket (no sampled negatives).
- Tied item embeddings; an output bias that starts at log popularity saves the first epochs from learning it.
- Windows of `length` purchases cut with a random offset each epoch; padding stands on the right, where the causal mask
  hides it from everything that is read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from backend.data.schema import EVENT_ITEM, EVENT_USER, STEP, Dataset
from backend.data.split import Split
from backend.evaluation.baselines.base import Baseline, Floats, Ints, purchase_counts, training_events
from backend.evaluation.cases import Case
from backend.progress import CancelToken, Progress, Report, silent


class SASRec(Baseline):
    """Self-attentive sequential recommendation."""

    name = "SASRec"
    # One setting: a training takes minutes. Chosen by hand on validation, NDCG@10 of JustForYou: two layers, batch 64, 4 epochs .164;
    # two layers, batch 32, 3 epochs, half the learning rate .159; one layer, batch 32, 5 epochs .172 in 138 CPU s;
    # with 8 epochs and lr 6e-3 .175, but no better over all tasks (mean .2776 against .2773) for 218 CPU s.
    GRID: ClassVar[tuple[dict[str, Any], ...]] = ({},)

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        dim: int = 64,
        layers: int = 1,
        heads: int = 2,
        length: int = 50,
        dropout: float = 0.1,
        lr: float = 4e-3,
        batch: int = 32,
        epochs: int = 5,
        seed: int = 7,
        report: Report = silent,
        cancel: CancelToken | None = None,
    ) -> None:
        super().__init__(dataset)
        self.length = length
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = _Network(dataset.n_items, dim, layers, heads, length, dropout, purchase_counts(dataset, split))
            self.seconds = self._train(_Windows(dataset, split, length, seed), lr, batch, epochs, report, cancel)

    def _train(self, windows: _Windows, lr: float, batch: int, epochs: int, report: Report, cancel: CancelToken | None) -> float:
        """Train and return the CPU seconds that it took (on a busy machine the wall clock says little)."""
        began = time.process_time()
        network = self.network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-4)
        total = epochs * windows.batches(batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=total + 1, pct_start=0.1)
        for epoch in range(epochs):
            losses = []
            for sequences, places, rows, targets, weights in windows.epoch(batch):
                if cancel is not None:
                    cancel.check()
                logits = network(sequences).flatten(0, 1)[places]  # (questions, dim) → scored below
                log_p = network.score(logits).log_softmax(-1)  # (questions, n_items)
                loss = -(log_p[rows, targets] * weights).sum() / max(len(places), 1)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
            report(Progress("baselines", epoch + 1, epochs, self.name, {"loss": float(np.mean(losses)) if losses else 0.0}))
        network.eval()
        return time.process_time() - began

    @torch.no_grad()
    def scores(self, cases: Sequence[Case]) -> Floats:
        """Logits of the next basket after the newest purchases."""
        sequences = np.full((len(cases), self.length), self.n_items, np.int64)
        last = np.zeros(len(cases), np.int64)
        for row, case in enumerate(cases):
            recent = case.history[-self.length :]
            sequences[row, : len(recent)] = recent
            last[row] = max(len(recent) - 1, 0)
        hidden = self.network(torch.from_numpy(sequences))[torch.arange(len(cases)), torch.from_numpy(last)]
        return self.network.score(hidden).numpy()


class _Network(nn.Module):
    """Embedding + position → causal transformer → hidden states; `score` compares them with all items."""

    def __init__(self, n_items: int, dim: int, layers: int, heads: int, length: int, dropout: float, counts: Floats) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 1, dim, padding_idx=n_items)
        nn.init.normal_(self.items.weight, std=dim**-0.5)
        self.places = nn.Parameter(torch.randn(length, dim) * 0.02)
        self.bias = nn.Parameter(torch.from_numpy(np.log((counts + 1) / (counts.sum() + len(counts)))).float())
        layer = nn.TransformerEncoderLayer(dim, heads, 4 * dim, dropout, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(dim), enable_nested_tensor=False)
        self.drop = nn.Dropout(dropout)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length), persistent=False)

    def forward(self, sequences: Tensor) -> Tensor:
        """Shape: (batch, length) item rows, n_items = padding → (batch, length, dim)."""
        hidden = self.drop(self.items(sequences) + self.places)
        return self.encoder(hidden, mask=self.mask, is_causal=True)

    def score(self, hidden: Tensor) -> Tensor:
        """Shape: (…, dim) → (…, n_items)."""
        return hidden @ self.items.weight[:-1].T + self.bias


class _Windows:
    """Training windows and their questions, drawn anew each epoch."""

    def __init__(self, dataset: Dataset, split: Split, length: int, seed: int) -> None:
        events = training_events(dataset, split)
        self.items = events[EVENT_ITEM].to_numpy().astype(np.int64)
        users, steps = events[EVENT_USER].to_numpy(), events[STEP].to_numpy()
        self.padding, self.length, self.rng = dataset.n_items, length, np.random.default_rng(seed)
        fresh_user = np.diff(users, prepend=-1) != 0
        fresh = fresh_user | (np.diff(steps, prepend=-1) != 0)
        self.basket = np.cumsum(fresh) - 1  # (events,) basket ordinal
        self.first = np.append(np.flatnonzero(fresh), len(events))  # (baskets + 1,) first event of each basket
        owner = users[self.first[:-1]]
        self.has_next = np.append(owner[1:] == owner[:-1], False)[: len(owner)]  # the next basket is the same household's
        self.user_first = np.append(np.flatnonzero(fresh_user), len(events))  # (users + 1,)
        self.spans = np.diff(self.user_first)

    def batches(self, batch: int) -> int:
        """Largest number of batches of an epoch."""
        return int(-(-(self.spans // self.length + 2).sum() // batch))

    def epoch(self, batch: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
        """Sequences (batch, length), flat places of the questions, and for each target its question, item row and weight."""
        items = self.items[np.lexsort((self.rng.random(len(self.items)), self.basket))]
        starts, stops = self._cut()
        order = self.rng.permutation(len(starts))
        for begin in range(0, len(order), batch):
            chosen = order[begin : begin + batch]
            index = starts[chosen, None] + np.arange(self.length)  # (batch, length) event positions
            real = index < stops[chosen, None]
            index = np.where(real, index, 0)
            basket = self.basket[index]
            asks = real & (self.first[basket + 1] - 1 == index) & self.has_next[basket]
            follow = basket[asks] + 1
            sizes = self.first[follow + 1] - self.first[follow]
            rows = np.repeat(np.arange(len(follow)), sizes)
            within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            targets = items[np.repeat(self.first[follow], sizes) + within]
            arrays: list[Ints] = [np.where(real, items[index], self.padding), np.flatnonzero(asks), rows, targets]
            weights = torch.from_numpy(np.repeat(1 / np.maximum(sizes, 1), sizes)).float()
            sequences, places, question, target = (torch.from_numpy(array) for array in arrays)
            yield sequences, places, question, target, weights

    def _cut(self) -> tuple[Ints, Ints]:
        """Starts and stops of windows that tile each household's events behind a first window of random length."""
        counts = self.spans // self.length + 2
        household = np.repeat(np.arange(len(counts)), counts)
        nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        offset = self.rng.integers(0, self.length, len(counts))[household]
        low = np.maximum((nth - 1) * self.length + offset, 0)
        high = np.minimum(nth * self.length + offset, self.spans[household])
        keep = high > low
        base = self.user_first[household]
        return (base + low)[keep], (base + high)[keep]
