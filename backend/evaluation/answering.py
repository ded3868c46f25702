"""A trained model as recommenders: its fusion tuned on validation, its answers computed once, its step-3 variants re-scored from them."""

from __future__ import annotations

from dataclasses import dataclass

from backend.evaluation.components import compute
from backend.evaluation.fusion_tuning import DOMAINS, Tuned, tune_fusion
from backend.evaluation.questions import Questions
from backend.evaluation.sigma import SigmaRecommender
from backend.generation.generator import Generator, load_generator
from backend.progress import CancelToken, Report, silent
from backend.settings import FusionSettings
from backend.workspace import Workspace

START = FusionSettings(beams=64, per_prefix=200)  # where the search for fusion weights begins


@dataclass(frozen=True)
class Answering:
    """The recommenders of one model, the first of them as tuned."""

    recommenders: list[SigmaRecommender]
    tuned: Tuned
    generator: Generator


def answering(
    name: str,
    workspace: Workspace,
    asked: Questions,
    report: Report = silent,
    cancel: CancelToken | None = None,
    variants: bool = False,
    sweeps: bool = False,
) -> Answering:
    """The model of a workspace under its tuned fusion.

    Args:
        variants: with the variants of step 3 that need no training.
        sweeps: with a sweep over τ, K and M too.

    Raises:
        WorkspaceError: a stage is missing, stale or damaged.
    """
    generator = load_generator(workspace, asked.dataset)
    on_validation = compute(generator, asked.validation, report=report, cancel=cancel)
    tuned = tune_fusion(generator, on_validation, asked.validation, START, report, cancel)
    components = compute(generator, asked.asked, report=report, cancel=cancel)
    best = tuned.best
    out = [SigmaRecommender(name, generator, components, best)]

    def variant(text: str, **update: object) -> SigmaRecommender:
        return SigmaRecommender(f"{name}, {text}", generator, components, best.model_copy(update=update))

    if variants:
        out += [
            SigmaRecommender(f"{name}, constraint as filter", generator, components, best, filtered=True),
            SigmaRecommender(f"{name}, fusion per task", generator, components, tuned.by_task),
            SigmaRecommender(f"{name}, without APF", generator, components, tuned.best_without_apf),
            variant("without repeat prior", repeat_weight=0.0),
            variant("top-1 prefix", top1_prefix=True),
            variant("K=20 M=50", beams=20, per_prefix=50),
        ]
        out += [
            variant(f"σ over {domain}", apf=True, sigma_domain=domain)
            for domain in DOMAINS
            if (True, domain) != (best.apf, best.sigma_domain)
        ]
    if sweeps:
        out += [variant(f"τ = {tau:g}", tau=tau) for tau in (0.02, 0.05, 0.1, 0.25) if tau != best.tau]
        out += [variant(f"K = {k}", beams=k) for k in (5, 10, 20) if k < best.beams]
        out += [variant(f"M = {m}", per_prefix=m) for m in (3, 10) if m < best.per_prefix]
    return Answering(out, tuned, generator)
