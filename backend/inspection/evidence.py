"""What was measured, by which command: the result files of a folder and the evaluation of a workspace, as plain frames.

- Files are found, not listed: a JSON file with `results` is an evaluation, one with `rows` is a measurement (it may be both), one of kind
  "published" holds figures of papers (see `published`). Any other or broken file is named with the reason and nothing else fails.
- A measurement's kind is the word behind `bench` in its command, else the file's name.
- No figure is made up here: a mean without an interval stays without one, a difference is only shown where a paired one was stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from backend.errors import WorkspaceError
from backend.evaluation import report
from backend.workspace import DEMO, Workspace, command_of

RESULTS = Path(__file__).parents[2] / "assets" / "results"
OURS = "sigma"  # a model's own name; its variants are named "SIGMA, …"
SHIPPED = "this workspace"
EXPECTED: Mapping[str, str] = {  # what the page has room for → the command that makes it
    **{
        name: f"python -m backend experiment {name} --workspace DIR --out assets/results/{name}.json"
        for name in ("ablations", "backbones", "budgets", "wordings", "cold-start", "representations")
    },
    **{
        name: f"python -m backend bench {name} --json > assets/results/{name}.json"
        for name in ("latency", "startup", "fusion", "decode", "load")
    },
    "redraw": "python -m tests.browser.redraw",
}
_ORDER = {"ours": 0, "variant": 1, "other": 2, "baseline": 3}
VIEWS = {"new": "new items"}
_RESULTS = ["recommender", "task", "view", "slice", "metric", "k", "mean", "low", "high", "n"]
_DIFFERENCES = ["recommender", "reference", "task", "view", "metric", "k", "diff", "low", "high", "n"]
_MAX_BYTES = 20 << 20  # of a result file


@dataclass(frozen=True)
class Origin:
    """Where figures come from; a field is empty where the file does not say."""

    file: str
    command: str = ""
    commit: str = ""
    date: str = ""
    machine: str = ""
    seed: str = ""
    n: str = ""
    split: str = ""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation run: results (recommender · task · view · slice · metric · k · mean · low · high · n) and paired differences
    (recommender · reference · task · view · metric · k · diff · low · high · n)."""

    name: str
    origin: Origin
    results: pd.DataFrame
    differences: pd.DataFrame
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """One measurement: its kind and its rows, nested figures flattened ("by_step_ms.prompt")."""

    name: str
    kind: str
    origin: Origin
    frame: pd.DataFrame


@dataclass(frozen=True)
class Evidence:
    """Everything that was found."""

    evaluations: Mapping[str, Evaluation]
    rows: Mapping[str, Rows]
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)  # file → why

    @property
    def missing(self) -> dict[str, str]:
        """What was not measured yet → the command that measures it."""
        there = {rows.kind for rows in self.rows.values()} | set(self.evaluations)
        return {name: command for name, command in EXPECTED.items() if name not in there}


def discover(workspace: Workspace | None, folder: Path | None = None) -> Evidence:
    """Everything that was measured; files are read again when they change.

    Args:
        workspace: its evaluation stage comes first; None = none.
        folder: of result files.
    """
    evaluations: dict[str, Evaluation] = {}
    rows: dict[str, Rows] = {}
    published: dict[str, Mapping[str, Any]] = {}
    unread: dict[str, str] = {}
    if workspace is not None and workspace.has("evaluation"):
        try:
            manifest = workspace.stage("evaluation").path / "manifest.json"
            evaluations[SHIPPED] = _stage(workspace.path, manifest.stat().st_mtime_ns)
        except (WorkspaceError, OSError, ValueError, KeyError, TypeError) as error:
            unread["evaluation"] = str(error)
    folder = folder or RESULTS
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            for found in _file(path, path.stat().st_mtime_ns):
                if isinstance(found, Evaluation):
                    evaluations[path.stem] = found
                elif isinstance(found, Rows):
                    rows[path.stem] = found
                else:
                    published |= {str(group["id"]): group for group in found["groups"]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            unread[path.name] = f"it cannot be read ({type(error).__name__}: {str(error)[:120]})"
    return Evidence(evaluations, rows, published, unread)


@lru_cache(maxsize=64)
def _file(path: Path, changed: int) -> list[Evaluation | Rows | Mapping[str, Any]]:
    """What a result file holds: an evaluation, rows, both of them, or published figures; parsed again when it changed."""
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"larger than {_MAX_BYTES >> 20} MiB")
    data = json.loads(path.read_text("utf-8"))
    if not isinstance(data, dict):
        raise TypeError("no JSON object")
    if data.get("kind") == "published":
        return [data]
    found: list[Evaluation | Rows | Mapping[str, Any]] = []
    if "results" in data:
        found.append(_evaluation(path.stem, data))
    if "rows" in data and (data["rows"] or not found):
        found.append(_rows(path.stem, data))
    if not found:
        raise ValueError("it holds neither results nor rows")
    return found


