"""Trains a causal language model with cross-entropy and with Eq. 16 of Matrix-SSL, and compares exact matches.

python examples/language_model/main.py --scale mini                                  additions, a tiny model
python examples/language_model/main.py --scale full --train metamath.jsonl --test gsm8k.jsonl
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # finds the files beside this one from any working directory

from answers import BENCHMARKS, exact_match
from questions import additions, padded, read_jsonl, tokens

from cplearn_solo.core.errors import InputError, require
from cplearn_solo.core.files import write_file, write_json
from cplearn_solo.core.user_errors import user_errors

NEEDED = ("transformers", "accelerate", "peft")
# Settings of each scale. full has the paper's model, data and loss (Section 7.1), and otherwise MetaMath's settings for
# a 7B model: 3 epochs, batches of 128, and a cosine from 2e-5 with 3 % of warm-up, but ten times that learning rate for
# LoRA. The settings of mini were not tuned.
SCALES: dict[str, dict[str, Any]] = {
    "mini": {"model": None, "steps": 400, "batch": 64, "accumulate": 1, "lr": 3e-3, "lora": 0, "longest": 16},
    "full": {
        "model": "EleutherAI/llemma_7b",
        "epochs": 3,
        "batch": 4,
        "accumulate": 32,
        "lr": 2e-4,
        "lora": 64,
        "longest": 512,
    },
}
TEMPLATES = {"mini": "{}", "full": "### Instruction:\n{}\n\n### Response: Let's think step by step."}
SUMS = 6000  # additions to train on, of 10,000
ASKED = 1000  # questions to score, of the other additions


def read_options(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        prog="language_model", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", choices=[*SCALES], default="mini", help="(default: %(default)s)")
    parser.add_argument("--train", metavar="FILE", help="JSON lines of question and answer; mini makes its own")
    parser.add_argument("--test", metavar="FILE")
    parser.add_argument("--benchmark", choices=[*BENCHMARKS], default="gsm8k", help="how answers are read")
    parser.add_argument("--model", metavar="NAME", help="a folder or a model of the hub")
    parser.add_argument("--tokenizer", metavar="NAME", help="default: the model's")
    parser.add_argument("--loss", nargs="+", choices=["ce", "mce"], default=["ce", "mce"])
    parser.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, help="default: the scale's")
    parser.add_argument("--mu", type=float, default=1e-5, help="added to Q (default: %(default)s)")
    parser.add_argument("--order", type=int, default=4, help="terms of the logarithm; 0: exact (default: %(default)s)")
    parser.add_argument("--out", metavar="FOLDER", default="runs/language_model", help="(default: %(default)s)")
    return parser.parse_args(arguments)


def main() -> None:
    options = read_options(sys.argv[1:])
    with user_errors("language_model"):
        run(options)


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Trains each loss with each seed and writes ``results.json`` and ``table.md``; finished ones are not run again."""
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        raise InputError(f"{', '.join(lacking)} not installed: pip install 'cplearn-solo[llm]'")
    require(options.seeds >= 1, "--seeds", options.seeds, "at least 1")
    require(
        options.scale == "mini" or bool(options.train and options.test), "--train", options.train, "set with --test"
    )
    train, test = additions(SUMS, seed=0)
    if options.train:
        train, test = read_jsonl("--train", options.train), read_jsonl("--test", options.test)
    else:
        test = test[:ASKED]
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    file, asked = out / "results.json", {k: v for k, v in vars(options).items() if k not in ("loss", "seeds", "out")}
    new = {"options": asked, "versions": {name: version(name) for name in ("torch", *NEEDED)}, "results": []}
    kept = json.loads(file.read_text()) if file.is_file() else new
    require(
        kept["options"] == asked, "--out", options.out, f"another folder: that one has results of {kept['options']}"
    )
    results = kept["results"]
    for seed in range(options.seeds):
        for loss in options.loss:
            if not any(each["seed"] == seed and each["loss"] == loss for each in results):
                results.append(_one(options, loss, seed, train, test, out / f"{loss}-{seed}"))
                write_json(file, kept)
    table = _table(results, len(train), len(test))
    write_file(out / "table.md", table)
    print(table)
    return results


def _one(options: argparse.Namespace, loss: str, seed: int, train: Any, test: Any, folder: Path) -> dict[str, Any]:
    import torch
    from loss import answers, loss_of
    from models import pretrained, tiny
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    size, template = SCALES[options.scale], TEMPLATES[options.scale]
    name = options.model or size["model"]
    model, tokenizer = pretrained(name, options.tokenizer, lora=size["lora"], seed=seed) if name else tiny(seed)
    rows = tokens(train, tokenizer, template=template, longest=size["longest"])
    steps = options.steps or size.get("steps") or size["epochs"] * len(rows) // (size["batch"] * size["accumulate"])
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=size["batch"],
        gradient_accumulation_steps=size["accumulate"],
        learning_rate=size["lr"],
        lr_scheduler_type="cosine",
        warmup_steps=steps * 3 // 100,
        seed=seed,
        bf16=torch.cuda.is_available(),
        save_steps=500,
        save_total_limit=1,
        logging_steps=max(1, steps // 10),
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=not sys.stderr.isatty(),
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=lambda batch: padded(batch, tokenizer.pad_token_id),
        compute_loss_func=loss_of(
            loss, lambda: model.get_output_embeddings().weight, mu=options.mu, order=options.order or None
        ),
    )
    began = time.perf_counter()
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)) if folder.is_dir() else None)
    seconds = time.perf_counter() - began
    questions = [template.format(question) for question, _ in test]
    said = answers(model, tokenizer, questions, batch_size=100, longest=size["longest"])
    score = exact_match(said, [answer for _, answer in test], options.benchmark)
    print(f"{loss}, seed {seed}: exact match {score:.3f} of {len(test)}, {steps} steps in {seconds:.0f} s", flush=True)
    return {"loss": loss, "seed": seed, "exact_match": score, "steps": steps, "seconds": round(seconds, 1)}


def _table(results: list[dict[str, Any]], train: int, test: int) -> str:
    lines = [f"{train} questions to train on, {test} to answer.", "", "| loss | exact match | seeds | steps |"]
    lines += ["|---|---|---|---|"]
    for loss, name in (("ce", "cross-entropy"), ("mce", "with matrix cross-entropy (Eq. 16)")):
        scores = [each["exact_match"] for each in results if each["loss"] == loss]
        if scores:
            spread = f" ± {statistics.stdev(scores):.3f}" if len(scores) > 1 else ""
            steps = next(each["steps"] for each in results if each["loss"] == loss)
            lines.append(f"| {name} | {statistics.mean(scores):.3f}{spread} | {len(scores)} | {steps} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
