"""The state of the Recommend page: session values ↔ `Request` ↔ link.

Widget keys are listed here once. `seed` puts a request into the session before any widget is drawn; `request` reads it back.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend.generation.request import Request
from backend.settings import FusionSettings
from backend.tokenization.prefixes import parse_prefix, prefix_name
from backend.workbench import Workbench
from pages.components import address
from pages.components.link import from_params, to_params

PAGE = "recommend"
FUSION = tuple(FusionSettings.model_fields)
PICK, COMPOSE = "Pick", "Compose"
SIGMA, JD, SGREC = "SIGMA", "JD", "S-GRec"  # the recipes
RECIPES = {"jd": JD, "sgrec": SGREC}  # as the link names them; none = SIGMA
OWN = ("recipe", "arm")  # parameters of the link that are no part of the request


def seed(bench: Workbench, defaults: FusionSettings) -> list[str]:
    """Fill the session from the link, the first time and whenever another link was followed; returns what had to be left out."""
    params = address.followed(PAGE)
    if params is None:
        if all(f"fusion_{name}" in st.session_state for name in FUSION):
            return []
        params = address.kept(PAGE)  # the page was left before its run was through: what that run had written is forgotten
    fresh, bad = from_params({name: value for name, value in params.items() if name not in OWN}, defaults)
    st.session_state["recipe"] = RECIPES.get(params.get("recipe", ""), SIGMA)
    st.session_state["arm"] = params.get("arm")
    names = set(bench.dataset.users["user_id"])
    if "user" not in params and (fresh.profile is not None or fresh.history is not None):
        fresh = fresh.model_copy(update={"user": None})  # a link to a composed shopper replaces the one in focus
    if fresh.user is not None and fresh.user not in names:
        bad.append(f"shopper {fresh.user[:40]!r}")
        fresh = fresh.model_copy(update={"user": None})
    if fresh.category is not None and fresh.category not in set(category_options(bench)):
        bad.append(f"category {fresh.category[:40]!r}")
        fresh = fresh.model_copy(update={"category": None})
    _write(fresh, bench)
    return bad


def _write(fresh: Request, bench: Workbench) -> None:
    known = set(bench.dataset.items["item_id"])
    composed = fresh.user is None and (fresh.profile is not None or fresh.history is not None)
    state: dict[str, Any] = {
        "written": True,
        "mode": COMPOSE if composed else PICK,
        "user": fresh.user or bench.example_shopper(),
        "profile": fresh.profile or "",
        "basket": [item for item in dict.fromkeys(fresh.history or ()) if item in known],
        "dropped": [item for item in fresh.dropped if item in known],
        "instruction": fresh.instruction or bench.suggestions()[0],
        "category": fresh.category,
        "max_price": fresh.max_price,
        "min_price": fresh.min_price,
        "max_total": fresh.max_total,
        "exclude": fresh.exclude,
        "deals": fresh.deals,
        "theme": fresh.theme,
        "seen": fresh.seen,
        "forced": _name(fresh.forced_prefix),
        **{f"fusion_{name}": getattr(fresh.fusion, name) for name in FUSION},
    }
    st.session_state.update(state)


def _name(codes: tuple[int, ...] | None) -> str | None:
    return prefix_name(codes) if codes else None


def category_options(bench: Workbench) -> list[str]:
    """Departments, then categories that do not share a department's name."""
    departments = bench.departments()
    known = set(departments)
    return departments + [name for name in bench.categories()["category"] if name not in known]


def request(defaults: FusionSettings, stock: tuple[str, ...] | None = None) -> Request:
    """The request that the session describes.

    Raises:
        ValidationError: cannot happen through the widgets, whose ranges are those of the settings.
    """
    state = st.session_state
    composed = state.get("mode") == COMPOSE
    fusion = FusionSettings(**{name: state.get(f"fusion_{name}", getattr(defaults, name)) for name in FUSION})
    return Request(
        instruction=str(state.get("instruction") or "").strip(),
        user=None if composed else state.get("user"),
        profile=(str(state.get("profile") or "").strip() or None) if composed else None,
        history=tuple(state.get("basket", ())) if composed else None,
        dropped=() if composed else tuple(state.get("dropped", ())),
        category=state.get("category"),
        max_price=state.get("max_price"),
        min_price=state.get("min_price"),
        max_total=state.get("max_total"),
        exclude=tuple(state.get("exclude") or ()),
        deals=bool(state.get("deals")),
        theme=state.get("theme"),
        stock=stock,
        seen=state.get("seen") or "allow",
        forced_prefix=parse_prefix(state["forced"]) if state.get("forced") else None,
        fusion=fusion,
    )


def add(bench: Workbench, item_id: str) -> None:
    """Put an item into the basket (a callback, usable on any page): a picked household becomes a composed shopper with its profile
    and its last baskets, which the item joins."""
    state = st.session_state
    if "written" not in state:
        _write(Request(fusion=bench.fusion()), bench)
    if state.get("mode") != COMPOSE:
        shopper = bench.shopper(state["user"])
        last = [str(item) for basket in reversed(shopper.baskets) for item in basket.items["item_id"]]
        last = [item for item in last if item not in state.get("dropped", ())]
        state.update(mode=COMPOSE, profile=shopper.profile, basket=last)
    others = dict.fromkeys(item for item in state.get("basket", []) if item != item_id)
    state["basket"] = [*others, item_id]  # each item once (pills are told apart by it), the new one as the latest
    address.keep(PAGE, _params(request(bench.fusion()), bench.fusion()))
    st.toast("Added to the basket of a composed shopper, on the Recommend page.", icon=":material/add_shopping_cart:")


def publish(asked: Request, defaults: FusionSettings) -> dict[str, str]:
    """Put the request into the page's address; returns the parameters."""
    params = _params(asked, defaults)
    address.publish(PAGE, params)
    return params


def _params(asked: Request, defaults: FusionSettings) -> dict[str, str]:
    params = to_params(asked, defaults)
    named = [name for name, recipe in RECIPES.items() if recipe == st.session_state.get("recipe")]
    if named:
        params["recipe"] = named[0]
    if named == ["sgrec"] and st.session_state.get("arm"):
        params["arm"] = str(st.session_state["arm"])
    return params
