"""The policy stage on the tiny shop: arms move what they are paid for, runs are kept, cancelled and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from backend.alignment.arm import METRICS
from backend.alignment.runs import Run, arm_rows
from backend.alignment.training import align, load_policy, result
from backend.data.store import open_dataset
from backend.errors import Cancelled, RequestError, WorkspaceError
from backend.evaluation.report_recipes import policy as policy_section
from backend.model.loading import load_model
from backend.model.training import trainable_state
from backend.progress import CancelToken, Progress
from backend.settings import load_preset
from backend.workspace import Workspace

JUDGE = load_preset("tiny").judge
QUICK = load_preset("tiny").policy.model_copy(update={"epochs": 4, "lr": 5e-3})


@pytest.fixture(scope="module")
def aligned(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("aligned") / "workspace"
    shutil.copytree(trained, folder)
    workspace = Workspace(folder)
    align(workspace, JUDGE, QUICK)
    return workspace


def test_every_arm_is_measured_beside_the_start(aligned: Workspace) -> None:
    found = result(aligned)
    rows = pd.DataFrame(found["rows"])
    table = rows[rows["metric"] != "training"].set_index(["arm", "metric"])
    assert set(rows["arm"]) == set(QUICK.arms)
    assert set(table.index.get_level_values(1)) == set(METRICS)
    assert (table.loc["sft", "diff"] == 0).all()
    assert not np.allclose(table.loc["a2po", "mean"], table.loc["sft", "mean"])
    told = rows[rows["metric"] == "training"].set_index("arm")
    assert told.loc["business only", "judge_calls"] == 0
    assert told.loc["a2po", "judge_calls"] == 24 * 8 * 4
    assert told.loc["a2po", "steps"] == 12
    assert 0 <= told.loc["a2po", "coefficient"] <= 1
    assert (found["split"], found["seeds"]) == ("validation", [7])
    json.dumps(found, allow_nan=False)
    text = policy_section(found)
    assert "--set 'policy.epochs=4'" in text, "the command says what was set"
    earned, least, most = (table.loc[("a2po", "value"), column] for column in ("diff", "diff_low", "diff_high"))
    assert f"| a2po | {earned:+.4f} [{least:+.4f}, {most:+.4f}] |" in text
    assert all(f"| {arm} |" in text for arm in QUICK.arms if arm != "sft")


def test_business_alone_earns_more_on_its_own_contexts(aligned: Workspace) -> None:
    curves = aligned.stage("policy").table("curves")
    own = curves[(curves["arm"] == "business only") & (curves["seed"] == 7)].sort_values("step")["business"].to_numpy()
    assert own[-3:].mean() > own[:3].mean()
    assert not aligned.path.joinpath(".training").joinpath("policy").exists()


def test_the_chosen_arm_can_be_served(aligned: Workspace) -> None:
    dataset = open_dataset(aligned)
    policy, start = (trainable_state(load(aligned, dataset)) for load in (load_policy, load_model))
    moved = {name for name in start if not torch.equal(start[name], policy[name])}
    assert moved
    assert all(name.startswith(("priors.", "instruction.gates", "code_head.", "query_head.", "taste_map.")) for name in moved)


def test_every_arm_can_be_served(aligned: Workspace) -> None:
    dataset = open_dataset(aligned)
    states = {arm: trainable_state(load_policy(aligned, dataset, arm)) for arm in ("sft", "a2po", "business only")}
    start, chosen = trainable_state(load_model(aligned, dataset)), trainable_state(load_policy(aligned, dataset))
    assert all(torch.equal(value, states["sft"][name]) for name, value in start.items())
    assert all(torch.equal(value, states["a2po"][name]) for name, value in chosen.items())
    assert any(not torch.equal(value, states["business only"][name]) for name, value in chosen.items())
    with pytest.raises(RequestError, match="unknown arm 'ppo'"):
        load_policy(aligned, dataset, "ppo")


def test_it_is_kept_and_stale_when_the_model_changes(aligned: Workspace, tmp_path: Path) -> None:
    events: list[Progress] = []
    align(aligned, JUDGE, QUICK, report=events.append)
    assert [event.message for event in events] == ["kept", "kept"]
    shutil.copytree(aligned.path, tmp_path / "own")
    manifest = tmp_path / "own" / "model" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "fingerprint": "other"}))
    with pytest.raises(WorkspaceError, match="policy is stale"):
        load_policy(Workspace(tmp_path / "own"), open_dataset(aligned))


def test_a_cancelled_run_goes_on_to_the_same_figures(aligned: Workspace, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "own")
    shutil.copytree(aligned.path / "judge", tmp_path / "own" / "judge")
    workspace, cancel = Workspace(tmp_path / "own"), CancelToken()

    def stop(event: Progress) -> None:
        if event.message.startswith("reward sum, seed 7: step 2"):
            cancel.cancel()

    with pytest.raises(Cancelled):
        align(workspace, JUDGE, QUICK, report=stop, cancel=cancel)
    assert not workspace.has("policy")
    events: list[Progress] = []
    align(workspace, JUDGE, QUICK, report=events.append, resume=True)
    said = {event.message.split(",")[0] for event in events if event.stage == "policy"}
    assert "business only" not in said, "it was finished"
    assert "reward sum" in said

    def figures(one: Workspace) -> list[float]:
        return [row["mean"] for row in result(one)["rows"] if row["metric"] != "training"]

    assert figures(workspace) == pytest.approx(figures(aligned), nan_ok=True)


def test_unknown_arms_and_tasks_are_users_errors(aligned: Workspace) -> None:
    with pytest.raises(RequestError, match="unknown arm 'ppo'"):
        align(aligned, JUDGE, QUICK.model_copy(update={"arms": ("ppo",)}))
    with pytest.raises(RequestError, match="no task 'Nothing'"):
        align(aligned, JUDGE, QUICK.model_copy(update={"task": "Nothing"}))


def test_figures_are_means_over_seeds_paired_by_basket() -> None:
    def run(arm: str, seed: int, level: float) -> Run:
        examples = pd.DataFrame({name: [level, level + 1.0, np.nan] for name in METRICS})
        names = ("kl", "business", "semantic", "dead", "judged", "agreement", "coefficient")
        curve = pd.DataFrame({name: [0.25, 0.75] for name in names})
        return Run(arm, seed, examples, curve, {"seconds": 2.0 * seed})

    rows = arm_rows([run("sft", 1, 0.0), run("sft", 2, 0.0), run("a2po", 1, 1.0), run("a2po", 2, 2.0)])
    hit = next(row for row in rows if (row["arm"], row["metric"]) == ("a2po", "hr"))
    assert (hit["mean"], hit["diff"], hit["diff_low"], hit["n"], hit["by_seed"]) == (2.0, 1.5, 1.5, 2, [1.5, 2.5])
    told = next(row for row in rows if (row["arm"], row["metric"]) == ("a2po", "training"))
    assert (told["steps"], told["dead"], told["seconds"]) == (2, 0.5, 3.0)
