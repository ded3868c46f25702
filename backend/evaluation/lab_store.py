"""Stored terms on disk: five tables (zstd parquet) in the cache folder, by the fingerprint of the model's stage, written beside and renamed.

- Long tables, one row a candidate or a prefix: nought, repeated and absent values then cost next to nothing on disk.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from backend.disk import disk_error
from backend.errors import WorkspaceError
from backend.evaluation.lab_cases import GROUPS, LOGITS, TAIL, LabCases, starts
from backend.settings import FusionSettings
from backend.workspace import StageWriter, cache_dir

FORMAT = 2  # raised too when the terms mean something else: 2 = of all readings of an instruction
TABLES = ("lab_cases", "lab_codes", "lab_prefixes", "lab_candidates", "lab_targets")
_ABOUT = "lab"
FILES = (*(f"{name}.parquet" for name in TABLES), f"{_ABOUT}.json")


def save_lab(stage: StageWriter, lab: LabCases) -> None:
    """Write the tables into a stage that is being written."""
    for name, frame in _tables(lab).items():
        stage.table(name, frame)
    stage.json(_ABOUT, _about(lab))


def load_lab(folder: Path) -> LabCases | None:
    """The stored terms of a folder; None where it holds none.

    Raises:
        WorkspaceError: they are damaged.
    """
    if not (folder / f"{_ABOUT}.json").is_file():
        return None
    try:
        about = json.loads((folder / f"{_ABOUT}.json").read_text("utf-8"))
        if about["format"] != FORMAT:
            return None
        return _assemble({name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES}, about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        mend = "delete these files and prepare the examples again"
        raise WorkspaceError(
            f"the stored examples of the fusion lab are damaged ({type(error).__name__})", str(folder), mend
        ) from error


def cached(fingerprint: str) -> Path:
    """Where the terms of a model are kept."""
    return cache_dir() / "lab" / fingerprint


def keep(lab: LabCases, fingerprint: str) -> None:
    """Write the terms of a model into the cache folder; the old ones stay whole until the new ones are there.

    Raises:
        WorkspaceError: the disk is full or the folder cannot be written.
    """
    target = cached(fingerprint)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".lab-", dir=target.parent))
        try:
            save_lab(StageWriter(temporary), lab)
            old = target.with_name(f".{target.name}-old")
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                target.rename(old)
            temporary.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise disk_error(error, target) from error


def _about(lab: LabCases) -> dict[str, object]:
    return {"format": FORMAT, "shipped": lab.shipped.model_dump(), "beams": lab.beams, "codes": lab.first_logits.shape[1],
            "households": dict(lab.households), "cases": len(lab), **({"judge": lab.judged} if lab.judged else {})}  # fmt: skip


def _tables(lab: LabCases) -> dict[str, pd.DataFrame]:
    cases = lab.cases.assign(scaled=lab.scaled, targets=np.diff(lab.target_offsets).astype(np.int32))
    for place, name in enumerate(_terms(lab.judged)):
        cases[f"scale_{name}"] = lab.scale[:, place]
    prefixes = {"code": lab.code.ravel(), "rest": lab.rest.ravel(), "size": np.diff(lab.offsets).astype(np.int16)}
    for group in range(GROUPS):
        prefixes |= {
            f"{name}_{group}": lab.tail[:, :, group, place].ravel().astype(np.float16) for place, name in enumerate(TAIL)
        }
    return {
        "lab_cases": cases,
        "lab_codes": pd.DataFrame(
            {"logit": lab.first_logits.ravel().astype(np.float16), "prior": lab.first_prior.ravel().astype(np.float16)}
        ),
        "lab_prefixes": pd.DataFrame(prefixes),
        "lab_candidates": pd.DataFrame({name: getattr(lab, name) for name in ("item", *_terms(lab.judged), "bought")}),
        "lab_targets": pd.DataFrame({"item": lab.target, "bought": lab.target_bought}),
    }


def _terms(judged: str) -> tuple[str, ...]:
    """Which terms of a candidate are stored: the judge's only where there was one."""
    return LOGITS if judged else LOGITS[:-1]


def _assemble(tables: dict[str, pd.DataFrame], about: dict) -> LabCases:
    cases, codes, prefixes, candidates, targets = (tables[name] for name in TABLES)
    n, beams = int(about["cases"]), int(about["beams"])
    if len(cases) != n or len(prefixes) != n * beams or len(codes) != n * int(about["codes"]):
        raise ValueError("the tables are not of one length")
    if int(prefixes["size"].sum()) != len(candidates) or int(cases["targets"].sum()) != len(targets):
        raise ValueError("the sizes do not add up")
    tail = [[_own(prefixes[f"{name}_{group}"], np.float32) for name in TAIL] for group in range(GROUPS)]
    own = ["user", "user_id", "start", "task", "split", "instruction"]
    judged = str(about.get("judge", ""))
    scale = np.zeros((n, len(LOGITS)), np.float32)
    for place, name in enumerate(_terms(judged)):
        scale[:, place] = cases[f"scale_{name}"]
    return LabCases(
        cases=cases[own],
        shipped=FusionSettings(**about["shipped"]),
        first_logits=_own(codes["logit"], np.float32).reshape(n, -1),
        first_prior=_own(codes["prior"], np.float32).reshape(n, -1),
        code=_own(prefixes["code"], np.int16).reshape(n, beams),
        rest=_own(prefixes["rest"], np.float32).reshape(n, beams),
        tail=np.ascontiguousarray(np.array(tail, np.float32).transpose(2, 0, 1)).reshape(n, beams, GROUPS, len(TAIL)),
        scaled=_own(cases["scaled"], np.float32),
        offsets=starts(_own(prefixes["size"], np.int64)),
        item=_own(candidates["item"], np.int32),
        cos=_own(candidates["cos"], np.int16),
        repeat=_own(candidates["repeat"], np.int16),
        popularity=_own(candidates["popularity"], np.int16),
        judge=_own(candidates["judge"], np.int16) if judged else np.zeros(len(candidates), np.int16),
        bought=_own(candidates["bought"], bool),
        scale=scale,
        target=_own(targets["item"], np.int32),
        target_bought=_own(targets["bought"], bool),
        target_offsets=starts(_own(cases["targets"], np.int64)),
        households={str(name): int(n) for name, n in about["households"].items()},
        judged=judged,
    )


def _own(column: pd.Series | pd.DataFrame, kind: type) -> np.ndarray:
    """A copy that may be written to: compiled code takes arrays that must not be for another type, and would be compiled twice."""
    return np.array(column, kind, order="C")
