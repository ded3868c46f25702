"""All settings, as frozen pydantic models with a comment on every field.

Presets are small TOML files in `backend/presets/` that override the defaults; `load_preset` merges them.
Values that the papers do not give ([U] in the design notes) are ours, chosen by the sweeps in the README's experiment log.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from backend.errors import RequestError
from backend.frozen import Frozen
from backend.judge_settings import JudgeSettings

PRESETS = Path(__file__).parent / "presets"


class DataSettings(Frozen):
    """Where the tables come from and how time is cut."""

    source: Literal["complete-journey", "tables"] = "complete-journey"
    path: str | None = None  # folder of the tables; None = the installed package
    min_users: int = Field(20, ge=1)  # an item is kept when at least this many users bought it
    validation_start: str = "2017-11-13"  # first day of the validation window (training ends before it)
    test_start: str = "2017-12-04"  # first day of the test window
    min_targets: int = Field(3, ge=1)  # smallest basket that is evaluated, in distinct items


class GroundingSettings(Frozen):
    """Multi-view semantic grounding (SIGMA §1.1)."""

    id_dim: int = Field(128, ge=2)  # width of the frozen behaviour (ID) embedding
    dim: int = Field(256, ge=2)  # width of the grounded text vector
    hidden: int = Field(512, ge=2)  # width of the projection's hidden layer
    # relevance views that train; "visual" joins them where images are named
    views: tuple[str, ...] = ("collaborative", "semantic", "knowledge")
    # a parquet of image vectors or a folder of image files by item id, and what encodes the files; not stored while there are none
    images: str | None = Field(None, exclude_if=lambda source: source is None)
    image_encoder: str | None = Field(None, exclude_if=lambda name: name is None)
    pairs_per_view: int = Field(30_000, ge=1)  # training pairs drawn from each view (balanced)
    batch: int = Field(512, ge=2)  # pairs in a batch, B; 2B entities
    epochs: int = Field(3, ge=1)  # passes over the balanced pairs
    lr: float = 5e-4  # peak learning rate of AdamW
    tau: float = 0.07  # temperature of P_text and P_ID
    lambda_kd: float = 1.0  # weight of L_KD


class TokenSettings(Frozen):
    """Residual quantisation of the grounded vectors into semantic IDs (SIGMA §1.2)."""

    levels: int = Field(4, ge=1)  # codes in a SID
    codes: int = Field(64, ge=2)  # codebook size of every level
    balance: float = Field(1.3, ge=1.0)  # largest first-level cluster, as a multiple of the mean size
    iterations: int = Field(25, ge=1)  # Lloyd iterations of each level
    # what quantises; left out of what is stored while it is the default, so that older workspaces keep their fingerprints
    quantizer: Literal["rq-kmeans", "rq-vae"] = Field("rq-kmeans", exclude_if=lambda name: name == "rq-kmeans")
    latent: int = Field(32, ge=2, exclude_if=lambda width: width == 32)  # RQ-VAE: width of the space that is quantised
    epochs: int = Field(120, ge=1, exclude_if=lambda n: n == 120)  # RQ-VAE: passes over the items


class ModelSettings(Frozen):
    """Backbone, soft-token model and prompt."""

    backbone: str = "nano"  # nano | smollm2 | a hub id or local folder
    layers: int | None = 4  # nano: depth; others: keep only the first N layers (None = all)
    hidden: int = Field(256, ge=8)  # nano: width
    heads: int = Field(8, ge=1)  # nano: attention heads
    lora_rank: int = Field(16, ge=1)  # LoRA rank for pretrained backbones
    item_dim: int = Field(128, ge=2)  # width of the space in which h and the soft tokens meet
    prefix_levels: int = Field(1, ge=0)  # ℓ, SID levels emitted before <q>; 0 = ID only
    soft_token: bool = True  # False = SID-only history and ranking by SID probability
    instruction_token: bool = True  # ours: the instruction's grounded vector as one soft token behind it
    tau: float = Field(0.1, gt=0)  # temperature of the cosines, in L_ID and wherever items stand behind a code
    history_items: int = Field(32, ge=1)  # distinct items of the history in the prompt, the most telling ones


class TrainSettings(Frozen):
    """Multi-task instruction SFT (SIGMA §1.3)."""

    # what is trained, evaluated and offered; the first is what most people ask
    tasks: tuple[str, ...] = (
        "JustForYou", "Category", "Query", "Discover", "Longtail", "Season", "Holiday", "Deals", "Budget", "Complement", "Replenish"
    )  # fmt: skip
    # households that take no part in training, so that seasons can be tested on them
    held_households: float = Field(0.1, ge=0, lt=1)
    contexts: int = Field(20_000, ge=1)  # (household, basket) training contexts
    targets: int = Field(4, ge=1)  # targets packed behind one instruction (they see the prompt, not each other)
    # training wordings of each task that the reader of demands is fitted on, the first of them; None = all
    wordings: int | None = Field(None, ge=5, exclude_if=lambda n: n is None)
    # instructions of a context that train at once: the first task's, and others drawn where its basket has labels of more
    branches: int = Field(4, ge=1, exclude_if=lambda n: n == 4)
    batch: int = Field(24, ge=1)  # contexts in a batch
    epochs: int = Field(1, ge=1)  # passes over the contexts
    max_minutes: float | None = None  # stop (cleanly, with the schedule run out) after this wall-clock time
    lr: float = 2e-3  # peak learning rate of AdamW
    warmup: float = 0.05  # share of the steps with rising learning rate
    weight_decay: float = 0.05
    dropout: float = 0.1
    dense: bool = False  # ours: L_NTP and L_ID at every history position too
    bf16: bool = True  # autocast to bfloat16, where the processor is faster in it
    checkpoint_steps: int = Field(100, ge=1)  # a kill loses at most this many steps


class JdSettings(Frozen):
    """The second recipe, `jd`: every item written out in full, a plain causal language model, alignment with titles (JD §2)."""

    representation: Literal["semantic", "numeric", "title"] = "semantic"  # how an item is written
    # numeric: the base of its digits, 10 = digit by digit; left out of what is stored while it is the default
    numeric_base: int = Field(256, ge=2, le=65_536, exclude_if=lambda base: base == 256)
    quantizer: Literal["rq-kmeans", "rq-vae"] = "rq-vae"  # what makes the 4 × 256 semantic IDs; rq-vae is the article's
    backbone: str = "nano"  # nano (from scratch) | smollm2 | a hub id or local folder
    layers: int | None = 3  # nano: depth; others: keep only the first N layers (None = all)
    hidden: int = Field(192, ge=8)  # nano: width
    heads: int = Field(6, ge=1)  # nano: attention heads
    lora_rank: int = Field(16, ge=1)  # LoRA rank for pretrained backbones; the new rows train in full beside it
    history_items: int = Field(16, ge=1)  # distinct items of the history in the prompt, the most telling ones
    order: Literal["weight", "time"] = "weight"  # of the history: the most telling item last (ours), or by time as in the article
    language: Literal["en", "zh", "both"] = "en"  # of the prompts
    profile: bool = True  # the profile sentence stands in the prompt (an ablation)
    dense: bool = (
        True  # ours: the codes of the history's items behind their first are learned too, which teaches how items are written
    )
    alignment: int = Field(2, ge=0)  # SID → title and title → SID samples beside each context; 0 = none (an ablation)
    contexts: int = Field(20_000, ge=1)  # (household, basket) training contexts
    targets: int = Field(8, ge=1)  # items of a basket that are packed behind one prompt (they see the prompt, not each other)
    batch: int = Field(16, ge=1)  # contexts in a batch
    epochs: int = Field(1, ge=1)  # passes over the contexts
    max_minutes: float | None = 10.0  # stop (cleanly, with the schedule run out) after this wall-clock time
    lr: float = 3e-3  # peak learning rate of AdamW
    warmup: float = 0.05  # share of the steps with rising learning rate
    weight_decay: float = 0.01
    bf16: bool = False  # autocast to bfloat16, where the processor is faster in it
    checkpoint_steps: int = Field(100, ge=1)  # a kill loses at most this many steps
    beams: int = Field(20, ge=1, le=4096)  # beams of the search, 20 in the article
    normaliser: Literal["full", "legal"] = "full"  # over what a step's probabilities sum up to one
    # β of the household's own purchases in the list (ours, generation.repeats); 0 = the article's recipe, and left out of what is stored
    repeats: float = Field(0.0, ge=0, le=1, exclude_if=lambda share: share == 0)

    def train(self) -> TrainSettings:
        """What the loop reads, as the loop reads it."""
        return TrainSettings(**self.model_dump(include=set(TrainSettings.model_fields)), dropout=0.0)


class FusionSettings(Frozen):
    """Three-step generation and adaptive probabilistic fusion (SIGMA §1.4)."""

    beams: int = Field(20, ge=1, le=4096)  # K, prefixes kept
    per_prefix: int = Field(50, ge=1, le=10_000)  # M, items taken from each prefix
    top: int = Field(10, ge=1, le=1000)  # N, items returned
    apf: bool = True  # False: σ = 1, the plain product of the two probabilities
    sigma_domain: Literal["probability", "renormalised", "log"] = "log"  # over which values of φ σ is taken
    tau: float = Field(0.1, gt=0)  # temperature of the item softmax
    prefix_weight: float = Field(1.0, ge=0)  # exponent of φ
    item_weight: float = Field(1.0, ge=0)  # exponent of the item probability
    repeat_weight: float = Field(1.0, ge=0)  # factor on the learned weight of the household's repeat-purchase prior (ours)
    popularity_weight: float = 1.0  # factor on the learned weight of popularity; below 1 = novelty (ours)
    top1_prefix: bool = False  # keep only the best prefix (an ablation of the paper)
    # what follows is ours; left out of what is stored while it is the default, so that older workspaces and links stay as they are
    strength: float = Field(
        1.0, ge=0, le=2, exclude_if=lambda s: s == 1
    )  # exponent of σ: 0 = σ plays no part, 1 = APF as in the paper
    value_weight: float = Field(0.0, ge=-2, le=2, exclude_if=lambda w: w == 0)  # exponent of the price: 1 ranks by P × price
    # exponent of the judge's score s_hol, read by its student (S-GRec); plays no part where the workspace has no judge
    judge_weight: float = Field(0.0, ge=0, le=4, exclude_if=lambda w: w == 0)
    diversity: float = Field(0.0, ge=0, le=1, exclude_if=lambda w: w == 0)  # λ of maximal marginal relevance; 0 = none
    repeat_hidden: float = Field(
        1.0, ge=0, le=1, exclude_if=lambda w: w == 1
    )  # factor on repeat_weight where bought items are hidden: nothing is left to repeat, familiar shelves only stand in the way

    def with_hidden(self, hidden: bool) -> Self:
        """These settings for a request that hides what was bought before, or does not."""
        return self.model_copy(update={"repeat_weight": self.repeat_weight * self.repeat_hidden}) if hidden else self


class LabSettings(FusionSettings):
    """A setting as the fusion lab writes it: one way to say "APF off" and "best prefix only", so that equal settings are equal."""

    @classmethod
    def of(cls, fusion: FusionSettings) -> LabSettings:
        """A fusion setting, with "APF off" as strength 0 and "best prefix only" as K = 1."""
        values = fusion.model_dump()
        if not fusion.apf:
            values |= {"apf": True, "strength": 0.0}
        if fusion.top1_prefix:
            values |= {"top1_prefix": False, "beams": 1}
        return cls(**values)

    def fusion(self) -> FusionSettings:
        """The setting as a recommendation takes it."""
        return FusionSettings(**self.model_dump())


class RewardSettings(Frozen):
    """What a sale is worth (ours; the papers' business reward is a production eCPM)."""

    kind: Literal["value", "correct"] = "value"  # expected value in money, or right and wrong
    # share of the regular price that is left after costs: a proxy, the data holds no costs
    margin: float = Field(0.25, gt=0, le=1)
    store_brand_margin: float = Field(0.35, gt=0, le=1)  # likewise for the shop's own brand
    least_margin: float = Field(0.05, ge=0, le=1)  # what is left at least, discounts or not
    item: float = Field(1.0, ge=0, le=1)  # grade of the very item that was bought
    type: float = Field(0.3, ge=0, le=1)  # of another item of its type
    category: float = Field(0.1, ge=0, le=1)  # of another item of its category
    department: float = Field(0.02, ge=0, le=1)  # of another item of its department

    @property
    def grades(self) -> tuple[float, ...]:
        """How an item may match a purchase: item, type, category, department."""
        return self.item, self.type, self.category, self.department


class PolicySettings(Frozen):
    """A comparison of arms: all from the same start, on the same contexts in the same order."""

    # names of `alignment.a2po.ARMS`; "sft" is the start itself
    arms: tuple[str, ...] = ("sft", "business only", "reward sum", "advantage sum", "gate only", "magnitude only", "a2po")
    seeds: tuple[int, ...] = Field((7, 8, 9), min_length=1)  # each draws other contexts; one run an arm and seed
    chosen: str = "a2po"  # whose weights the stage serves
    task: str = "JustForYou"  # whose instructions the contexts carry
    contexts: int = Field(480, ge=1)  # training baskets of a run
    held: int = Field(600, ge=1)  # households of the validation window that all arms are measured on
    batch: int = Field(16, ge=1)  # contexts in a step
    epochs: int = Field(2, ge=1)  # passes over the contexts
    inner: int = Field(1, ge=1)  # optimiser steps on one set of rollouts
    group: int = Field(16, ge=2)  # G, rollouts of a context
    beams: int = Field(20, ge=1)  # K, prefixes that rollouts come from
    truth: bool = True  # ours: a group without a right answer gets one (most groups of a small model hold none)
    judged: float = Field(1.0, ge=0, le=1)  # share of the contexts that the judge is asked about; elsewhere A = A_biz
    semantic_weight: float = Field(1.0, ge=0)  # dollars that a judge's score of 1 is worth to "reward sum"
    scope: Literal["small", "all"] = "small"  # the weights behind the decoder, or all
    lr: float = Field(1e-3, gt=0)
    clip: float = Field(0.2, gt=0)  # ε of the objective
    kl: float = Field(0.02, ge=0)  # β, pull towards the start
    reward: RewardSettings = RewardSettings()


def policy_changes(settings: Mapping[str, Any], judge: Mapping[str, Any] | None = None) -> str:
    """What of a stage's policy settings, and of its judge's, was set otherwise than by default, as the command line takes it."""
    parts: tuple[tuple[str, Mapping[str, Any], Frozen], ...] = (
        ("policy", settings, PolicySettings()),
        ("judge", judge or {}, JudgeSettings()),
    )
    return "".join(_changes(*part) for part in parts)


def _changes(section: str, settings: Mapping[str, Any], default: Frozen) -> str:
    usual = default.model_dump(mode="json")
    changed = {name: value for name, value in settings.items() if name in type(default).model_fields and value != usual.get(name)}
    return "".join(
        f" --set '{section}.{name}={value if isinstance(value, str) else json.dumps(value)}'" for name, value in changed.items()
    )


class Settings(Frozen):
    """Everything that a workspace is built from."""

    preset: str = "default"
    seed: int = 7
    data: DataSettings = DataSettings()
    grounding: GroundingSettings = GroundingSettings()
    tokens: TokenSettings = TokenSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    fusion: FusionSettings = FusionSettings()
    jd: JdSettings = JdSettings()
    judge: JudgeSettings = JudgeSettings()
    policy: PolicySettings = PolicySettings()


def preset_names() -> list[str]:
    """Names of the presets that ship with the project."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_preset(name: str = "default", **overrides: Any) -> Settings:
    """Settings of a preset.

    Args:
        name: the preset's name, or a path to a TOML file.
        overrides: top-level sections to update afterwards, e.g. `train={"epochs": 2}`.

    Raises:
        RequestError: unknown preset, unreadable TOML, unknown or impossible setting.
    """
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        raise RequestError(f"unknown preset {name!r}", mend=f"choose one of: {', '.join(preset_names())}")
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError("the preset is not valid TOML", str(path), str(error)) from error
    return checked({"preset": path.stem, **merged(raw, overrides)}, path.name)


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Sections updated field by field, everything else replaced."""
    out = dict(values)
    for name, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(out.get(name), Mapping)
        out[name] = {**out[name], **change} if both else change
    return out


def checked(values: Mapping[str, Any], where: str = "") -> Settings:
    """The settings that these values are.

    Args:
        where: they come from, for the error.

    Raises:
        RequestError: an unknown or impossible setting.
    """
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"impossible setting: {first['msg']}", f"{where}: {field}" if where else field) from error
