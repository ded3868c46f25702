"""What holds of the pairs of every view."""

from __future__ import annotations

from backend.grounding.pairs import View

Pairs = set[tuple[int, int]]


def checked(view: View) -> Pairs:
    """All pairs of a view, which must stand in both directions, some held out and none of those trained on."""
    train, held = {tuple(pair) for pair in view.train.tolist()}, {tuple(pair) for pair in view.held.tolist()}
    assert train
    assert held
    assert not train & held
    for part in (train, held):
        assert {(b, a) for a, b in part} == part, "both directions"
    assert all(a != b for a, b in train | held)
    return train | held
