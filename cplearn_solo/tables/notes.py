"""The sentences under a grid's tables: what was run and how, and how to read the numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from cplearn_solo.core.numbers import counted
from cplearn_solo.core.progress import duration
from cplearn_solo.data.fingerprint import describe_first_change
from cplearn_solo.tables.compare import FEWEST, LEVEL
from cplearn_solo.tables.plan import Grid
from cplearn_solo.tables.results import Found, Record
from cplearn_solo.tables.schema import Row
from cplearn_solo.tables.scores import ABSENT, BESIDE, paper_column

NMI = (
    "NMI grows with the number of codes even where they are random: read it beside NMI at chance, the score of the "
    "same codes with labels permuted, and AMI. No NMI is marked as the best."
)
RELEASED = (
    "Argmax of the projector: the largest output of what solo-learn calls z, which the released scripts take for a "
    "code whatever the method; codes: what the method itself assigns, its prototypes or dictionary."
)
PAPERS_PROBE = (
    "The paper's linear probe, Adam at 1e-2 for 100 epochs on raw features, depends on their scale and may not have "
    "converged; the converged probe is of standardised features."
)
OF_RUNS = {  # facts that affect the paper's probe, by the key of a summary that has them
    "paper_linear_note": "The paper's probe had not converged",
    "scale_note": "The scale of features drifted over training",
}


def notes(grid: Grid, found: Found, unmeasured: list[str], command: str) -> list[str]:
    """All notes; ``unmeasured``: the scores that no run has; ``command``: the one that the user typed."""
    summaries = [record["summary"] for record in found.records.values() if "summary" in record]
    keys = {metric.key or "" for metric in grid.metrics.values()}
    probed = any("paper_linear_acc1" in (key, *BESIDE.get(key, ())) for key in keys)
    printed = grid.table.document or any(row.published for row in grid.table.rows)
    shown = {cell.row for cell in grid.cells}
    rows = [row for row in grid.table.rows if row.name in shown]
    others = any(row.published for row in rows) and not all(paper_column(grid, column)[2] for column in grid.columns)
    scored = {f"{s['scored_images']} {s['scored_on']} images of {s['dataset']}" for s in summaries if "scored_on" in s}
    told = [
        f"{'Paper' if printed else 'Source'}: {', '.join(filter(None, (grid.table.source, grid.table.protocol)))}.",
        f"Ours: scale {grid.request.scale}, settings {grid.setting}: {grid.table.settings[grid.setting].note}.",
        f"Trained: {_trained(grid)}.",
        _trials(grid, rows),
        _time(summaries),
        _seeds(grid),
        _marks(grid, found),
        _differences(grid),
        NMI if keys & {"nmi", "released_nmi"} else "",
        RELEASED if "released_nmi" in keys else "",
        PAPERS_PROBE if "paper_linear_acc1" in keys else "",
        f"{ABSENT}: nothing to measure, or not measured.",
        f"No run has measured: {'; '.join(unmeasured)}." if unmeasured else "",
        "The paper's images are others: its numbers stand for orientation, without a difference." if others else "",
        f"Changed in every cell: {', '.join(grid.overrides)}." if grid.overrides else "",
        f"Scored on {', '.join(sorted(scored))}." if scored else "",
        *(f"{sentence}: {whose}." for sentence, whose in (_of_runs(found) if probed else ())),
        grid.table.note,
        *(f"{row.name}: {row.note}" for row in rows if row.note),
        _run(found, summaries) if summaries else "",
        found.note,
        *_changed_images(found),
        f"Command: {command}",
    ]
    return [" ".join(note.splitlines()) for note in told if note]  # a note of a data file may have several lines


def _trained(grid: Grid) -> str:
    """Facts of all rows' configurations, with the rows and columns that differ."""
    configs = {(cell.column, cell.row): cell.config for cell in grid.cells if not cell.is_reference}
    facts = [
        {place: fact(config) for place, config in configs.items()} for fact in (_backbone, _epochs, _optimizer, _images)
    ]
    return "; ".join(_told(texts, grid) for texts in facts) if configs else "nothing"


def _trials(grid: Grid, rows: list[Row]) -> str:
    """The effort that was spent on each row's settings."""
    by_count: dict[int, list[str]] = {}
    for row in rows:
        by_count.setdefault(row.trials.get(grid.setting, 0), []).append(row.name)
    none = by_count.pop(0, [])
    if not by_count:
        return ""
    told = [f"{counted(count, 'trial')}: {', '.join(names)}" for count, names in sorted(by_count.items(), reverse=True)]
    told += [f"none: {', '.join(none)}"] if none else []
    return f"Searched for settings at this scale by cplearn tune, {'; '.join(told)}."


