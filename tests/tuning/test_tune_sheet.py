"""What a page says of a search."""

import math
import random
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from cplearn_solo.tuning.figure import draw
from cplearn_solo.tuning.halving import Outcome
from cplearn_solo.tuning.importance import importances
from cplearn_solo.tuning.record import Record
from cplearn_solo.tuning.render import markdown, page, show
from cplearn_solo.tuning.search import run_search
from cplearn_solo.tuning.sheet import drawn, make_sheet
from cplearn_solo.tuning.suggest import suggest

TRAIN, SEARCH = ["cplearn", "pretrain", "data.train_path=my images"], ["cplearn", "tune", "budget=12"]


@pytest.fixture
def record(make, measure):
    record = Record(make(budget=12, sampler="random"))
    run_search(record, lambda trials, add: [add(measure(trial)) for trial in trials])
    return record


def notes_of(record):
    return make_sheet(record, train=TRAIN, search=SEARCH).notes


def test_a_narrow_terminal_has_whole_headings(record):
    console = Console(width=60, record=True, file=StringIO())
    show(make_sheet(record, train=TRAIN, search=SEARCH), console)
    assert "…" not in console.export_text()


def test_every_format_has_the_best_keys_each_trial_and_the_reason_of_failures(record):
    sheet = make_sheet(record, train=TRAIN, search=SEARCH)
    furthest = [o for o in record.outcomes if o.trial.rung == 2 and o.scores]
    chosen = max(furthest, key=lambda o: o.scores["linear_acc1"])
    lr, beta = chosen.trial.keys.values()
    best = f"optimizer.lr={lr} method_kwargs.beta={beta}"
    assert sheet.train == f"cplearn pretrain 'data.train_path=my images' {best}"
    assert f"trial {chosen.trial.number}, linear_acc1 {chosen.scores['linear_acc1']:.4f} after 8 epochs" in sheet.best
    keys, trials = sheet.blocks
    assert trials.rows[0][0] == str(chosen.trial.number) and len(trials.rows) == 12
    assert trials.header[-1] == "failed" and trials.rows[-1][-1] == "the loss is not finite"
    assert any("No test image" in note for note in sheet.notes)
    image = draw(record, sheet.importance)
    assert image.startswith(b"\x89PNG")
    for content in (markdown(sheet, "tune.png"), page(sheet, image)):
        assert "cplearn tune budget=12" in content and "the loss is not finite" in content and str(lr) in content
    assert 'src="http' not in page(sheet, image)


def test_the_command_trains_as_the_trial_did_where_its_keys_would_change_what_auto_is(planned, make, measure, tmp_path):
    (tmp_path / "sizes.yaml").write_text("all: {optimizer.batch_size: {choices: [32, 64]}}")
    held_out = {"val_split": 0.1}
    assert planned(max_epochs="auto", precision="auto", accelerator="cpu", data=held_out).following == {}
    search = planned(max_epochs="auto", accelerator="cpu", data=held_out, space=str(tmp_path / "sizes.yaml"))
    assert search.following == {"max_epochs": search.config["max_epochs"]}
    record = Record(replace(make(budget=1, rungs=1), following={"max_epochs": 9}))
    run_search(record, lambda trials, add: [add(measure(trial)) for trial in trials])
    assert make_sheet(record, train=TRAIN, search=SEARCH).train.startswith(
        "cplearn pretrain 'data.train_path=my images' max_epochs=9 optimizer.lr="
    )


