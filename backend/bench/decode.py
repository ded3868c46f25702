"""What it costs to keep a beam legal, by the size of the catalogue; and a whole constrained generation.

- Steps: random catalogues, beams as a real search over random logits leaves them. `step_ms` is what the constraint adds to a decoding step
  (for the kernel: legal continuations, their scores, moving the beams on): the median over many steps of each level, then the mean over levels;
  `worst_ms` is the slowest level's median. States and logits differ from one timed step to the next, so that no branch is learnt by heart.
- `illegal` counts outputs that no item has, among those of the searches that every method runs.
- Generations: a small random Llama, a prompt of 168 tokens, a vocabulary of codes alone and one of words too. All methods answer the
  same prompts in turn. *full* answers as `prefix_allowed_tokens_fn` does; *legal* is cheaper and may rank otherwise (see `constrained`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from backend.bench.rivals import RIVALS, DictTrie, Kernel, Rival, allowed_tokens, level_tokens, nested, packed
from backend.generation.constrained import Found, Logits, best, constrained_beam, free_beam, log_sum_exp
from backend.progress import CancelToken, Progress, Report
from backend.tokenization.trie import Trie

Extent = Literal["quick", "default", "full"]
NONE = "no constraint"
_STATES = 16  # searches whose beams are timed
_REQUESTS = 5  # of each way to generate
_BUDGET_S = 0.4  # of timing a level
_PROMPT = 168  # tokens: a history of 32 items at 4 tokens each, and 40 of words
_PAIRS = 30  # of a constrained request and a free one by the same decoder, in turn
_WORDS = (0, 32_000)  # of the vocabularies, beside the codes
_MODEL: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 4}


@dataclass(frozen=True)
class Plan:
    """What is measured: catalogue sizes, (levels, codes), beams; from which size on dictionaries are left out (memory); beams of the generations."""

    items: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    beams: tuple[int, ...]
    most_dict: int
    generation_items: int
    generation_beams: tuple[int, ...]


PLANS: dict[Extent, Plan] = {
    "quick": Plan((10_000, 100_000), ((4, 256),), (50,), 100_000, 10_000, (20,)),
    "default": Plan((10_000, 100_000, 1_000_000, 10_000_000), ((4, 256), (3, 2048)), (20, 50, 200), 1_000_000, 100_000, (20, 50)),
    "full": Plan(
        (10_000, 100_000, 1_000_000, 10_000_000), ((3, 256), (4, 256), (3, 2048), (4, 2048)), (20, 50, 200), 1_000_000, 1_000_000,
        (20, 50, 200),
    ),
}  # fmt: skip


def rows(
    workspace: str | None, repeats: int, report: Report, cancel: CancelToken, extent: Extent = "default"
) -> list[dict[str, Any]]:
    """One row for each catalogue, number of beams and method; then one for each way to generate.

    Args:
        workspace: not used; the catalogues are random, the same on every machine.
        repeats: timed requests of each generation, five at most.

    Returns:
        items · levels · codes · beams · method · step_ms · worst_ms · build_s · bytes_per_item · illegal; and
        generation · vocabulary · beams · threads · ms_per_request · least_ms · identical (share of requests answered as
        `prefix_allowed_tokens_fn` does) · invalid (share of the answers that no item has) · over_free (processor time above that of the same decoder
        without a constraint, median of the pairs; None where there is no such pair).
    """
    plan = PLANS[extent]
    out: list[dict[str, Any]] = []
    catalogues = [(items, shape) for shape in plan.shapes for items in plan.items if items <= shape[1] ** shape[0] / 2]
    for place, (items, (levels, codes)) in enumerate(catalogues):
        report(Progress("decode", place, len(catalogues) + 1, f"{items:,} items, {levels} × {codes}"))
        rng = np.random.default_rng(7)
        sids = rng.integers(0, codes, size=(items, levels), dtype=np.int16)
        out += _steps(sids, codes, plan, cancel)
    report(Progress("decode", len(catalogues), len(catalogues) + 1, "whole generations"))
    for beams in plan.generation_beams:
        for words in _WORDS:
            out += _generations(plan.generation_items, words, beams, max(2, min(repeats, _REQUESTS)), cancel)
    report(Progress("decode", len(catalogues) + 1, len(catalogues) + 1))
    return out


# steps -------------------------------------------------------------------------------------------------------------------


def _steps(sids: np.ndarray, codes: int, plan: Plan, cancel: CancelToken) -> list[dict[str, Any]]:
    """All rows of one catalogue."""
    items, levels = sids.shape
    about = {"items": items, "levels": levels, "codes": codes}
    bits = max(1, (codes - 1).bit_length())
    there = np.sort(packed(sids, bits))
    kernel = Kernel(sids, codes)
    states = {beams: [_states(kernel.trie, beams, seed) for seed in range(_STATES)] for beams in plan.beams}
    out = []
    for kind in RIVALS:
        cancel.check()
        if kind is DictTrie and items > plan.most_dict:
            continue
        built = [_timed(partial(kind, sids, codes)) for _ in range(3 if items <= 1_000_000 and kind is Kernel else 1)]
        rival = built[0][1]
        build = min(seconds for seconds, _ in built)
        for beams in plan.beams:
            medians = [_step_ms(rival, [own[depth] for own in states[beams]], cancel) for depth in range(levels)]
            found = [_searched(rival, beams, seed) for seed in range(3)]
            row = {
                "beams": beams,
                "method": rival.name,
                "step_ms": _short(float(np.mean(medians))),
                "worst_ms": _short(max(medians)),
            }
            illegal = sum(_illegal(each, there, bits) for each in found)
            out.append(
                about | row | {"build_s": _short(build), "bytes_per_item": _short(rival.nbytes / items), "illegal": illegal}
            )
        del rival, built
    for beams in plan.beams:
        free = [free_beam(kernel.trie, _said(codes, seed), beams).codes for seed in range(3)]
        illegal = sum(_illegal(each, there, bits) for each in free)
        none = {"method": NONE, "step_ms": 0.0, "worst_ms": 0.0, "build_s": 0.0, "bytes_per_item": 0.0, "illegal": illegal}
        out.append(about | {"beams": beams} | none)
    return out


def _said(codes: int, seed: int) -> Callable[[np.ndarray, np.ndarray], Logits]:
    """A model that says random logits, the same ones for the same seed."""

    def said(found: np.ndarray, origin: np.ndarray) -> Logits:
        rng = np.random.default_rng([seed, found.shape[1]])
        return Logits(rng.standard_normal((len(found), codes), dtype=np.float32) * 3)

    return said


def _states(trie: Trie, beams: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Codes so far and logits of a search, level by level."""
    states: list[tuple[np.ndarray, np.ndarray]] = []
    model = _said(trie.sizes[0], seed)

    def said(found: np.ndarray, origin: np.ndarray) -> Logits:
        logits = model(found, origin)
        states.append((found, logits.codes))
        return logits

    constrained_beam(trie, said, beams)
    return states


