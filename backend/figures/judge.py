"""Figures of the Judge page: the advantage plane, the arms against their start, their curves, effect against judge calls. From plain frames.

- An arm has one colour and one shape everywhere; A2PO is the accent, its start is grey.
- Whatever the judge scored is called a proxy in the text beside these figures; here the axes name what they draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from backend.figures import evidence as figures_evidence
from backend.figures.style import ACCENT, GREY, HAIR, PALETTE, short, three
from backend.frames import records

ASPECTS: Mapping[str, str] = {"profile": "#0072B2", "future": "#009E73", "novelty": "#E69F00", "context": "#CC79A7"}
ARMS: Mapping[str, tuple[str, str, str]] = {  # arm → colour, shape, dash
    "sft": ("#80848C", "diamond", "dot"), "business only": (PALETTE[0], "square", "dash"), "reward sum": (PALETTE[4], "x", "dash"),
    "advantage sum": (PALETTE[1], "cross", "dashdot"), "gate only": (PALETTE[2], "triangle-up", "dot"),
    "magnitude only": (PALETTE[3], "triangle-down", "dot"), "a2po": (ACCENT, "circle", "solid"),
}  # fmt: skip
_STRANGER = (GREY, "circle-open", "solid")  # an arm of a later version
METRICS: Mapping[str, str] = {
    "value": "Value@10 in $", "judge": "Judge score (proxy)", "hr": "HR@10", "ndcg": "NDCG@10", "recall": "Recall@10", "novelty": "Novelty",
    "breadth": "Categories",
}  # fmt: skip
CURVES: Mapping[str, str] = {
    "business": "business reward", "semantic": "judge score (proxy)", "coefficient": "mean λ", "agreement": "share of agreeing signs",
    "dead": "share of dead groups", "kl": "KL to the start, nats", "clipped": "share of clipped ratios", "loss": "loss",
}  # fmt: skip
OPEN, SHUT = "#14866d", "#D55E00"  # the gate
_FIELD = [[0.0, "rgba(106,112,224,0.0)"], [1.0, "rgba(106,112,224,0.5)"]]
_GRID = 61
_EPSILON = 1e-6  # ε of eq. 7


def field(limit: float, n: int = _GRID) -> tuple[np.ndarray, np.ndarray]:
    """λ over the plane (S-GRec eq. 7): 1[signs agree] · min(|A_biz|, |A_sem|) / (max(|A_biz|, |A_sem|) + ε).

    Returns:
        the n values of both axes between -limit and limit; λ, rows along A_sem. Shape: (n,), (n, n).
    """
    axis = np.linspace(-limit, limit, n)
    business, semantic = np.meshgrid(axis, axis)
    first, second = np.abs(business), np.abs(semantic)
    agree = np.sign(business) == np.sign(semantic)
    return axis, agree * np.minimum(first, second) / (np.maximum(first, second) + _EPSILON)


def plane(table: pd.DataFrame, chosen: int | None = None) -> go.Figure:
    """Rollouts in the plane of both advantages, coloured by the gate, over the field of λ.

    Args:
        table: `JudgeBench.plane`.
        chosen: group that is drawn large, the others small; None = all alike.
    """
    limit = 1.08 * float(np.nanmax([1.0, *table["a_biz"].abs(), *table["a_sem"].abs()]))
    axis, strength = field(limit)
    traces: list[dict[str, Any]] = [
        {"type": "heatmap", "x": axis, "y": axis, "z": strength, "colorscale": _FIELD, "zmin": 0, "zmax": 1, "hoverinfo": "skip", "zsmooth": "best",
         "colorbar": {"title": {"text": "λ", "side": "top"}, "thickness": 10, "len": 0.5, "y": 0.5, "tickvals": [0, 0.5, 1], "outlinewidth": 0}}
    ]  # fmt: skip
    near = pd.Series(True, index=table.index) if chosen is None else table["group"] == chosen
    for opened, colour, shape, name in ((1, OPEN, "circle", "gate open"), (0, SHUT, "x-thin", "gate shut")):
        for own, big in ((~near, False), (near, True)):
            part = table[(table["gate"] == opened) & own]
            size = 10 if big and chosen is not None else 6
            traces.append(
                {"type": "scatter", "mode": "markers", "x": part["a_biz"], "y": part["a_sem"], "name": name, "legendgroup": name,
                 "showlegend": big, "customdata": part["group"],
                 "marker": {"color": colour, "symbol": shape, "size": size, "opacity": 0.95 if big else 0.3,
                            "line": {"color": colour, "width": 2 if shape == "x-thin" else 0}},
                 "hovertext": [_rollout(row) for row in records(part)], "hoverinfo": "text"}
            )  # fmt: skip
    line = {"zeroline": True, "zerolinecolor": "rgba(128,132,140,0.8)", "zerolinewidth": 1.2, "gridcolor": HAIR, "fixedrange": True,
            "range": [-limit, limit]}  # fmt: skip
    layout = {
        "height": 460, "margin": {"l": 8, "r": 8, "t": 30, "b": 42}, "hovermode": "closest", "hoverlabel": {"align": "left"},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "xaxis": {**line, "title": {"text": "A_biz: worth to the shop, beside its group →", "font": {"size": 11}}},
        "yaxis": {**line, "title": {"text": "A_sem: judge score (proxy), beside its group →", "font": {"size": 11}}},
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def _rollout(row: Mapping[str, Any]) -> str:
    marks = [word for word, yes in (("bought", row["bought"]), ("added as the right answer", row["added"])) if yes]
    return (
        f"<b>{short(str(row['title']), 60)}</b>{' (' + ', '.join(marks) + ')' if marks else ''}<br>"
        f"household {short(str(row['user_id']), 20)}, rollout {row['rank']}<br>"
        f"business ${three(row['business'])}: A_biz {row['a_biz']:+.2f}<br>judge (proxy) {three(row['semantic'])}: A_sem {row['a_sem']:+.2f}<br>"
        f"λ {three(row['coefficient'])}: A {row['advantage']:+.2f}"
    )


def forest(arms: pd.DataFrame, metrics: Sequence[str]) -> go.Figure:
    """Each arm minus the start, paired, with intervals: a panel a metric, each with its own axis.

    Args:
        arms: rows of one run of `JudgeBench.arms`.
        metrics: which, in the order of the panels.
    """
    return figures_evidence.forest(against_start(arms, metrics))


def against_start(arms: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Paired differences to the start as the forest takes them: against (arm) · label · diff · low · high · n · verdict."""
    rows = arms[(arms["arm"] != "sft") & arms["metric"].isin(metrics)]
    rows = rows.sort_values(
        "metric", key=lambda names: names.map({name: place for place, name in enumerate(metrics)}), kind="stable"
    )
    verdict = [
        "ahead" if low > 0 else "behind" if high < 0 else "level"
        for low, high in zip(rows["diff_low"], rows["diff_high"], strict=True)
    ]
    return pd.DataFrame(
        {"against": rows["arm"].to_numpy(), "label": rows["metric"].map(METRICS).to_numpy(), "diff": rows["diff"].to_numpy(float),
         "low": rows["diff_low"].to_numpy(float), "high": rows["diff_high"].to_numpy(float), "n": rows["n"].to_numpy(int), "verdict": verdict}
    )  # fmt: skip


