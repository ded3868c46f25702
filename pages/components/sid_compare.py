"""Another tokenization of the same items beside this one: made in the background, kept on disk."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from backend.figures import sids as figures_sid
from backend.frames import records
from backend.serving.jobs import jobs
from backend.settings import TokenSettings
from backend.workbench import Workbench
from pages.components import chips, job
from pages.components.sid_tree import CHART
from pages.components.text import count, esc, three

NAMES = {"usage": "codes in use", "perplexity": "perplexity", "reconstruction_error": "energy not explained", "purity": "purity",
         "prefixes": "prefixes", "collisions": "items that share their SID", "largest_prefix": "largest first prefix",
         "smallest_prefix": "smallest first prefix"}  # fmt: skip
BETTER = {"usage": 1, "perplexity": 1, "reconstruction_error": -1, "purity": 1, "collisions": -1, "largest_prefix": -1}


def section(bench: Workbench) -> None:
    """Draw the form, the running job, the comparison."""
    settings = _form(bench)
    if settings is None:
        return
    sids = bench.sids
    key = sids.other_key(settings)
    run = jobs().get(key)
    kept = sids.other_path(settings).is_file()
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Compare", type="primary", icon=":material/compare_arrows:", key="sid-compare"):
            run = job.start(key, partial(_work, bench, settings))
        said = "made before: read from disk" if kept else "takes seconds (k-means) to a minute (RQ-VAE), beside your work"
        st.html(f'<span class="sg-small">{said}</span>')
    result = job.show(run, "The other tokenization")
    if result is not None:
        _result(bench, result)


def _work(bench: Workbench, settings: TokenSettings, report: Any, cancel: Any) -> Any:
    return bench.sids.other(settings, None, report, cancel)


def _form(bench: Workbench) -> TokenSettings | None:
    """The other tokenization's settings."""
    own = bench.sids.settings
    with st.container(horizontal=True, vertical_alignment="bottom", key="sid-other"):
        kind = st.segmented_control("Quantiser", ["rq-vae", "rq-kmeans"], default="rq-vae", key="sid-other-kind", required=True,
                                    format_func=lambda kind: {"rq-vae": "RQ-VAE", "rq-kmeans": "RQ-KMeans"}[kind])  # fmt: skip
        levels = st.number_input("Levels", 1, 8, own.levels, key="sid-other-levels", width=110)
        codes = st.number_input("Codes a level", 2, 512, own.codes, key="sid-other-codes", width=130)
        values: dict[str, Any] = {"quantizer": kind, "levels": levels, "codes": codes, "iterations": own.iterations}
        if kind == "rq-vae":
            values["latent"] = st.number_input(
                "Bottleneck width", 2, 256, TokenSettings().latent, key="sid-other-latent", width=140
            )
            values["epochs"] = st.number_input("Epochs", 1, 400, TokenSettings().epochs, key="sid-other-epochs", width=120)
        else:
            values["balance"] = st.number_input("Balance", 1.0, 20.0, 20.0, 0.1, key="sid-other-balance", width=120,
                                                help="Largest first cluster, as a multiple of the mean; 20 is none.")  # fmt: skip
    try:
        return TokenSettings(**values)
    except ValidationError:
        st.warning("These settings cannot be.", icon=":material/error:")
        return None


def _result(bench: Workbench, found: Any) -> None:
    n = len(found.items)
    info = found.agreement["information"].iat[0]
    facts = [
        f"{found.moved:,} of {n:,} items ({found.moved / n:.0%}) moved to another first prefix",
        f"{found.items['company'].mean():.0%} of an item's company stays, on average",
        f"mutual information {three(info)} of 1 (adjusted for chance)",
    ]
    st.html(chips.tags(facts))
    left, right = st.columns([0.58, 0.42], gap="large")
    left.html(_figures(found.figures, found.left.name, found.right.name))
    with right:
        st.plotly_chart(figures_sid.overlap(found.overlap, found.rows, found.columns, found.left.name, found.right.name), key="sid-overlap",
                        config=CHART, alt="Items that first-level prefixes have in common; a clean diagonal means the same prefixes.")  # fmt: skip
        st.html('<div class="sg-small">A clean diagonal would mean the same first prefixes under other names.</div>')
    frame = moved(bench, found)
    st.html('<div class="sg-small">Items whose company changed most, of those bought most</div>')
    share = st.column_config.ProgressColumn("company that stays", format="percent", min_value=0, max_value=1)
    st.dataframe(frame.head(200), hide_index=True, height=230, key="sid-moved",
                 column_config={"company": share})  # fmt: skip
    st.download_button("CSV of all items", lambda: moved(bench, found).to_csv(index=False), "tokenizations.csv", "text/csv", on_click="ignore",
                       icon=":material/download:", key="sid-moved-csv")  # fmt: skip


def moved(bench: Workbench, found: Any) -> pd.DataFrame:
    """Every item under both tokenizations, those whose company changed most first."""
    from backend.tokenization.prefixes import prefix_name

    items = bench.dataset.items
    frame = pd.DataFrame(
        {
            "item_id": items["item_id"], "title": items["title"], "category": items["category"],
            "this": [prefix_name(codes) for codes in found.left.sids], "other": [prefix_name(codes) for codes in found.right.sids],
            "company": found.items["company"], "moved": found.items["moved"], "purchases": bench.sids.purchases,
        }
    )  # fmt: skip
    return frame.sort_values(["moved", "company", "purchases"], ascending=[False, True, False], kind="stable", ignore_index=True)


def _figures(frame: pd.DataFrame, left: str, right: str) -> str:
    lines = []
    for row in records(frame):
        metric, level = row["metric"], int(row["level"])
        where = f" {chips.tag(f'level {level}')}" if level else ""
        lines.append(f"<tr><td>{esc(NAMES[metric])}{where}</td><td>{_shown(metric, row['left'])}</td><td>{_shown(metric, row['right'])}</td>"
                     f"<td>{_delta(metric, row['left'], row['right'])}</td></tr>")  # fmt: skip
    head = f"<th>Figure</th><th>This: {esc(left)}</th><th>Other: {esc(right)}</th><th>Change</th>"
    table = f'<table class="sg-table"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="sg-scroll" style="max-height:24rem;overflow-y:auto">{table}</div>'


def _shown(metric: str, value: float) -> str:
    if value != value:
        return "–"
    return (
        f"{value:.1%}"
        if metric in ("usage", "purity", "reconstruction_error")
        else three(value)
        if metric == "perplexity"
        else count(value)
    )


def _delta(metric: str, left: float, right: float) -> str:
    """The change with sign and arrow; coloured where one direction is better."""
    step = right - left
    if step != step or step == 0:
        return "" if step != step else "="
    arrow, better = ("▲" if step > 0 else "▼"), BETTER.get(metric, 0) * step
    kind = "sg-up" if better > 0 else "sg-down" if better < 0 else ""
    shown = (
        f"{100 * step:+.3g} pts"
        if metric in ("usage", "purity", "reconstruction_error")
        else f"{step:+,.3g}"
        if abs(step) < 1000
        else f"{step:+,.0f}"
    )
    return f'<span class="{kind}">{arrow} {shown}</span>'
