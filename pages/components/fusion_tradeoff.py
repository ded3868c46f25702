"""The trade-off plot: any metric against any other, every setting that was visited, and the Pareto front of a search."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from backend.figures import fusion as fusion_figures
from backend.figures.fusion import NAMES, name_of
from backend.serving.jobs import jobs
from backend.settings import LabSettings
from backend.workbench import Workbench
from pages.components import fusion_controls, job
from pages.components.fusion_form import MEAN, VIEW, write
from pages.components.text import three

if TYPE_CHECKING:
    from backend.inspection.lab import FusionLab, Scores
TRAIL = 80  # settings that are remembered
KNOBS = ("prefix_weight", "item_weight", "tau", "strength", "repeat_weight", "repeat_hidden", "popularity_weight", "value_weight",
         "judge_weight", "diversity")  # fmt: skip
USUAL = [name for name in KNOBS if name not in ("item_weight", "judge_weight", "diversity")]


def section(bench: Workbench, lab: FusionLab, now: Scores, before: Scores, default: LabSettings) -> None:
    """Draw axes, plot and search."""
    n, parts = now.setting.top, [MEAN, *lab.parts]
    st.html("<b>Trade-off</b>")
    left, right = st.columns(2)
    for name in ("x", "y"):
        if st.session_state.get(f"lab-{name}") not in NAMES:
            st.session_state[f"lab-{name}"] = VIEW[name][1]
    if st.session_state.get("lab-part") not in parts:
        st.session_state["lab-part"] = MEAN
    x = str(
        left.selectbox("Across", list(NAMES), key="lab-x", format_func=lambda name: name_of(name, n), persist_state="session")
    )
    y = str(
        right.selectbox("Upwards", list(NAMES), key="lab-y", format_func=lambda name: name_of(name, n), persist_state="session")
    )
    part = str(st.selectbox("Task", parts, key="lab-part", persist_state="session", label_visibility="collapsed"))
    found = jobs().get(str(st.session_state.get("lab-job")))
    if found is not None and found.result is not None:  # before the plot, which draws it
        st.session_state["lab-search"] = found.result
    trail = remember(lab, now)
    points = _points(lab, trail, now, before, x, y, part)
    key = f"tradeoff-{st.session_state.get('lab-clicks', 0)}"
    figure = fusion_figures.tradeoff(points, f"{name_of(x, n)} →", f"{name_of(y, n)} →")
    st.plotly_chart(figure, key=key, on_select=lambda: _take(key), selection_mode="points", config={"displayModeBar": False},
                    alt="Every setting that was looked at: one metric against another.")  # fmt: skip
    st.html(f'<div class="sg-small">{_ends(part)}, on validation. Click a point to load its setting.</div>')
    with st.popover("Optimise…", icon=":material/auto_fix_high:"):
        _search(lab, now.setting, parts, [name for name in KNOBS if name != "judge_weight" or not bench.judge_missing(lab)])
    _progress(lab)


def _ends(part: str) -> str:
    return "Every task counts the same" if part == MEAN else part


def remember(lab: FusionLab, now: Scores) -> list[tuple[LabSettings, dict[str, dict[str, float]]]]:
    """The settings visited in this session, oldest first, with their means."""
    trail: list[tuple[LabSettings, dict[str, dict[str, float]]]] = st.session_state.setdefault("lab-trail", [])
    if not trail or trail[-1][0] != now.setting:
        means: dict[str, dict[str, float]] = {str(part): dict(row) for part, row in lab.means(now).to_dict("index").items()}  # type: ignore[arg-type]
        trail.append((now.setting, means))
        del trail[:-TRAIL]
    return trail


def _points(lab: FusionLab, trail: list[Any], now: Scores, before: Scores, x: str, y: str, part: str) -> pd.DataFrame:
    rows = []
    for setting, means in trail:
        if setting.top == now.setting.top:
            rows.append(("trail", means[part].get(x), means[part].get(y), setting))
    search = st.session_state.get("lab-search")
    if search is not None and search.start.top == now.setting.top:
        columns = [f"{x}/{part}", f"{y}/{part}"]
        for row in search.trials[[*columns, "setting", "front"]].itertuples(index=False):
            rows.append(("front" if row[3] else "trial", row[0], row[1], _read(str(row[2]))))
    for kind, scores in (("reference", before), ("now", now)):
        means = lab.means(scores)
        rows.append((kind, means.loc[part, x], means.loc[part, y], scores.setting))
    base = before.setting
    return pd.DataFrame(
        [
            (kind, a, b, _label(kind, a, b, setting, base, x, y), _written(setting))
            for kind, a, b, setting in rows
        ],
        columns=["kind", "x", "y", "label", "setting"],
    )  # fmt: skip


def _label(kind: str, a: float, b: float, setting: LabSettings, base: LabSettings, x: str, y: str) -> str:
    return (
        f"<b>{kind}</b><br>{name_of(x, setting.top)} {three(a)}<br>{name_of(y, setting.top)} {three(b)}<br>{_told(setting, base)}"
    )


# a move draws all points again, those of a search included: what does not change with it is made once a setting


@lru_cache(maxsize=4096)
def _told(setting: LabSettings, base: LabSettings) -> str:
    return "<br>".join(fusion_controls.changes(setting, base)[:6]) or "as the reference"


@lru_cache(maxsize=4096)
def _written(setting: LabSettings) -> str:
    return setting.model_dump_json()


@lru_cache(maxsize=4096)
def _read(text: str) -> LabSettings:
    return LabSettings.model_validate_json(text)


def _take(key: str) -> None:
    """A clicked point becomes the setting."""
    points = st.session_state[key].selection.points
    if points:
        chosen = points[0].get("customdata")
        write(LabSettings.model_validate_json(chosen[0] if isinstance(chosen, list) else chosen))
        st.session_state["lab-clicks"] = st.session_state.get("lab-clicks", 0) + 1


def _search(lab: FusionLab, setting: LabSettings, parts: list[str], movable: list[str]) -> None:
    st.caption("Searches on validation; all goals are to become as large as possible. It starts from the setting that you see.")
    goals = st.multiselect("Goals", list(NAMES), default=["ndcg", "novelty"], key="lab-goals", max_selections=3,
                           format_func=lambda name: name_of(name, setting.top))  # fmt: skip
    part = str(st.selectbox("Of", parts, key="lab-goal-part"))
    knobs = st.multiselect(
        "Knobs", movable, default=USUAL, key="lab-search-knobs", format_func=lambda name: fusion_controls.LABELS[name]
    )
    trials = st.slider("Budget, settings to try", 20, 500, 150, step=10, key="lab-budget")
    if st.button("Search", type="primary", icon=":material/auto_fix_high:", key="lab-search-go", disabled=not (goals and knobs)):
        pairs = [(str(goal), part) for goal in goals]
        words = f"{setting.model_dump_json()}{pairs}{knobs}{trials}{id(lab)}"
        key = f"fusion-search-{hashlib.sha256(words.encode()).hexdigest()[:16]}"

        def work(report: Any, cancel: Any) -> Any:
            from backend.inspection.lab import optimise

            return optimise(lab, setting, pairs, knobs, trials, report=report, cancel=cancel)

        st.session_state["lab-job"] = key
        job.start(key, work)


def _progress(lab: FusionLab) -> None:
    key = st.session_state.get("lab-job")
    found = job.show(jobs().get(key), "The search") if key else None
    if found is not None:
        best = found.trials[found.trials["front"]]
        st.html(
            f'<div class="sg-small">{len(found.trials):,} settings tried, {len(best)} on the Pareto front of '
            f"{' and '.join(name_of(metric, found.start.top) for metric, _ in found.goals)} ({found.goals[0][1].lower()}).</div>"
        )
        st.download_button("Trials", lambda: found.trials.to_csv(index=False), "trials.csv", "text/csv", icon=":material/download:",
                           on_click="ignore", key="lab-trials")  # fmt: skip