def smoothed(curves: pd.DataFrame, what: str, window: int) -> pd.DataFrame:
    """One figure of the curves: the mean over seeds of each seed's trailing mean, and the seeds' span.

    Returns:
        arm · step · mean · low · high · seeds; steps without a value are left out.
    """
    frame = curves[["arm", "seed", "step", what]].sort_values(["arm", "seed", "step"])
    rolled = frame.groupby(["arm", "seed"], sort=False)[what].transform(lambda own: own.rolling(window, min_periods=1).mean())
    by = frame.assign(value=rolled).dropna(subset=["value"]).groupby(["arm", "step"], sort=False)["value"]
    return by.agg(["mean", "min", "max", "count"]).reset_index().rename(columns={"min": "low", "max": "high", "count": "seeds"})


def curves(frame: pd.DataFrame, what: str) -> go.Figure:
    """An arm a line, with the span of its seeds.

    Args:
        frame: `smoothed`.
        what: key of `CURVES`.
    """
    traces: list[dict[str, Any]] = []
    for arm in [name for name in ARMS if name in set(frame["arm"])] + sorted(set(frame["arm"]) - set(ARMS)):
        own = frame[frame["arm"] == arm].sort_values("step")
        colour, shape, dash = ARMS.get(arm, _STRANGER)
        if arm == "a2po" and (own["seeds"] > 1).any():  # seven spans over each other are one grey cloud
            traces.append({"type": "scatter", "mode": "lines", "x": [*own["step"], *own["step"][::-1]], "y": [*own["high"], *own["low"][::-1]],
                           "fill": "toself", "line": {"width": 0}, "fillcolor": colour, "opacity": 0.1, "hoverinfo": "skip", "showlegend": False,
                           "legendgroup": arm})  # fmt: skip
        traces.append(
            {"type": "scatter", "mode": "lines+markers" if len(own) < 12 else "lines", "x": own["step"], "y": own["mean"], "name": arm,
             "legendgroup": arm, "line": {"color": colour, "width": 3 if arm == "a2po" else 1.8, "dash": dash},
             "marker": {"color": colour, "symbol": shape, "size": 6},
             "hovertext": [f"<b>{short(arm, 30)}</b>, step {row['step']}<br>{CURVES.get(what, what)} {three(row['mean'])} "
                           f"[{three(row['low'])}, {three(row['high'])}]<br>span of {row['seeds']} seeds" for row in records(own)],
             "hoverinfo": "text"}
        )  # fmt: skip
    axis = {"gridcolor": HAIR, "fixedrange": True, "zeroline": False}
    layout = {
        "height": 330, "margin": {"l": 8, "r": 8, "t": 8, "b": 84}, "hovermode": "closest", "hoverlabel": {"align": "left"},
        "legend": {"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom"},
        "xaxis": {**axis, "title": {"text": "step", "font": {"size": 11}}, "tickformat": "d",
                  "nticks": min(10, int(frame["step"].max()) if len(frame) else 1)},
        "yaxis": {**axis, "title": {"text": CURVES.get(what, what), "font": {"size": 11}}, "automargin": True},
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def cost(frame: pd.DataFrame, metric: str) -> go.Figure:
    """What the judge's calls bought: difference to the start over calls a run, a dot an arm and run, with the paired interval.

    Args:
        frame: `against_calls`.
        metric: key of `METRICS`.
    """
    traces: list[dict[str, Any]] = []
    arms, wide = list(dict.fromkeys(frame["arm"])), float(frame["judge_calls"].max()) if len(frame) else 0.0
    for place, arm in enumerate(arms):
        own = frame[frame["arm"] == arm]
        colour, shape, _ = ARMS.get(arm, _STRANGER)
        aside = 0.018 * wide * (place - (len(arms) - 1) / 2)  # arms of one cost stand side by side
        traces.append(
            {"type": "scatter", "mode": "markers", "x": own["judge_calls"] + aside, "y": own["diff"], "name": arm,
             "marker": {"color": colour, "symbol": shape, "size": 12},
             "error_y": figures_evidence.error_bar(own["diff"], own["diff_low"], own["diff_high"], colour), "cliponaxis": False,
             "hovertext": [f"<b>{short(arm, 30)}</b>, {short(str(row['run']), 30)}<br>{METRICS[metric]} {row['diff']:+.4f} "
                           f"[{row['diff_low']:+.4f}, {row['diff_high']:+.4f}], paired, n = {row['n']:,}<br>"
                           f"{row['judge_calls']:,.0f} items judged in a run, {three(row['judge_seconds'])} of {three(row['seconds'])} s"
                           for row in records(own)],
             "hoverinfo": "text"}
        )  # fmt: skip
    axis = {"gridcolor": HAIR, "fixedrange": True, "zeroline": True, "zerolinecolor": "rgba(128,132,140,0.8)"}
    layout = {
        "height": 340, "margin": {"l": 8, "r": 8, "t": 10, "b": 84}, "hovermode": "closest", "hoverlabel": {"align": "left"},
        "legend": {"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom"},
        "xaxis": {**axis, "title": {"text": "items judged in a run", "font": {"size": 11}}, "rangemode": "tozero"},
        "yaxis": {**axis, "title": {"text": f"{METRICS[metric]}, minus the start", "font": {"size": 11}}, "automargin": True},
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def against_calls(arms: pd.DataFrame, metric: str) -> pd.DataFrame:
    """An arm's difference to the start beside what its runs cost: run · arm · judged · diff · diff_low · diff_high · n · judge_calls ·
    judge_seconds · seconds."""
    told = arms[(arms["metric"] == metric) & (arms["arm"] != "sft")][
        ["run", "arm", "judged", "diff", "diff_low", "diff_high", "n"]
    ]
    paid = arms[arms["metric"] == "training"][["run", "arm", "judge_calls", "judge_seconds", "seconds"]]
    return told.merge(paid, on=["run", "arm"], how="inner").astype({"n": int}).reset_index(drop=True)
