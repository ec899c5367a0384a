"""A score of an older result is read under the name that it has now."""

from cplearn_solo.config.score_names import SCORES_VERSION, current_scores


def test_the_probe_and_the_neighbours_of_older_results_are_named_as_what_they_are():
    old = {"linear_acc1": 0.4, "knn_acc1": 0.5, "online_acc1": 0.3, "kmeans_ami": 0.2}
    wanted = {"paper_linear_acc1": 0.4, "knn_cosine_acc1": 0.5, "online_raw_acc1": 0.3, "kmeans_ami": 0.2}
    assert current_scores(old) == wanted
    new = {**old, "scores_version": SCORES_VERSION}
    assert current_scores(new) == new