@lru_cache(maxsize=8)
def _stage(folder: Path, written: int) -> Evaluation:
    """The evaluation of a workspace; read again when it was written again."""
    workspace = Workspace(folder, read_only=True)
    stage = workspace.stage("evaluation")
    manifest = stage.manifest
    about = {**manifest, **(stage.json("evaluation") if (stage.path / "evaluation.json").is_file() else {})}
    settings = manifest.get("settings") or {}
    split = str(about.get("split") or settings.get("split") or "")
    shown = "DIR" if workspace.path.resolve() == DEMO.resolve() else workspace.path
    command = command_of("evaluation", shown) + (f" --split {split}" if split else "")
    results, differences = (
        stage.table(name) if (stage.path / f"{name}.parquet").is_file() else pd.DataFrame() for name in ("results", "differences")
    )
    origin = origin_of("evaluation/results.parquet", {**about, "command": command, "split": split}, results)
    return Evaluation(
        SHIPPED, origin, _shaped(results, _RESULTS), _shaped(differences, _DIFFERENCES), tuple(settings.get("others") or ())
    )


def _evaluation(name: str, data: Mapping[str, Any]) -> Evaluation:
    results, differences = pd.DataFrame(data["results"]), pd.DataFrame(data.get("differences") or [])
    named = set(differences["reference"]) | {OURS.upper()} if len(differences) else set()
    others = [
        each for each in results["recommender"].unique() if named and each not in named and not each.casefold().startswith(OURS)
    ]
    return Evaluation(name, origin_of(f"{name}.json", data, results), _shaped(results, _RESULTS), _shaped(differences, _DIFFERENCES),
                      tuple(data.get("others") or others))  # fmt: skip


