"""Step 3: adaptive probabilistic fusion (SIGMA §1.4).

    P(v_i|T) = φ_k · exp(cos(h_k,ṽ_i)·σ/τ) / Σ_{j∈V_k} exp(cos(h_k,ṽ_j)·σ/τ),   σ = std(φ_1..φ_K)

- In log domain, with exponents as weights: score = w_φ·log φ + w_item·log P(i|k).
- Ours: the model's priors (own repeat purchases, popularity) are logits beside cos·σ/τ, inside the softmax, as in training; their weights
  1 take them as learned, 0 leaves them out.
- Ours too: σ to the power of a strength (0 = APF off, 1 = the paper's), and on top of the score a business value, w_value·log price, and what a
  judge says, w_judge·log s_hol (S-GRec's score, distilled; see `judged`).
- σ's domain is a setting, since the paper leaves it open: the probabilities φ, φ renormalised over the kept prefixes, or log φ.
- One prefix (K = 1) has no spread: σ = 1 then, which leaves the order inside it as the cosines give it.
- Everything is batched over leading dimensions, so that one request and a whole evaluation run the same code.
"""

from __future__ import annotations

import numpy as np

from backend.model.priors import POPULAR
from backend.settings import FusionSettings


def sigma(log_phi: np.ndarray, domain: str) -> np.ndarray:
    """Spread of the beam scores.

    Shape:
        log_phi: (…, K), -inf where there is no beam; returns: (…,).
    """
    real = np.isfinite(log_phi)
    count = real.sum(-1)
    if domain == "log":
        value = np.where(real, log_phi, 0.0)
    else:
        value = np.where(real, np.exp(np.where(real, log_phi, 0.0)), 0.0)
        if domain == "renormalised":
            value = value / np.maximum(value.sum(-1, keepdims=True), 1e-30)
    mean = value.sum(-1) / np.maximum(count, 1)
    variance = (np.where(real, value - mean[..., None], 0.0) ** 2).sum(-1) / np.maximum(count, 1)
    return np.where(count > 1, np.sqrt(variance), 1.0)


def item_priors(weights: np.ndarray, terms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The priors as logits: what the household's record says (repeat), and what everybody buys (popularity).

    Shape:
        weights: (…, K, 1 + terms) sureness first, as `SigmaModel.weights`; terms: (…, K, L, terms); returns: (…, K, L) each.
    """
    both = weights[..., None, 1:] * terms
    return both[..., :-POPULAR].sum(-1), both[..., -POPULAR:].sum(-1)


def item_log_probs(cos: np.ndarray, scale: np.ndarray, prior: np.ndarray | float = 0.0) -> np.ndarray:
    """log softmax of cos · scale + prior inside each prefix.

    Shape:
        cos: (…, K, L), -inf where not legal; scale: (…, K) or (…, 1); prior: (…, K, L) logits; returns: (…, K, L), -inf where not legal.
    """
    legal = np.isfinite(cos)
    logits = np.where(legal, cos, 0.0) * scale[..., None] + prior
    logits = np.where(legal, logits, -np.inf)
    top = np.max(logits, axis=-1, keepdims=True, initial=-1e30)
    total = np.log(np.maximum(np.exp(logits - top).sum(-1, keepdims=True), 1e-30))
    return logits - top - total


def fuse(
    log_phi: np.ndarray,
    cos: np.ndarray,
    settings: FusionSettings,
    sureness: np.ndarray | float = 1.0,
    repeat: np.ndarray | float = 0.0,
    popularity: np.ndarray | float = 0.0,
    value: np.ndarray | float = 0.0,
    judge: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fused scores (SIGMA eq. APF, in logs, with weights).

    Shape:
        log_phi: (…, K); cos: (…, K, L); sureness: (…, K) learned factor on the cosines (ours);
        repeat, popularity: (…, K, L) logits of the priors, as the model weighs them; value: (…, K, L) log prices around nought;
        judge: (…, K, L) log of the judge's score as a share of its best (`judged.log_shares`).
        returns: score (…, K, L), log P(i|k) (…, K, L), σ (…,). -inf where not legal.
    """
    spread = sigma(log_phi, settings.sigma_domain) if settings.apf else np.ones(log_phi.shape[:-1], log_phi.dtype)
    spread = spread**settings.strength
    prior = settings.repeat_weight * repeat + settings.popularity_weight * popularity
    scale = (sureness * spread[..., None] / settings.tau).astype(cos.dtype)  # (…, K), or (…, 1) where all are equally sure
    log_item = item_log_probs(cos, scale, prior)
    beam = np.isfinite(log_phi)
    score = settings.prefix_weight * np.where(beam, log_phi, 0.0)[..., None] + settings.item_weight * np.where(
        np.isfinite(log_item), log_item, 0.0
    )
    if settings.value_weight:
        score = score + settings.value_weight * value
    if settings.judge_weight:
        score = score + settings.judge_weight * judge
    return np.where(np.isfinite(log_item) & beam[..., None], score, -np.inf), log_item, spread
