"""Pairs of the views and the frozen ID embedding, on the tiny shop and by hand."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from backend.data import schema as c
from backend.data.schema import Dataset
from backend.errors import WeightsError
from backend.grounding import encoders, pairs
from backend.grounding.encoders import Together, count_together, id_embeddings
from tests.grounding.both_ways import checked
from tests.small import FakeEncoder
from tests.tiny import SEASONAL

BASKETS = [(0, 0, [0, 1]), (1, 0, [0, 1, 2]), (2, 1, [0, 1]), (3, 1, [2, 3]), (4, 2, [0, 3])]  # step, user, items


def events() -> pd.DataFrame:
    rows = [(user, step, item) for step, user, items in BASKETS for item in items]
    return pd.DataFrame(rows, columns=[c.EVENT_USER, c.STEP, c.EVENT_ITEM])


def test_counting_together_against_loops() -> None:
    found = count_together(events(), 5)
    pmi, households = found.pmi.toarray(), found.households.toarray()
    for i in range(5):
        for j in range(5):
            both = [(step, user) for step, user, items in BASKETS if i in items and j in items]
            one, two = (sum(each in items for _, _, items in BASKETS) for each in (i, j))
            if i == j or not both:
                assert pmi[i, j] == 0
                continue
            assert pmi[i, j] == pytest.approx(math.log(len(both) * len(BASKETS) / (one * two)))
            assert households[i, j] == len({user for _, user in both})


def test_an_item_without_behaviour_has_a_zero_row() -> None:
    found = id_embeddings(count_together(events(), 5), np.zeros((0, 2), np.int64), 3, seed=0)
    assert found.shape == (5, 3)
    assert found.dtype == np.float32
    norms = np.linalg.norm(found, axis=1)
    assert norms[4] == 0
    np.testing.assert_allclose(norms[norms > 0], 1.0, rtol=1e-5)
    assert id_embeddings(count_together(events(), 5), np.zeros((0, 2), np.int64), 16, seed=0).shape == (5, 16)


def test_held_pairs_are_hidden_from_the_teacher() -> None:
    pmi = sp.csr_matrix(np.array([[0, 2.0, 0], [2.0, 0, 0], [0, 0, 0]]))
    together = Together(pmi, pmi)
    hidden = np.array([(0, 1), (1, 0)])
    assert np.linalg.norm(id_embeddings(together, np.zeros((0, 2), np.int64), 2, 0)[0]) > 0
    assert not id_embeddings(together, hidden, 2, 0).any()


def test_items_bought_alike_lie_near_each_other(tiny_dataset: Dataset) -> None:
    together = count_together(tiny_dataset.events, tiny_dataset.n_items)
    vectors = id_embeddings(together, np.zeros((0, 2), np.int64), 8, seed=0)
    category = tiny_dataset.items[c.CATEGORY].to_numpy()
    same = category[:, None] == category[None]
    cosine = vectors @ vectors.T
    off = ~np.eye(len(cosine), dtype=bool)
    assert cosine[same & off].mean() > cosine[~same].mean() + 0.1


def test_the_collaborative_view(tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_MIN_HOUSEHOLDS", 3)
    monkeypatch.setattr(pairs, "_MIN_PMI", 0.0)
    together = count_together(tiny_dataset.events, tiny_dataset.n_items)
    view = pairs.collaborative(together, seed=7)
    for a, b in checked(view):
        assert together.households[a, b] >= 3
        assert together.pmi[a, b] > 0
    again = pairs.collaborative(together, seed=7)
    np.testing.assert_array_equal(view.train, again.train)


def test_the_semantic_view_holds_out_whole_queries(tiny_dataset: Dataset) -> None:
    view = pairs.semantic(tiny_dataset, seed=7)
    n = tiny_dataset.n_items
    assert not set(view.train[:, 0]) & set(view.held[:, 0])
    assert len(view.held)
    queries = list(dict.fromkeys(tiny_dataset.queries[c.QUERY]))
    answers = {
        (query, item) for query, item in zip(tiny_dataset.queries[c.QUERY], tiny_dataset.queries[c.QUERY_ITEM], strict=True)
    }
    for query, item in np.concatenate([view.train, view.held]).tolist():
        assert (queries[query - n], item) in answers


def test_the_knowledge_view_finds_the_season(tiny_dataset: Dataset) -> None:
    entities = pairs.build_entities(tiny_dataset)
    text = FakeEncoder().encode(entities.texts)
    view = pairs.knowledge(tiny_dataset, np.ones(len(tiny_dataset.events), bool), entities, text, seed=7)
    first = entities.n_items + entities.n_queries
    assert view.train[:, 0].min() >= first
    assert view.train[:, 1].max() < entities.n_items
    pumpkins = set(np.flatnonzero(tiny_dataset.items[c.TYPE] == SEASONAL))
    linked = {entities.texts[word].lower() for word, item in np.concatenate([view.train, view.held]).tolist() if item in pumpkins}
    assert any("halloween" in word or "autumn" in word or "fall" in word or "october" in word for word in linked), linked
    assert not {tuple(pair) for pair in view.train.tolist()} & {tuple(pair) for pair in view.held.tolist()}


def test_entities_are_items_then_queries_then_calendar_words(tiny_dataset: Dataset) -> None:
    entities = pairs.build_entities(tiny_dataset)
    assert entities.texts[:60] == tiny_dataset.items[c.TEXT].tolist()
    assert entities.n_queries == tiny_dataset.queries[c.QUERY].nunique()
    assert set(pairs.calendar_words()) <= set(entities.texts[60 + entities.n_queries :])


# the encoder's files


def test_a_wrong_checksum_names_both_sides(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"half a mod")
    digest = hashlib.sha256(b"half a mod").hexdigest()
    encoders.check_sha256(file, digest)
    with pytest.raises(WeightsError) as caught:
        encoders.check_sha256(file, "a" * 64)
    assert "aaaaaaaaaaaa" in str(caught.value)
    assert digest[:12] in str(caught.value)


def test_a_folder_without_weights_is_a_users_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASCOPE_MINILM", str(tmp_path))
    with pytest.raises(WeightsError, match="has no model"):
        encoders.minilm_folder()