def _shaped(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    if frame.empty:
        return pd.DataFrame(columns=list(columns))
    frame = frame.assign(slice="all") if "slice" in columns and "slice" not in frame else frame
    return frame[list(columns)]


def _rows(name: str, data: Mapping[str, Any]) -> Rows:
    frame = pd.json_normalize(list(data["rows"]))
    told = re.search(r"\bbench\s+([a-z]+)", str(data.get("command", "")))
    return Rows(name, told.group(1) if told else name, origin_of(f"{name}.json", data, None), frame)


def origin_of(file: str, data: Mapping[str, Any], results: pd.DataFrame | None = None) -> Origin:
    """Where the figures of a result file or a manifest come from.

    Args:
        results: its evaluation results, which say how many examples there were; None = there are none.
    """
    machine, commit = data.get("machine") or "", str(data.get("commit") or "")
    if isinstance(machine, Mapping):
        machine = f"{machine.get('cpu', 'unknown')}, {machine.get('cores', '?')} cores, Python {machine.get('python', '?')}"
    seeds = data.get("seeds") or ([data["seed"]] if data.get("seed") is not None else [])
    whole = results if results is None or "slice" not in results else results[results["slice"] == "all"]
    n = sorted({int(value) for value in whole["n"]}) if whole is not None and len(whole) else []
    most = "" if not n else f"{n[0]:,}" if len(n) == 1 else f"{n[0]:,} to {n[-1]:,}"
    return Origin(file, str(data.get("command") or ""), commit, str(data.get("date") or ""), str(machine),
                  ", ".join(map(str, seeds)), most, str(data.get("split") or ""))  # fmt: skip


# frames of the evaluations -----------------------------------------------------------------------------------------------


def family(name: str, others: Sequence[str] = ()) -> str:
    """Which kind of recommender a name is: "ours", "variant" (one change), "other" (another model) or "baseline"."""
    low = name.casefold()
    return "ours" if low == OURS else "variant" if low.startswith(f"{OURS},") else "other" if name in others else "baseline"


def quality(evaluation: Evaluation, metric: str = "hr", k: int = 10, activity: str = "all") -> pd.DataFrame:
    """One figure of every recommender on every task.

    Args:
        activity: "all", or one of the slices by household activity.

    Returns:
        recommender · family · task · view · label · mean · low · high · n; ours first, intervals NaN where none was stored.
    """
    table = evaluation.results
    chosen = table[(table["metric"] == metric) & (table["k"] == k) & (table["slice"] == activity)].copy()
    chosen["family"] = [family(str(name), evaluation.others) for name in chosen["recommender"]]
    chosen["label"] = _labels(chosen)
    chosen = chosen.sort_values("family", key=lambda names: names.map(_ORDER.get), kind="stable")
    columns = ["recommender", "family", "task", "view", "label", "mean", "low", "high", "n"]
    return chosen[columns].dropna(subset=["mean"]).reset_index(drop=True)


def differences(evaluation: Evaluation, metric: str = "hr", k: int = 10) -> pd.DataFrame:
    """Ours minus each baseline and other model, paired: against · label · diff · low · high · n · verdict ("ahead", "level", "behind")."""
    table = evaluation.differences
    own = table["recommender"].astype(str).str.casefold() == OURS
    chosen = table[own & (table["metric"] == metric) & (table["k"] == k)]
    return _told(chosen.rename(columns={"reference": "against"}))


def ablations(evaluation: Evaluation, metric: str = "hr", k: int = 10) -> pd.DataFrame:
    """Each variant and other model minus ours, paired: against (what was changed) · label · diff · low · high · n · verdict."""
    table = evaluation.differences
    reference = table["reference"].astype(str).str.casefold() == OURS
    names = table["recommender"].astype(str)
    kept = names.map(lambda name: family(name, evaluation.others) in ("variant", "other")).astype(bool)
    chosen = table[reference & kept & (table["metric"] == metric) & (table["k"] == k)]
    return _told(chosen.assign(against=chosen["recommender"].astype(str).str.replace(r"^SIGMA, ", "", regex=True)))


def _told(chosen: pd.DataFrame) -> pd.DataFrame:
    verdict = [
        "ahead" if low > 0 else "behind" if high < 0 else "level" for low, high in zip(chosen["low"], chosen["high"], strict=True)
    ]
    shown = chosen.assign(label=_labels(chosen), verdict=verdict)
    return shown[["against", "label", "diff", "low", "high", "n", "verdict"]].reset_index(drop=True)


def radar(frame: pd.DataFrame) -> pd.DataFrame:
    """`quality` as a share of the best baseline of each task (1 = as good as the hardest one to beat).

    Returns:
        recommender · family · label · share · mean · best (the baseline's name) · best_mean.
    """
    parts = []
    for _, part in frame.groupby("label", sort=False):
        baselines = part[part["family"] == "baseline"]
        if baselines.empty or baselines["mean"].max() <= 0:
            continue
        top = baselines.iloc[int(baselines["mean"].to_numpy(float).argmax())]
        parts.append(part.assign(share=part["mean"] / top["mean"], best=top["recommender"], best_mean=top["mean"]))
    columns = ["recommender", "family", "label", "share", "mean", "best", "best_mean"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def by_activity(evaluation: Evaluation, metric: str = "hr", k: int = 10) -> pd.DataFrame:
    """`quality` in each slice by household activity, with a column `activity`, in the order in which they were stored (low first)."""
    names = [str(name) for name in evaluation.results["slice"].unique() if name != "all"]
    order = [name for name in ("low", "medium", "high") if name in names] + sorted(set(names) - {"low", "medium", "high"})
    parts = [quality(evaluation, metric, k, name).assign(activity=name) for name in order]
    return pd.concat(parts, ignore_index=True) if parts else quality(evaluation, metric, k).iloc[:0].assign(activity="")


def choices(evaluation: Evaluation) -> dict[str, list[int]]:
    """Metrics that were measured, in order, each with its cut-offs."""
    pairs = evaluation.results[["metric", "k"]].drop_duplicates()
    return {str(name): sorted(int(k) for k in part["k"]) for name, part in pairs.groupby("metric", sort=False)}


def _labels(frame: pd.DataFrame) -> list[str]:
    pairs = zip(frame["task"], frame["view"], strict=True)
    return [f"{task}, {VIEWS.get(str(view), str(view))}" if view != "all" else str(task) for task, view in pairs]


def made(workspace: Workspace) -> dict[str, Rows]:
    """How the workspace was made, from its manifests: title → rows. A stage that is missing or broken is left out."""
    tables = {
        "Time and memory of the stages": report.training,
        "Semantic IDs, level by level": report.tokens,
        "Grounding: recall of held-out pairs": report.grounding,
    }
    found = {}
    for title, read in tables.items():
        try:
            data = read(workspace.path)
            if data:
                found[title] = Rows(
                    title, "making", origin_of("manifest.json", data, None), pd.json_normalize(list(data["rows"]))
                )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
