"""The tiny shop as a folder of tables, and as a workspace built and trained by the command line's own functions."""

from __future__ import annotations

from pathlib import Path

from backend.data import schema
from backend.data.schema import Dataset

SETTINGS = ("--preset", "tiny", "--set", "data.min_users=1")


def write_tables(dataset: Dataset, folder: Path) -> Path:
    """The tables as a user would bring them: ids instead of row numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [schema.SOURCE_DEPARTMENT, schema.SOURCE_CATEGORY, schema.SOURCE_TYPE]
    dataset.items.drop(columns=sources).to_csv(folder / "items.csv", index=False)
    dataset.users.to_csv(folder / "users.csv", index=False)
    events = dataset.events.assign(
        **{
            schema.USER: dataset.users[schema.USER].to_numpy()[dataset.events[schema.EVENT_USER]],
            schema.ITEM: dataset.items[schema.ITEM].to_numpy()[dataset.events[schema.EVENT_ITEM]],
        }
    ).drop(columns=[schema.EVENT_USER, schema.EVENT_ITEM])
    events.to_csv(folder / "events.csv", index=False)
    queries = dataset.queries.assign(
        **{schema.ITEM: dataset.items[schema.ITEM].to_numpy()[dataset.queries[schema.QUERY_ITEM]]}
    ).drop(columns=[schema.QUERY_ITEM])
    queries.to_csv(folder / "queries.csv", index=False)
    return folder
