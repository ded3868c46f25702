"""The prompt as a tree of tokens (SIGMA §1.3).

    prompt        <start> {profile} [SID prefix][soft token] × history
    instruction     └─ {instruction} <end> <start>
    target              └─ [code]×ℓ <q>

- A line of the tree is one training sample of the paper; lines share what they have in common, so one pass over a long
  history supervises several instructions with several targets each. A token sees its ancestors and nothing beside them.
- The same layout serves generation: prefixes are branches behind one prompt.
- Ours: an instruction is followed by one soft token of its own, made from its grounded vector as if it were a cold item: what an
  item with this text would be. Items and instructions share one latent space, so the model can start from it.
- Tokens are numbers until the model embeds them: kind and value, plus the two buckets of a history item (ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from backend.data.history import History

TEXT, SPECIAL, SID, ITEM, GROUNDED = 0, 1, 2, 3, 4  # kinds
START, END, QUERY, PAD, GROUNDED_ROW = 0, 1, 2, 3, 4  # special tokens; the last marks an instruction's soft token
N_SPECIAL = 5


@dataclass
class Tokens:
    """Tokens of one tree, as parallel lists.

    `branch` numbers instructions from 1 (0 = prompt), `leaf` numbers targets inside a branch from 1 (0 = instruction).
    """

    kind: list[int] = field(default_factory=list)
    value: list[int] = field(default_factory=list)  # SID: level * codes + code; item: row; special: which; else 0
    count: list[int] = field(default_factory=list)
    recency: list[int] = field(default_factory=list)
    branch: list[int] = field(default_factory=list)
    leaf: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # in order of appearance
    instructions: list[str] = field(default_factory=list)  # their texts, in order

    def __len__(self) -> int:
        return len(self.kind)

    def append(self, kind: int, value: int, branch: int, leaf: int, position: int, count: int = 0, recency: int = 0) -> int:
        """Append a token, return its row."""
        self.kind.append(kind)
        self.value.append(value)
        self.count.append(count)
        self.recency.append(recency)
        self.branch.append(branch)
        self.leaf.append(leaf)
        self.position.append(position)
        return len(self.kind) - 1


@dataclass(frozen=True)
class Layout:
    """What a prompt needs to know of items.

    Shape:
        sids: (n_items, levels) codes; `prefix_levels` of them stand in the prompt; codes: size of each codebook.
    """

    sids: np.ndarray
    prefix_levels: int
    codes: int
    soft_token: bool
    instruction_token: bool = False

    def add_text(self, tokens: Tokens, text: str, length: int, branch: int, position: int) -> int:
        """Append a text of `length` feature rows, return the next position."""
        tokens.texts.append(text)
        for offset in range(length):
            tokens.append(TEXT, 0, branch, 0, position + offset)
        return position + length

    def prompt(self, profile: str, profile_length: int, history: History) -> tuple[Tokens, int]:
        """Tokens of the shared prompt, and the next position."""
        tokens = Tokens()
        tokens.append(SPECIAL, START, 0, 0, 0)
        position = self.add_text(tokens, profile, profile_length, 0, 1)
        counts, recencies = history.count_buckets(), history.recency_buckets()
        for item, count, recency in zip(history.items.tolist(), counts.tolist(), recencies.tolist(), strict=True):
            for level in range(self.prefix_levels):
                tokens.append(SID, level * self.codes + int(self.sids[item, level]), 0, 0, position, count, recency)
                position += 1
            if self.soft_token:
                tokens.append(ITEM, item, 0, 0, position, count, recency)
                position += 1
        return tokens, position

    def instruction(self, tokens: Tokens, text: str, length: int, branch: int, position: int) -> tuple[int, int]:
        """Append an instruction; return the row whose hidden state emits the first code, and the next position."""
        position = self.add_text(tokens, text, length, branch, position)
        tokens.instructions.append(text)
        if self.instruction_token:
            tokens.append(GROUNDED, 0, branch, 0, position)
            position += 1
        tokens.append(SPECIAL, END, branch, 0, position)
        row = tokens.append(SPECIAL, START, branch, 0, position + 1)
        return row, position + 2

    def target(self, tokens: Tokens, codes: Sequence[int], branch: int, leaf: int, position: int) -> tuple[list[int], int]:
        """Append a prefix and `<q>`; return the rows of its codes, and the row of `<q>`."""
        rows = []
        for level, code in enumerate(codes):
            rows.append(tokens.append(SID, level * self.codes + int(code), branch, leaf, position + level))
        return rows, tokens.append(SPECIAL, QUERY, branch, leaf, position + len(codes))


def tree_mask(branch: np.ndarray, leaf: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Who sees whom: earlier tokens of the prompt, of the own instruction, and of the own target.

    Shape:
        branch, leaf: (batch, tokens); valid: (batch, tokens) bool, False where padded.
        returns: (batch, 1, tokens, tokens) bool; padded tokens see themselves, so that no row is empty.
    """
    n = branch.shape[1]
    same_branch = branch[:, :, None] == branch[:, None, :]
    same_leaf = leaf[:, :, None] == leaf[:, None, :]
    ancestor = (branch[:, None, :] == 0) | (same_branch & ((leaf[:, None, :] == 0) | same_leaf))
    earlier = np.tri(n, dtype=bool)[None]
    mask = ancestor & earlier & valid[:, None, :]
    mask |= np.eye(n, dtype=bool)[None]
    return mask[:, None]
