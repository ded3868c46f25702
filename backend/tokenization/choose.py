"""Which quantiser: one function to make it, one to open it again."""

from __future__ import annotations

import numpy as np

from backend.progress import CancelToken, Report, silent
from backend.settings import TokenSettings
from backend.tokenization.quantizers import Codebooks, Quantizer, rq_kmeans


def quantize(
    vectors: np.ndarray, settings: TokenSettings, seed: int, report: Report = silent, cancel: CancelToken | None = None
) -> tuple[Quantizer, np.ndarray]:
    """Fit the quantiser that the settings name, and assign the items.

    Shape:
        vectors: (n, dim); returns: the quantiser, and codes (n, levels) int64.
    """
    if settings.quantizer == "rq-vae":
        from backend.tokenization.rq_vae import rq_vae  # brings torch along

        return rq_vae(vectors, settings, seed, report, cancel)
    return rq_kmeans(vectors, settings, seed, report, cancel)


def load_quantizer(arrays: dict[str, np.ndarray]) -> Quantizer:
    """The quantiser of stored arrays (`Quantizer.arrays`)."""
    if "mean" in arrays:
        from backend.tokenization.rq_vae import RQVAE

        return RQVAE.load(arrays)
    return Codebooks(arrays["centroids"])
