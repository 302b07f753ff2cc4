import pytest

from mainstay.core import PreconditionError
from mainstay.serving.models.config import FleetConfig, ModelConfig
from mainstay.serving.models.labels import assign_labels


def assigned(labels, available=(1, 2), current=None, allowed=False):
    config = FleetConfig((ModelConfig("m", model=object(), labels=labels),))
    there = {"m": dict.fromkeys(available)}
    return assign_labels(config, there, current={"m": current or {}}, unavailable_allowed=allowed)


def test_labels_point_to_versions_that_answer():
    assert assigned({"stable": 1, "canary": 2}) == {"m": {"stable": 1, "canary": 2}}
    assert assigned({}) == {}


def test_a_label_to_a_version_that_does_not_answer_is_refused_with_the_words_of_tf_serving():
    message = "Request to assign label to version 3 of model m, which is not currently available for inference"
    with pytest.raises(PreconditionError, match=message):
        assigned({"stable": 1, "canary": 3})
    with pytest.raises(PreconditionError, match=message):
        assigned({"canary": 3}, current={"canary": 3})


def test_a_new_label_may_point_ahead_where_that_is_allowed_and_an_old_one_may_not_move_there():
    assert assigned({"canary": 3}, allowed=True) == {"m": {"canary": 3}}
    assert assigned({"canary": 3}, current={"canary": 3}, allowed=True) == {"m": {"canary": 3}}
    with pytest.raises(PreconditionError):
        assigned({"canary": 3}, current={"canary": 2}, allowed=True)
