"""What people keep: fusion presets, selections of items, votes. SQLite by default, any database that SQLAlchemy knows by its URL."""

from backend.storage.store import Store, open_store

__all__ = ["Store", "open_store"]
