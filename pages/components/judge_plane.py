"""The advantage plane: rollouts of held-out baskets by both advantages, made in the background."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from backend.figures import judge as figures_judge
from backend.frames import records
from backend.serving.jobs import jobs
from backend.workbench import Workbench
from pages.components import job, judge_parts, proof
from pages.components.text import esc, three

SIZES = ["8", "16", "32", "64"]
SEED = 7


def section(bench: Workbench) -> None:
    """Draw the plane, or the button that makes it."""
    if not (judge_parts.has_stage(bench, "judge") and judge_parts.has_model(bench)):
        return
    st.html(
        '<div class="sg-small" style="max-width:62rem">For each held-out basket the model as trained proposes a group of items. Each is '
        "worth something to the shop, given what was then bought (A<sub>biz</sub>), and something to the judge (A<sub>sem</sub>), beside its group. "
        "A2PO adds λ · A<sub>sem</sub>: only where both signs agree (the gate), and never more than A<sub>biz</sub>. The ground shows λ.</div>"
    )
    made = (
        bench.judging.stage("judge").fingerprint,
        bench.judging.stage("policy").fingerprint,
        bench.workspace.stage("model").fingerprint,
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        size = st.segmented_control("Held-out baskets", SIZES, default=SIZES[1], required=True, key="judge-contexts")
        name = f"judge-plane-{'-'.join(made)}-{size}"
        running = jobs().get(name)
        busy = running is not None and running.active
        st.button("Make the plane", type="primary", icon=":material/play_arrow:", key="judge-plane-make", disabled=busy, on_click=_start,
                  args=(bench, name, int(str(size))))  # fmt: skip
    found = job.show(jobs().get(name), "The plane")
    if isinstance(found, pd.DataFrame):
        st.session_state["judge-plane"] = (made, found)
    kept = st.session_state.get("judge-plane")
    if kept is None or kept[0] != made:
        st.caption("Nothing is drawn yet; it takes about a second a basket.")
        return
    _drawn(kept[1])


def _start(bench: Workbench, name: str, contexts: int) -> None:
    job.start(name, lambda report, cancel: bench.judging.plane(contexts, SEED, report, cancel))


def _drawn(table: pd.DataFrame) -> None:
    firsts = table.drop_duplicates("group")
    groups = dict(zip(firsts["group"].astype(int).tolist(), firsts["user_id"], strict=True))
    alive = table[table["a_biz"] != 0]
    dead = 1 - alive["group"].nunique() / max(len(groups), 1)
    facts = {
        "groups": f"{len(groups):,}", "rollouts": f"{len(table):,}", "gate open": f"{alive['gate'].mean():.0%}" if len(alive) else "–",
        "mean λ": three(float(alive["coefficient"].mean())) if len(alive) else "–", "groups without business variance": f"{dead:.0%}",
    }  # fmt: skip
    st.html(
        '<div class="sg-row">'
        + "".join(f'<span class="sg-tag">{esc(name)} {esc(value)}</span>' for name, value in facts.items())
        + "</div>"
    )
    left, right = st.columns([0.58, 0.42], gap="medium")
    with right:
        chosen = st.selectbox("Group", [None, *groups], key="judge-group",
                              format_func=lambda group: "All groups" if group is None else f"household {groups[group]}")  # fmt: skip
        shown = table[table["group"] == chosen] if chosen is not None else table.nlargest(12, "coefficient")
        st.html(f'<div class="sg-small">{"Its rollouts" if chosen is not None else "Where the judge is heard most"}</div>')
        body = [
            [esc(row["title"]) + (" ✓" if row["bought"] else ""), f"{row['a_biz']:+.2f}", f"{row['a_sem']:+.2f}", three(row["coefficient"]),
             f"{row['advantage']:+.2f}"]
            for row in records(shown)
        ]  # fmt: skip
        st.html(proof.grid(["Item (✓ bought)", "A<sub>biz</sub>", "A<sub>sem</sub>", "λ", "A"], body))
    with left:
        st.plotly_chart(figures_judge.plane(table, chosen), key="judge-plane-chart", config=proof.CHART,
                        alt="Rollouts by business and semantic advantage; the gate is open where both signs agree; the shade is λ.")  # fmt: skip
        st.html(
            '<div class="sg-small">Green dots: gate open. Orange crosses: the judge is not heard, A = A<sub>biz</sub>. Validation baskets, '
            f"seed {SEED}; groups without a right answer got one. The judge goes by proxies.</div>"
        )
        st.download_button("Table", lambda: table.to_csv(index=False), "plane.csv", "text/csv", icon=":material/download:", on_click="ignore",
                           key="judge-plane-table")  # fmt: skip
