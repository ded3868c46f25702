"""The drawn parts of the Overview: sentence and cards, the pipeline, the quality table, the doors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from backend.frames import records
from backend.inspection.health import Info, StageInfo
from backend.settings import FusionSettings
from backend.workbench import Workbench
from pages.components import address, chips, form
from pages.components.text import count, duration, esc, pick, three

STEPS = {"dataset": "Data", "grounding": "Grounding", "tokens": "Tokens", "model": "Training", "generation": "Generation",
         "evaluation": "Evaluation"}  # fmt: skip


def sentence(info: Info, quality: pd.DataFrame) -> str:
    """The one sentence: what is loaded, and whether it is any good."""
    data, model = info.stages["dataset"].metrics, info.stages["model"]
    items, users = pick(data, "items", "n_items"), pick(data, "users", "n_users")
    if items is None or model.state == "missing":
        return "There is no complete workspace yet."
    text = f"A recommender that follows instructions, over {count(items)} items and {count(users)} shoppers"
    ours = quality[quality["ours"]] if len(quality) else quality
    compared = ours[ours["diff"].notna()] if len(ours) else ours
    if len(compared):
        ahead, behind = int((compared["diff_low"] > 0).sum()), int((compared["diff_high"] < 0).sum())
        level = len(compared) - ahead - behind
        told = [f"{word} on {n}" for n, word in ((ahead, "ahead"), (level, "level"), (behind, "behind")) if n]
        text += f". Against the best baseline of each task it is {', '.join(told)} of {len(compared)} (95 % intervals)"
    return text + "."


def cards(info: Info, quality: pd.DataFrame) -> str:
    """Sentence and the three cards: data, model, quality."""
    data, model = info.stages["dataset"], info.stages["model"]
    return (
        f'<p class="sg-lead">{esc(sentence(info, quality))}</p><div class="sg-cards">'
        + _card("Data", count(pick(data.metrics, "events", "n_events")), "purchases", _data_facts(data))
        + _card("Model", count(pick(model.metrics, "parameters", "n_parameters", "params")), "parameters", _model_facts(model))
        + _quality_card(quality)
        + "</div>"
    )


def _data_facts(stage: StageInfo) -> dict[str, str]:
    names = {"items": "items", "users": "shoppers", "baskets": "baskets", "categories": "categories"}
    facts = {label: count(pick(stage.metrics, name, f"n_{name}")) for name, label in names.items()}
    return {"source": str(stage.settings.get("source", "–")), **{k: v for k, v in facts.items() if v != "–"}}


def _model_facts(stage: StageInfo) -> dict[str, str]:
    settings = stage.settings.get("model", stage.settings)
    return {
        "backbone": str(pick(stage.metrics, "backbone") or settings.get("backbone", "–")),
        "prefix levels": str(settings.get("prefix_levels", "–")),
        "trained in": duration(seconds(stage)),
        "made": stage.date[:10] or "–",
    }


def _card(title: str, figure: str, unit: str, facts: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{esc(name)}</dt><dd>{esc(value)}</dd>" for name, value in facts.items())
    big = f'<span class="sg-big">{esc(figure)}</span> <span class="sg-small">{esc(unit)}</span>'
    return f'<div class="sg-card"><h4>{esc(title)}</h4><div>{big}</div><dl class="sg-facts">{rows}</dl></div>'


def _quality_card(quality: pd.DataFrame) -> str:
    if quality.empty or not quality["ours"].any():
        return _card("Quality", "–", "not measured yet", {})
    ours = records(quality[quality["ours"]])
    head = ours[0]
    rows = "".join(f"<dt>{esc(row['label'])}</dt><dd>{delta(row)}</dd>" for row in ours)
    interval = f"HR@10, {esc(head['label'])} [{three(head['low'])}, {three(head['high'])}]"
    big = f'<span class="sg-big">{three(head["value"])}</span> <span class="sg-small">{interval}</span>'
    against = '<div class="sg-small" style="margin-top:.45rem">against the best baseline</div>'
    facts = f'<dl class="sg-facts" style="margin-top:.1rem">{rows}</dl>'
    return f'<div class="sg-card"><h4>Quality</h4><div title="n = {head["n"]:,}">{big}</div>{against}{facts}</div>'


def delta(row: Mapping[str, Any]) -> str:
    """A difference with sign, arrow, colour and its interval; "≈" when the interval holds zero."""
    if pd.isna(row["diff"]):
        return '<span class="sg-small">not compared</span>'
    sure = row["diff_low"] > 0 or row["diff_high"] < 0
    kind, arrow = ("sg-up", "▲") if row["diff"] > 0 else ("sg-down", "▼")
    change, low, high = (signed(row[name]) for name in ("diff", "diff_low", "diff_high"))
    mark = f'<span class="{kind}">{arrow} {change}</span>' if sure else f"<span>≈ {change}</span>"
    return f'{mark} <span class="sg-small" title="paired bootstrap, n = {row["n"]:,}">[{low}, {high}]</span>'


def signed(value: float) -> str:
    """A difference with its sign and three decimals (as its interval has, so that the two can be compared at a glance)."""
    return ("+" if value >= 0 else "−") + f"{abs(value):.3f}"


def seconds(stage: StageInfo) -> float | None:
    """How long the stage took: the training's own clock where there is one, else what its writing took."""
    minutes = stage.metrics.get("minutes")
    return 60 * float(minutes) if isinstance(minutes, int | float) else stage.seconds


