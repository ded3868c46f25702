"""Semantic IDs for the invented workbench: codes, vectors and evaluation counts written into its folder of manifests."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save_file

from backend.inspection.sids import Sids
from backend.settings import TokenSettings
from backend.tokenization.quantizers import rq_kmeans
from tests.pages.fake import FakeWorkbench

LEVELS, CODES, DIM = 4, 12, 24
SETTINGS = TokenSettings(levels=LEVELS, codes=CODES, iterations=4)


def text_vectors(texts: Sequence[str]) -> np.ndarray:
    """A vector for each text: the sum of its words' own, unit norm."""
    rows = [sum(np.random.default_rng(sum(map(ord, word))).normal(size=DIM) for word in text.split()) for text in texts]
    out = np.asarray(rows, np.float32)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    return out.astype(np.float16).astype(np.float32)


def write_codes(bench: FakeWorkbench, counts: bool = True, soft: bool = True) -> FakeWorkbench:
    """Give the workbench real stages for tokens and grounding, and (`counts`) an evaluation by item."""
    items, folder = bench.dataset.items, bench.workspace.path
    vectors = text_vectors(items["text"].tolist())
    books, codes = rq_kmeans(vectors, SETTINGS, 7)
    save_file({"text": vectors.astype(np.float16)}, folder / "grounding" / "vectors.safetensors")
    save_file({"centroids": books.centroids}, folder / "tokens" / "codebooks.safetensors")
    save_file({"sids": codes.astype(np.int16)}, folder / "tokens" / "store.safetensors")
    path = folder / "tokens" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "settings": SETTINGS.model_dump(mode="json"), "seed": 7}))
    if counts and (folder / "evaluation").is_dir():
        rows = np.arange(len(items))
        parts = [
            pd.DataFrame({"item": rows, "targets": rows // 3 % 5, "hits": np.minimum(rows // 3 % 5, rows % place), "shown": rows % 7 + rows % place})
            .assign(recommender=name, task=task, view=view)
            for place, name in ((3, "SIGMA"), (2, "popularity"))
            for task, view in (("JustForYou", "all"), ("JustForYou", "new"))
        ]  # fmt: skip
        pd.concat(parts).to_parquet(folder / "evaluation" / "items.parquet")
    bench._sids = Sids(bench.workspace, items, bench.dataset.events, bench.lookup.people.item_row, text_vectors)
    if soft:
        bench.soft_parts = fake_parts  # type: ignore[method-assign,assignment]
    return bench


def fake_parts(item_id: str) -> object:
    """An invented composition."""
    from backend.inspection.soft_parts import SoftParts

    shares = pd.DataFrame({"part": ["behaviour", "text", "MLP"], "share": [0.3, 0.6, 0.1]})
    ablations = pd.DataFrame(
        {"without": ["without behaviour", "without text", "without MLP"], "cosine": [0.9, 0.5, 0.95], "kept": [7, 1, 9]}
    )
    return SoftParts(shares, ablations, torch.tensor(True).item())
