"""The knobs of the Fusion page in their three groups, and the bar above: reference, what differs from it, what is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from backend.settings import LabSettings
from pages.components import chips, fusion_presets, judge_weight
from pages.components.fusion_form import LARGEST, SHORT, key, write
from pages.components.text import three

if TYPE_CHECKING:
    from backend.inspection.lab import FusionLab
LABELS = {
    "prefix_weight": "prefix weight", "item_weight": "item weight", "tau": "τ", "sigma_domain": "σ over", "strength": "σ strength",
    "repeat_weight": "repeat", "repeat_hidden": "repeat where hidden", "popularity_weight": "popularity", "value_weight": "value",
    "judge_weight": "judge",
    "diversity": "diversity", "beams": "K", "per_prefix": "M", "top": "N",
}  # fmt: skip
EXAMPLE = -0.5  # of the popularity weight
_HINT = (
    "Move a slider: every list is made again and measured against the reference. For instance, draw <b>Popularity</b> below 0 and watch novelty "
    "rise, and what NDCG pays for it."
)


def panel(default: LabSettings, no_judge: str = "") -> None:
    """Draw the knobs.

    Args:
        no_judge: why the judge's score cannot be weighed; "" = it can.
    """
    keep: Any = {"persist_state": "session"}
    with st.container(border=True, key="lab-knobs", gap="small"):
        st.html("<b>SIGMA's own</b>")
        st.slider(
            "Prefix weight",
            0.0,
            3.0,
            step=0.05,
            key=key("prefix_weight"),
            help="Exponent of φ, the prefix's probability.",
            **keep,
        )
        st.slider("Item weight", 0.0, 3.0, step=0.05, key=key("item_weight"), help="Exponent of P(item | prefix).", **keep)
        st.slider(
            "τ of the items",
            0.005,
            1.0,
            step=0.005,
            format="%.3f",
            key=key("tau"),
            help="Small: the nearest item takes all.",
            **keep,
        )
        st.slider(
            "σ strength",
            0.0,
            2.0,
            step=0.05,
            key=key("strength"),
            help="Exponent of σ. 1: APF as in the paper. 0: σ plays no part.",
            **keep,
        )
        st.selectbox(
            "σ over",
            ["probability", "renormalised", "log"],
            key=key("sigma_domain"),
            help="Which values of φ σ is taken over.",
            **keep,
        )
        st.html("<b>Priors</b>")
        st.slider("Repeat prior", 0.0, 3.0, step=0.05, key=key("repeat_weight"), help="What this household buys again.", **keep)
        st.slider("… where bought items are hidden", 0.0, 1.0, step=0.05, key=key("repeat_hidden"),
                  help="Factor on the repeat prior in the view of new items. 0: it plays no part there.", **keep)  # fmt: skip
        st.slider("Popularity", -2.0, 2.0, step=0.05, key=key("popularity_weight"), help="Below 0: novelty.", **keep)
        st.slider(
            "Business value",
            -1.0,
            1.0,
            step=0.05,
            key=key("value_weight"),
            help="Exponent of the price. 1 ranks by expected value, P × price.",
            **keep,
        )
        judge_weight.slider(st, key("judge_weight"), no_judge)
        st.html("<b>List</b>")
        st.slider("Diversity", 0.0, 0.9, step=0.05, key=key("diversity"),
                  help="λ of maximal marginal relevance over the grounded vectors.", **keep)  # fmt: skip
        st.slider("K prefixes", 1, LARGEST["beams"], key=key("beams"), **keep)
        st.slider(
            "M items a prefix",
            1,
            LARGEST["per_prefix"],
            key=key("per_prefix"),
            help="A quota: at most M items of one prefix.",
            **keep,
        )
        st.slider("N items", 1, LARGEST["top"], key=key("top"), help="Length of the list; every metric is taken at N.", **keep)


def bar(lab: FusionLab, setting: LabSettings, base: LabSettings, default: LabSettings) -> None:
    """What is compared with what, and the buttons that change that."""
    households = lab.cases.cases["user"].nunique()
    split = str(lab.cases.cases["split"].iat[0])
    window = lab.cases.households.get(split, households)
    told = (
        f"sample of {households:,} of {window:,} {split} households"
        if households < window
        else f"all {households:,} {split} households"
    )
    marks = [chips.tag(told, "accent", "groups")]
    changed = changes(setting, base)
    marks += [chips.tag(text) for text in changed] or [chips.tag("the reference itself")]
    with st.container(horizontal=True, vertical_alignment="center", key="lab-bar"):
        st.button("Set as reference", icon=":material/flag:", key="lab-set", on_click=_set, args=(setting,), disabled=not changed)
        st.button("To reference", icon=":material/undo:", key="lab-back", on_click=write, args=(base,), disabled=not changed)
        st.button("As shipped", icon=":material/restart_alt:", key="lab-reset", on_click=_reset, args=(default,))
        with st.popover("Presets", icon=":material/bookmark:"):
            fusion_presets.panel(setting, [part for part in lab.parts if "," not in part])
    st.html(f'<div class="sg-row">{"".join(marks)}</div>')
    if not changed:
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.html(f'<div class="sg-small">{_HINT}</div>', width="content")
            st.button("Do that", icon=":material/play_arrow:", type="tertiary", key="lab-try", on_click=write,
                      args=(setting.model_copy(update={"popularity_weight": EXAMPLE}),))  # fmt: skip


def changes(setting: LabSettings, base: LabSettings) -> list[str]:
    """Which knobs differ, in words."""
    out = []
    for name in SHORT:
        new, old = getattr(setting, name), getattr(base, name)
        if new != old and name != "top":
            told = f"{old} → {new}" if isinstance(new, str | int) else f"{three(old)} → {three(new)}"
            out.append(f"{LABELS[name]} {told}")
    return out


def _set(setting: LabSettings) -> None:
    st.session_state["lab-reference"] = setting


def _reset(default: LabSettings) -> None:
    st.session_state["lab-reference"] = default
    write(default)
