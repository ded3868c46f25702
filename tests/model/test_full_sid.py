"""The full-SID decoder: packing, vocabulary, learning, and new rows that move under LoRA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.data.split import split
from backend.instructions.jd_prompts import all_texts
from backend.model.full_sid import FullSidModel, Row, build_model, collate
from backend.model.item_words import catalogue_tokenizer
from backend.model.jd_examples import JdSampler
from backend.model.training import train_model, trainable_state
from backend.pipeline import training_contexts
from backend.settings import DataSettings, JdSettings
from backend.tokenization.representations import Representation, numeric, semantic
from tests.small import llama_folder

SMALL = JdSettings(layers=2, hidden=32, heads=4, history_items=6, contexts=64, batch=8, epochs=2, max_minutes=None, targets=3)


def codes_of(dataset: Dataset) -> Representation:
    return semantic(np.random.default_rng(0).integers(6, size=(dataset.n_items, 3)), 6)


def small_jd(dataset: Dataset, settings: JdSettings = SMALL, representation: Representation | None = None) -> FullSidModel:
    torch.manual_seed(0)
    names = dataset.items[c.TITLE].tolist()
    tokenizer = catalogue_tokenizer([*names, *dataset.users[c.PROFILE], *all_texts()])
    return build_model(settings, representation or codes_of(dataset), names, tokenizer)


def sampler_of(dataset: Dataset, model: FullSidModel, settings: JdSettings = SMALL) -> JdSampler:
    baskets = split(dataset, DataSettings()).train
    return JdSampler(dataset, training_contexts(baskets, settings.train(), 7), model.words, settings, 7)


def test_every_title_is_read_back(tiny_dataset: Dataset) -> None:
    words = small_jd(tiny_dataset).words
    for title in tiny_dataset.items[c.TITLE]:
        ids = words.title(title)
        assert ids[-1] == words.end
        assert max(ids) < words.size
        assert words.read(ids).replace(" ", "") == title.lower().replace(" ", "")


def test_an_unknown_word_is_spelt(tiny_dataset: Dataset) -> None:
    words = small_jd(tiny_dataset).words
    assert words.read(words.text("pumpkinade")) == "pumpkinade"


@pytest.mark.parametrize("how", ["semantic", "numeric", "title"])
def test_answers_are_the_catalogues_own_paths(tiny_dataset: Dataset, how: str) -> None:
    representation = numeric(tiny_dataset.n_items, 10) if how == "numeric" else codes_of(tiny_dataset)
    model = small_jd(tiny_dataset, SMALL.model_copy(update={"representation": how}), representation)
    words = model.words
    for row in range(tiny_dataset.n_items):
        answer = words.answer(row)
        codes = [int(np.flatnonzero(words.levels[level] == token)[0]) for level, token in enumerate(answer)]
        padded = [*codes, *[0] * (len(words.levels) - len(codes))]
        assert padded == words.representation.codes[row].tolist()
    if how != "title":
        ids = np.concatenate(words.levels)
        assert len(np.unique(ids)) == len(ids), "every code has a token of its own"
        assert ids.min() == words.end + 1
        assert ids.max() == words.size - 1


def test_a_packed_target_has_the_loss_that_it_has_alone(tiny_dataset: Dataset) -> None:
    model = small_jd(tiny_dataset).eval()
    prompt = model.words.text("which item is next")
    answers = [model.words.answer(row) for row in (3, 8, 20)]
    packed = Row()
    packed.shared(prompt)
    line = Row()
    for answer in answers:
        packed.target(answer, 1.0)
        line.sample(prompt, answer)
    with torch.inference_mode():
        together, side_by_side = (model.each(*collate([row])) for row in (packed, line))
        alone = []
        for answer in answers:
            ids = torch.tensor([[*prompt, *answer]])
            log_p = torch.log_softmax(model.base(input_ids=ids).logits[0], -1)
            alone += [-log_p[len(prompt) - 1 + step, token] for step, token in enumerate(answer)]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(side_by_side, torch.stack(alone), atol=1e-4, rtol=1e-4)


def test_padding_changes_nothing(tiny_dataset: Dataset) -> None:
    model = small_jd(tiny_dataset).eval()
    sampler = sampler_of(tiny_dataset, model)
    rows = [sampler.row(number) for number in range(6)]
    with torch.inference_mode():
        whole = model.each(*collate(rows))
        single = torch.cat([model.each(*collate([row])) for row in rows])
    torch.testing.assert_close(whole, single, atol=1e-4, rtol=1e-4)


def test_the_loss_falls_and_both_parts_train(tiny_dataset: Dataset) -> None:
    model = small_jd(tiny_dataset)
    sampler = sampler_of(tiny_dataset, model)
    before = model.losses(*sampler.batch(range(16)))
    result = train_model(model, sampler, SMALL.model_copy(update={"epochs": 4}).train(), 7)
    after = model.losses(*sampler.batch(range(16)))
    assert result.steps == 32
    assert after.ntp < before.ntp - 0.3
    assert after.id < before.id - 0.3


def test_without_alignment_there_is_no_second_loss(tiny_dataset: Dataset) -> None:
    settings = SMALL.model_copy(update={"alignment": 0})
    model = small_jd(tiny_dataset, settings)
    lines, asked = sampler_of(tiny_dataset, model, settings).batch(range(4))
    assert not asked.aligned.any()
    assert len(lines.ids) == 4
    assert model.losses(lines, asked).id == 0.0


def test_a_crash_resumes_to_the_same_weights(tiny_dataset: Dataset, tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"checkpoint_steps": 3}).train()

    def run(checkpoint: Path, stop_at: int | None = None) -> dict[str, torch.Tensor]:
        model = small_jd(tiny_dataset)

        def on_step(step: int) -> None:
            if step == stop_at:
                raise MemoryError

        try:
            train_model(model, sampler_of(tiny_dataset, model), settings, 7, checkpoint, on_step=on_step)
        except MemoryError:
            assert stop_at is not None
        return {name: value.clone() for name, value in trainable_state(model).items()}

    whole = run(tmp_path / "whole.safetensors")
    run(tmp_path / "cut.safetensors", stop_at=8)
    resumed = run(tmp_path / "cut.safetensors")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_train_under_lora_and_old_ones_stay(tiny_dataset: Dataset, tmp_path: Path, tied: bool) -> None:
    from transformers import AutoConfig, LlamaForCausalLM

    folder = llama_folder(tmp_path / "llama", [*tiny_dataset.items[c.TITLE], *all_texts()])
    config = AutoConfig.from_pretrained(folder)
    config.tie_word_embeddings = tied
    LlamaForCausalLM(config).save_pretrained(folder)
    settings = SMALL.model_copy(update={"backbone": str(folder), "layers": 2})
    model = small_jd(tiny_dataset, settings)
    assert len(model.base.get_decoder().layers) == 2
    before = tables(model)
    frozen = {name: value.clone() for name, value in model.named_parameters() if not value.requires_grad}
    train_model(model, sampler_of(tiny_dataset, model, settings), settings.train(), 7)
    after = tables(model)
    for name, value in model.named_parameters():
        if not value.requires_grad:
            assert torch.equal(value, frozen[name]), name
    new = model.words.text_size
    for name, table in after.items():
        moved = (table - before[name]).abs().sum(1)
        assert (moved[:new] == 0).all(), f"{name}: rows of the base model stay"
        assert (moved[new:] > 0).float().mean() > 0.9, f"{name}: the rows of the items' tokens move"
    lines, asked = sampler_of(tiny_dataset, model, settings).batch(range(4))
    model.eval()
    with torch.inference_mode():
        own = model.each(lines, asked)
        merged = FullSidModel(model.plain(), model.words).each(lines, asked)
    torch.testing.assert_close(own, merged, atol=1e-4, rtol=1e-4)


def tables(model: FullSidModel) -> dict[str, torch.Tensor]:
    """The rows that tokens enter and leave by, as the model uses them."""
    every = torch.arange(model.words.size)
    with torch.inference_mode():
        entering = model.base.get_input_embeddings()(every).clone()
        leaving = model.base.get_output_embeddings()(torch.eye(entering.shape[1])).T.clone()
    return {"input": entering, "output": leaving}
