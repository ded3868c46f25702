"""Paired bootstrap intervals.

- A resample is a row of counts (how often each example was drawn), so all resamples of all metrics are one matrix product:
  `counts @ values`. The same counts serve every column, which is what makes a comparison of recommenders *paired*.
- Undefined values (NaN) are left out of numerator and denominator alike; `n` counts the defined ones.
- Percentile interval, seeded: the same examples and seed give the same interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
LEVEL = 0.95

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval over `n` examples; NaN where n = 0."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def resample_counts(n: int, resamples: int = RESAMPLES, seed: int = 7) -> Floats:
    """How often each example is drawn in each resample.

    Returns:
        Shape: (resamples, n); every row sums to n.
    """
    if n == 0:
        return np.zeros((resamples, 0))
    draws = np.random.default_rng(seed).integers(0, n, (resamples, n), dtype=np.int64)
    draws += np.arange(resamples, dtype=np.int64)[:, None] * n
    return np.bincount(draws.ravel(), minlength=resamples * n).reshape(resamples, n).astype(np.float64)


def intervals(
    values: Floats, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 7, counts: Floats | None = None
) -> list[Interval]:
    """Intervals of the column means, all from the same resamples.

    Args:
        values: Shape: (n examples, m columns); NaN = undefined for this example.
        resamples: number of bootstrap resamples.
        level: probability mass of the interval.
        seed: seed of the resampling.
        counts: resamples that were drawn before (`resample_counts`), of any precision; then the two above are not used.

    Returns:
        m intervals.
    """
    values = np.asarray(values, float)
    defined = np.isfinite(values)
    known = np.where(defined, values, 0.0)
    n = defined.sum(0)
    if counts is None:
        counts = resample_counts(len(values), resamples, seed)  # float64: a difference of nought must come out as nought
    known, resamples = known.astype(counts.dtype, copy=False), len(counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(defined, values, 0.0).sum(0) / np.where(n > 0, n, np.nan)
        drawn = counts @ defined.astype(counts.dtype) if (n < len(values)).any() else np.full((resamples, 1), float(len(values)))
        spread = (counts @ known) / np.where(drawn > 0, drawn, np.nan)  # (resamples, m)
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends = np.full((2, values.shape[1]), np.nan)
    whole = ~np.isnan(spread).any(0)
    ends[:, whole] = np.quantile(spread[:, whole], tails, axis=0)
    sparse = ~whole & (n > 0)  # a resample may by chance hold no defined value of such a column
    if sparse.any():
        ends[:, sparse] = np.nanquantile(spread[:, sparse], tails, axis=0)
    columns = zip(means.tolist(), ends[0].tolist(), ends[1].tolist(), n.tolist(), strict=True)
    return [Interval(mean, low, high, count) for mean, low, high, count in columns]


def interval(values: Floats, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 7) -> Interval:
    """Interval of a mean.

    Args:
        values: Shape: (n,); NaN = undefined.
        resamples: number of bootstrap resamples.
        level: probability mass of the interval.
        seed: seed of the resampling.
    """
    return intervals(np.asarray(values, float)[:, None], resamples, level, seed)[0]


def difference(ours: Floats, theirs: Floats, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 7) -> Interval:
    """Interval of the mean of `ours - theirs` over the same examples (paired).

    Args:
        ours: Shape: (n,).
        theirs: Shape: (n,), the reference's values on the same examples in the same order.
        resamples: number of bootstrap resamples.
        level: probability mass of the interval.
        seed: seed of the resampling.

    Raises:
        ValueError: the two are not of one length, hence not paired.
    """
    if np.shape(ours) != np.shape(theirs):
        raise ValueError(f"not paired: {np.shape(ours)} against {np.shape(theirs)} examples")
    return interval(np.asarray(ours, float) - np.asarray(theirs, float), resamples, level, seed)
