"""Whether a workspace has a judge that can score items: from manifests alone, so that a page may ask before anything heavy is loaded."""

from __future__ import annotations

from backend.errors import WorkspaceError
from backend.workspace import Workspace, command_of


def why_missing(workspace: Workspace, scored_by: str | None = None) -> str:
    """Why a workspace's judge cannot score items, in words that say what to do; "" where it can.

    Args:
        scored_by: fingerprint of the judge that scored stored examples ("" = none did), where it is about those.
    """
    command = command_of("judge", workspace.path)
    try:
        if not workspace.has("judge"):
            return f"there is no judge; this trains one: {command}"
        if workspace.stale("judge"):
            return f"the judge is stale; this trains it again: {command}"
        judge = workspace.stage("judge")
        used, made = judge.metrics.get("used"), judge.fingerprint
    except (WorkspaceError, KeyError, TypeError):
        return f"the judge cannot be read; this trains it again: {command}"
    if not used:
        return "no aspect of the judge beats the plain baselines, so it is not used"
    return "" if scored_by in (None, made) else "the stored examples were prepared without this judge; prepare them again"