def _step_ms(rival: Rival, states: list[tuple[np.ndarray, np.ndarray]], cancel: CancelToken) -> float:
    """Median milliseconds of a step over these states, in turn."""
    cancel.check()
    prepared = [rival.prepare(*state) for state in states]
    rival.step(*prepared[0])
    times: list[float] = []
    until = time.perf_counter() + _BUDGET_S
    while len(times) < 5 or (time.perf_counter() < until and len(times) < 1000):
        now = prepared[len(times) % len(prepared)]
        began = time.perf_counter()
        rival.step(*now)
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times))


def _searched(rival: Rival, beams: int, seed: int) -> np.ndarray:
    """The outputs of a beam search with this constraint. Shape: (at most beams, levels)."""
    model = _said(rival.codes, seed)
    codes, total = np.zeros((1, 0), np.int64), np.zeros(1, np.float32)
    for depth in range(rival.levels):
        logits = model(codes, np.zeros(1)).codes
        scores = rival.scores(rival.step(*rival.prepare(codes, logits)), depth)
        scores = scores + (total - log_sum_exp(logits))[:, None]
        rows, columns = best(scores, beams)
        codes, total = np.concatenate([codes[rows], columns[:, None]], axis=1), scores[rows, columns]
    return codes


def _illegal(found: np.ndarray, there: np.ndarray, bits: int) -> int:
    keys = packed(found, bits)
    return int((there.take(there.searchsorted(keys), mode="clip") != keys).sum())