def pipeline(info: Info, fusion: FusionSettings | None = None) -> str:
    """The six linked steps, each with headline figure, time and state."""
    boxes = []
    for key, title in STEPS.items():
        if key == "generation":
            ready = info.stages["model"].state == "ok"
            figure = f"K {fusion.beams} × M {fusion.per_prefix}" if fusion else "–"
            boxes.append(
                _box(title, "ok" if ready else "missing", figure, "prefixes × items, then fused", "live" if ready else "", "")
            )
            continue
        stage = info.stages[key]
        figure, unit = _headline(stage)
        boxes.append(_box(title, stage.state, figure, unit, duration(seconds(stage)) if seconds(stage) else "", stage.reason))
    return f'<div class="sg-pipe">{"".join(boxes)}</div>'


def _box(title: str, state: str, figure: str, unit: str, time: str, reason: str) -> str:
    foot = " · ".join(part for part in (state, time) if part)
    return (
        f'<div class="sg-stage {esc(state)}" title="{esc(reason)}"><b>{esc(title)}</b><div class="sg-fig">{esc(figure)}</div>'
        f'<div class="sg-small">{esc(unit)}</div><div class="sg-small">{chips.dot(state)}{esc(foot)}</div></div>'
    )


def _headline(stage: StageInfo) -> tuple[str, str]:
    """The one figure that says most about a stage."""
    if stage.state in ("missing", "damaged"):
        return "–", "not made yet" if stage.state == "missing" else "cannot be read"
    metrics = stage.metrics
    if stage.name == "dataset":
        return count(pick(metrics, "items", "n_items")), "items"
    if stage.name == "grounding":
        return _recall(metrics)
    if stage.name == "tokens":
        usage = pick(metrics, "usage")
        levels = metrics.get("levels")
        if usage is None and isinstance(levels, list) and levels:
            usage = min(level["usage"] for level in levels)
        return (f"{100 * usage:.3g} %" if isinstance(usage, int | float) else "–"), "of the codes in use"
    if stage.name == "model":
        steps = pick(metrics, "steps")
        return (count(steps), "training steps") if steps else (count(pick(metrics, "parameters")), "parameters")
    n = pick(metrics, "households")
    return (count(n), "households measured") if isinstance(n, int | float) else ("done", "against baselines")


def measured(view: Mapping[str, Any]) -> bool:
    """Whether a view had held-out pairs to measure on."""
    return all(isinstance(view.get(name), float) and view[name] == view[name] for name in ("recall_before", "recall_after"))


def _recall(metrics: Mapping[str, Any]) -> tuple[str, str]:
    """Recall@10 of held-out pairs, before → after grounding, mean over the views."""
    views = [view for view in metrics.get("views") or () if isinstance(view, Mapping) and measured(view)]
    if not views:
        return "done", "vectors grounded"
    before, after = (sum(float(view[key]) for view in views) / len(views) for key in ("recall_before", "recall_after"))
    return f"{three(before)} → {three(after)}", f"recall@10 of held-out pairs, mean of {len(views)} views"


def quality_table(quality: pd.DataFrame) -> str:
    """Ours, the best baseline and the paired difference, a row a task."""
    others = {row["label"]: row for row in records(quality[~quality["ours"]])}
    lines = []
    for row in records(quality[quality["ours"]]):
        best = others.get(row["label"])
        theirs = f"{esc(best['system'])} {_interval(best)}" if best else "–"
        cells = (esc(row["label"]), _interval(row, bold=True), theirs, delta(row), f"{row['n']:,}")
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("Task", "Sigmascope", "Best baseline", "Difference", "n"))
    table = f'<table class="sg-table"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="sg-scroll">{table}</div>'


def _interval(row: Mapping[str, Any], bold: bool = False) -> str:
    value = f"<b>{three(row['value'])}</b>" if bold else three(row["value"])
    return f'{value} <span class="sg-small">[{three(row["low"])}, {three(row["high"])}]</span>'


def doors(bench: Workbench, recommend: Path) -> None:
    """Ways on, each with an example; only to pages that exist."""
    suggestions = bench.suggestions()
    examples = [("Try an instruction", suggestions[1], "chat"), ("Ask with a limit", suggestions[2], "sell"),
                ("Look for something new", suggestions[3], "explore")]  # fmt: skip
    for column, (title, example, icon) in zip(st.columns(3), examples, strict=True):
        with column.container(border=True):
            st.page_link(
                str(recommend), label=title, icon=f":material/{icon}:", query_params=address.door(form.PAGE, {"q": example})
            )
            st.html(f'<div class="sg-small">“{esc(example)}”</div>')
