"""Variants share what they can and train what they must; a table that was stopped goes on; what is measured is what the evaluation measures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import Cancelled, WorkspaceError
from backend.evaluation.questions import questions
from backend.experiments.comparing import Plan, compare, plans
from backend.experiments.making import make, settings_of, share
from backend.experiments.tables import Variant
from backend.progress import CancelToken, Progress
from backend.settings import Settings
from backend.workspace import Workspace

SHORT = {"train": {"contexts": 8, "batch": 8}}
VARIANTS = [Variant("SIGMA"), Variant("ID only", {"model": {"prefix_levels": 0}, **SHORT})]


@pytest.fixture(scope="module")
def base(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("experiment") / "base"
    shutil.copytree(trained, folder)
    return Workspace(folder)


@pytest.fixture(scope="module")
def table(base: Workspace) -> tuple[list[Plan], dict[str, Any]]:
    planned = plans(base, VARIANTS, base.path / "variants")
    return planned, compare(base, planned, limit=6, step3=True)


def linked(one: Path, other: Path) -> bool:
    return one.samefile(other)


def test_settings_are_read_back(base: Workspace) -> None:
    settings = settings_of(base)
    assert settings.model.hidden == 32
    assert settings.data.min_users == 1
    assert share(base, Workspace(base.path.parent / "same"), settings) == ["dataset", "grounding", "tokens", "model"]


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        ({"model": {"prefix_levels": 2}}, ["dataset", "grounding", "tokens"]),
        ({"tokens": {"codes": 6}}, ["dataset", "grounding"]),
        ({"grounding": {"lambda_kd": 0.0}}, ["dataset"]),
        ({"train": {"dense": True}}, ["dataset", "grounding", "tokens"]),
    ],
)
def test_only_what_the_settings_leave_is_shared(
    base: Workspace, tmp_path: Path, changes: dict[str, Any], shared: list[str]
) -> None:
    target = Workspace(tmp_path / "variant")
    assert share(base, target, Variant("v", changes).settings(settings_of(base))) == shared
    assert [name for name in ("dataset", "grounding", "tokens", "model") if target.has(name)] == shared
    for name in shared:
        assert linked(target.path / name / "manifest.json", base.path / name / "manifest.json")
        assert not target.stale(name)


def test_the_upstream_is_made_anew_where_it_is_touched(base: Workspace, tmp_path: Path) -> None:
    settings = Variant("v", {"grounding": {"views": []}, **SHORT}).settings(settings_of(base)).model_copy(update={"seed": 8})
    before = {path: path.read_bytes() for path in (base.path / "grounding").iterdir()}
    target = make(base, tmp_path / "v", settings)
    assert target.stage("grounding").manifest["settings"]["views"] == []
    assert target.stage("grounding").manifest["seed"] == base.stage("grounding").manifest["seed"]  # the seed trains alone
    assert target.stage("model").manifest["seed"] == 8
    assert all(not target.stale(name) for name in ("grounding", "tokens", "model"))
    assert before == {path: path.read_bytes() for path in (base.path / "grounding").iterdir()}


def test_a_table_is_measured_in_one_run(base: Workspace, table: tuple[list[Plan], dict[str, Any]]) -> None:
    planned, found = table
    assert [plan.recommender for plan in planned] == ["SIGMA", "ID only"]
    assert linked(
        planned[0].folder / "model" / "model.safetensors", base.path / "model" / "model.safetensors"
    )  # not trained again
    names = {row["recommender"] for row in found["results"]}
    assert {"SIGMA", "ID only", "SIGMA, without APF", "SIGMA, top-1 prefix"} <= names
    assert any(name.startswith("SIGMA, τ = ") for name in names)
    assert any(name.startswith("SIGMA, M = ") for name in names)
    assert found["others"] == ["ID only"]
    assert {row["reference"] for row in found["differences"]} == {"SIGMA"}
    cell = {(row["recommender"], row["task"], row["view"], row["metric"], row["k"]): row["mean"] for row in found["results"]}
    for row in found["differences"]:
        key = (row["task"], row["view"], row["metric"], row["k"])
        assert row["diff"] == pytest.approx(cell[row["recommender"], *key] - cell["SIGMA", *key], abs=1e-6)
        assert row["low"] - 1e-9 <= row["diff"] <= row["high"] + 1e-9
    asked = questions(base, "test", 6).asked
    assert {
        row["n"] for row in found["results"] if row["task"] == "JustForYou" and row["view"] == "all" and row["metric"] == "hr"
    } == {sum(case.task == "JustForYou" for case in asked)}
    training = {each["variant"]: each for each in found["trainings"]}
    assert training["ID only"]["steps"] == 1
    assert training["ID only"]["HR@10"]["JustForYou"] == pytest.approx(cell["ID only", "JustForYou", "all", "hr", 10], abs=1e-3)


def test_started_again_it_keeps_everything(base: Workspace, table: tuple[list[Plan], dict[str, Any]]) -> None:
    planned, found = table
    times = {path: path.stat().st_mtime_ns for path in (base.path / "variants").rglob("*.safetensors")}
    stages: list[Progress] = []
    again = compare(base, planned, limit=6, step3=True, report=stages.append)
    assert {path: path.stat().st_mtime_ns for path in (base.path / "variants").rglob("*.safetensors")} == times
    assert not {"training", "components"} & {event.stage for event in stages}
    assert {key: again[key] for key in again if key != "date"} == {key: found[key] for key in found if key != "date"}
    late = replace(planned[1], folder=base.path / "none", recommender="late")
    finished = compare(base, [*planned, late], limit=6, step3=True, finished=True)
    assert finished["others"] == ["ID only"]  # what is not finished is left out
    with pytest.raises(WorkspaceError, match="nothing is finished yet"):
        compare(base, [Plan(VARIANTS[0], 7, Settings(), base.path / "none", "SIGMA")], finished=True)


def test_a_cancelled_table_goes_on(base: Workspace, tmp_path: Path) -> None:
    cancel, steps = CancelToken(), []

    def stop(event: Progress) -> None:
        if event.stage == "variants" and event.done == 1:  # the first is done
            cancel.cancel()

    planned = plans(base, VARIANTS, tmp_path)
    with pytest.raises(Cancelled):
        compare(base, planned, limit=3, report=stop, cancel=cancel)
    assert (planned[0].folder / "lists.safetensors").is_file()
    assert not (planned[1].folder / "lists.safetensors").exists()
    found = compare(base, planned, limit=3, report=steps.append)
    assert next(event.message for event in steps if event.stage == "answers") == "kept"
    assert found["others"] == ["ID only"]


def test_seeds_train_the_headline_rows_alone(base: Workspace, tmp_path: Path) -> None:
    variants = [Variant("SIGMA", headline=True), Variant("other", SHORT)]
    found = plans(base, variants, tmp_path, seeds=[7, 8])
    assert [(plan.recommender, plan.seed) for plan in found] == [("SIGMA", 7), ("SIGMA, seed 8", 8), ("other", 7)]
    assert len({plan.folder for plan in found}) == 3
    held = settings_of(base).model_copy(update={"train": settings_of(base).train.model_copy(update={"held_households": 0.1})})
    assert {plan.settings.train.held_households for plan in plans(base, variants, tmp_path, seeds=[7, 8], common=held)} == {0.1}