# generations -------------------------------------------------------------------------------------------------------------


def _generations(items: int, words: int, beams: int, repeats: int, cancel: CancelToken) -> list[dict[str, Any]]:
    """Whole requests by every way to generate, in turn, so that what else the machine does falls on all of them."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from backend.generation.causal import CodeDecoder
    from backend.generation.logits_processor import TrieLogitsProcessor, generate_sids

    levels, codes = 4, 256
    sids = np.random.default_rng(7).integers(0, codes, size=(items, levels), dtype=np.int16)
    tokens, vocabulary = level_tokens(levels, codes, words), words + levels * codes
    torch.manual_seed(7)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, initializer_range=0.1, **_MODEL)).eval()
    trie, root, decoder = Trie.build(sids, codes), nested(sids, codes, words), CodeDecoder(model, tokens)
    processor = TrieLogitsProcessor(trie, tokens, vocabulary, _PROMPT)
    prompts = torch.randint(0, words or vocabulary, (repeats + 1, _PROMPT))

    def allowed(batch: int, ids: torch.Tensor) -> list[int]:
        return allowed_tokens(root, ids[_PROMPT:])

    kernel, unbound = "trie kernel, full normaliser", f"{NONE}, full normaliser"
    ways: dict[str, Callable[[Any], Found]] = {
        "prefix_allowed_tokens_fn (transformers)": lambda p: generate_sids(
            model, p, trie, tokens, beams, None, prefix_allowed_tokens_fn=allowed
        ),
        "trie LogitsProcessor (transformers)": lambda p: generate_sids(model, p, trie, tokens, beams, processor),
        f"{NONE} (transformers)": lambda p: generate_sids(model, p, trie, tokens, beams, None),
        kernel: lambda p: constrained_beam(trie, decoder.ask(p), beams),
        unbound: lambda p: free_beam(trie, decoder.ask(p), beams),
        "trie kernel, legal normaliser": lambda p: constrained_beam(trie, decoder.ask(p, full=False), beams, None, "legal"),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    same: dict[str, list[bool]] = {name: [] for name in ways}
    invalid: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(repeats + 1):
        expected: Found | None = None
        for name, way in ways.items():
            cancel.check()
            seconds, found = _timed(partial(way, prompts[number]))
            expected = expected or found
            if number:  # the first request warms up
                times[name].append(1000 * seconds)
                same[name].append(np.array_equal(found.codes, expected.codes))
                invalid[name].append(found.invalid)
    over = {kernel: _over_free(ways[kernel], ways[unbound], prompts[1:], cancel)}
    return [
        {
            "generation": name, "vocabulary": vocabulary, "beams": beams, "threads": torch.get_num_threads(),
            "ms_per_request": _short(float(np.median(times[name]))), "least_ms": _short(min(times[name])),
            "identical": _short(float(np.mean(same[name]))), "invalid": _short(float(np.mean(invalid[name]))),
            "over_free": over.get(name),
        }
        for name in ways
    ]  # fmt: skip


def _over_free(bound: Callable[[Any], Found], free: Callable[[Any], Found], prompts: Any, cancel: CancelToken) -> float:
    """What the constraint adds to a request: processor time, which other programs do not count into, of requests in turn, either first."""
    shares = []
    for number in range(_PAIRS):
        cancel.check()
        prompt = prompts[number % len(prompts)]
        spent = {}
        for name, way in (("bound", bound), ("free", free))[:: 1 if number % 2 else -1]:
            began = time.process_time()
            way(prompt)
            spent[name] = time.process_time() - began
        shares.append(spent["bound"] / spent["free"] - 1)
    return _short(float(np.median(shares)))


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    done = call()
    return time.perf_counter() - began, done


def _short(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")
