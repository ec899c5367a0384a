"""A search by the trials that it makes: which they are, and that kills leave no trace."""

import random
from dataclasses import replace
from importlib.util import find_spec

import pytest
from support.images import write_images

from cplearn_solo.core.errors import InputError
from cplearn_solo.tuning import plan as planning
from cplearn_solo.tuning.domains import Range
from cplearn_solo.tuning.halving import Outcome, Trial, best, due, rungs_of, survivors
from cplearn_solo.tuning.record import TRIALS, Record
from cplearn_solo.tuning.scores import SCORES, standings
from cplearn_solo.tuning.search import as_jobs, run_search
from cplearn_solo.tuning.suggest import AT_RANDOM, choose_sampler, suggest

needs_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="needs optuna, the extra tune")
SAMPLERS = ["random", pytest.param("tpe", marks=needs_optuna)]


class Killed(Exception):
    """Stands for whatever ends the program."""


@pytest.fixture
def finish(measure):
    """Function that makes all of a search's trials and returns its record."""

    def run(search):
        record = Record(search)
        run_search(record, lambda trials, add: [add(measure(trial)) for trial in trials])
        return record

    return run


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_that_is_killed_again_and_again_ends_with_the_same_record(make, finish, measure, sampler):
    search = make(budget=14, sampler=sampler)
    whole = finish(search).folder / TRIALS
    expected = whole.read_text()
    whole.unlink()
    chance, kills = random.Random(0), 0

    def some(trials, add):
        for trial in chance.sample(trials, len(trials)):  # side by side, they end in any order
            if chance.random() < 0.5:
                raise Killed
            add(measure(trial))

    while True:
        record = Record(search)
        try:
            run_search(record, some)
            break
        except Killed:
            kills += 1
    assert kills > 5 and (record.folder / TRIALS).read_text() == expected


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_larger_budget_goes_on_and_ends_as_if_it_had_been_given_at_once(make, finish, sampler, tmp_path):
    finish(make(budget=6, sampler=sampler))
    grown = finish(make(budget=14, sampler=sampler))
    at_once = finish(make(budget=14, sampler=sampler, results=tmp_path / "other"))
    rules = grown.search.rules
    for rung in (1, 2):
        numbers = [[o.trial.number for o in survivors(rules, r.outcomes, rung)] for r in (grown, at_once)]
        assert numbers[0] == numbers[1]
    assert best(rules, grown.outcomes).scores == best(rules, at_once.outcomes).scores


def test_halves_and_the_first_trial_go_on(make, finish):
    record = finish(make(budget=16, sampler="random"))
    rules, trials = record.search.rules, [o.trial for o in record.outcomes]
    assert rules.rungs == (2, 4, 8)
    assert {t.number for t in trials if t.rung == 0} == set(range(16)) and trials[0].keys == rules.first
    there = [o for o in record.outcomes if o.trial.rung == 0]
    order = [o.trial.number for o in sorted(there, key=lambda o: -(o.scores or {"linear_acc1": 0})["linear_acc1"])]
    assert order.index(0) >= 8 and any(o.failed for o in there)
    assert {t.number for t in trials if t.rung == 1} == {0, *order[:8]}
    assert {t.number for t in trials if t.rung == 2} == {0, *order[:4]}
    assert best(rules, record.outcomes).trial.number == order[0] and not due(rules, record.outcomes)


