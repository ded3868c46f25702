"""The model under the protocol: re-scoring stored components must give the lists that the app gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.data.deals import Deals
from backend.data.history import distinct
from backend.data.schema import Dataset
from backend.data.split import split
from backend.evaluation.cases import build_cases
from backend.evaluation.components import compute, record_of
from backend.evaluation.sigma import SigmaRecommender
from backend.generation.generator import Generator
from backend.generation.shopper import Shopper
from backend.instructions.tasks import registry
from backend.settings import DataSettings, FusionSettings
from tests.judged import FakeJudge
from tests.small import small_model


def test_a_case_knows_the_offers_of_its_week(tiny_dataset: Dataset) -> None:
    half = np.arange(len(tiny_dataset.events)) % 2
    dataset = replace(tiny_dataset, events=tiny_dataset.events.assign(discount=half * 0.5))
    generator = Generator(small_model(dataset), dataset)
    for case in build_cases(dataset, split(dataset, DataSettings()).test.head(8), registry(dataset), seed=3):
        own = slice(*np.searchsorted(dataset.events["user"].to_numpy(), [case.user, case.user + 1]).tolist())
        offered = record_of(generator, case).deals
        assert offered is not None
        assert np.array_equal(offered, Deals(dataset).for_others(case.start, own))


ALL = {"beams": 64, "per_prefix": 200, "top": 10}
SETTINGS = [
    FusionSettings(**ALL),
    FusionSettings(**ALL, apf=False, tau=0.05, repeat_weight=0.0),
    FusionSettings(**ALL, sigma_domain="probability", tau=0.02, prefix_weight=0.5, popularity_weight=-1.0),
    FusionSettings(beams=2, per_prefix=3, top=10, repeat_weight=2.0),
    FusionSettings(**ALL, tau=0.2, repeat_hidden=0.0),
    FusionSettings(**ALL, top1_prefix=True),
    FusionSettings(**ALL, value_weight=1.5, strength=0.5),
    FusionSettings(**ALL, diversity=0.7),
    FusionSettings(**ALL, judge_weight=2.0),
    FusionSettings(beams=4, per_prefix=12, top=10, judge_weight=1.0, value_weight=0.5),
]


@pytest.mark.parametrize("view", ["all", "new"])
@pytest.mark.parametrize("variant", [{}, {"prefix_levels": 2}, {"prefix_levels": 0}, {"prefix_levels": 4, "soft_token": False}])
def test_rescoring_gives_the_apps_lists(tiny_dataset: Dataset, variant: dict[str, int], view: str) -> None:
    judge = FakeJudge(tiny_dataset.n_items)  # it would tell if one way asked of another household or moment than the other
    generator = Generator(small_model(tiny_dataset, **variant), tiny_dataset, judge=judge)
    cases = build_cases(tiny_dataset, split(tiny_dataset, DataSettings()).test.head(6), registry(tiny_dataset), seed=3)
    if view == "new":
        cases = [case.as_new() for case in cases]
    components = compute(generator, cases)
    for setting in SETTINGS:
        if generator.index.prefix_levels > 1 and (setting.beams < 64 or setting.top1_prefix):
            continue  # a narrower search over several levels may lose what the stored, wide one kept
        lists = SigmaRecommender("SIGMA", generator, components, setting).recommend(cases, 10)
        for case, found in zip(cases, lists, strict=True):
            steps = np.cumsum(np.diff(case.ages, prepend=case.ages[:1]) != 0)
            profile = str(tiny_dataset.users["profile"].iat[case.user])
            day = tiny_dataset.events["time"].iloc[case.start].to_datetime64().astype("datetime64[D]")
            history = distinct(case.history, case.ages)
            shopper = Shopper(profile, history, case.history, case.ages, steps, case.user, day)
            allowed = np.ones(tiny_dataset.n_items, bool)
            if case.seen == "hide":
                allowed[case.history] = False
            longer = setting.with_hidden(case.seen == "hide").model_copy(update={"top": 10 if setting.diversity else 20})
            trace = generator.generate(shopper, case.instruction, longer, allowed)
            expected = dict(zip(trace.fused["item"], trace.fused["score"], strict=True))  # the tenth may swap with the eleventh
            assert min(len(expected), 10) == (found >= 0).sum()
            if setting.diversity:  # one swapped pair changes what a greedy choice takes after it
                assert np.isin(found, trace.fused["item"]).mean() >= 0.9
                continue
            scores = [expected.get(item, np.nan) for item in found[found >= 0].tolist()]
            # half-precision cosines may swap neighbours of nearly one score; nothing else may differ
            np.testing.assert_allclose(scores, trace.fused["score"][: len(scores)], atol=0.03)


def test_without_a_judge_its_weight_plays_no_part(tiny_dataset: Dataset) -> None:
    cases = build_cases(tiny_dataset, split(tiny_dataset, DataSettings()).test.head(4), registry(tiny_dataset), seed=3)
    for judge in (None, FakeJudge(tiny_dataset.n_items, "there is none")):
        generator = Generator(small_model(tiny_dataset), tiny_dataset, judge=judge)
        components = compute(generator, cases)
        assert components.judge is None
        one, two = (
            SigmaRecommender("SIGMA", generator, components, FusionSettings(**ALL, judge_weight=weight)).recommend(cases, 10)
            for weight in (0.0, 3.0)
        )
        assert (one == two).all()
