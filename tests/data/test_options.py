import pytest

from mainstay.core import ArgumentError
from mainstay.data import Dataset, Options
from mainstay.data.execution.settings import Settings
from mainstay.data.options import settings_of


def test_options_begin_unset_and_are_shown_once_set() -> None:
    options = Options()
    assert (options.deterministic, options.workers, options.autotune.ram_budget) == (None, None, None)
    options.deterministic = False
    options.autotune.cpu_budget = 3
    assert repr(options) == "Options(deterministic=False, autotune.cpu_budget=3)"


def test_an_unknown_option_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        ArgumentError, match=r"no such option(?s:.*)deterministic, workers, autotune\.\*, threading\.\*"
    ):
        Options().determinstic = True
    with pytest.raises(ArgumentError, match=r"options\.autotune\.memory"):
        Options().autotune.memory = 1


@pytest.mark.parametrize("name", ["experimental_optimization", "experimental_slack", "experimental_distribute"])
def test_an_option_of_tensorflow_that_means_nothing_says_why(name: str) -> None:
    with pytest.raises(ArgumentError, match="means nothing here: "):
        setattr(Options(), name, True)
    with pytest.raises(ArgumentError, match="means nothing here: "):
        getattr(Options(), name)


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("", "deterministic", 1),
        ("", "workers", "greenlets"),
        ("", "autotune", None),
        ("autotune", "enabled", "yes"),
        ("autotune", "cpu_budget", 0),
        ("autotune", "ram_budget", True),
        ("autotune", "ram_budget", -5),
        ("threading", "private_threadpool_size", 1.5),
        ("threading", "max_intra_op_parallelism", 1),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_where_it_is_set(group: str, name: str, value: object) -> None:
    options = Options()
    with pytest.raises(ArgumentError, match=name):
        setattr(getattr(options, group) if group else options, name, value)


def test_tools_that_look_for_special_names_do_not_stumble() -> None:
    assert not hasattr(Options(), "__array__")
    assert not hasattr(Options(), "_repr_html_")


def options_with(**values: object) -> Options:
    options = Options()
    for name, value in values.items():
        group, _, last = name.rpartition("__")
        setattr(getattr(options, group) if group else options, last, value)
    return options


def test_options_that_are_set_later_hold_and_the_others_stay() -> None:
    inner = options_with(deterministic=False, autotune__ram_budget=100, workers="threads")
    dataset = Dataset.range(3).with_options(inner).batch(2).with_options(options_with(autotune__ram_budget=200))
    assert dataset.options() == options_with(deterministic=False, autotune__ram_budget=200, workers="threads")


def test_options_of_all_inputs_count() -> None:
    left = Dataset.range(3).with_options(options_with(workers="threads"))
    right = Dataset.range(3).with_options(options_with(deterministic=False))
    assert left.concatenate(right).options() == options_with(workers="threads", deterministic=False)


def test_later_changes_to_options_do_not_touch_a_dataset() -> None:
    options = options_with(workers="threads")
    dataset = Dataset.range(3).with_options(options)
    options.workers = "processes"
    assert dataset.options().workers == "threads"


def test_options_are_no_part_of_what_a_state_belongs_to() -> None:
    plain = Dataset.range(10).batch(2)
    iterator = plain.iter()
    next(iterator)
    tuned = plain.with_options(options_with(autotune__cpu_budget=1)).prefetch(2)
    assert [batch.tolist() for batch in tuned.iter(iterator.state())] == [[2, 3], [4, 5], [6, 7], [8, 9]]


def test_only_options_are_taken_for_options() -> None:
    with pytest.raises(ArgumentError, match="no options"):
        Dataset.range(3).with_options({"deterministic": False})  # type: ignore[arg-type]


def test_options_reach_the_engine() -> None:
    options = options_with(
        deterministic=False,
        workers="processes",
        autotune__enabled=False,
        autotune__cpu_budget=3,
        autotune__ram_budget=1000,
        threading__private_threadpool_size=5,
    )
    assert settings_of(options) == Settings(
        threads=5, is_fixed=True, processes=3, workers="processes", ram_budget=1000, is_tuned=False, deterministic=False
    )
    assert settings_of(Options()) == Settings()


def test_options_are_compared_by_what_is_set() -> None:
    assert options_with(workers="auto") == options_with(workers="auto")
    assert options_with(workers="auto") != Options()
    assert Options() != "options"
