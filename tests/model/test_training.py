"""Training: it learns, the right weights move, and a kill at any moment changes nothing about where it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from backend.data.schema import Dataset
from backend.errors import Cancelled, WeightsError
from backend.instructions.templates import wordings
from backend.model.backbones import load_backbone
from backend.model.prompt import QUERY, START
from backend.model.sigma import SigmaModel
from backend.model.training import TrainingResult, learning_rate, train_model, trainable_state
from backend.progress import CancelToken
from backend.settings import ModelSettings, TrainSettings
from tests.model.test_losses import sampler_of
from tests.shop import SETTINGS
from tests.small import llama_folder, small_model

QUICK = TrainSettings(contexts=64, batch=8, bf16=False, checkpoint_steps=3, epochs=2)  # 16 steps


def trained(
    dataset: Dataset,
    settings: TrainSettings = QUICK,
    checkpoint: Path | None = None,
    cancel: CancelToken | None = None,
    stop_at: int | None = None,
) -> tuple[dict[str, torch.Tensor], list[int], TrainingResult | None]:
    """Train a fresh small model; `stop_at` raises after that step, as a crash would."""
    model = small_model(dataset, dropout=settings.dropout)
    steps: list[int] = []

    def on_step(step: int) -> None:
        steps.append(step)
        if cancel is not None and step == 5:
            cancel.cancel()
        if step == stop_at:
            raise MemoryError("the machine gave up")

    sampler = sampler_of(dataset, model, **settings.model_dump())
    result = None
    with contextlib.suppress(MemoryError):
        result = train_model(model, sampler, settings, 7, checkpoint, cancel=cancel, on_step=on_step)
    return {name: value.clone() for name, value in trainable_state(model).items()}, steps, result


def test_freed_memory_is_given_back_as_it_goes(tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    monkeypatch.setattr("backend.model.training.give_back_free_memory", lambda: times.append(1))
    assert len(trained(tiny_dataset)[1]) == 16
    assert len(times) == 2, "after ten steps, and at the end"


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def losses_of(dataset: Dataset, model: SigmaModel) -> float:
    model.eval()
    batch, targets = sampler_of(dataset, model).batch(range(24))
    with torch.inference_mode():
        return float(model.losses(batch, targets, id_dropout=0.0).total)


def test_the_loss_falls(tiny_dataset: Dataset) -> None:
    model = small_model(tiny_dataset)
    before = losses_of(tiny_dataset, model)
    settings = QUICK.model_copy(update={"epochs": 8, "lr": 3e-3})
    result = train_model(model, sampler_of(tiny_dataset, model, **settings.model_dump()), settings, 7)
    assert result.steps == 64
    assert losses_of(tiny_dataset, model) < before - 0.3
    assert [step for step, *_ in result.curve] == [10, 20, 30, 40, 50, 60, 64]


@pytest.mark.parametrize("pays", [True, False])
def test_bfloat16_only_where_it_pays(tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch, pays: bool) -> None:
    monkeypatch.setattr("backend.model.training.bf16_pays", lambda: pays)
    model = small_model(tiny_dataset)
    settings = QUICK.model_copy(update={"bf16": True, "contexts": 8, "epochs": 1})
    result = train_model(model, sampler_of(tiny_dataset, model, **settings.model_dump()), settings, 7)
    assert result.bf16 is pays


def test_the_same_seed_gives_the_same_weights(tiny_dataset: Dataset) -> None:
    assert same(trained(tiny_dataset)[0], trained(tiny_dataset)[0])


def test_a_crash_resumes_to_the_same_weights(tiny_dataset: Dataset, tmp_path: Path) -> None:
    whole, steps, _ = trained(tiny_dataset)
    assert steps == list(range(1, 17))
    for stop_at in (4, 9, 15):
        checkpoint = tmp_path / f"{stop_at}" / "run.safetensors"
        trained(tiny_dataset, checkpoint=checkpoint, stop_at=stop_at)
        resumed, steps, result = trained(tiny_dataset, checkpoint=checkpoint)
        assert steps == list(range(stop_at - stop_at % 3 + 1, 17)), "at most checkpoint_steps steps are lost"
        assert same(whole, resumed)
        assert result is not None
        assert result.steps == 16


def test_cancelling_keeps_every_finished_step(tiny_dataset: Dataset, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.safetensors"
    with pytest.raises(Cancelled):
        trained(tiny_dataset, checkpoint=checkpoint, cancel=CancelToken())
    with safe_open(checkpoint, framework="pt") as file:
        assert file.metadata()["step"] == "5"
    resumed, steps, _ = trained(tiny_dataset, checkpoint=checkpoint)
    assert steps == list(range(6, 17))
    assert same(trained(tiny_dataset)[0], resumed)


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "foreign", "half foreign"])
def test_a_damaged_checkpoint_starts_again(tiny_dataset: Dataset, tmp_path: Path, damage: str) -> None:
    checkpoint = tmp_path / "run.safetensors"
    trained(tiny_dataset, checkpoint=checkpoint, stop_at=10)
    content = checkpoint.read_bytes()
    if damage == "cut":
        checkpoint.write_bytes(content[: len(content) // 2])
    elif damage == "noise":
        checkpoint.write_bytes(os.urandom(1000))
    elif damage == "empty":
        checkpoint.write_bytes(b"")
    elif damage == "foreign":
        save_file({"weight.other": torch.zeros(3)}, checkpoint, metadata={"step": "9"})
    else:  # the first weights fit, a later one does not: none of them may be taken
        tensors = load_file(checkpoint)
        last = [name for name in tensors if name.startswith("weight.")][-1]
        save_file(
            {**{name: value + 1 for name, value in tensors.items()}, last: torch.zeros(2, 2, 2)},
            checkpoint,
            metadata={"step": "9"},
        )
    again, steps, _ = trained(tiny_dataset, checkpoint=checkpoint)
    assert steps == list(range(1, 17))
    assert same(trained(tiny_dataset)[0], again)


def test_a_time_limit_runs_the_schedule_out(tiny_dataset: Dataset) -> None:
    settings = QUICK.model_copy(update={"epochs": 50, "max_minutes": 1e-6})
    _, steps, result = trained(tiny_dataset, settings)
    assert len(steps) == 20, "the steps that were timed"
    assert result is not None
    assert result.steps == 20


def test_learning_rate() -> None:
    settings = TrainSettings(lr=1.0, warmup=0.1)
    rates = [learning_rate(step, 100, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.01


# a pretrained backbone


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [text for task in ("JustForYou", "Category", "Query", "Discover") for text in wordings(task)]
    return llama_folder(tmp_path_factory.mktemp("llama"), texts)


def test_under_lora_our_rows_move_and_base_weights_do_not(tiny_dataset: Dataset, llama: Path) -> None:
    model = small_model(tiny_dataset, backbone=str(llama), layers=None)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert any("embed_tokens" in name for name in frozen)
    assert any("q_proj.base_layer" in name for name in frozen)
    train_model(model, sampler_of(tiny_dataset, model, **QUICK.model_dump()), QUICK, 7)
    after = model.state_dict()
    for name in frozen:
        assert torch.equal(before[name], after[name]), name
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("lora_A" in name for name in moved)
    assert any("lora_B" in name for name in moved)
    rows = {
        name: (before[f"{name}.weight"] - after[f"{name}.weight"]).abs().sum(1) for name in ("special", "sid", "count", "recency")
    }
    assert rows["special"][QUERY] > 0
    assert rows["special"][START] > 0
    assert (rows["sid"] > 0).all(), "every SID row stands in some history or target"
    assert (rows["count"] > 0).sum() > 1
    assert (rows["recency"] > 0).sum() > 1
    stored = trainable_state(model)
    assert not frozen & stored.keys(), "frozen base weights are not stored"
    assert {"special.weight", "sid.weight", "count.weight", "recency.weight"} <= stored.keys()


def test_a_backbone_is_cut_to_its_first_layers(llama: Path) -> None:
    whole = load_backbone(ModelSettings(backbone=str(llama), layers=None))
    cut = load_backbone(ModelSettings(backbone=str(llama), layers=2))
    assert len(whole.decoder().layers) == 3
    assert len(cut.decoder().layers) == 2


def test_special_tokens_in_a_text_are_plain_text(llama: Path) -> None:
    backbone = load_backbone(ModelSettings(backbone=str(llama), layers=1))
    special = {1, 2}  # <s>, </s>
    for text in ("<s> milk </s>", "</s>", "<s>"):
        assert not special & set(backbone.features([text])[0].tolist()), text
    assert len(backbone.features([""])[0]) == 1


@pytest.mark.parametrize("lost", ["model.safetensors", "config.json", "tokenizer.json"])
def test_an_incomplete_folder_is_a_users_error(llama: Path, tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "llama"
    shutil.copytree(llama, folder)
    (folder / lost).unlink()
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_backbone(ModelSettings(backbone=str(folder)))


def test_damaged_weights_are_a_users_error(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "llama"
    shutil.copytree(llama, folder)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_backbone(ModelSettings(backbone=str(folder)))


# the real thing: a process, a SIGKILL, the command line


def command(workspace: Path, *more: str) -> list[str]:
    argv = ["train", "--workspace", str(workspace), *SETTINGS, "--set", "train.epochs=3", *more]  # 24 steps
    return [sys.executable, "-m", "backend", *argv]


def finish(workspace: Path, *more: str) -> dict[str, torch.Tensor]:
    done = subprocess.run(command(workspace, *more), capture_output=True, text=True, check=False, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    return load_file(workspace / "model" / "model.safetensors")


ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_a_killed_training_goes_on_to_the_same_weights(built: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    shutil.copytree(built, whole)
    shutil.copytree(built, killed)
    expected = finish(whole)
    process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ONE_THREAD)
    patience = time.monotonic() + 300
    while not list(killed.glob(".training/*.safetensors")) and process.poll() is None and time.monotonic() < patience:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    assert not (killed / "model").exists()
    (checkpoint,) = killed.glob(".training/*.safetensors")
    with safe_open(checkpoint, framework="pt") as file:
        assert 0 < int(file.metadata()["step"]) < 24
    assert same(expected, finish(killed, "--resume"))
    assert not (killed / ".training").exists()
    assert (killed / "model" / "manifest.json").is_file()
