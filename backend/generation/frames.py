"""The frames of a trace that describe the prompt and the prefixes; plain tables from tokens and beams."""

from __future__ import annotations

import numpy as np
import pandas as pd

from backend.generation.beam import Beams
from backend.generation.catalogue import PrefixIndex
from backend.model.prompt import GROUNDED, SID, SPECIAL, Tokens
from backend.tokenization.prefixes import prefix_name


def prompt_frame(tokens: Tokens, titles: pd.Series, codes: int) -> pd.DataFrame:
    """The prompt, a line a token; a text is one line. Columns as in `Trace.prompt`."""
    kinds, texts, items = [], [], []
    text = iter(tokens.texts)
    current, previous, seen_history = "", -1, False
    for kind, value, position in zip(tokens.kind, tokens.value, tokens.position, strict=True):
        if kind == 0:
            if previous != 0:
                current = next(text)
            kinds.append("instruction" if seen_history or tokens.texts[-1] == current else "profile")
            texts.append(current)
            items.append(-1)
        elif kind == SPECIAL:
            kinds.append("special")
            texts.append(("<start>", "<end>", "<q>", "<pad>")[value])
            items.append(-1)
            seen_history = seen_history or position > 0
        elif kind == SID:
            kinds.append("history")
            level, code = divmod(value, codes)
            texts.append(f"{'abcdefgh'[level]}{code}")
            items.append(-1)
            seen_history = True
        elif kind == GROUNDED:
            kinds.append("instruction")
            texts.append("its soft token")
            items.append(-1)
        else:
            kinds.append("history")
            texts.append(str(titles.iat[value]))
            items.append(value)
            seen_history = True
        previous = kind
    frame = pd.DataFrame({"position": tokens.position, "kind": kinds, "text": texts, "item": items})
    repeated = (frame["kind"].isin(["profile", "instruction"])) & (frame["text"] == frame["text"].shift())
    return frame[~repeated].reset_index(drop=True)


def prefix_frame(beams: Beams, index: PrefixIndex, forced: tuple[int, ...] | None) -> pd.DataFrame:
    """Every prefix that was considered, level by level, best first. Columns as in `Trace.prefixes`."""
    columns = ["prefix", "codes", "level", "probability", "legal", "kept", "forced", "n_items"]
    frames = []
    for step in beams.considered:
        codes = index.levels[step.length].codes[step.rows]
        frames.append(
            pd.DataFrame(
                {
                    "prefix": [prefix_name(row) for row in codes],
                    "codes": codes.tolist(),
                    "level": step.length,
                    "probability": np.exp(step.log_phi),
                    "legal": step.legal,
                    "kept": step.kept,
                    "forced": [
                        forced is not None and tuple(row[: len(forced)]) == tuple(forced)[: len(row)] for row in codes.tolist()
                    ],
                    "n_items": step.counts,
                }
            )
        )
    if not frames:  # ID only: one empty prefix
        return pd.DataFrame([["·", [], 0, 1.0, len(beams.rows) > 0, len(beams.rows) > 0, False, 0]], columns=columns)
    frame = pd.concat(frames, ignore_index=True)
    return frame.sort_values(["level", "probability"], ascending=[True, False], ignore_index=True)[columns]
