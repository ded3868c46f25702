"""The trie in `transformers.generate` and behind our own search: the results of `prefix_allowed_tokens_fn`, whatever the model's own settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from backend.errors import RequestError
from backend.generation.causal import CodeDecoder
from backend.generation.constrained import Found, constrained_beam, free_beam
from backend.generation.logits_processor import TrieLogitsProcessor, generate_sids
from backend.tokenization.trie import Trie
from backend.tokenization.trie_torch import TensorTrie

LEVELS, CODES, VOCABULARY, PROMPT = 3, 12, 90, 17
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "initializer_range": 0.4, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def model(request: pytest.FixtureRequest) -> Any:
    """A tiny random decoder with the sampling settings that an instruct model brings along."""
    torch.manual_seed(4)
    found = LlamaForCausalLM(LlamaConfig(**SHAPE)) if request.param == "llama" else Qwen2ForCausalLM(Qwen2Config(**SHAPE))
    found.generation_config.top_k, found.generation_config.repetition_penalty = 2, 1.3
    found.generation_config.do_sample, found.generation_config.temperature = True, 0.2
    return found.eval()


@pytest.fixture(scope="module")
def sids() -> np.ndarray:
    return np.random.default_rng(1).integers(0, CODES, size=(150, LEVELS))


@pytest.fixture(scope="module")
def tokens() -> list[np.ndarray]:
    """Codes stand for tokens in no particular order."""
    ids = np.random.default_rng(2).permutation(np.arange(10, 10 + LEVELS * CODES))
    return list(ids.reshape(LEVELS, CODES))


def dict_trie(sids: np.ndarray, tokens: list[np.ndarray]) -> Callable[[int, torch.Tensor], list[int]]:
    """The usual constraint: a dictionary of dictionaries, asked beam by beam."""
    root: dict[int, Any] = {}
    for row in sids.tolist():
        at = root
        for level, code in enumerate(row):
            at = at.setdefault(int(tokens[level][code]), {})

    def allowed(batch: int, ids: torch.Tensor) -> list[int]:
        at = root
        for token in ids[PROMPT:].tolist():
            at = at.get(token, {})
        return list(at) or [0]

    return allowed


def same(one: Found, two: Found) -> None:
    np.testing.assert_array_equal(one.codes, two.codes)
    np.testing.assert_array_equal(one.leaves, two.leaves)
    np.testing.assert_allclose(one.log_p, two.log_p, atol=2e-4)


@pytest.mark.parametrize("beams", [2, 7, 40, 200])
@pytest.mark.parametrize("share", [1.0, 0.2])
def test_all_ways_find_the_same(model: Any, sids: np.ndarray, tokens: list[np.ndarray], beams: int, share: float) -> None:
    prompt = torch.randint(3, VOCABULARY, (PROMPT,), generator=torch.Generator().manual_seed(beams))
    trie, allowed = Trie.build(sids, CODES), np.random.default_rng(beams).random(len(sids)) < share
    mask = None if share == 1 else trie.mask(allowed)
    rival = dict_trie(sids[allowed], tokens)
    expected = generate_sids(model, prompt, trie, tokens, beams, None, prefix_allowed_tokens_fn=rival)
    assert len(expected.codes) == min(beams, len({*map(tuple, sids[allowed].tolist())}))
    processor = TrieLogitsProcessor(trie, tokens, VOCABULARY, PROMPT, mask)
    same(generate_sids(model, prompt, trie, tokens, beams, processor), expected)
    processor.tensors = TensorTrie(trie)  # as on a GPU
    processor.tensor_mask = None if mask is None else processor.tensors.mask(mask)
    same(generate_sids(model, prompt, trie, tokens, beams, processor), expected)
    decoder = CodeDecoder(model, tokens)
    same(constrained_beam(trie, decoder.ask(prompt), beams, mask), expected)
    cheap = constrained_beam(trie, decoder.ask(prompt, full=False), beams, mask, "legal")
    assert set(map(tuple, cheap.codes.tolist())) <= {*map(tuple, sids[allowed].tolist())}
    again = constrained_beam(trie, decoder.ask(prompt), beams, mask, "legal")
    np.testing.assert_array_equal(cheap.codes, again.codes)


def test_the_models_own_settings_play_no_part_and_come_back(model: Any, sids: np.ndarray, tokens: list[np.ndarray]) -> None:
    prompt, trie = torch.arange(3, 3 + PROMPT), Trie.build(sids, CODES)
    own = model.generation_config
    processor = TrieLogitsProcessor(trie, tokens, VOCABULARY, PROMPT)
    assert len(generate_sids(model, prompt, trie, tokens, 50, processor).codes) == 50  # top_k = 2 would leave 8 at most
    assert model.generation_config is own
    assert own.top_k == 2


def test_a_free_beam_of_generate_knows_tokens_that_are_no_codes(model: Any, sids: np.ndarray, tokens: list[np.ndarray]) -> None:
    trie, prompt = Trie.build(sids, CODES), torch.arange(3, 3 + PROMPT)
    free = generate_sids(model, prompt, trie, tokens, 30, None)
    assert free.invalid > 0.5
    ours = free_beam(trie, CodeDecoder(model, tokens).ask(prompt), 30)
    assert len(ours.codes) == 30
    assert (ours.codes >= 0).all()


def test_generate_does_not_search_with_one_beam(model: Any, sids: np.ndarray, tokens: list[np.ndarray]) -> None:
    with pytest.raises(RequestError, match="two at least"):
        generate_sids(model, torch.arange(3, 9), Trie.build(sids, CODES), tokens, 1, None)


def test_behind_a_whole_sid_only_the_end_is_let_through(sids: np.ndarray, tokens: list[np.ndarray]) -> None:
    trie = Trie.build(sids, CODES)
    made = torch.tensor([[5, *(tokens[level][sids[0, level]] for level in range(LEVELS))]])
    scores = torch.zeros(1, VOCABULARY)
    ends = TrieLogitsProcessor(trie, tokens, VOCABULARY, 1, end=2)(made, scores)
    assert torch.isfinite(ends).nonzero().tolist() == [[0, 2]]
    assert torch.isfinite(TrieLogitsProcessor(trie, tokens, VOCABULARY, 1)(made, scores)).all()
    made[0, 1] = 0  # stands for no code: nothing continues it
    assert not torch.isfinite(TrieLogitsProcessor(trie, tokens, VOCABULARY, 1)(made[:, :3], scores)).any()
