"""A request as a link and back: the whole state of the Recommend page lives in its address.

Only what differs from the defaults is written. What cannot be read (an old or mangled link) is left out and named, so that a
bad link still opens the page. A stock list is a file and not part of the link.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from backend.generation.request import Request
from backend.settings import FusionSettings
from backend.tokenization.prefixes import parse_prefix, prefix_name

_TEXTS = {"user": "user", "q": "instruction", "profile": "profile", "category": "category", "theme": "theme", "seen": "seen"}
_PRICES = {"max": "max_price", "min": "min_price", "total": "max_total"}
_LISTS = {"basket": "history", "drop": "dropped"}
_NAMES = {"no": "exclude"}  # names may hold commas
_FLAGS = {"deals": "deals"}
_FUSION = {
    "K": "beams", "M": "per_prefix", "N": "top", "apf": "apf", "domain": "sigma_domain", "tau": "tau", "wp": "prefix_weight",
    "wi": "item_weight", "wr": "repeat_weight", "wpop": "popularity_weight", "top1": "top1_prefix", "s": "strength", "wv": "value_weight",
    "div": "diversity", "wrh": "repeat_hidden", "wj": "judge_weight",
}  # fmt: skip


def to_params(request: Request, defaults: FusionSettings) -> dict[str, str]:
    """The address parameters of a request."""
    blank = Request(fusion=defaults)
    params = {}
    for name, field in (_TEXTS | _PRICES).items():
        value = getattr(request, field)
        if value != getattr(blank, field) and value is not None:
            params[name] = f"{value:g}" if isinstance(value, float) else str(value)
    for name, field in _LISTS.items():
        values = getattr(request, field)
        if values:
            params[name] = ",".join(values)
    for name, field in _NAMES.items():
        if getattr(request, field):
            params[name] = "|".join(getattr(request, field))
    for name, field in _FLAGS.items():
        if getattr(request, field):
            params[name] = "1"
    if request.forced_prefix:
        params["prefix"] = prefix_name(request.forced_prefix).replace("·", ".")
    for name, field in _FUSION.items():
        value = getattr(request.fusion, field)
        if value != getattr(defaults, field):
            params[name] = f"{int(value)}" if isinstance(value, bool) else f"{value}"
    return params


def from_params(params: Mapping[str, str], defaults: FusionSettings) -> tuple[Request, list[str]]:
    """The request of address parameters, and the names of those that could not be read."""
    request, bad = Request(fusion=defaults), []
    for name, text in params.items():
        try:
            if name in _FUSION:
                field = _FUSION[name]
                value: object = text not in ("0", "false") if isinstance(getattr(defaults, field), bool) else text
                fusion = FusionSettings(**{**request.fusion.model_dump(), field: value})
                request = Request(**{**dict(request), "fusion": fusion})
                continue
            request = Request(**{**dict(request), **_field(name, text)})
        except (ValidationError, ValueError, KeyError):
            bad.append(name)
    return request, bad


def _field(name: str, text: str) -> dict[str, object]:
    if name == "prefix":
        return {"forced_prefix": parse_prefix(text)}
    if name in _LISTS:
        return {_LISTS[name]: tuple(part for part in text.split(",") if part)}
    if name in _NAMES:
        return {_NAMES[name]: tuple(part for part in text.split("|") if part)}
    if name in _FLAGS:
        return {_FLAGS[name]: text not in ("0", "false")}
    if name in _PRICES:
        return {_PRICES[name]: float(text)}
    return {_TEXTS[name]: text}
