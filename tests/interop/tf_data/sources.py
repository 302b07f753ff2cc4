"""Where elements come from: arrays, structures, generators."""

import numpy as np
from encoding import elements, fails, spec, values


def _both(data):
    return [elements(data), spec(data)]


def slices_of_an_array(tf, folder):
    return _both(tf.data.Dataset.from_tensor_slices(np.arange(6, dtype=np.float32).reshape(3, 2)))


def slices_of_a_list_of_integers(tf, folder):
    return _both(tf.data.Dataset.from_tensor_slices([1, 2, 3]))


def slices_of_a_list_of_floats(tf, folder):
    return _both(tf.data.Dataset.from_tensor_slices([1.0, 2.5]))


def slices_of_lists_in_a_list(tf, folder):
    return _both(tf.data.Dataset.from_tensor_slices([[1, 2], [3, 4]]))


def slices_of_a_tuple(tf, folder):
    return _both(tf.data.Dataset.from_tensor_slices(([1, 2], [3.0, 4.0], ["a", "b"])))


def slices_of_a_dict(tf, folder):
    return _both(tf.data.Dataset.from_tensor_slices({"b": [1, 2], "a": {"c": [True, False]}}))


def slices_of_strings(tf, folder):
    return _both(tf.data.Dataset.from_tensor_slices(["a", "é", ""]))


def slices_of_an_array_of_strings(tf, folder):
    return _both(tf.data.Dataset.from_tensor_slices(np.array([[b"a", b"bc"], [b"", b"d"]])))


def slices_of_every_dtype(tf, folder):
    integers = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    names = ["bool", *integers, "float16", "float32", "float64"]
    return {name: _both(tf.data.Dataset.from_tensor_slices(np.ones(2, name))) for name in names}


def slices_refuse_different_lengths(tf, folder):
    return fails(lambda: tf.data.Dataset.from_tensor_slices((np.arange(3), np.arange(4))))


def slices_refuse_a_scalar(tf, folder):
    return fails(lambda: tf.data.Dataset.from_tensor_slices(5))


def tensors_are_one_element(tf, folder):
    return [
        _both(tf.data.Dataset.from_tensors([1, 2, 3])),
        _both(tf.data.Dataset.from_tensors({"a": 1.5, "b": ("x", np.zeros((2, 2)))})),
    ]


def generator_with_a_signature(tf, folder):
    signature = (tf.TensorSpec([], tf.int32), tf.TensorSpec([None], tf.float32))
    rows = [(1, [1.0]), (2, [1.0, 2.0]), (3, [])]
    return _both(tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=signature))


def generator_of_dicts(tf, folder):
    signature = {"a": tf.TensorSpec([], tf.string), "b": tf.TensorSpec([2], tf.int64)}
    rows = [{"a": "x", "b": [1, 2]}, {"a": b"y", "b": np.array([3, 4])}]
    return _both(tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=signature))


def generator_with_types(tf, folder):
    data = tf.data.Dataset.from_generator(lambda: iter([1, 2]), output_types=tf.int64, output_shapes=())
    return _both(data)


def generator_with_types_alone(tf, folder):
    return elements(tf.data.Dataset.from_generator(lambda: iter([[1], [1, 2]]), output_types=tf.int64))


def generator_with_arguments(tf, folder):
    def count(stop):
        yield from range(int(stop))

    return values(tf.data.Dataset.from_generator(count, args=(3,), output_signature=tf.TensorSpec([], tf.int64)))


def generator_starts_anew(tf, folder):
    data = tf.data.Dataset.from_generator(lambda: iter(range(3)), output_signature=tf.TensorSpec([], tf.int64))
    return [values(data), values(data.repeat(2))]


def generator_refuses_another_shape(tf, folder):
    data = tf.data.Dataset.from_generator(lambda: iter([[1, 2]]), output_signature=tf.TensorSpec([3], tf.int64))
    return fails(lambda: list(data))


def generator_refuses_another_dtype(tf, folder):
    data = tf.data.Dataset.from_generator(lambda: iter(["a"]), output_signature=tf.TensorSpec([], tf.int64))
    return fails(lambda: list(data))


def generator_refuses_another_structure(tf, folder):
    signature = (tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int64))
    return fails(lambda: list(tf.data.Dataset.from_generator(lambda: iter([1]), output_signature=signature)))


def list_files_in_order(tf, folder):
    for name in ("b.txt", "a.txt", "c.csv"):
        (folder / "listed").mkdir(exist_ok=True)
        (folder / "listed" / name).write_text(name)
    data = tf.data.Dataset.list_files(str(folder / "listed" / "*.txt"), shuffle=False)
    shuffled = tf.data.Dataset.list_files(str(folder / "listed" / "*"), seed=1)
    names = [[path.rsplit("/", 1)[-1] for path in some] for some in (values(data), sorted(values(shuffled)))]
    return [names, spec(data), fails(lambda: list(tf.data.Dataset.list_files(str(folder / "listed" / "*.none"))))]


def save_and_load(tf, folder):
    data = tf.data.Dataset.from_tensor_slices({"a": np.arange(5), "b": [b"x", b"", b"yz", b"w", b"v"]})
    path = str(folder / f"saved-{tf.__name__}")
    data.save(path)
    return _both(tf.data.Dataset.load(path))
