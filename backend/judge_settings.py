"""Settings of the judge (S-GRec §3.1): who is asked in rollouts, the student, the endpoint, the local language model, the weights."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.frozen import Frozen


class WeightSettings(Frozen):
    """Training of PSJ-B (the paper gives the method, not the numbers)."""

    grid: int = Field(4, ge=1, le=10)  # weights are multiples of 1/grid
    group: int = Field(16, ge=2)  # weight vectors drawn for each pair
    steps: int = Field(300, ge=1)  # of the optimiser
    batch: int = Field(256, ge=1)  # pairs in a step
    lr: float = Field(0.02, gt=0)
    clip: float = Field(0.2, gt=0)  # ε of the objective
    kl: float = Field(0.02, ge=0)  # β: pull towards the even policy
    decay: float = Field(0.01, ge=0)  # weight decay of both methods


class EndpointLimits(Frozen):
    """How patiently, how often and at what price an endpoint is asked; its URL, key and model come from the environment."""

    timeout: float = Field(30.0, gt=0)  # seconds for connecting and between two bytes of an answer
    retries: int = Field(4, ge=0, le=10)  # after the first request, where the server is busy or the line broke
    pause: float = Field(0.5, ge=0)  # seconds of the first pause between retries; it doubles
    per_minute: float = Field(60.0, gt=0)  # requests at most
    dollars_in: float = Field(0.0, ge=0)  # price of a million tokens that are sent
    dollars_out: float = Field(0.0, ge=0)  # … that are answered


class LanguageSettings(Frozen):
    """The local language model: SFT on the levels, then group-relative optimisation over the scale (the paper's order; sizes are ours)."""

    model: str = Field("smollm2", min_length=1)  # smollm2, a folder with safetensors, or a hub id
    layers: int | None = Field(6, ge=1)  # only the first N layers (None = all): a fifth of the model in a fifth of the time
    rank: int = Field(16, ge=1)  # of LoRA
    situations: int = Field(240, ge=1)  # moments of training households that SFT sees once, `per_situation` items each
    batch: int = Field(2, ge=1)  # situations in a step
    lr: float = Field(1e-3, gt=0)  # peak learning rate of SFT
    optimised: int = Field(60, ge=0)  # situations of the group-relative part; 0 = SFT alone
    group: int = Field(8, ge=2)  # levels drawn for each question
    optimised_lr: float = Field(2e-4, gt=0)
    clip: float = Field(0.2, gt=0)  # ε of the objective
    kl: float = Field(0.02, ge=0)  # β: pull towards what SFT made
    bf16: bool = True  # autocast to bfloat16, where the processor is faster in it
    checkpoint_steps: int = Field(10, ge=1)  # a kill loses at most this many steps


class JudgeSettings(Frozen):
    """How the judge is made."""

    held: float = Field(0.15, gt=0, lt=1)  # share of the households that everything is measured on
    per_user: int = Field(3, ge=1)  # situations of a household
    per_situation: int = Field(16, ge=4)  # items that are labelled in a situation
    pairs: int = Field(4, ge=1)  # pairs of a situation for the weights
    method: Literal["group-relative", "Bradley-Terry"] = "group-relative"  # whose weights are used
    weights: WeightSettings = WeightSettings()
    # whom rollouts are shown to: the student, an OpenAI-compatible endpoint, or a local language model; what follows is left out of what is
    # stored while the student is asked, so that older workspaces keep their fingerprints. The student is made in any case: it is what is
    # served, and it measures the arms
    backend: Literal["student", "endpoint", "lm"] = Field("student", exclude_if=lambda name: name == "student")
    # held-out households, one moment each, that another judge than the student is measured on before it may reward anything
    measured: int = Field(150, ge=2, exclude_if=lambda n: n == 150)
    endpoint: EndpointLimits = Field(EndpointLimits(), exclude_if=lambda limits: limits == EndpointLimits())
    lm: LanguageSettings = Field(LanguageSettings(), exclude_if=lambda lm: lm == LanguageSettings())
