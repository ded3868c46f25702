"""RQ-VAE: an autoencoder whose bottleneck is quantised residually (TIGER, Rajput et al. 2023; Lee et al. 2022, arXiv:2203.01941).

    z = encoder(x),  ẑ = Σ_l C_l[c_l],  L = ‖x - decoder(ẑ)‖² + β Σ_l ‖sg(C_l[c_l]) - r_l‖²

- The residual quantiser is `vector_quantize_pytorch.ResidualVQ` (https://github.com/lucidrains/vector-quantize-pytorch): codebooks follow the data by
  moving averages, start from k-means of the first batch (all items here), and codes that hardly anything chooses are set anew on one of the batch.
- Inputs are standardised coordinate by coordinate: grounded vectors have unit norm, so their coordinates are small and of uneven spread.
- Beside the residual k-means for comparison: it has no balance of the first level, so its prefixes are as uneven as the data are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import ResidualVQ

from backend.progress import CancelToken, Progress, Report, silent
from backend.settings import TokenSettings

_BATCH = 1024
_HIDDEN = 256
_LR = 1e-3
_COMMITMENT = 0.25  # β
_DEAD = 2.0  # a code that fewer vectors of a batch than this choose (moving average) is set anew
_DECAY = 0.95  # of the moving averages


def _mlp(width_in: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, width_out))


@dataclass(frozen=True)
class RQVAE:
    """A trained RQ-VAE, as plain arrays.

    Shape:
        centroids: (levels, codes, latent); mean, std: (dim,); weights: of encoder and decoder, by name.
    """

    centroids: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    weights: dict[str, np.ndarray]

    def latent(self, vectors: np.ndarray) -> np.ndarray:
        """The encoder's output. Shape: (n, dim) → (n, latent)."""
        return self._run("encoder", (np.asarray(vectors, np.float32) - self.mean) / self.std)

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Codes by nearest centroid of the residual, level by level. Shape: (n, dim) → (n, levels) int64."""
        residual = self.latent(vectors)
        codes = np.zeros((len(residual), len(self.centroids)), np.int64)
        for level, book in enumerate(self.centroids):
            distance = (book**2).sum(1) - 2 * residual @ book.T  # (n, codes), up to a constant of the row
            codes[:, level] = distance.argmin(1)
            residual = residual - book[codes[:, level]]
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Reconstructed vectors of the first levels. Shape: (n, ≤ levels) → (n, dim)."""
        latent = np.asarray(sum(self.centroids[level][codes[:, level]] for level in range(codes.shape[1])))
        return self._run("decoder", latent) * self.std + self.mean

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that `load` needs, by name."""
        return {"centroids": self.centroids, "mean": self.mean, "std": self.std, **self.weights}

    @classmethod
    def load(cls, arrays: dict[str, np.ndarray]) -> RQVAE:
        """From `arrays()`."""
        rest = {name: value for name, value in arrays.items() if name not in ("centroids", "mean", "std")}
        return cls(arrays["centroids"], arrays["mean"], arrays["std"], rest)

    def _run(self, part: str, x: np.ndarray) -> np.ndarray:
        """What `_mlp` does, with the stored weights."""
        w0, b0, w2, b2 = (
            torch.from_numpy(self.weights[f"{part}.{name}"]) for name in ("0.weight", "0.bias", "2.weight", "2.bias")
        )
        with torch.inference_mode():
            hidden = F.gelu(F.linear(torch.from_numpy(np.ascontiguousarray(x, np.float32)), w0, b0))
            return F.linear(hidden, w2, b2).numpy()


def rq_vae(
    vectors: np.ndarray, settings: TokenSettings, seed: int, report: Report = silent, cancel: CancelToken | None = None
) -> tuple[RQVAE, np.ndarray]:
    """Train and assign the items.

    Shape:
        vectors: (n, dim); returns: the model, and codes (n, levels) int64 as `RQVAE.encode` gives them.

    Raises:
        Cancelled: asked to stop.
    """
    vectors = np.asarray(vectors, np.float32)
    mean, std = vectors.mean(0), vectors.std(0) + 1e-6
    # one core: the layers are small, threads would wait for each other, and the pages need a core while this runs beside them
    with torch.random.fork_rng(devices=[]), threadpool_limits(1):
        torch.manual_seed(seed)
        parts = _train(torch.from_numpy((vectors - mean) / std), settings, report, cancel)
    encoder, decoder, quantizer = parts
    weights = {
        f"{name}.{key}": value.numpy().copy()
        for name, net in (("encoder", encoder), ("decoder", decoder))
        for key, value in net.state_dict().items()
    }
    books = np.stack([layer._codebook.embed[0].detach().numpy().copy() for layer in quantizer.layers])
    model = RQVAE(books.astype(np.float32), mean, std, weights)
    return model, model.encode(vectors)


def _train(
    x: Tensor, settings: TokenSettings, report: Report, cancel: CancelToken | None
) -> tuple[nn.Module, nn.Module, ResidualVQ]:
    encoder, decoder = _mlp(x.shape[1], settings.latent), _mlp(settings.latent, x.shape[1])
    codes = min(settings.codes, len(x))
    quantizer = ResidualVQ(
        dim=settings.latent,
        num_quantizers=settings.levels,
        codebook_size=codes,
        kmeans_init=True,
        kmeans_iters=10,
        threshold_ema_dead_code=_DEAD if len(x) >= 4 * codes else 0,  # few items: codes cannot all be chosen
        decay=_DECAY,
        commitment_weight=_COMMITMENT,
    )
    optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=_LR, weight_decay=1e-4)
    warm = max(1, settings.epochs // 10)  # the plain autoencoder first: k-means on an untrained encoder finds nothing that lasts
    for epoch in range(settings.epochs):
        if cancel:
            cancel.check()
        if epoch == warm:
            with torch.no_grad():
                quantizer(encoder(x))  # k-means of all items, level by level
        total = 0.0
        for rows in torch.randperm(len(x)).split(_BATCH):
            z = encoder(x[rows])  # (b, latent)
            commitment = z.new_zeros(())
            if epoch >= warm:
                z, _, losses = quantizer(z)
                commitment = losses.sum()
            loss = F.mse_loss(decoder(z), x[rows]) + commitment
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        report(Progress("tokens", epoch + 1, settings.epochs, "RQ-VAE", {"loss": total / len(x)}))
    return encoder.eval(), decoder.eval(), quantizer.eval()
