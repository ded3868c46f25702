"""What is heard is remembered: an instruction that was heard before costs no sentence encoder, names masked or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.data.store import open_dataset
from backend.grounding.encoders import shared_text_encoder
from backend.model.loading import load_model
from backend.workspace import Workspace


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
