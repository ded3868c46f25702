"""Sentence vectors of the training wordings, shipped: encoding a thousand of them would take seconds of everybody's first request.

    python -m backend.instructions.wording_vectors       # after wordings.toml has changed (a test says so)

Each vector is found by a hash of its sentence, so what is not there (a new wording) is encoded and what is no longer used does no harm.
"""

from __future__ import annotations

import hashlib
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from backend.instructions.catalogue import FREE, NAMING, Encode, as_compared
from backend.instructions.templates import wordings

PATH = Path(__file__).parent.parent.parent / "assets" / "wordings.safetensors"


def sentences() -> list[str]:
    """All training wordings as they are compared, each once."""
    return list(dict.fromkeys(as_compared(task, text) for task in (*FREE, *NAMING) for text in wordings(task, held_out=False)))


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


@lru_cache(maxsize=1)
def stored() -> dict[bytes, np.ndarray]:
    """The shipped vectors by the hash of their sentence; none where the file is missing."""
    if not PATH.is_file():
        return {}
    arrays = load_file(PATH)
    return {key.tobytes(): vector for key, vector in zip(arrays["keys"], arrays["vectors"].astype(np.float32), strict=True)}


def remembering(encode: Encode) -> Encode:
    """An encoder that knows the shipped sentences and asks `encode` about the others. `encode` must be the encoder they were made with."""

    def answer(texts: list[str]) -> np.ndarray:
        known = [stored().get(_key(text)) for text in texts]
        others = [text for text, vector in zip(texts, known, strict=True) if vector is None]
        made = iter(encode(others) if others else ())
        return np.stack([next(made) if vector is None else vector for vector in known])

    return answer


def main() -> int:
    """Encode the wordings and write the file."""
    from backend.grounding.encoders import shared_text_encoder

    texts = sentences()
    keys = np.array([np.frombuffer(_key(text), np.uint8) for text in texts])
    save_file({"keys": keys, "vectors": shared_text_encoder().encode(texts).astype(np.float16)}, PATH)
    return 0


if __name__ == "__main__":
    sys.exit(main())
