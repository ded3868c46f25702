"""A tiny dataset with every trap of the label rules, and a fake encoder."""

import zlib

import numpy as np
import pandas as pd
import pytest

from backend.data import schema
from backend.data.schema import Dataset
from backend.instructions.catalogue import Catalogue
from backend.instructions.demand import DemandReader, fit_demand
from backend.instructions.words import words

# title, department, category
ITEMS = [
    ("Frozen pizza, 12 oz", "Frozen grocery", "Frozen pizzas"),
    ("Frozen pizza rolls", "Frozen grocery", "Frozen pizzas"),
    ("Vanilla ice cream", "Frozen grocery", "Ice cream & sherbets"),
    ("Whole milk", "Grocery", "Milk"),
    ("Skim milk", "Grocery", "Milk"),
    ("Cheddar", "Grocery", "Cheese"),
    ("Cola", "Grocery", "Soft drinks"),
    ("Dog biscuits", "Grocery", "Dog foods"),
    ("Toy truck", "Toys", "Toys & games"),
    ("Doll", "Toys", "Toys"),  # a category named like a department
    ("Ball", "Drugstore", "Toys"),  # … and also found in another department
    ("Nameless", "", ""),
]
QUERIES = {
    "whole milk": [3],
    "milk": [3, 4],
    "frozen": [0, 1, 2],
    "pizza": [0, 1],
    "cheddar": [5],
    "gift": [8, 9, 10, 6],
}


def tiny() -> Dataset:
    titles, departments, categories = zip(*ITEMS, strict=True)
    items = pd.DataFrame(
        {
            schema.ITEM: [f"i{row}" for row in range(len(ITEMS))],
            schema.TITLE: titles,
            schema.DEPARTMENT: departments,
            schema.CATEGORY: categories,
            schema.TYPE: titles,
        }
    )
    pairs = [(query, item, True) for query, rows in QUERIES.items() for item in rows]
    queries = pd.DataFrame(pairs, columns=[schema.QUERY, schema.QUERY_ITEM, schema.SYNTHETIC])
    users = pd.DataFrame({schema.USER: ["u0"], schema.PROFILE: ["A household."]})
    return Dataset("tiny", items, users, pd.DataFrame(), queries)


@pytest.fixture(scope="session")
def shop() -> Dataset:
    return tiny()


def fake_encode(texts: list[str]) -> np.ndarray:
    """Hashed stems of the content words: texts that share them are near. Shape: (n, 256)"""
    vectors = np.full((len(texts), 256), 1e-3, np.float32)
    for row, text in enumerate(texts):
        for word in words(text):
            if not word.is_function:
                vectors[row, zlib.crc32(word.stem.encode()) % 256] += 1
    return vectors


def listening(catalogue: Catalogue, at_most: int | None = None) -> Catalogue:
    """The catalogue with a reader of demands of its own, as a trained model has one."""
    fitted = fit_demand(catalogue.tasks, catalogue, catalogue.encode, 7, at_most)
    catalogue.asks = DemandReader(fitted, catalogue.tasks, catalogue).of
    return catalogue
