"""Households of Complete Journey: attribute columns and one English sentence each.

The sentence is what the model reads as the shopper's profile; 801 of the households have demographics, the rest say so.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from backend.data import schema

UNKNOWN = "No demographics known"
ATTRIBUTES = ("age", "income", "home", "marital", "household_size", "composition", "kids")
_RAW = ("age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count")
_KIDS = {"0": "without children", "1": "with 1 child", "2": "with 2 children", "3+": "with 3 or more children"}
_INCOME = {"Under 15K": "income under 15K", "250K+": "income over 250K"}
_PEOPLE = {
    ("2", "Married"): "Married couple", ("2", "Unmarried"): "Unmarried couple", ("2", ""): "Two adults",
    ("1", "Married"): "Married adult", ("1", "Unmarried"): "Single adult", ("1", ""): "One adult",
}  # fmt: skip


def profiles(households: np.ndarray, demographics: pd.DataFrame) -> pd.DataFrame:
    """The users table.

    Args:
        households: household numbers in the order of the rows.
        demographics: table of the package; missing values allowed.
    """
    known = demographics.set_index("household_id")[list(_RAW)].fillna("").astype(str)
    frame = known.reindex(households, fill_value="").set_axis(list(ATTRIBUTES), axis=1).reset_index(drop=True)
    sentences = [sentence(dict(zip(ATTRIBUTES, row, strict=True))) for row in frame.itertuples(index=False)]
    return pd.concat(
        [pd.DataFrame({schema.USER: [str(number) for number in households], schema.PROFILE: sentences}), frame],
        axis=1,
    )


def sentence(attributes: dict[str, str]) -> str:
    """One profile sentence from attribute values ("" = unknown).

    >>> sentence({"age": "35-44", "income": "50-74K", "home": "Homeowner", "marital": "Married",
    ...           "household_size": "4", "composition": "2 Adults Kids", "kids": "2"})
    'Married couple with 2 children, aged 35-44, income 50-74K, homeowner'
    """
    value = {name: attributes.get(name, "") for name in ATTRIBUTES}
    if not any(value.values()):
        return UNKNOWN
    people = _PEOPLE.get((value["composition"][:1], value["marital"]), "Household")
    age = "aged 65 or older" if value["age"] == "65+" else f"aged {value['age']}" if value["age"] else ""
    income = _INCOME.get(value["income"], f"income {value['income']}" if value["income"] else "")
    parts = [f"{people} {_KIDS.get(value['kids'], '')}".strip(), age, income, value["home"].lower()]
    return ", ".join(part for part in parts if part)