def test_rungs():
    assert [rungs_of(100, n) for n in (1, 2, 3)] == [(100,), (50, 100), (25, 50, 100)]
    assert rungs_of(8, 10**18) == rungs_of(8, 4) == (1, 2, 4, 8)
    assert rungs_of(1, 3) == (1,) and rungs_of(3, 4) == rungs_of(3, 2000) == (1, 2, 3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_suggestions_are_a_function_of_seed_and_earlier_trials(prototype, sampler):
    space = prototype.rules.space
    told = [(keys, keys["optimizer.lr"]) for keys in suggest(space, range(12), [], sampler="random", seed=1)]
    again = [suggest(space, range(12, 16), told, sampler=sampler, seed=1) for _ in range(2)]
    assert again[0] == again[1] and all(keys[key] in space[key] for keys in again[0] for key in space)
    assert suggest(space, range(12, 16), told, sampler=sampler, seed=2) != again[0]
    worse = [(keys, -value) for keys, value in told]
    assert (suggest(space, range(12, 16), worse, sampler=sampler, seed=1) == again[0]) == (sampler == "random")


@needs_optuna
def test_tpe_learns_where_scores_are_high():
    space = {"optimizer.lr": Range(0.002, 0.2, log=True)}
    first = suggest(space, range(AT_RANDOM), [], sampler="tpe", seed=0)
    assert first == suggest(space, range(AT_RANDOM), [], sampler="random", seed=0)
    drawn = suggest(space, range(24), [], sampler="random", seed=0)
    told = [(keys, -abs(keys["optimizer.lr"] - 0.05)) for keys in drawn]
    outside = ({"optimizer.lr": 7.0}, 5.0)  # as the configuration as it is may be
    between = [({"k": 1.5}, 1.0), *(({"k": number}, 0.5) for number in (1, 2, 5))]  # as it may be, too
    assert all(
        type(keys["k"]) is int
        for keys in suggest({"k": Range(1, 5, whole=True)}, range(8, 12), between, sampler="tpe", seed=0)
    )
    for_seeds = [suggest(space, range(24, 28), [outside, *told], sampler="tpe", seed=seed) for seed in range(6)]
    near = [0.02 < keys["optimizer.lr"] < 0.125 for keys in sum(for_seeds, [])]
    assert sum(near) >= 16  # of 24; 10 by chance


def test_a_mean_rank_is_that_of_each_score_and_ties_share_theirs():
    columns = ((0.9, 0.8, 0.8), (0.1, 0.3, 0.2), (0.5, 0.5, 0.5))
    found = [dict(zip(("linear_acc1", "knn_acc1", "kmeans_ami"), row)) for row in zip(*columns)]
    assert standings(SCORES["mean_rank"], found) == pytest.approx(
        [-(1 + 3 + 2) / 3, -(2.5 + 1 + 2) / 3, -(2.5 + 2 + 2) / 3]
    )
    assert standings(SCORES["knn_acc1"], found) == [0.1, 0.3, 0.2] and standings(SCORES["mean_rank"], []) == []


def test_a_search_in_which_all_fails_says_why_and_can_be_tried_again(make, finish):
    search = make(budget=8, sampler="random")

    def fail(trials, add):
        for trial in trials:
            add(Outcome(trial, failed="no such disk", log="log.txt"))

    with pytest.raises(InputError, match=r"no trial has succeeded of 4; the first: no such disk \(log.txt\)"):
        run_search(Record(search), fail)
    assert any(o.scores for o in finish(search).outcomes)


def test_trials_that_fail_early_do_not_end_a_search_whose_first_ones_still_train(make, measure):
    """With many workers all are under way, and those that fail are the first to end."""
    record = Record(make(budget=8, sampler="random"))

    def run(trials, add):
        for trial in reversed(trials):
            add(Outcome(trial, failed="too large") if trial.rung == 0 and trial.number else measure(trial))

    run_search(record, run)
    assert [o.trial.number for o in record.outcomes if o.scores] == [0, 0, 0]


def test_a_trial_that_was_interrupted_has_not_failed(make, monkeypatch):
    search = make(budget=4, sampler="random")

    def run_jobs(jobs, launcher, board, ended):
        ended(jobs[0], {"scores": {"linear_acc1": 0.5}, "seconds": 1.0}, 1.0)
        ended(jobs[1], {"failed": "last.ckpt: No space left", "log": "log.txt", "interrupted": True}, 1.0)

    monkeypatch.setattr("cplearn_solo.tuning.search.run_jobs", run_jobs)
    monkeypatch.setattr("cplearn_solo.tuning.search._launcher", lambda search: None)
    with pytest.raises(InputError, match=r"^trial 1: last.ckpt: No space left \(log.txt\); the same command goes on"):
        run_search(Record(search), as_jobs(search))
    assert [o.trial.number for o in Record(search).outcomes] == [0]


def test_another_search_has_another_folder_and_one_process_makes_it(make):
    same = [make(budget=3), make(budget=9)]
    others = [
        make(score="knn_acc1"),
        make(rungs=2),
        make(seed=9),
        make(space=dict(list(same[0].rules.space.items())[:1])),
    ]
    others.append(replace(same[0], config={**same[0].config, "max_epochs": 9}))
    assert same[0].folder == same[1].folder and len({s.folder for s in [*same, *others]}) == 1 + len(others)
    with Record(same[0]).locked(), pytest.raises(InputError, match="locked by another"), Record(same[1]).locked():
        pass


def test_trials_that_learned_something_else_are_of_another_search(make, finish, monkeypatch):
    finish(make(budget=1))
    monkeypatch.setattr(planning, "LEARNING_VERSION", planning.LEARNING_VERSION + 1)
    assert Record(make(budget=1)).outcomes == []


def test_the_same_relative_path_elsewhere_is_of_other_images_where_folders_are_shared(planned, tmp_path, monkeypatch):
    data = {"dataset": "custom", "train_path": "images", "no_labels": True}

    def names(project, **places):
        (tmp_path / project / "images").mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(tmp_path / project)
        search = planned(data=data, score="rankme", **places)
        return search.folder_of(Trial(0, 0, search.rules.first)).name, search.folder.name

    for places in ({"work": str(tmp_path / "runs")}, {"results": "../results"}):
        assert not {*names("one", **places)} & {*names("two", **places)}
    assert names("one") == names("two", work=str(tmp_path / "two/runs")), "a project that is moved goes on"


def test_a_batch_that_is_chosen_leaves_out_the_images_that_are_held_out(planned, tmp_path):
    write_images(tmp_path / "images", [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(8)])
    labelled = {"dataset": "custom", "train_path": str(tmp_path / "images")}
    for data, size, share in ((labelled, 8, 0.2), ({**labelled, "no_labels": True}, 16, 0.0)):
        search = planned(data=data, optimizer={"batch_size": "auto"}, score="rankme", accelerator="cpu")
        assert search.config["optimizer"]["batch_size"] == size and search.config["data"]["val_split"] == share
        assert search.following == ({"optimizer.batch_size": 8} if share else {})


def test_keys_that_a_user_has_given_do_not_vary_and_no_test_image_takes_part(planned, tmp_path):
    search = planned(fixed=["method_kwargs.beta"])
    assert list(search.rules.space) == ["optimizer.lr"] and search.config["data"]["val_split"] == 0.2
    own = {"dataset": "custom", "train_path": str(tmp_path), "val_path": str(tmp_path), "no_labels": True}
    assert planned(score="rankme", data=own).config["data"]["val_path"] is None


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"budget": 0}, "budget = 0: must be at least 1"),
        ({"budget": 2**31}, "budget = 2147483648: must be at least 1 and at most 10000"),
        ({"generation": 2**31}, "generation = 2147483648: must be at least 1 and at most 10000"),
        ({"rungs": 0}, "rungs = 0"),
        ({"score": "linear"}, "unknown score 'linear': did you mean 'linear_acc1'"),
        ({"sampler": "grid"}, "unknown sampler 'grid'"),
        (
            {"data": {"dataset": "custom", "train_path": ".", "no_labels": True}},
            "score = 'linear_acc1': must be rankme, as data.no_labels is true and other scores need labels",
        ),
        ({"resume_from_checkpoint": "runs/one"}, "resume_from_checkpoint = 'runs/one': must be null in a search"),
        ({"dry_run": True}, "dry_run = True: must be false in a search"),
        ({"max_time": "00:01:00:00"}, "max_time = '00:01:00:00': must be null in a search"),
        ({"max_steps": 100}, "max_steps = 100: must be null in a search"),
        ({"space": "nowhere.yaml"}, "space = 'nowhere.yaml'"),
    ],
)
def test_mistakes_are_told_at_once(planned, request_, message):
    with pytest.raises(InputError, match=message):
        planned(**request_)


