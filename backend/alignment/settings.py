"""Settings of policy optimisation. What the paper does not give is ours."""

from __future__ import annotations

from pydantic import Field

from backend.alignment.a2po import ARMS
from backend.alignment.rewards import RewardSettings
from backend.settings import Frozen


class PolicySettings(Frozen):
    """A comparison of arms: all from the same start, on the same contexts in the same order."""

    arms: tuple[str, ...] = tuple(ARMS)  # names of `ARMS`; "sft" is the start itself
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
    scope: str = Field("small", pattern="^(small|all)$")  # the weights behind the decoder, or all
    lr: float = Field(1e-3, gt=0)
    clip: float = Field(0.2, gt=0)  # ε of the objective
    kl: float = Field(0.02, ge=0)  # β, pull towards the start
    reward: RewardSettings = RewardSettings()
