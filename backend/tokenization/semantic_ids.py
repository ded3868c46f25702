"""The health report of a tokenization: are all codes used, are prefixes even, do they mean something?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.tokenization.quantizers import Quantizer


def health(codes: np.ndarray, codebooks: Quantizer, vectors: np.ndarray, categories: Sequence[str]) -> dict[str, Any]:
    """Health of a tokenization.

    Shape:
        codes: (n, levels); vectors: (n, dim) the quantised vectors.

    Returns:
        Per level: usage (share of codes in use), perplexity, reconstruction error (relative squared error after the level),
        purity (share of items in their prefix's majority category); and over all: largest and smallest first-level
        prefix, collisions (items that share their full SID with another).
    """
    n, levels = codes.shape
    total = float(((vectors - vectors.mean(0)) ** 2).sum())
    report: dict[str, Any] = {"items": n, "levels": []}
    labels = np.unique(np.asarray(categories, dtype=object), return_inverse=True)[1]
    for level in range(levels):
        share = np.bincount(codes[:, level], minlength=codebooks.centroids.shape[1]) / n
        used = share[share > 0]
        prefix = np.unique(codes[:, : level + 1], axis=0, return_inverse=True)[1].ravel()
        table = np.zeros((prefix.max() + 1, labels.max() + 1), np.int32)
        np.add.at(table, (prefix, labels), 1)
        error = float(((vectors - codebooks.decode(codes[:, : level + 1])) ** 2).sum())
        report["levels"].append(
            {
                "level": level + 1,
                "usage": float((share > 0).mean()),
                "perplexity": float(np.exp(-(used * np.log(used)).sum())),
                "reconstruction_error": error / total if total else 0.0,
                "purity": float(table.max(1).sum() / n),
                "prefixes": int(prefix.max() + 1),
            }
        )
    sizes = np.bincount(codes[:, 0], minlength=codebooks.centroids.shape[1])
    _, counts = np.unique(codes, axis=0, return_counts=True)
    report["largest_prefix"] = int(sizes.max())
    report["smallest_prefix"] = int(sizes[sizes > 0].min())
    report["collisions"] = int(counts[counts > 1].sum())
    report["notes"] = [
        f"level {row['level']} uses {row['usage']:.0%} of its codes: fewer distinct residuals than codes, or dead codes"
        for row in report["levels"]
        if row["usage"] < 0.95
    ]
    return report
