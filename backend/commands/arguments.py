"""The arguments of the command line, with help that teaches. Plain argparse: nothing heavy is imported here."""

from __future__ import annotations

import argparse
from typing import Any

SOURCES = ("complete-journey", "amazon", "movielens", "tables")
RECIPES = ("sigma", "jd", "sgrec")
BENCHES = ("latency", "fusion", "decode", "startup", "load")
EXPERIMENTS = (
    "ablations",
    "backbones",
    "budgets",
    "wordings",
    "cold-start",
    "representations",
    "arms",
    "judged-share",
    "levers",
    "judge-weight",
)

_ABOUT = """Sigmascope: an instruction-driven generative recommender that one can look into while it works.

A workspace is a folder of stages: dataset → grounding → tokens → model → evaluation. `build` makes the first three, `train` the
model, `evaluate` the figures; `recommend` asks the model. Without --workspace the shipped demo is used, which is read-only."""
_FIRST_STEPS = """first steps:
  python -m backend info
  python -m backend recommend --instruction "something for breakfast under $4"
  python -m backend build --source complete-journey --workspace workspaces/mine
  python -m backend train --workspace workspaces/mine
  streamlit run app.py

exit codes: 0 done, 1 an error that you can mend (one line says how), 2 wrong usage, 130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """The argument parser, with help that teaches."""
    top = argparse.ArgumentParser(
        prog="python -m backend", description=_ABOUT, epilog=_FIRST_STEPS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    build = _command(
        commands,
        "build",
        "make dataset, grounding and tokens",
        """Stages whose settings and inputs have not changed are kept, so `build` can be run again at any time.

examples:
  python -m backend build --source complete-journey --workspace workspaces/mine
  python -m backend build --source tables --path my_tables --set data.min_users=5 --workspace workspaces/own
  python -m backend build --preset tiny --workspace /tmp/try          (seconds, not quality)
  python -m backend build --set tokens.codes=128 --workspace workspaces/mine""",
    )
    build.add_argument("--source", choices=SOURCES, help="where the tables come from (default: the preset's)")
    build.add_argument("--path", metavar="DIR", help="with --source tables: folder with items and events, .csv or .parquet")
    _settings(build)
    _workspace(build, required=True)

    train = _command(
        commands,
        "train",
        "train the model",
        """A kill or a crash loses at most train.checkpoint_steps steps; --resume goes on from there and ends with the same weights. Ctrl-C
saves a checkpoint first.

examples:
  python -m backend train --workspace workspaces/mine
  python -m backend train --workspace workspaces/mine --resume
  python -m backend train --workspace workspaces/mine --set train.max_minutes=5
  python -m backend train --workspace workspaces/mine --backbone smollm2 --set model.layers=8
  python -m backend train --workspace workspaces/mine --recipe jd             (full semantic IDs; settings: jd.…)
  python -m backend train --workspace workspaces/mine --recipe sgrec          (a judge and policies on the trained model)
  python -m backend train --workspace workspaces/mine --backbone ~/models/Qwen3-0.6B --set model.layers=null""",
    )
    _settings(train)
    train.add_argument(
        "--backbone", metavar="NAME", help="nano, smollm2, a folder with safetensors, or a hub id (default: the preset's)"
    )
    train.add_argument("--recipe", choices=RECIPES, default="sigma", help="what to train (default: sigma)")
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint of the same settings, if there is one")
    _workspace(train, required=True)

    evaluate = _command(
        commands,
        "evaluate",
        "measure the model and the baselines on the same cases",
        """Tune on validation, report on test. The figures are kept in the workspace's evaluation stage and shown on the pages.

