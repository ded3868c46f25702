"""What is heard is remembered: an instruction that was heard before costs no sentence encoder, names masked or not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.data.store import open_dataset
from backend.errors import WorkspaceError
from backend.grounding.encoders import shared_text_encoder
from backend.model.loading import load_model
from backend.workspace import Workspace


def test_a_trained_model_knows_what_belongs_to_what_is_asked(trained: Path, tmp_path: Path) -> None:
    workspace = Workspace(trained)
    dataset = open_dataset(workspace)
    listen = load_model(workspace, dataset).listen
    shelf = str(dataset.items["category"].iloc[0])
    told = [torch.eye(len(listen.tasks))[[listen.tasks.index("Category")]] * share for share in (1.0, 0.01)]
    heard, unlikely = (listen([f"something in {shelf}"], demand).pools[0] for demand in told)
    assert np.array_equal(heard["Category"], dataset.items["category"].eq(shelf) | dataset.items["department"].eq(shelf))
    assert not unlikely, "a demand that it hardly is costs no reading"
    shutil.copytree(trained, tmp_path / "workspace")
    (tmp_path / "workspace" / "model" / "pools.safetensors").unlink()
    with pytest.raises(WorkspaceError, match=r"pools\.safetensors"):
        load_model(Workspace(tmp_path / "workspace"), dataset)


def test_the_same_instruction_is_encoded_once(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(trained)
    dataset = open_dataset(workspace)
    model = load_model(workspace, dataset)
    text = f"would you bring me some {dataset.items['category'].iloc[0].split(' > ')[-1].lower()}, whatever it costs"
    first = model.listen([text])

    def none(*args: object) -> None:
        raise AssertionError("the encoder was asked again")

    monkeypatch.setattr(shared_text_encoder(), "token_states", none)
    monkeypatch.setattr(shared_text_encoder(), "encode", none)
    again = model.listen([text])
    torch.testing.assert_close(again.demand, first.demand)
    torch.testing.assert_close(again.sentence, first.sentence)
