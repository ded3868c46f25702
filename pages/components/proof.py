"""What stands beside every measured figure: command, commit, date, machine, n, seeds; the table behind a chart; downloads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import streamlit as st

from backend.frames import records
from backend.inspection.evidence import Origin
from pages.components import chips
from pages.components.text import esc, md, three

CHART = {"displayModeBar": False}


def block(title: str, figure: Any, frame: pd.DataFrame, origin: Origin, alt: str, table: str = "", note: str = "",
          wide: bool = False) -> None:  # fmt: skip
    """A chart with its reading, its table, and where it comes from.

    Args:
        title: what the chart shows; also names the downloads.
        figure: a plotly figure; None = only the table.
        frame: what the chart draws, for the downloads.
        alt: the chart in words.
        table: the table as HTML; "" = the frame as it is.
        note: how to read the chart.
        wide: panels side by side, which scroll sideways on a phone.
    """
    key = "".join(letter if letter.isalnum() else "-" for letter in f"{origin.file} {title}".casefold())
    with st.container(border=True, key=f"proof-{key}"):
        st.html(f"<b>{esc(title)}</b>" + (f'<div class="sg-small">{esc(note)}</div>' if note else ""))
        if figure is not None:
            with st.container(key=f"{'wide' if wide else 'plot'}-{key}"):
                st.plotly_chart(figure, key=f"chart-{key}", config=CHART, alt=alt)
        drawn = table or plain(frame)
        if figure is None:
            st.html(drawn)
        else:
            with st.expander("As a table", icon=":material/table_rows:"):
                st.html(drawn)
        source(origin, frame, key)


def source(origin: Origin, frame: pd.DataFrame, key: str) -> None:
    """Where figures come from, and the figures as files."""
    facts = {"commit": origin.commit, "": origin.date.replace("T", " ").removesuffix("Z"), "on": origin.machine, "split": origin.split,
             "n": origin.n, "seed": origin.seed, "file": origin.file}  # fmt: skip
    told = [f"{name} {value}".strip() for name, value in facts.items() if value]
    if origin.command:
        st.code(origin.command, language="bash", wrap_lines=True)
    else:
        st.caption("The file does not say which command wrote it.")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(chips.tags(told), width="content")
        with st.container(horizontal=True, width="content"):
            st.download_button("CSV", lambda: frame.to_csv(index=False), f"{key}.csv", "text/csv", key=f"csv-{key}",
                               icon=":material/download:", on_click="ignore", type="tertiary")  # fmt: skip
            st.download_button("JSON", lambda: as_json(frame, origin), f"{key}.json", "application/json", key=f"json-{key}",
                               icon=":material/download:", on_click="ignore", type="tertiary")  # fmt: skip


def as_json(frame: pd.DataFrame, origin: Origin) -> str:
    """Figures and where they come from, as one JSON object."""
    return json.dumps({**asdict(origin), "rows": json.loads(frame.to_json(orient="records"))}, indent=1)


def missing(what: str, command: str) -> None:
    """Nothing was measured; this would."""
    st.info(f"**{md(what)}** was not measured yet. This measures it:", icon=":material/straighten:")
    st.code(command, language="bash", wrap_lines=True)


def means(frame: pd.DataFrame) -> str:
    """Recommenders × tasks as HTML, the best of each task in bold, intervals in small."""
    labels = list(dict.fromkeys(frame["label"]))
    cell = {(row["recommender"], row["label"]): row for row in records(frame)}
    best = frame.groupby("label")["mean"].max()
    head = [
        f'{label} <span class="sg-small">n = {int(frame.loc[frame["label"] == label, "n"].max()):,}</span>' for label in labels
    ]
    body = []
    for name in dict.fromkeys(frame["recommender"]):
        cells = [esc(name)]
        for label in labels:
            row = cell.get((name, label))
            value = "–" if row is None else f"<b>{three(row['mean'])}</b>" if row["mean"] == best[label] else three(row["mean"])
            known = row is not None and row["low"] == row["low"]
            cells.append(
                value + (f' <span class="sg-small">[{three(row["low"])}, {three(row["high"])}]</span>' if row and known else "")
            )
        body.append(cells)
    return grid(["Recommender", *head], body)


def changes(frame: pd.DataFrame, first: str) -> str:
    """Paired differences as HTML: sign, arrow and colour; "≈" where the interval holds zero."""
    labels = list(dict.fromkeys(frame["label"]))
    cell = {(row["against"], row["label"]): row for row in records(frame)}
    marks = {"ahead": ("sg-up", "▲ "), "behind": ("sg-down", "▼ "), "level": ("", "≈ ")}
    body = []
    for name in dict.fromkeys(frame["against"]):
        cells = [esc(name)]
        for label in labels:
            row = cell.get((name, label))
            kind, arrow = marks[row["verdict"]] if row else ("", "")
            cells.append("–" if row is None else f'<span class="{kind}">{arrow}{row["diff"]:+.3f}</span> '
                         f'<span class="sg-small">[{row["low"]:+.3f}, {row["high"]:+.3f}]</span>')  # fmt: skip
        body.append(cells)
    return grid([esc(first), *map(esc, labels)], body)


def plain(frame: pd.DataFrame) -> str:
    """Any frame as HTML; columns without a value are left out."""
    frame = frame.dropna(axis=1, how="all")
    return grid([esc(str(name).replace("_", " ").replace(".", ": ")) for name in frame.columns],
                [[esc(_cell(value)) for value in row.values()] for row in records(frame)])  # fmt: skip


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(inner)}" for name, inner in value.items())
    if isinstance(value, float):
        return three(value) if not value.is_integer() or abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table of ready (escaped) cells that scrolls sideways when it must."""
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body)
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    return f'<div class="sg-scroll"><table class="sg-table"><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table></div>'


def tiles(row: Mapping[str, Any]) -> str:
    """One row of figures as cards: the unit is the end of the name ("first_page_s")."""
    units = {"s": "s", "ms": "ms", "mb": "MiB", "bytes": "bytes"}
    cards = []
    for name, value in row.items():
        words = str(name).split("_")
        unit = units.get(words[-1], "")
        title = " ".join(words[:-1] if unit else words)
        cards.append(f'<div class="sg-card"><h4>{esc(title)}</h4><span class="sg-big">{esc(_cell(value))}</span> '
                     f'<span class="sg-small">{unit}</span></div>')  # fmt: skip
    return f'<div class="sg-cards" style="grid-template-columns:repeat(auto-fit,minmax(9rem,1fr))">{"".join(cards)}</div>'