examples:
  python -m backend evaluate --workspace workspaces/mine --split validation
  python -m backend evaluate --workspace workspaces/mine --compare smollm2=workspaces/smollm2
  python -m backend evaluate --workspace workspaces/mine --split test --limit 200 --json
  python -m backend evaluate --workspace workspaces/mine --recipe jd --split validation
  python -m backend evaluate --workspace workspaces/mine --recipe sgrec --arm a2po""",
    )
    evaluate.add_argument("--split", choices=("validation", "test"), default="test", help="which window of time (default: test)")
    evaluate.add_argument("--recipe", choices=RECIPES, default="sigma", help="whose figures (default: sigma)")
    evaluate.add_argument("--arm", metavar="NAME", help="recipe sgrec: whose weights (default: the chosen arm, a2po)")
    evaluate.add_argument("--limit", type=int, metavar="N", help="only the first N households, for a first look")
    evaluate.add_argument(
        "--tune", action="store_true",
        help="search each baseline's grid on validation again, instead of taking the settings that such a search chose; minutes more",
    )  # fmt: skip
    evaluate.add_argument(
        "--compare", action="append", default=[], metavar="NAME=DIR",
        help="let the model of another workspace over the same dataset answer the same cases; may be repeated",
    )  # fmt: skip
    _workspace(evaluate)

    recommend = _command(
        commands,
        "recommend",
        "ask the model",
        """The instruction is free text. Prices in it ("under $5", "$20 in total"), "without milk", "on sale" and "nothing I bought before"
become hard filters; everything else is left to the model. The options below are hard filters too.

examples:
  python -m backend recommend --instruction "something for breakfast under $4"
  python -m backend recommend --user 1228 --instruction "surprise me" --top 20 --seen hide
  python -m backend recommend --instruction "a treat" --category "Ice cream" --max-price 3.50 --json
  python -m backend recommend --workspace workspaces/mine --recipe sgrec --instruction "my weekly shop"
  python -m backend recommend --instructions wishes.txt --json      (one instruction a line in, one JSON object a line out)""",
    )
    recommend.add_argument("--user", metavar="ID", help="the household (default: a fixed example; `info` shows more)")
    text = recommend.add_mutually_exclusive_group(required=True)
    text.add_argument("--instruction", metavar="TEXT", help="what is wished for")
    text.add_argument("--instructions", metavar="FILE", help="a text file with one instruction a line")
    recommend.add_argument("--recipe", choices=RECIPES, default="sigma", help="which model to ask (default: sigma)")
    recommend.add_argument("--arm", metavar="NAME", help="recipe sgrec: whose weights (default: the chosen arm, a2po)")
    recommend.add_argument("--top", type=int, default=10, metavar="N", help="length of the list (default: 10)")
    recommend.add_argument("--category", metavar="NAME", help="only items of this category or department")
    recommend.add_argument("--max-price", metavar="PRICE", help="only items up to this price: 5, $3.50, “80 cents”")
    recommend.add_argument("--max-total", metavar="PRICE", help="the whole list costs no more than this")
    recommend.add_argument(
        "--exclude", action="append", default=[], metavar="NAME", help="no items of this name; may be repeated"
    )
    recommend.add_argument(
        "--deals", action="store_true", help="only what is on discount or with a coupon in the data's last week"
    )
    recommend.add_argument("--theme", metavar="WORD", help="only items that stand out then: summer, Halloween, …")
    recommend.add_argument("--seen", choices=("allow", "hide"), default="allow", help="items bought before (default: allow)")
    _workspace(recommend)

    info = _command(
        commands,
        "info",
        "what a workspace holds",
        """Stages with their state, settings and figures; with --json also the names of all categories.

examples:
  python -m backend info
  python -m backend info --workspace workspaces/mine --json""",
    )
    _workspace(info)

    bench = _command(
        commands,
        "bench",
        "measure speed on this machine",
        """latency: how long a recommendation takes, by step.  startup: how long the app takes to its first page and first list.
fusion: how long one move of a knob of the Fusion page takes.  decode: what it costs to keep a beam legal, by the size of the catalogue,
against the usual ways (minutes; --quick: a minute; --full: more shapes).  load comes with a later release.

