"""Prices as the ranking weighs them."""

from __future__ import annotations

import numpy as np

from backend.data import schema as c
from backend.data.schema import Dataset


def log_price(dataset: Dataset) -> np.ndarray:
    """log(price / median price), 0 where there is no price: `value_weight` times this is the exponent of the price. Shape: (n_items,)."""
    price = dataset.items[c.PRICE].to_numpy(float)
    known = np.isfinite(price) & (price > 0)
    middle = float(np.median(price[known])) if known.any() else 1.0
    return np.log(np.where(known, price, middle) / middle).astype(np.float32)