def test_values_that_no_configuration_takes_are_told_with_the_file(planned, tmp_path):
    (tmp_path / "bad.yaml").write_text("all: {method_kwargs.beta: {choices: [1.0, much]}}")
    with pytest.raises(InputError, match=r"bad.yaml': method_kwargs.beta = 'much'"):
        planned(space=str(tmp_path / "bad.yaml"))
    (tmp_path / "bad.yaml").write_text("all: {data.val_split: {choices: [0.0, 0.1]}}")
    with pytest.raises(InputError, match="key = 'data.val_split': must be another, as trials have data in common"):
        planned(space=str(tmp_path / "bad.yaml"))


def test_an_argument_of_the_trainer_may_vary_though_no_configuration_says_it(planned, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("all: {gradient_clip_val: {choices: [0.5, 1.0]}, precision: {choices: [32-true, bf16-mixed]}}")
    search = planned(space=str(file))
    assert search.rules.first == {"gradient_clip_val": None, "precision": None}
    folders = {search.folder_of(Trial(0, 0, {"gradient_clip_val": value})) for value in (None, 0.5, 1.0)}
    assert len(folders) == 3
    file.write_text("all: {max_time: {choices: ['00:00:01:00', '00:00:02:00']}}")
    with pytest.raises(InputError, match="key = 'max_time': must be another, as trials have max_time in common"):
        planned(space=str(file))


def test_without_optuna_the_search_is_random(monkeypatch):
    monkeypatch.setattr("cplearn_solo.tuning.suggest.find_spec", lambda name: None)
    assert choose_sampler("auto") == "random"
    with pytest.raises(InputError, match=r"cplearn-solo\[tune\]"):
        choose_sampler("tpe")