def _time(summaries: list[Record]) -> str:
    """The shortest and longest training time of a run; older runs do not name the machine."""
    seconds = sorted(s["wall_seconds"] for s in summaries if "wall_seconds" in s)
    if not seconds:
        return ""
    ends = list(dict.fromkeys(map(duration, (seconds[0], seconds[-1]))))
    machines = "; ".join(sorted({s["machine"] for s in summaries if "machine" in s}))
    return f"Training of a run took {' to '.join(ends)}{f' on {machines}' if machines else ''}."


def _backbone(config: dict[str, Any]) -> str:
    backbone = config.get("backbone", {})
    width = backbone.get("kwargs", {}).get("width")
    return f"{backbone.get('name')}{f' of width {width}' if width else ''}"


def _epochs(config: dict[str, Any]) -> str:
    return counted(config.get("max_epochs"), "epoch")


def _optimizer(config: dict[str, Any]) -> str:
    optimizer = config.get("optimizer", {})
    return f"{optimizer.get('name')} with batches of {optimizer.get('batch_size')}"


def _images(config: dict[str, Any]) -> str:
    data = config.get("data", {})
    count, share, ratio = (data.get(key) for key in ("max_train_images", "fraction", "imbalance"))
    size = config["augmentations"][0].get("crop_size")
    images = f"crops of {size} pixels of {f'the first {count:,}' if count else 'all'} training images"
    images += "" if ratio is None else f", thinned out by data.imbalance={ratio}"
    return images if share in (None, -1) else f"{images}, of which a share of {share:g}"


def _told(texts: dict[tuple[str, str], str], grid: Grid) -> str:
    """The most frequent of ``texts``, by column and row, then the others with the names of their columns or rows."""
    usual = Counter(texts.values()).most_common(1)[0][0]
    columns, rows = (list(dict.fromkeys(place[i] for place in texts)) for i in (0, 1))
    whole = [column for column in columns if len({texts[column, row] for row in rows}) == 1]
    others: dict[str, dict[str, None]] = {}
    for (column, row), text in texts.items():
        label = grid.columns[column].label
        everywhere = all(texts[other, row] == text for other in columns)
        name = label if column in whole and len(columns) > 1 else row if everywhere else f"{row} on {label}"
        if text != usual:
            others.setdefault(text, {})[name] = None
    listed = "; ".join(f"{text}: {', '.join(names)}" for text, names in others.items())
    return f"{usual} ({listed})" if listed else usual


def _seeds(grid: Grid) -> str:
    if len(grid.seeds) == 1:
        return f"Seed {grid.seeds[0]} only."
    return f"Mean ± sample standard deviation over seeds {', '.join(map(str, grid.seeds))}."


def _marks(grid: Grid, found: Found) -> str:
    if len(grid.seeds) < FEWEST:
        return f"Nothing is marked as the best of its column: that needs {FEWEST} seeds."
    runs = Counter((cell.column, cell.row) for cell, record in found.records.items() if "summary" in record)
    few = any(count < FEWEST for count in runs.values())
    unmarked = f" Rows of fewer than {FEWEST} seeds take no part." if few else ""
    return (
        "Bold (* in a terminal): the best of a column, and all that do not differ significantly from it: the "
        f"{LEVEL * 100:.0f} % t-interval of their differences, paired over seeds, contains 0. Nothing is corrected for "
        f"the number of rows.{unmarked}"
    )


def _differences(grid: Grid) -> str:
    if not grid.request.against:
        return ""
    if len(grid.seeds) < FEWEST:
        return f"There are no differences to another row: they need {FEWEST} seeds."
    return f"Differences to another row: mean over seeds, and the {LEVEL * 100:.0f} % t-interval of paired differences."


def _of_runs(found: Found) -> Iterable[tuple[str, str]]:
    """Facts in the summaries of single runs, with the rows of these runs."""
    for key, sentence in OF_RUNS.items():
        rows = Counter(cell.row for cell, record in found.records.items() if key in record.get("summary", ()))
        if rows:
            yield sentence, ", ".join(f"{row} ({count} of its runs)" for row, count in rows.items())


def _changed_images(found: Found) -> Iterable[str]:
    """A note if images at the same path have changed between cells."""
    by_data: dict[str, list[Record]] = {}
    for record in found.records.values():
        if "data" in record:
            by_data.setdefault(json.dumps(record["config"].get("data"), sort_keys=True), []).append(record)
    for records in by_data.values():
        if change := describe_first_change([record["data"] for record in records]):
            yield (
                f"Images have changed between cells, whose scores do not compare: {change}. Other folders, "
                "results=FOLDER work=FOLDER, begin anew."
            )


def _run(found: Found, summaries: list[Record]) -> str:
    dates = sorted(record["date"] for record in found.records.values() if "date" in record)
    when = f"on {dates[0]}" if dates[0] == dates[-1] else f"from {dates[0]} to {dates[-1]}"
    packages = {f"{name} {number}" for s in summaries for name, number in s["versions"].items()}
    commits = {f"commit {s['git_sha']}" for s in summaries if s.get("git_sha")}
    return f"Run {when} with {', '.join([*sorted(packages), *sorted(commits)])}."
