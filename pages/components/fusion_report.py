"""The report: what a setting that was chosen on validation gives on test, looked at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from backend.figures.fusion import name_of, signed
from backend.frames import records
from backend.settings import LabSettings
from backend.workbench import Workbench
from pages.components.fusion_form import SHORT
from pages.components.text import esc, three

if TYPE_CHECKING:
    from backend.inspection.lab import FusionLab
SHOWN = ("ndcg", "hr", "value", "diversity", "novelty")


def section(bench: Workbench, setting: LabSettings, base: LabSettings) -> None:
    """Draw the button and, once it was pressed, the two tables."""
    labs = bench.fusion_labs()
    if not {"validation", "test"} <= set(labs):
        return
    reports: list[dict[str, Any]] = st.session_state.setdefault("lab-reports", [])
    same = next((each for each in reports if each["setting"] == setting and each["base"] == base), None)
    with st.container(border=True, key="lab-report"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html("<b>Validation and test</b>", width="content")
            if st.button("Report on test", icon=":material/fact_check:", key="lab-test", disabled=same is not None):
                same = {
                    "setting": setting,
                    "base": base,
                    **{name: _compare(labs[name], setting, base) for name in ("validation", "test")},
                }
                reports.append(same)
            looks = len(reports)
            warn = (
                " Test was made to be looked at once: the more settings one reports, the less the figures mean."
                if looks > 1
                else ""
            )
            st.html(
                f'<div class="sg-small">Choose on validation, then report the chosen setting once. In this session test was looked at '
                f"{looks} {'time' if looks == 1 else 'times'}.{warn}</div>", width="stretch"
            )  # fmt: skip
        if same is None:
            if reports:
                st.html(
                    '<div class="sg-small">The last report is of another setting than the one you see; go back to it to see its figures.</div>'
                )
            return
        left, right = st.columns(2, gap="large")
        for column, name, told in ((left, "validation", "chosen here"), (right, "test", "reported here")):
            n = labs[name].cases.cases["user"].nunique()
            column.html(
                f"<b>{name.capitalize()}</b> <span class='sg-small'>{told}, {n:,} households</span>{_table(same[name], setting.top)}"
            )
        words = ", ".join(f"{short}={getattr(setting, name)}" for name, short in SHORT.items())
        st.html(f'<div class="sg-small">Setting: {esc(words)}</div>')


def _compare(lab: FusionLab, setting: LabSettings, base: LabSettings) -> pd.DataFrame:
    return lab.compare(lab.score(setting), lab.score(base.model_copy(update={"top": setting.top})))


def _table(frame: pd.DataFrame, n: int) -> str:
    cells = {(row["part"], row["metric"]): row for row in records(frame)}
    head = "".join(f"<th>{esc(name)}</th>" for name in ("Task", *(name_of(metric, n) for metric in SHOWN)))
    lines = []
    for part in dict.fromkeys(frame["part"]):
        texts = [esc(part)]
        for metric in SHOWN:
            row = cells.get((part, metric))
            if row is None:
                texts.append("–")
                continue
            sure = row["diff_low"] > 0 or row["diff_high"] < 0
            kind = ("sg-up" if row["diff"] > 0 else "sg-down") if sure else ""
            told = f"[{three(row['low'])}, {three(row['high'])}], n = {row['n']:,}; difference [{row['diff_low']:+.4f}, {row['diff_high']:+.4f}]"
            texts.append(
                f'<span title="{esc(told)}">{three(row["value"])}</span><br><span class="sg-small {kind}">{esc(signed(row["diff"]))}</span>'
            )
        lines.append("<tr>" + "".join(f"<td>{text}</td>" for text in texts) + "</tr>")
    return f'<div class="sg-scroll"><table class="sg-table"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
