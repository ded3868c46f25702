"""Images of the items: vectors that were brought along, or image files through a CLIP-like encoder.

- A source is a parquet file (`item_id` and a column `vector`), or a folder of image files named by item id ("milk-1.png").
- The encoder is a local folder or a hub id with safetensors; only its image tower is asked. Weights are never pickles.
- An item without an image has a row of zeros: it takes no part in the visual view, and Proj&Fuse sees nothing where its image would be.
- Files are bounded in size and pixels before they are decoded; a broken one is an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from PIL import Image, UnidentifiedImageError
from transformers import AutoImageProcessor, AutoModel

from backend.data import schema as c
from backend.errors import TableError, WeightsError
from backend.progress import CancelToken, Progress, Report, silent

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MAX_BYTES = 20 << 20  # of one file
MAX_PIXELS = 40_000_000
MAX_WIDTH = 4096  # of a vector
_BATCH = 32
VECTOR = "vector"


class ImageEncoder:
    """A frozen image tower."""

    def __init__(self, name: str) -> None:
        try:
            self.processor = AutoImageProcessor.from_pretrained(name, backend="pil")
            self.model = AutoModel.from_pretrained(name, use_safetensors=True).eval()
        except (OSError, ValueError, KeyError) as error:
            raise WeightsError(
                "the image encoder cannot be opened", name, "name a folder or hub id of a CLIP-like model with safetensors"
            ) from error
        if not hasattr(self.model, "get_image_features"):
            raise WeightsError("the model gives no image vectors", name, "name a CLIP-like model (CLIP, SigLIP …)")
        self.model.requires_grad_(False)

    @torch.inference_mode()
    def encode(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Image vectors. Shape: (n, dim) float32, unit norm."""
        pixels = self.processor(images=list(images), return_tensors="pt")
        out = self.model.get_image_features(**pixels)
        vectors = out if isinstance(out, torch.Tensor) else out.pooler_output
        return torch.nn.functional.normalize(vectors.float(), dim=-1).numpy()


def image_vectors(
    source: str, item_ids: Sequence[str], encoder: str | None, report: Report = silent, cancel: CancelToken | None = None
) -> np.ndarray:
    """Image vectors of a catalogue.

    Args:
        source: a parquet file of vectors, or a folder of image files.
        item_ids: the catalogue's, in its order.
        encoder: folder or hub id of the encoder; needed for image files alone.

    Shape:
        returns: (len(item_ids), dim) float32, unit norm or zero.

    Raises:
        TableError: nothing there, a broken or oversized file, vectors of several widths, or none for any item.
        WeightsError: the encoder is missing or no image encoder.
    """
    path = Path(source).expanduser()
    rows = {item: row for row, item in enumerate(item_ids)}
    if path.is_file():
        found = _vectors(path, rows)
    elif path.is_dir():
        files = {rows[file.stem]: file for file in sorted(path.iterdir()) if file.suffix.lower() in ENDINGS and file.stem in rows}
        if files and encoder is None:
            raise WeightsError(
                "no image encoder is named", "grounding.image_encoder", "name a folder or hub id of a CLIP-like model"
            )
        found = dict(_encoded(files, ImageEncoder(str(encoder)), report, cancel)) if files else {}
    else:
        raise TableError("no such file or folder", source, "name a parquet of vectors or a folder of images")
    if not found:
        raise TableError("it holds no image of any item", source, "name files by item id, or give a column item_id")
    out = np.zeros((len(item_ids), len(next(iter(found.values())))), np.float32)
    for row, vector in found.items():
        out[row] = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return out


def _vectors(path: Path, rows: dict[str, int]) -> dict[int, np.ndarray]:
    try:
        frame = pd.read_parquet(path, columns=[c.ITEM, VECTOR])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise TableError("the image vectors cannot be read", str(path), f"it needs the columns {c.ITEM} and {VECTOR}") from error
    found: dict[int, np.ndarray] = {}
    for number, (item, values) in enumerate(zip(frame[c.ITEM], frame[VECTOR], strict=True), start=1):
        if item not in rows:
            continue
        try:
            vector = np.asarray(values, np.float32)
        except (TypeError, ValueError):
            vector = np.zeros(0, np.float32)
        width = len(next(iter(found.values()))) if found else vector.size
        if vector.ndim != 1 or not 0 < vector.size <= MAX_WIDTH or vector.size != width or not np.isfinite(vector).all():
            raise TableError("no valid vector", f"{path.name}, row {number}, column {VECTOR!r}", f"{width} finite numbers each")
        found[rows[item]] = vector
    return found


def _encoded(
    files: dict[int, Path], encoder: ImageEncoder, report: Report, cancel: CancelToken | None
) -> Iterator[tuple[int, np.ndarray]]:
    order = sorted(files)
    for start in range(0, len(order), _BATCH):
        if cancel:
            cancel.check()
        part = order[start : start + _BATCH]
        yield from zip(part, encoder.encode([_opened(files[row]) for row in part]), strict=True)
        report(Progress("grounding", min(start + _BATCH, len(order)), len(order), "encoding images"))


def _opened(path: Path) -> Image.Image:
    """One image as RGB.

    Raises:
        TableError: too large, or no image.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TableError("the image file is too large", path.name, f"{MAX_BYTES >> 20} MiB at most")
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise TableError("the image has too many pixels", path.name, f"{MAX_PIXELS:,} at most")
            return image.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise TableError("the image cannot be read", path.name, "save it as PNG, JPEG or WebP") from error
