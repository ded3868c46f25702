"""The language model as a judge, with a tiny random Llama: a tree is so many short prompts; SFT and group-relative training; resume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.data.schema import Dataset
from backend.data.split import split
from backend.errors import Cancelled, WeightsError
from backend.judge.aspects import ASPECTS, LEVELS
from backend.judge.evidence import Evidence
from backend.judge.language import LanguageJudge, LanguageModel, arrays_of, grow, restore
from backend.judge.language_training import optimise, teach, worth
from backend.judge.proxies import Labelled, Proxies
from backend.judge.wording import QUESTIONS
from backend.judge_settings import LanguageSettings
from backend.progress import CancelToken, Progress
from backend.settings import DataSettings
from tests.small import llama_folder, small_store

DIGITS = "= 0 1 2 3 4 5 6 7 8 9 bought never near sold lately category type days ago"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Dataset) -> Path:
    texts = [DIGITS, *ASPECTS, *tiny_dataset.items["title"], *tiny_dataset.items["category"], *tiny_dataset.users["profile"]]
    return llama_folder(tmp_path_factory.mktemp("llama"), texts)


@pytest.fixture(scope="module")
def known(tiny_dataset: Dataset) -> tuple[Evidence, Labelled]:
    may = split(tiny_dataset, DataSettings()).train_events
    store = small_store(tiny_dataset.n_items)
    evidence = Evidence(tiny_dataset, may, store.text, store.ids, {})
    return evidence, Proxies(tiny_dataset, may, evidence).make(np.arange(40) < 30, 2, 8, 7)


def settings_of(folder: Path, **more: object) -> LanguageSettings:
    return LanguageSettings(
        **{"model": str(folder), "layers": 2, "rank": 4, "situations": 20, "optimised": 8, "lr": 1e-2, "bf16": False,
           "checkpoint_steps": 2, **more}
    )  # fmt: skip


def judge_of(folder: Path, dataset: Dataset, evidence: Evidence, **more: object) -> LanguageJudge:
    torch.manual_seed(5)
    return LanguageJudge(LanguageModel(settings_of(folder, **more)), dataset, evidence)


def test_a_tree_is_so_many_short_prompts(folder: Path, tiny_dataset: Dataset, known: tuple[Evidence, Labelled]) -> None:
    evidence, labelled = known
    judge = judge_of(folder, tiny_dataset, evidence)
    situation, rows = next(labelled.asked())
    items, facts = labelled.items[rows], labelled.facts[rows]
    whole = judge.chances(judge.tree(situation, items, facts))
    assert whole.shape == (len(items), len(ASPECTS), LEVELS)
    assert np.allclose(whole.sum(-1), 1.0, atol=1e-5)
    model, wording = judge.model, judge.wording
    household = model.backbone.features([wording.household(situation)])[0]
    for row in (0, len(items) - 1):
        text = model.backbone.features([wording.item(int(items[row]), facts[row])])[0]
        for place in range(len(ASPECTS)):
            alone = grow(household, [text], [model.backbone.features([QUESTIONS[place]])[0]])
            assert np.allclose(judge.chances(alone)[0, 0], whole[row, place], atol=1e-5), "a branch sees its ancestors alone"


def test_what_it_says(folder: Path, tiny_dataset: Dataset, known: tuple[Evidence, Labelled]) -> None:
    evidence, labelled = known
    judge = judge_of(folder, tiny_dataset, evidence)
    situation = labelled.situations[3]
    said = judge.judge(situation, np.arange(20), reasons=True)
    assert said.levels.shape == said.expected.shape == (20, len(ASPECTS))
    assert ((said.expected >= 0) & (said.expected <= LEVELS - 1)).all()
    assert set(said.reasons[19]) == set(ASPECTS)
    assert judge.judge(situation, np.arange(0)).levels.shape == (0, len(ASPECTS))
    one = judge.judge(situation, np.array([17]))
    assert np.allclose(one.expected[0], said.expected[17], atol=1e-4), "whoever stands beside it"


def test_nothing_later_than_the_moment_is_read(tiny_dataset: Dataset, known: tuple[Evidence, Labelled]) -> None:
    from backend.judge.wording import Wording

    wording, situation = Wording(tiny_dataset), known[1].situations[0]
    text = wording.household(situation)
    bought = {tiny_dataset.items["title"].iloc[item] for item in situation.history}
    named = {title for title in tiny_dataset.items["title"] if f" {title} x" in text}
    assert named
    assert named <= bought
    assert str(situation.day) in text


def test_training_learns_and_goes_on_where_it_was(
    folder: Path, tiny_dataset: Dataset, known: tuple[Evidence, Labelled], tmp_path: Path
) -> None:
    evidence, labelled = known

    def right(judge: LanguageJudge) -> float:
        hits = [
            (judge.judge(situation, labelled.items[rows]).levels == labelled.levels[rows]).mean()
            for situation, rows in list(labelled.asked())[:20]
        ]
        return float(np.mean(hits))

    judge = judge_of(folder, tiny_dataset, evidence)
    before = right(judge)
    teach(judge, labelled, tmp_path / "whole", 7)
    taught = right(judge)
    assert taught > before + 0.1
    done = optimise(judge, labelled, tmp_path / "whole", 7)
    assert done.steps == judge.model.settings.optimised // judge.model.settings.batch
    assert right(judge) > before + 0.1

    cut, cancel = judge_of(folder, tiny_dataset, evidence), CancelToken()

    def stop(event: Progress) -> None:
        if event.stage == "training" or (event.stage == "judge" and event.done == 3):
            cancel.cancel()

    checkpoint = tmp_path / "cut"
    teach(cut, labelled, checkpoint, 7)
    with pytest.raises(Cancelled):
        optimise(cut, labelled, checkpoint, 7, stop, cancel)
    again = judge_of(folder, tiny_dataset, evidence)
    told: list[Progress] = []
    teach(again, labelled, checkpoint, 7, told.append)
    assert not [event for event in told if event.stage == "training"], "SFT was finished"
    optimise(again, labelled, checkpoint, 7)
    ours, theirs = arrays_of(judge.model), arrays_of(again.model)
    assert all(np.allclose(ours[name], theirs[name], atol=1e-5) for name in ours)
    fresh = judge_of(folder, tiny_dataset, evidence)
    restore(fresh.model, ours)
    assert right(fresh) == right(judge)


def test_a_near_miss_is_worth_something() -> None:
    drawn = torch.tensor([[0, 1, 2, 3], [3, 3, 0, 1]])
    assert worth(drawn, torch.tensor([2, 3])).tolist() == pytest.approx(np.array([[1 / 3, 2 / 3, 1, 2 / 3], [1, 1, 0, 1 / 3]]))


def test_a_model_without_digits_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no token for each level"):
        LanguageModel(settings_of(llama_folder(tmp_path / "poor", ["some words only"])))
