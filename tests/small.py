"""Small models over the tiny shop, without any downloaded weights: a fake encoder, a random item store, a random Llama folder."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.data.schema import Dataset
from backend.data.trend import Trend
from backend.grounding.encoders import TEXT_DIM, TokenStates
from backend.instructions.catalogue import prepare
from backend.model.backbones import Nano, load_backbone
from backend.model.batch import Batch
from backend.model.instruction import GATES, Said
from backend.model.sigma import SigmaModel
from backend.settings import ModelSettings, TokenSettings
from backend.tokenization.item_store import NAMED, ItemStore

MODEL: dict[str, Any] = {"layers": 2, "hidden": 32, "heads": 4, "item_dim": 16, "history_items": 8}
LEVELS, CODES = 4, 6
WIDTH = 12  # of the grounded text vectors
DEMANDS = 4


class FakeEncoder:
    """Each word has a random vector of its own, drawn from its hash."""

    def __init__(self) -> None:
        self._remembered: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def token_states(self, texts: Sequence[str]) -> TokenStates:
        rows = [np.stack([_of(word) for word in text.split()] or [_of("")]) for text in texts]
        longest = max(len(row) for row in rows)
        states = torch.zeros(len(rows), longest, TEXT_DIM)
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        for place, row in enumerate(rows):
            states[place, : len(row)] = torch.from_numpy(row)
            mask[place, : len(row)] = True
        return TokenStates(states, mask, torch.from_numpy(self.encode(texts)))

    def remembered(self, texts: Sequence[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        for text in texts:
            if text not in self._remembered:
                states, vector = self.token_states([text]), self.encode([text])[0]
                self._remembered[text] = (states.states[0][states.mask[0]].half(), torch.from_numpy(vector))
        return [self._remembered[text] for text in texts]

    def known_vectors(self, texts: Sequence[str]) -> np.ndarray:
        return self.encode(texts) if texts else np.zeros((0, TEXT_DIM), np.float32)

    def encode(self, texts: Sequence[str], **kwargs: object) -> np.ndarray:
        vectors = np.stack([sum(_of(word) for word in (text.lower().split() or [""])) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@lru_cache(maxsize=4096)
def _of(word: str) -> np.ndarray:
    vector = np.random.default_rng(zlib.crc32(word.encode())).normal(size=TEXT_DIM).astype(np.float32)
    vector.flags.writeable = False
    return vector


def unit(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    vectors = rng.normal(size=(n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def small_store(n: int, seed: int = 0) -> ItemStore:
    """Random vectors; the last two items are cold; two items share their whole SID."""
    rng = np.random.default_rng(seed)
    ids, statistics = unit(rng, n, 12), rng.normal(size=(n, 3)).astype(np.float32)
    ids[-2:] = statistics[-2:] = 0.0
    sids = rng.integers(CODES, size=(n, LEVELS))
    sids[1] = sids[0]
    names, name_of = unit(rng, 7, TEXT_DIM), rng.integers(7, size=(n, len(NAMED)))
    name_of[-1] = -1
    lately = Trend(17_300.0, rng.random((9, n)).astype(np.float32))
    return ItemStore(ids, unit(rng, n, WIDTH), None, statistics, sids, names, name_of, lately)


def fake_ground(texts: Sequence[str]) -> torch.Tensor:
    """Grounded vectors of texts: a fixed random projection of the fake sentence vectors."""
    turn = np.random.default_rng(9).normal(size=(TEXT_DIM, WIDTH))
    vectors = np.stack([vector @ turn for vector in FakeEncoder().encode(texts)]) if texts else np.zeros((0, WIDTH))
    return torch.from_numpy(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).float()


class FakeListener:
    """Hears the fake vectors of texts; a demand that is not given is a fixed one for each text, and so are its pools."""

    tasks, sentence_dim = ("JustForYou", "Category", "Query", "Discover"), TEXT_DIM

    def __init__(self, dataset: Dataset) -> None:
        self.n_items = dataset.n_items
        self.catalogue = prepare(dataset, FakeEncoder().encode, tasks=self.tasks)

    def pools_of(self, text: str) -> dict[str, np.ndarray]:
        """Half of the items for Category; for Query a few, and of every other text only."""
        drawn = np.random.default_rng(zlib.crc32(text[::-1].encode())).random((2, self.n_items))
        pools = {"Category": drawn[0] < 0.5}
        return pools if zlib.crc32(text.encode()) % 2 else pools | {"Query": drawn[1] < 0.1}

    def __call__(self, texts: Sequence[str], demand: torch.Tensor | None = None) -> Said:
        sentence = torch.from_numpy(FakeEncoder().encode(texts)) if texts else torch.zeros(0, TEXT_DIM)
        if demand is None:
            drawn = [np.random.default_rng(zlib.crc32(text.encode())).dirichlet(np.ones(DEMANDS)) for text in texts]
            demand = torch.from_numpy(np.array(drawn).reshape(-1, DEMANDS)).float()
        return Said(fake_ground(texts), sentence, demand, [self.pools_of(text) for text in texts])


def small_model(dataset: Dataset, seed: int = 0, dropout: float = 0.0, **changes: Any) -> SigmaModel:
    """A random model over the dataset's items, its gates open in their own ways."""
    torch.manual_seed(seed)
    settings = ModelSettings(**{**MODEL, **changes})
    backbone = Nano(settings, FakeEncoder()) if settings.backbone == "nano" else load_backbone(settings)  # type: ignore[arg-type]
    tokens = TokenSettings(levels=LEVELS, codes=CODES)
    model = SigmaModel(backbone, small_store(dataset.n_items, seed), settings, tokens, FakeListener(dataset), dropout)
    own = (model.code_head, model.query_head, model.priors.again, model.priors.taste, model.instruction.add[-1])
    for head in (*own, *(ask[-1] for ask in model.instruction.asks)):  # type: ignore[index]
        torch.nn.init.normal_(head.weight, std=0.05)
    torch.nn.init.normal_(model.instruction.gates, std=0.2)
    with torch.no_grad():
        model.instruction.gates[:, GATES.index("pool")] -= 0.5  # felt, but not so strong that one item has all the probability
    return model


def words_of(model: SigmaModel, batch: Batch) -> torch.Tensor:
    """Soft tokens of a batch's instructions. Shape: (instructions, item_dim)."""
    everything = torch.ones(len(batch.said.demand), len(model.store))  # the pool plays no part in them
    return model.instruction(batch.said, model.fuse, model._names, model._name_of, everything).words


def llama_folder(path: Path, texts: Sequence[str]) -> Path:
    """A tiny random Llama with a word-level tokenizer, saved as transformers saves them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = sorted({word for text in texts for word, _ in pre_tokenizers.Whitespace().pre_tokenize_str(text)})
    vocabulary = {word: number for number, word in enumerate(["[UNK]", "<s>", "</s>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", bos_token="<s>", eos_token="</s>").save_pretrained(
        path
    )
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    assert (path / "model.safetensors").is_file()
    return path
