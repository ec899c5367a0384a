"""A page for each method: the docstring of its file, its keys, its configurations, and its scores in ``results/``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import mean, stdev

from key_pages import in_words

from cplearn_solo.config.score_names import current_scores
from cplearn_solo.core.signatures import module_docstring, registered_classes
from cplearn_solo.methods.catalog import method_facts
from cplearn_solo.methods.registry import HERE

ROOT = Path(__file__).parents[2]
FIRST = "cplearn"  # the first page
SCORES = {
    "linear_acc1": "converged probe",
    "paper_linear_acc1": "the paper's probe",
    "knn_acc1": "kNN",
    "kmeans_ami": "k-means AMI",
    "ami": "AMI of the codes",
    "codes_used": "codes in use",
}


def pages() -> dict[str, str]:
    """The pages as Markdown, by their places on the site."""
    files = {name: path for path in sorted(HERE.glob("*.py")) for name in registered_classes(path, "METHODS")}
    order = sorted(files, key=lambda name: (name != FIRST, name))
    return {f"methods/{name}.md": page(name, files[name]) for name in order}


def page(name: str, file: Path) -> str:
    """The page of the method that ``file`` registers as ``name``."""
    title, _, rest = module_docstring(file).partition("\n")
    heading, _, idea = title.partition(": ")
    parts = [f"# {heading}", markdown(f"{idea[:1].upper()}{idea[1:]}\n{rest}")]
    parts += ["## Keys", markdown(registered_classes(file, "METHODS")[name].docstring), _keys(name), _wants(name)]
    parts += ["## Configurations", _configurations(name)]
    kept = list(_scores(name))
    if kept:
        parts += ["## Scores kept here", SCORES_NOTE, *kept]
    return "\n\n".join(part for part in parts if part) + "\n"


SCORES_NOTE = (
    "Mean and sample standard deviation over seeds of the newest result of each, from `results/*/cells.jsonl`; all are"
    " reductions, [what held up](../results.md) says of what. A score that was not measured is left out: results of"
    " 0.2.0 have the paper's probe only ([what is measured](../method.md#what-is-measured-on-a-frozen-backbone))."
)


def markdown(text: str) -> str:
    """A docstring as Markdown: roles become code."""
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text).replace("``", "`").strip()


def _keys(name: str) -> str:
    facts = method_facts(name)
    rows = [
        f"| `method_kwargs.{key}` | {in_words(hint)} | `{json.dumps(facts.defaults[key])}` |"
        for key, hint in facts.arguments.items()
    ]
    return "\n".join(["| key | type | default |", "|---|---|---|", *rows])


def _wants(name: str) -> str:
    facts = method_facts(name)
    wants = [
        f"An EMA copy of backbone and `{facts.teacher}` is its teacher (`momentum.base_tau`)." if facts.teacher else "",
        "It takes more than two crops." if facts.multicrop else "It takes two crops.",
        "It gets images, for gradients in pixel space." if facts.needs_images else "",
    ]
    return " ".join(filter(None, wants))


def _configurations(name: str) -> str:
    return "\n".join(f"- `{command}`: {about}" for method, command, about in configurations() if method == name)


@cache
def configurations() -> list[tuple[str, str, str]]:
    """Method, command and description of each shipped configuration, from its first lines."""
    found = []
    for path in sorted((ROOT / "scripts/pretrain").glob("*/*.yaml")):
        text = path.read_text(encoding="utf-8")
        says = "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
        command, _, about = re.sub(r" \\\n +", " ", says).partition("\n")
        (method,) = re.findall(r"^method: (\w+)", text, re.MULTILINE)
        found.append((method, command, about.replace("\n", " ")))
    return found


def _scores(name: str) -> Iterator[str]:
    for file in sorted((ROOT / "results").rglob("cells.jsonl")):
        rows = [(row, scores) for row, (method, scores) in kept_rows(file).items() if method == name]
        if rows:
            measured = [key for key in SCORES if any(scores[key] for _, scores in rows)]
            heads = "".join(f" {SCORES[key]} |" for key in measured)
            yield f"**[{_title(file.parent)}](../../{file.parent.relative_to(ROOT)}/table.md)**"
            lines = [f"| row | seeds |{heads}", "|---|---|" + "---|" * len(measured)]
            for row, scores in rows:
                cells = "".join(f" {_shown(key, scores[key])} |" for key in measured)
                lines.append(f"| {row} | {max(map(len, scores.values()))} |{cells}")
            yield "\n".join(lines)


@cache
def kept_rows(file: Path) -> dict[str, tuple[str, dict[str, list[float]]]]:
    """Method and scores of each row of a table, over the seeds that all of its rows have, as in the table."""
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    newest = {(r["column"], r["row"], r["seed"]): current_scores(r["summary"]) for r in records if "summary" in r}
    cells = {(column, row) for column, row, _ in newest}
    seeds = sorted(set.intersection(*({s for c, r, s in newest if (c, r) == cell} for cell in cells)))
    found: dict[str, tuple[str, dict[str, list[float]]]] = {}
    for column, row, _ in newest:
        of_seeds = [newest[column, row, seed] for seed in seeds]
        name = row if len({column for column, _ in cells}) == 1 else f"{row}, {column}"
        found[name] = of_seeds[0]["method"], {key: [one[key] for one in of_seeds if key in one] for key in SCORES}
    return found


def _shown(key: str, values: list[float]) -> str:
    digits = 0 if key == "codes_used" else 3
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{spread}" if values else ""


def _title(folder: Path) -> str:
    lines = (folder / "table.md").read_text(encoding="utf-8").splitlines()
    about = next((line[3:].partition(":")[0] for line in lines if line.startswith("## ")), "")
    return f"{lines[0][2:]}: {about}"
