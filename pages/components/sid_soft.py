"""What an item's soft token is made of: the share of each part, and what is lost without it."""

from __future__ import annotations

import streamlit as st

from backend.frames import records
from backend.workbench import Workbench
from pages.components.text import esc, three

PARTS = {"behaviour": "#0072B2", "text": "#009E73", "image": "#E69F00", "MLP": "#CC79A7"}


def soft(bench: Workbench, item: str) -> None:
    """What the item's soft token is made of; loads the model."""
    st.html("<b>What its soft token is made of</b>")
    stage = bench.info().stages["model"]
    if stage.state != "ok":
        st.info(f"The model is {stage.state}; soft tokens come from it.", icon=":material/model_training:")
        st.code(stage.command, language="bash")
        return
    if not bench.ready:
        with st.spinner("The model is being loaded; this happens once."):
            bench.generator()
    parts = bench.soft_parts(item)
    shares = records(parts.shares)
    total = sum(abs(row["share"]) for row in shares) or 1.0
    bars = "".join(
        f'<i style="width:{100 * abs(row["share"]) / total:.2f}%;background:{PARTS[row["part"]]};opacity:{1 if row["share"] >= 0 else 0.35}" '
        f'title="{esc(row["part"])} {row["share"]:+.1%}"></i>'
        for row in shares
    )
    keys = "".join(
        f'<span class="sg-key"><i style="background:{PARTS[row["part"]]}"></i>{esc(row["part"])} {row["share"]:.0%}</span>'
        for row in shares
    )
    st.html(f'<div class="sg-stack">{bars}</div><div class="sg-legend">{keys}</div>')
    lines = "".join(
        f"<tr><td>{esc(row['without'])}</td><td>{three(row['cosine'])}</td><td>{row['kept']} of 10</td></tr>"
        for row in records(parts.ablations)
    )
    note = "" if parts.known else " Nobody bought it in training, so behaviour is silent."
    st.html(
        '<table class="sg-table"><thead><tr><th>Token</th><th>cosine to the whole</th><th>nearest items kept</th></tr></thead>'
        f'<tbody>{lines}</tbody></table><div class="sg-small">Shares are projections on the token and add up to 100 %.{note}</div>'
    )
