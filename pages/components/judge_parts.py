"""What the parts of the Judge page share: whom and what is asked, what is missing, an item's aspects, a household's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from backend.figures import judge as figures_judge
from backend.generation.request import Request
from backend.inspection.judge import ASPECTS, LEVELS, MEANING, Opinion, VotedWeights
from backend.workbench import Recommendation, Workbench
from pages.components import bound, chips
from pages.components.text import esc, md, money, three

PAGE = "judge"
NAMES: Mapping[str, str] = {"profile": "Profile", "future": "Future", "novelty": "Novelty", "context": "Context"}
NOT_SERVED = (
    "The judge speaks at training time: what a policy learned of it is in the policy's weights. A recommendation asks it only where its own weight "
    "is drawn, which ships at 0."
)
PROXY = "It learned from proxies (what households bought later in the training period), not from opinions of people."
MAKES = {"judge": "what the judge says", "policy": "trained policies"}


def key(name: str) -> str:
    """Session key of a choice of this page."""
    return bound.key(PAGE, name)


def who_and_what(bench: Workbench) -> Request:
    """Draw the household and the instruction; returns the request that they make."""
    state, table = st.session_state, bench.shoppers()
    labels = {user: f"{user} · {profile}" for user, profile in zip(table["user_id"], table["profile"], strict=True)}
    first = state.get("user") if state.get("user") in labels else bench.example_shopper()
    if not str(state.get(key("q")) or "").strip():
        state[key("q")] = (str(state.get("instruction") or "").strip() or bench.suggestions()[0])[:80]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        user = st.selectbox("Household", list(labels), format_func=lambda one: labels[one], width=420,
                            key=bound.choose(PAGE, "user", list(labels), str(first)))  # fmt: skip
        text = st.text_input("It asks", key=bound.widget(PAGE, "q"), max_chars=80, width=420)
    return Request(instruction=text.strip(), user=str(user), fusion=bench.fusion())


def has_model(bench: Workbench) -> bool:
    """Whether a list can be made; says what to do where not, and waits for the model where it is loading."""
    info = bench.info()
    if not info.usable:
        bad = next(info.stages[name] for name in ("dataset", "grounding", "tokens", "model") if info.stages[name].state != "ok")
        st.info(
            f"There is no model to take items from: {md(bad.name)} is {bad.state}. This makes it:",
            icon=":material/model_training:",
        )
        st.code(bad.command, language="sh", wrap_lines=True)
        return False
    if not bench.ready:
        with st.spinner("The model is being loaded; this happens once."):
            bench.generator()
    return True


def has_stage(bench: Workbench, name: str) -> bool:
    """Whether a stage of the recipe is there; says what is missing and what makes it where not."""
    stage = bench.judging.stage(name)
    if stage.state == "ok":
        return True
    demo = bench.info().demo
    why = {"missing": "This workspace has no stage", "stale": "The workspace's model is newer than its stage"}.get(
        stage.state, "This workspace has a damaged stage"
    )
    where = " The shipped demo is read-only: train in a workspace of your own." if demo else ""
    st.info(f"{why} `{name}`, so {MAKES[name]} cannot be shown.{where} This makes it:", icon=":material/balance:")
    st.code(
        f"python -m backend train --recipe sgrec --workspace {'DIR' if demo else bench.workspace.path}",
        language="sh",
        wrap_lines=True,
    )
    return False


def answer(bench: Workbench, asked: Request) -> Recommendation:
    """The list for a request; kept while nothing of it changes."""
    kept = st.session_state.get("judge-answer")
    name = (asked.model_dump_json(), bench.workspace.stage("model").fingerprint)
    if kept is None or kept[0] != name:
        with st.spinner("The list is being made…"):
            kept = (name, bench.recommend(asked))
        st.session_state["judge-answer"] = kept
    return kept[1]


def voted(bench: Workbench) -> VotedWeights | None:
    """Weights that were trained on votes in this session, beside the judge that is there."""
    kept = st.session_state.get("judge-voted")
    return kept[1] if kept and kept[0] == bench.judging.stage("judge").fingerprint else None


def weighting(bench: Workbench) -> Any:
    """Draw the choice between weights by proxies and by votes, where there is one; returns the voted weights, or None for the proxies'."""
    own = voted(bench)
    if own is None:
        return None
    chosen = st.segmented_control("Weights from", ["Proxies", "Votes"], key="judge-weighting", default="Proxies", required=True)
    return own.weights if chosen == "Votes" else None


def aspects(opinion: Opinion, row: int) -> str:
    """An item's aspects as HTML: name, bar of the expected level, and the level in a word with the evidence that it cites."""
    cells = []
    for place, name in enumerate(ASPECTS):
        expected = float(opinion.expected[row, place])
        told = esc(NAMES[name])
        if not np.isfinite(expected):
            cells.append(
                f'<span class="off">{told}</span><i></i><span class="off why">not used: no better than a plain baseline</span>'
            )
            continue
        hint = f"{MEANING[name]} expected level {expected:.2f} of {LEVELS - 1}, weight {opinion.weights[place]:.2f}"
        cells.append(
            f'<span title="{esc(hint)}">{told}</span><i title="{esc(hint)}"><b style="width:{100 * expected / (LEVELS - 1):.0f}%;'
            f'background:{figures_judge.ASPECTS[name]}"></b></i><span class="why">{esc(opinion.reasons[row].get(name, ""))}</span>'
        )
    return f'<div class="sg-aspects">{"".join(cells)}</div>'


def weights(opinion: Opinion) -> str:
    """A household's weights as HTML: one bar, and each weight in figures."""
    shares = dict(zip(ASPECTS, opinion.weights.tolist(), strict=True))
    bar = "".join(
        f'<i style="width:{100 * share:.1f}%;background:{figures_judge.ASPECTS[name]}"></i>' for name, share in shares.items()
    )
    legend = "".join(
        f'<span class="sg-key"><i style="background:{figures_judge.ASPECTS[name]}"></i>{esc(NAMES[name])} {share:.0%}</span>'
        for name, share in shares.items()
    )
    return (
        f'<div class="sg-stack" role="img" aria-label="Weights of the aspects">{bar}</div><div class="sg-legend">{legend}</div>'
    )


def facts(item: Mapping[str, Any], more: str = "") -> str:
    """Path, price and semantic ID of an item as HTML; `more` (HTML) stands beside them."""
    icon = chips.symbol(chips.department_icon(str(item["department"])))
    return (
        f'<div class="sg-path">{icon} {esc(item["path"])}</div><div class="sg-row" style="margin-top:.15rem">'
        f'<span class="sg-price">{esc(money(float(item["price"])))}</span>{chips.sid(str(item["sid"]), str(item["prefix"]))}{more}</div>'
    )


def score(value: float) -> str:
    """s_hol as HTML."""
    return f'<span class="sg-tag accent" title="weights times levels, as a share of the highest level; a proxy">judge {three(value)}</span>'
