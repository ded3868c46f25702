"""A made-up workbench for the pages: deterministic, no model, ready in milliseconds.

It is the real `Workbench` over an invented catalogue, with a generator that follows the trace contract (64 prefixes of which
20 are kept, 50 items each), so everything but the model itself is the shipped code.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backend.bench.fusion import invented
from backend.data.schema import Dataset
from backend.errors import RequestError
from backend.evaluation.fusion_lab import FusionLab
from backend.generation.asked import combined, filters_json
from backend.generation.request import Request
from backend.generation.trace import Trace
from backend.settings import FusionSettings
from backend.tokenization.prefixes import prefix_name
from backend.workbench import OnStep, Workbench
from backend.workspace import SCHEMA_VERSION, Workspace

INJECTION = "<script>alert('x')</script> **bold** [link](javascript:alert(1)) $a$"
SHELF = {
    "Grocery": {"Baking": ["flour", "cake mix"], "Cereal": ["corn flakes", "granola"], "Snacks": ["tortilla chips", "pretzels"],
                "Pasta and sauce": ["spaghetti", "tomato sauce"], "Candy": ["chocolate bars", "Halloween candy"]},
    "Frozen": {"Frozen pizza": ["thin-crust pizza", "deep-dish pizza"], "Frozen vegetables": ["plain vegetables", "peas"],
               "Ice cream": ["vanilla ice cream", "sorbet"]},
    "Dairy": {"Cheese": ["cheddar", "mozzarella"], "Milk": ["whole milk", "oat drink"],
              "Yogurt": ["Greek yogurt", "fruit yogurt"]},
    "Produce": {"Fruit": ["bananas", "apples"], "Vegetables": ["carrots", "spinach"]},
    "Meat": {"Beef": ["ground beef", "steak"], "Poultry": ["chicken breast", "turkey"]},
    "Drinks": {"Soft drinks": ["cola", "lemonade"], "Coffee": ["ground coffee", "espresso pods"], "Juice": ["orange juice"]},
    "Household": {"Paper goods": ["paper towels", "napkins"], "Party supplies": ["plastic cutlery", "balloons"]},
    "Health and beauty": {"Hair care": ["shampoo"], "Oral care": ["toothpaste"]},
    "Bakery": {"Bread": ["whole-wheat bread", "bagels"], "Cakes": ["birthday cake"]},
    "Pet care": {"Cat food": ["dry cat food"], "Dog food": ["dog treats"]},
}  # fmt: skip
SIZES, BRANDS = ["8 oz", "12 oz", "16 oz", "24 oz", "32 oz"], ["store brand", "national brand"]
N_PREFIXES, PER_PREFIX = 64, 50


def fake_dataset(seed: int = 7) -> Dataset:
    """About 200 × 16 invented items, 24 shoppers, 30 baskets each; the first item carries an injection attempt in its title."""
    rng = np.random.default_rng(seed)
    rows = []
    for department, categories in SHELF.items():
        for category, types in categories.items():
            for kind in types:
                for size in SIZES:
                    for brand in BRANDS:
                        for pack in range(8):
                            name = f"{kind.capitalize()}, {size}" + (f", pack of {pack + 1}" if pack else "") + f" ({brand})"
                            price = round(float(rng.gamma(3, 1.3) + 0.4), 2)
                            source = (department.upper(), category.upper(), kind.upper())
                            rows.append((name, department, category, kind, brand, size, price, name, *source))
    columns = ["title", "department", "category", "type", "brand", "size", "price", "text", "source_department",
               "source_category", "source_type"]  # fmt: skip
    items = pd.DataFrame(rows, columns=columns)
    items.insert(0, "item_id", [f"i{row:04d}" for row in range(len(items))])
    items.loc[0, "title"] = INJECTION
    ages, homes = ["25-34", "35-44", "45-54", "65+"], ["single adult", "couple without children", "family with two children"]
    users = pd.DataFrame({"user_id": [str(100 + 7 * row) for row in range(24)]})
    users["age"] = [ages[row % 4] if row % 5 else None for row in range(24)]
    users["household"] = [homes[row % 3] if row % 5 else None for row in range(24)]
    users["profile"] = [
        f"A {home}, aged {age}." if isinstance(age, str) else "Nothing is known about this household."
        for age, home in zip(users["age"], users["household"], strict=True)
    ]
    events = []
    for user in range(len(users)):
        staple = rng.choice(len(items), 60, replace=False)
        for step in range(30):
            day = pd.Timestamp("2017-01-02") + pd.Timedelta(days=11 * step + user % 5)
            for item in rng.choice(staple, rng.integers(3, 9), replace=False):
                price = items["price"].iat[item]
                events.append((user, int(item), day, step, 1.0, price, 0.0, 0.0))
    events[-1] = (len(users) - 1, 0, *events[-1][2:])  # somebody bought the hostile item in the last basket
    table = pd.DataFrame(events, columns=["user", "item", "time", "step", "quantity", "paid", "discount", "coupon"])
    queries = pd.DataFrame({"query": ["pizza"], "item": [0], "synthetic": [True]})
    users[["age", "household"]] = users[["age", "household"]].fillna("")
    return Dataset("Invented groceries", items, users, table, queries, "invented")


@dataclass
class FakeReading:
    """What was understood, as `Reading` has it."""

    task: str
    filters: dict[str, Any]
    unknown: list[str]
    category: str | None = None
    instruction: str = ""  # without the phrases that became filters

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("task", "category", "filters", "unknown", "instruction")}


class FakeGenerator:
    """Follows the contract of `Generator`; numbers are drawn from a hash of the request."""

    def __init__(self, dataset: Dataset, delay: float = 0.0) -> None:
        self.dataset, self.delay = dataset, delay
        order = dataset.items.groupby("category", sort=False).ngroup().to_numpy()
        first = order * N_PREFIXES // (order.max() + 1) + np.arange(len(order)) % 2
        rest = np.random.default_rng(3).integers(0, N_PREFIXES, (len(order), 3))
        self.sids = np.column_stack([np.minimum(first, N_PREFIXES - 1), rest])

    def read(self, instruction: str) -> FakeReading:
        words = instruction.casefold().replace("?", "").split()
        categories = [
            name for name in self.dataset.items["category"].unique() if any(w in name.casefold() for w in words if len(w) > 3)
        ]
        filters = {}
        if "under" in words and words[-1].startswith("$"):
            filters["max_price"] = float(words[-1][1:])
        if "without" in words:
            filters |= {"exclude": ["Cakes"], "deals": True, "max_total": 30.0}
        task = "Category" if categories else "Discover" if "new" in words else "JustForYou"
        bare = instruction.split(" under $")[0].split(" without")[0]
        return FakeReading(task, filters, [w for w in words if w in ("party", "xyzzy")], (categories or [None])[0], bare)

    def recommend(self, request: Request, on_step: OnStep | None = None) -> Trace:
        if len(request.instruction) > 2000:
            raise RequestError("the instruction is too long", f"{len(request.instruction)} characters", "keep it under 2000")
        if request.category and request.category not in set(self.dataset.items["category"]) | set(
            self.dataset.items["department"]
        ):
            raise RequestError(f"unknown category {request.category!r}", mend="choose one of the list")
        reading, asked_for = self.read(request.instruction).as_json(), request
        request = combined(request, reading["filters"])
        items, fusion = self.dataset.items, request.fusion
        words = f"{request.instruction}{request.user}{request.dropped}{request.history}{request.profile}"
        rng = np.random.default_rng(int(hashlib.sha256(words.encode()).hexdigest()[:8], 16))
        legal = np.ones(len(items), bool)
        if request.category:
            legal &= (items[["category", "department"]] == request.category).any(axis=1).to_numpy()
        if request.max_price is not None:
            legal &= items["price"].to_numpy() <= request.max_price
        if request.stock is not None:
            legal &= items["item_id"].isin(request.stock).to_numpy()
        codes = np.unique(self.sids[legal, 0])
        logits = rng.normal(size=len(codes)) * 1.6
        phi = np.exp(logits) / np.exp(logits).sum() if len(codes) else logits
        names = [prefix_name([code]) for code in codes]
        prefixes = pd.DataFrame(
            {"prefix": names, "codes": [[int(c)] for c in codes], "probability": phi, "legal": True, "level": 1}
        )
        prefixes["n_items"] = [int((legal & (self.sids[:, 0] == code)).sum()) for code in codes]
        prefixes = prefixes.sort_values("probability", ascending=False, ignore_index=True)
        forced = prefix_name(request.forced_prefix) if request.forced_prefix else None
        if forced and forced not in names:
            raise RequestError(
                f"prefix {forced} holds no item that passes the filters", mend="let go of the prefix or the filters"
            )
        prefixes["forced"] = prefixes["prefix"] == forced
        prefixes["kept"] = prefixes["forced"] if forced else prefixes.index < fusion.beams
        self._step(
            on_step, "prompt", pd.DataFrame({"position": [0], "kind": ["special"], "text": ["<start>"], "item": [-1]}), 180.0
        )
        self._step(on_step, "prefixes", prefixes, 41.2)
        kept = prefixes[prefixes["kept"]]
        sigma = float(np.log(kept["probability"]).std(ddof=0)) if fusion.apf and len(kept) > 1 else 1.0
        subsets = self._subsets(kept, legal, rng, sigma, fusion)
        self._step(on_step, "subsets", subsets, 63.7)
        fused = subsets.rename(columns={"phi": "phi"}).sort_values("score", ascending=False, ignore_index=True)
        plain = fused["plain"].rank(ascending=False, method="first").astype(int)
        fused = fused.assign(rank=np.arange(1, len(fused) + 1), rank_without_apf=plain).drop(columns=["plain"])
        bought = set() if request.user is None else self._bought(request.user)
        fused["seen"] = fused["item"].isin(bought)
        if request.seen == "hide":
            fused = fused[~fused["seen"]].reset_index(drop=True)
            fused["rank"] = np.arange(1, len(fused) + 1)
        notes = [f"only {len(fused)} items pass the filters; {fusion.top} were asked for"] if len(fused) < fusion.top else []
        self._step(on_step, "fusion", fused, 0.9)
        reading["filters"] = filters_json(request)
        request = asked_for
        plain_request = json.loads(request.model_dump_json()) | {"reading": reading}
        timings = {"prompt": 180.0, "prefixes": 41.2, "subsets": 63.7, "fusion": 0.9, "total": 285.8}
        prompt = pd.DataFrame({"position": [0], "kind": ["special"], "text": ["<start>"], "item": [-1]})
        return Trace(
            plain_request,
            prompt,
            prefixes,
            subsets.drop(columns=["plain"]),
            fused,
            sigma,
            notes,
            timings,
            {"JustForYou": 0.9, "Discover": 0.1},
            {"Discover": 1234},
        )

    def generate(self, shopper: Any, instruction: str, settings: FusionSettings, allowed: np.ndarray, **_: Any) -> Trace:
        """A list for a shopper that was made by hand."""
        return self.recommend(Request(instruction=instruction, profile=shopper.profile, fusion=settings))

    def _subsets(self, kept: pd.DataFrame, legal: np.ndarray, rng: np.random.Generator, sigma: float,
                 fusion: FusionSettings) -> pd.DataFrame:  # fmt: skip
        parts = []
        for prefix, codes, phi in zip(kept["prefix"], kept["codes"], kept["probability"], strict=True):
            rows = np.flatnonzero(legal & (self.sids[:, 0] == codes[0]))
            cos = np.sort(np.clip(rng.normal(0.35, 0.16, len(rows)), -0.2, 0.95))[::-1]
            rows, cos = rng.permutation(rows)[: fusion.per_prefix], cos[: fusion.per_prefix]
            if not len(rows):
                continue
            p, flat = (np.exp((cos - cos.max()) * scale / fusion.tau) for scale in (sigma, 1.0))
            p, flat = p / p.sum(), flat / flat.sum()
            parts.append(pd.DataFrame({"prefix": prefix, "item": rows, "cos": cos, "p_item": p, "repeat": 0.0, "popularity": 0.0,
                                       "phi": phi, "score": phi * p, "plain": phi * flat}))  # fmt: skip
        columns = ["prefix", "item", "cos", "p_item", "repeat", "popularity", "phi", "score", "plain"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def _bought(self, user: str) -> set:
        row = int(np.flatnonzero((self.dataset.users["user_id"] == user).to_numpy())[0])
        return set(self.dataset.events.loc[self.dataset.events["user"] == row, "item"])

    def _step(self, on_step: OnStep | None, name: str, frame: pd.DataFrame, ms: float) -> None:
        time.sleep(self.delay)
        if on_step:
            on_step(name, {"frame": frame, "ms": ms})


def fake_evaluation() -> dict[str, pd.DataFrame]:
    """Invented results in the form of the evaluation stage."""
    means = {"JustForYou": (0.702, 0.688), "Category": (0.471, 0.402), "Query": (0.512, 0.44), "Discover": (0.186, 0.192)}
    results, differences = [], []
    for metric, k, scale in (("hr", 10, 1.0), ("ndcg", 10, 0.4), ("recall", 10, 0.5), ("hr", 1, 0.3), ("hr", 20, 1.2)):
        for (task, (ours, theirs)), view in [(pair, "all") for pair in means.items()] + [(("JustForYou", (0.19, 0.169)), "new")]:
            for name, mean in (
                ("SIGMA", ours),
                ("SIGMA, SID only", ours * 0.8),
                ("own frequency", theirs),
                ("popularity", theirs * 0.9),
            ):
                value = mean * scale
                results.append((name, task, view, "all", metric, k, value, value - 0.02, value + 0.02, 2448))
            gap = (ours - theirs) * scale
            for name in ("own frequency", "popularity"):
                differences.append(("SIGMA", name, task, view, metric, k, gap, gap - 0.009, gap + 0.009, 2448))
    return {
        "results": pd.DataFrame(
            results, columns=["recommender", "task", "view", "slice", "metric", "k", "mean", "low", "high", "n"]
        ),
        "differences": pd.DataFrame(
            differences, columns=["recommender", "reference", "task", "view", "metric", "k", "diff", "low", "high", "n"]
        ),
    }


def fake_workspace(folder: Path | None = None, without: tuple[str, ...] = (), stale: tuple[str, ...] = ()) -> Workspace:
    """A folder of manifests with plausible figures, some stages left out or made stale."""
    folder = folder or Path(tempfile.mkdtemp(prefix="sigmascope-fake-"))
    metrics = {
        "dataset": {"items": 3600, "users": 24, "events": 3960, "baskets": 720},
        "grounding": {"views": [{"view": "collaborative", "recall_before": 0.11, "recall_after": 0.34}]},
        "tokens": {"levels": [{"level": 1, "usage": 1.0}], "collisions": 12},
        "model": {"backbone": "nano", "parameters": 7_230_000, "steps": 2000, "minutes": 25.2},
        "evaluation": {"households": 1861},
    }
    seconds = {"dataset": 21.4, "grounding": 188.0, "tokens": 9.2, "model": 1512.0, "evaluation": 204.0}
    inputs = {"grounding": ["dataset"], "tokens": ["grounding"], "model": ["dataset", "tokens"], "evaluation": ["model"]}
    for name, figures in metrics.items():
        if name in without:
            continue
        stage = folder / name
        stage.mkdir(parents=True, exist_ok=True)
        sources = {source: f"{source}-1" for source in inputs.get(name, [])}
        if name in stale:
            sources = dict.fromkeys(sources, "elsewhere")
        manifest = {"schema_version": SCHEMA_VERSION, "stage": name, "fingerprint": f"{name}-1", "settings": {},
                    "inputs": sources,
                    "seconds": seconds[name], "metrics": figures, "commit": "fa4e000", "date": "2026-11-22T08:00:00Z",
                    "machine": {"cpu": "Invented CPU", "cores": 2}}  # fmt: skip
        if name == "evaluation":
            for table, frame in fake_evaluation().items():
                frame.to_parquet(stage / f"{table}.parquet")
        (stage / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return Workspace(folder, read_only=True)


class FakeWorkbench(Workbench):
    """The real facade over the invented catalogue."""

    def __init__(self, workspace: Workspace | None = None, delay: float = 0.0) -> None:
        dataset = fake_dataset()
        super().__init__(workspace or fake_workspace(), lambda _: dataset, lambda _, data: FakeGenerator(data, delay))

    def fusion_labs(self) -> dict[str, FusionLab]:
        """Invented examples for the fusion lab."""
        with self._lab_lock:
            if not self._labs:
                sizes = {"validation": 48, "test": 40}
                n = self.dataset.n_items
                self._labs = {split: invented(size, 96, place, n, split) for place, (split, size) in enumerate(sizes.items())}
            return self._labs

    @classmethod
    def open(cls, path: Path | str | None = None) -> FakeWorkbench:
        return cls(delay=0.0)