examples:
  python -m backend bench latency
  python -m backend bench latency --workspace workspaces/mine --repeats 50 --json
  python -m backend bench startup --json
  python -m backend bench decode --quick""",
    )
    bench.add_argument("what", choices=BENCHES, help="what to measure")
    extent = bench.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="decode: small catalogues only")
    extent.add_argument("--full", action="store_true", help="decode: more shapes of semantic IDs, larger generations")
    bench.add_argument("--repeats", type=int, default=20, metavar="N", help="timed requests of each row (default: 20)")
    _workspace(bench)

    experiment = _command(
        commands,
        "experiment",
        "train and measure variants, wordings and cold starts",
        """Long work that goes on where it was: the same command again keeps what is finished. Variants share with the workspace what their
settings leave as it is; each is trained from the same data within the same budget; all are measured in one run on the same cases.

ablations, backbones, budgets: tables of variants (`backend/experiments/tables.toml`), or a TOML file of your own.
wordings: what words the model has not seen cost, how tasks are told apart, how much the lists of two tasks share.
cold-start: items held out of everything and added by their vectors alone; households of whom only the profile is known.
representations: the recipe jd with items written as semantic IDs (RQ-VAE, RQ-KMeans), numbers (base 256, digit by digit) and titles.
arms, judged-share, levers: policies on the trained model and its judge; all arms on a window, what the judge's share buys, which lever decides.
judge-weight: what the judge's score is worth as a weight of the fusion.

examples:
  python -m backend experiment ablations --workspace workspaces/mine --set train.contexts=6000 --out ablations.json
  python -m backend experiment backbones --workspace workspaces/mine --minutes 10
  python -m backend experiment ablations --workspace workspaces/mine --only "SID only" --only "ID only" --seeds 7,8,9
  python -m backend experiment wordings --workspace workspaces/mine --json
  python -m backend experiment representations --workspace workspaces/mine --set jd.contexts=10000 --limit 500
  python -m backend experiment judged-share --workspace workspaces/mine --split validation --out judged_share.json""",
    )
    experiment.add_argument("what", metavar="WHAT", help=f"{', '.join(EXPERIMENTS)}, or a TOML file with variants")
    experiment.add_argument(
        "--variants", metavar="DIR", help="holds the variants' workspaces (default: variants/ in the workspace)"
    )
    experiment.add_argument(
        "--minutes", type=float, metavar="M", help="training time of each variant (default: as many contexts as its model)"
    )
    experiment.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this variant and the whole system; may be repeated"
    )
    experiment.add_argument(
        "--seeds", metavar="N,N", help="seeds of the training; all but the first train the headline variants alone"
    )
    experiment.add_argument("--finished", action="store_true", help="measure what is finished, train nothing")
    experiment.add_argument(
        "--split", choices=("validation", "test"), default="test", help="which window of time (default: test)"
    )
    experiment.add_argument("--limit", type=int, metavar="N", help="only the first N households, for a first look")
    experiment.add_argument("--out", metavar="FILE", help="write the result as JSON, e.g. assets/results/ablations.json")
    experiment.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.FIELD=VALUE",
        help="change one setting of all variants; may be repeated",
    )
    _workspace(experiment, required=True)
    return top


def _command(commands: Any, name: str, summary: str, epilog: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="one JSON object on standard output and nothing else")
    return command


def _workspace(command: argparse.ArgumentParser, required: bool = False) -> None:
    shown = "the workspace's folder" if required else "the workspace's folder (default: the shipped demo)"
    command.add_argument("--workspace", metavar="DIR", required=required, help=shown)


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--preset", default="default", metavar="NAME", help="default, tiny, or a TOML file of your own")
    command.add_argument("--seed", type=int, metavar="N", help="seed of everything random (default: the preset's)")
    command.add_argument(
        "--set", action="append", default=[], metavar="SECTION.FIELD=VALUE",
        help="change one setting, e.g. train.max_minutes=5 or model.layers=null; may be repeated",
    )  # fmt: skip
