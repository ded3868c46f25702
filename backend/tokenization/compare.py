"""Two tokenizations of the same items, side by side.

- Codes are arbitrary names, so first-level prefixes of the two are matched one to one by the items that they share (Hungarian method); an item has
  *moved* when its prefixes are not matched. Beside that, without any matching: how much of an item's company stays (Jaccard of the items that share
  its first code), and the adjusted mutual information of the partitions at each level.
- A tokenization that was made is kept on disk under a key of everything it depends on; what cannot be read is made again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_mutual_info_score

from backend.disk import replacing
from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import TokenSettings
from backend.tokenization.choose import quantize
from backend.tokenization.semantic_ids import health

METRICS = ("usage", "perplexity", "reconstruction_error", "purity", "prefixes")  # of each level of the health report


@dataclass(frozen=True)
class Tokenization:
    """Codes of all items and their health.

    Shape:
        sids: (n_items, levels) int64.
    """

    name: str
    sids: np.ndarray
    health: dict[str, Any]


@dataclass(frozen=True)
class Compared:
    """Two tokenizations side by side.

    Frames:
        figures: metric · level · left · right (level 0 = of the whole).
        agreement: level · information (adjusted mutual information of the two partitions; 1 = the same, 0 = as by chance).
        items: company (share of the items around it at level 1 that stay) · moved, by item row.

    Shape:
        overlap: (left prefixes, right prefixes) items in both; columns are ordered so that matched prefixes meet on the diagonal.
        rows, columns: first codes in that order.
    """

    left: Tokenization
    right: Tokenization
    figures: pd.DataFrame
    agreement: pd.DataFrame
    items: pd.DataFrame
    overlap: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @property
    def moved(self) -> int:
        """Items whose first-level prefixes are not matched with each other."""
        return int(self.items["moved"].sum())


def describe(settings: TokenSettings) -> str:
    """A tokenization's settings as one would say them."""
    shape = f"{settings.levels} × {settings.codes}"
    if settings.quantizer == "rq-vae":
        return f"RQ-VAE {shape}, {settings.latent} wide, {settings.epochs} epochs"
    return f"RQ-KMeans {shape}, balance {settings.balance:g}"


def tokenize(
    vectors: np.ndarray,
    categories: Sequence[str],
    settings: TokenSettings,
    seed: int,
    path: Path | None = None,
    report: Report = silent,
    cancel: CancelToken | None = None,
) -> Tokenization:
    """Make a tokenization, or read it where it was made before.

    Shape:
        vectors: (n, dim).

    Args:
        path: file to keep it in; its name must depend on everything else.

    Raises:
        Cancelled: asked to stop; nothing is kept.
    """
    kept = _read(path) if path else None
    if kept is not None and len(kept.sids) == len(vectors):
        report(Progress("tokens", 1, 1, "kept"))
        return kept
    quantizer, codes = quantize(vectors, settings, seed, report, cancel)
    made = Tokenization(describe(settings), codes, health(codes, quantizer, vectors, categories))
    if path:
        _write(path, made)
    return made


def _write(path: Path, made: Tokenization) -> None:
    """Whole or not at all."""
    about = {"name": made.name, "health": json.dumps(made.health)}
    with replacing(path) as aside:
        save_file({"sids": np.ascontiguousarray(made.sids, np.int16)}, aside, metadata=about)


def _read(path: Path) -> Tokenization | None:
    try:
        with safe_open(path, "np") as file:
            about = file.metadata() or {}
            return Tokenization(about["name"], file.get_tensor("sids").astype(np.int64), json.loads(about["health"]))
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def compare(left: Tokenization, right: Tokenization) -> Compared:
    """Hold two tokenizations of the same items against each other."""
    rows, a = np.unique(left.sids[:, 0], return_inverse=True)
    columns, b = np.unique(right.sids[:, 0], return_inverse=True)
    table = np.zeros((len(rows), len(columns)), np.int64)
    np.add.at(table, (a, b), 1)
    row, column = linear_sum_assignment(table, maximize=True)
    match = np.full(len(rows), -1)
    match[row] = column
    both = table[a, b]  # (n,) items that are with it on both sides, itself included
    company = (both - 1) / np.maximum(table.sum(1)[a] + table.sum(0)[b] - both - 1, 1)
    alone = (table.sum(1)[a] == 1) & (table.sum(0)[b] == 1)
    items = pd.DataFrame({"company": np.where(alone, 1.0, company), "moved": match[a] != b})
    order = np.argsort(-table.sum(1), kind="stable")
    matched = [match[each] for each in order if match[each] >= 0]
    rest = [each for each in range(len(columns)) if each not in set(matched)]
    arranged = np.array(matched + rest, int)
    return Compared(
        left, right, _figures(left.health, right.health), _agreement(left.sids, right.sids), items, table[order][:, arranged],
        rows[order], columns[arranged],
    )  # fmt: skip


def _figures(left: dict[str, Any], right: dict[str, Any]) -> pd.DataFrame:
    rows = []
    for level in range(max(len(left["levels"]), len(right["levels"]))):
        sides = [side["levels"][level] if level < len(side["levels"]) else {} for side in (left, right)]
        rows += [(metric, level + 1, *(float(side.get(metric, np.nan)) for side in sides)) for metric in METRICS]
    for metric in ("collisions", "largest_prefix", "smallest_prefix"):
        rows.append((metric, 0, float(left[metric]), float(right[metric])))
    return pd.DataFrame(rows, columns=["metric", "level", "left", "right"])


def _agreement(left: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    rows = []
    for level in range(1, min(left.shape[1], right.shape[1]) + 1):
        labels = [np.unique(sids[:, :level], axis=0, return_inverse=True)[1].ravel() for sids in (left, right)]
        rows.append(
            (level, float(adjusted_mutual_info_score(*labels)) if level <= 2 else np.nan)
        )  # later partitions are near singletons
    return pd.DataFrame(rows, columns=["level", "information"])