def test_the_command_trains_as_the_trial_did_although_that_had_fewer_images(planned):
    search = planned(max_epochs="auto", accelerator="cpu", optimizer={"batch_size": 64})
    steps = 1437 * 0.8 // 64  # of digits, a fifth of which the search holds out
    assert search.following == {"max_epochs": math.ceil(1500 / steps)} != {"max_epochs": math.ceil(1500 / (1437 // 64))}


def test_trials_on_images_that_have_changed_since_are_told(make, measure):
    search = make(budget=5, sampler="random")
    record = Record(search)
    images = {"train": {"images": 32, "labels": "a"}}

    def run(trials, add):
        for trial in trials:
            add(replace(measure(trial), data=images))

    run_search(record, run)
    assert not any("changed" in note for note in make_sheet(Record(search), train=TRAIN, search=SEARCH).notes)
    images = {"train": {"images": 52, "labels": "b"}}
    run_search(Record(larger := make(budget=6, sampler="random")), run)
    notes = make_sheet(Record(larger), train=TRAIN, search=SEARCH).notes
    assert any(
        "changed between trials, whose scores do not compare: training images: 32 -> 52 images" in n for n in notes
    )


def test_trials_that_share_a_run_count_once(make, measure):
    record = Record(make(budget=4, sampler="random", rungs=2))
    run_search(record, lambda trials, add: [add(replace(measure(trial), folder="same")) for trial in trials])
    notes = make_sheet(record, train=TRAIN, search=SEARCH).notes
    assert any(n.startswith("8 epochs in all, as many as 1.0 runs") and n.endswith("so shared a run.") for n in notes)


def test_epochs_and_minutes_are_those_of_trials_that_have_trained(make):
    """One of three fails at once, one after it has trained until the first rung."""
    scores = dict.fromkeys(("linear_acc1", "knn_acc1", "kmeans_ami"), 0.5)

    def run(trials, add):
        for trial in trials:
            failed = trial.number + trial.rung >= 2
            seconds = 60.0 * (1 + trial.rung)
            add(Outcome(trial, failed="no") if failed else Outcome(trial, scores=scores, seconds=seconds))

    run_search(record := Record(make(budget=3, sampler="random", rungs=2)), run)
    (note,) = [note for note in notes_of(record) if "epochs in all" in note]
    assert note.startswith("12 epochs in all, as many as 1.5 runs have; 3.0 minutes of training")
    assert note.endswith("without what has failed.")


def test_a_trial_that_a_collapse_has_ended_counts_as_long_as_it_has_trained(make, measure):
    record = Record(make(budget=1, sampler="random", rungs=1))
    run_search(record, lambda trials, add: [add(replace(measure(trial), epochs=3)) for trial in trials])
    assert '"epochs": 3' in (record.folder / "trials.jsonl").read_text()
    assert Record(record.search).outcomes[0].epochs == 3
    assert any(note.startswith("3 epochs in all") for note in notes_of(record))


def test_one_trial_of_one_epoch_is_not_called_several(make, measure):
    search = make(budget=1, rungs=1)
    record = Record(replace(search, rules=replace(search.rules, rungs=(1,))))
    run_search(record, lambda trials, add: [add(measure(trial)) for trial in trials])
    sheet = make_sheet(record, train=TRAIN, search=SEARCH)
    said = [sheet.best, *sheet.notes, *(word for block in sheet.blocks for word in (block.title, *block.header))]
    assert sheet.blocks[0].header == ["key", "may be", "before", "best"], "nothing is known of importance"
    assert draw(record, sheet.importance).startswith(b"\x89PNG")
    assert sheet.best.startswith("Best of 1 trial: ") and not any("1 epochs" in words for words in said)


def test_a_smaller_budget_later_shows_the_trials_there_are(make, record):
    assert any(note.startswith("12 of 12 trials, drawn at random; ") for note in notes_of(record))
    later = Record(make(budget=4, sampler="random"))
    assert any(note.startswith("12 trials, in calls with a budget over 4, drawn ") for note in notes_of(later))
    larger = Record(make(budget=20, sampler="random"))
    assert any(note.startswith("12 of 20 trials, drawn ") for note in notes_of(larger))


def test_trials_that_tpe_has_not_suggested_are_not_said_to_be_its_own(make, measure):
    record = Record(make(budget=4, sampler="tpe"))
    run_search(record, lambda trials, add: [add(measure(trial)) for trial in trials])
    assert any(note.startswith("4 of 4 trials, drawn at random; ") for note in notes_of(record))
    rules = {size: make(sampler="tpe", generation=size).rules for size in (1, 3, 8)}
    assert drawn(rules[3], 9) == drawn(rules[8], 8) == "at random"
    assert drawn(rules[3], 10) == "at random, and after the first 9 in groups of 3 by TPE"
    assert drawn(rules[1], 9).startswith("at random, and after the first 8 in")


def test_a_mean_rank_is_shown_as_one(make, measure):
    record = Record(make(budget=5, sampler="random", score="mean_rank", rungs=1))
    run_search(record, lambda trials, add: [add(measure(trial)) for trial in trials])
    sheet = make_sheet(record, train=TRAIN, search=SEARCH)
    ranks = [float(row[1]) for row in sheet.blocks[1].rows if row[1]]
    assert ranks == sorted(ranks) and 1 <= ranks[0] < ranks[-1] <= 5
    assert draw(record, sheet.importance).startswith(b"\x89PNG")


def test_trials_stand_in_the_order_of_the_ranks_that_are_shown(make):
    """Among the two that went no further the last would be ahead, by two scores of three."""
    found = [(0.9, 0.9, 0.8), (0.8, 0.8, 0.7), (0.6, 0.6, 0.9), (0.7, 0.7, 0.6)]
    scores = [dict(zip(("linear_acc1", "knn_acc1", "kmeans_ami"), row)) for row in found]
    record = Record(make(budget=4, sampler="random", score="mean_rank", rungs=2))
    run_search(record, lambda trials, add: [add(Outcome(t, scores=scores[t.number])) for t in trials])
    rows = make_sheet(record, train=TRAIN, search=SEARCH).blocks[1].rows
    assert [row[:2] for row in rows] == [["0", "1.33"], ["1", "2.33"], ["2", "3.00"], ["3", "3.33"]]


def test_noise_gives_no_key_an_importance(prototype):
    chance, space = random.Random(0), prototype.rules.space
    drawn = suggest(space, range(16), [], sampler="random", seed=0)
    assert importances(space, [(keys, chance.random()) for keys in drawn]) == {}


def test_a_key_that_decides_the_score_has_the_importance(prototype):
    space = prototype.rules.space
    lrs, betas = [0.002 * 1.16**i for i in range(30)], [0.25, 1.0] * 15
    trials = [({"optimizer.lr": lr, "method_kwargs.beta": beta}, -abs(lr - 0.02)) for lr, beta in zip(lrs, betas)]
    shares = importances(space, trials)
    assert list(shares) == ["optimizer.lr", "method_kwargs.beta"] and sum(shares.values()) == pytest.approx(1)
    assert shares["optimizer.lr"] > 0.9
    assert importances(space, trials[:5]) == {} == importances(space, [(keys, 1.0) for keys, _ in trials])
