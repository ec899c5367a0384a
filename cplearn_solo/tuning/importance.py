"""How much of a search's scores each key decides."""

from __future__ import annotations

from collections.abc import Sequence

from cplearn_solo.tuning.domains import Space
from cplearn_solo.tuning.suggest import Told

FEWEST = 8  # trials that are needed


def importances(space: Space, trials: Sequence[Told]) -> dict[str, float]:
    """The importance of each key, the largest first, as shares of 1; empty if the trials do not show which key matters.

    A random forest learns the score from the keys. The importance of a key is how much worse the forest gets when the
    key's values are shuffled among the trials (permutation importance: Breiman, Machine Learning 2001, Section 10).
    Noise has shares, too, so the forest must predict trials that its trees have not seen better than the mean score.
    """
    if len(trials) < FEWEST or len({value for _, value in trials}) < 2:
        return {}
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    places = [[domain.place(keys[key]) for key, domain in space.items()] for keys, _ in trials]
    values = [value for _, value in trials]
    forest = RandomForestRegressor(n_estimators=100, random_state=0, oob_score=True).fit(places, values)
    if forest.oob_score_ <= 0:
        return {}
    found = permutation_importance(forest, places, values, n_repeats=10, random_state=0).importances_mean.clip(min=0)
    if not found.sum():
        return {}
    shares = dict(zip(space, (found / found.sum()).tolist()))
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))
