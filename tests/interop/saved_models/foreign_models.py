"""Run inside an environment that has TensorFlow: writes SavedModels, and what TensorFlow answers by them.

    python foreign_models.py FOLDER [NAME ...]

Each model is a folder of its own, with requests and answers in `NAME.npz`: ``in.SIGNATURE.NUMBER.NAME`` and
``out.SIGNATURE.NUMBER.NAME``, strings as arrays of NumPy's byte strings.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

MODELS = {}


def model(function):
    """Register what writes a model: it gets the folder, and yields requests as ``signature, inputs``."""
    MODELS[function.__name__] = function
    return function


def seeded():
    import keras

    keras.utils.set_random_seed(0)
    return np.random.default_rng(0)


def texts(*values):
    return np.array([value.encode() for value in values], object)


@model
def module(folder):
    rng = np.random.default_rng(0)

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(rng.standard_normal((4, 3)).astype("float32"))
            self.counter = tf.Variable(0, dtype=tf.int64, trainable=False)
            keys, values = tf.constant(["credit", "cash", "mobile"]), tf.constant([2, 0, 1], tf.int64)
            self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), -1)

        @tf.function(
            input_signature=[tf.TensorSpec([None, 4], tf.float32, "x"), tf.TensorSpec([None], tf.string, "kind")]
        )
        def score(self, x, kind):
            ids = self.table.lookup(kind)
            return {"scores": tf.matmul(x, self.weight) + tf.cast(ids[:, None], tf.float32), "ids": ids}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int32, "n")])
        def powers(self, n):
            total = tf.zeros([3])
            for step in tf.range(n):
                total = total * 0.5 + tf.cast(step, tf.float32)
                if step > 3:
                    total -= 1.0
            return {"total": total, "steps": tf.range(n) * 2}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int64, "by")])
        def count(self, by):
            self.counter.assign_add(by)
            return {"count": self.counter.read_value()}

        @tf.function
        def shift(self, values, by=1.0, *, negate=False):
            first, second = values["first"], values["second"]
            return {"sum": first + second + by, "pair": (first, -second if negate else second)}

    made = Module()
    made.shift({"first": tf.constant([1.0, 2.0]), "second": tf.constant([3.0, 4.0])})
    made.shift({"first": tf.constant([1.0, 2.0]), "second": tf.constant([3.0, 4.0])}, negate=True)
    signatures = {name: getattr(made, name).get_concrete_function() for name in ("score", "powers", "count")}
    tf.saved_model.save(made, folder, signatures=signatures)
    yield "score", {"x": rng.standard_normal((3, 4)).astype("float32"), "kind": texts("credit", "?", "mobile")}
    yield "score", {"x": np.zeros((0, 4), "float32"), "kind": np.zeros(0, object)}
    yield "powers", {"n": np.int32(6)}
    yield "powers", {"n": np.int32(0)}
    yield "count", {"by": np.int64(5)}
    yield "count", {"by": np.int64(2**40)}


@model
def dynamic(folder):
    """Loops and conditionals whose shapes depend on values, lists that grow, strings in loops, 64-bit numbers."""

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.narrow = tf.Variable(tf.constant([1.5, -2.0, 3.0], tf.bfloat16))
            self.big = tf.Variable(np.arange(3000, dtype="float32").reshape(1000, 3) / 100)
            self.wide = tf.Variable(np.float64([1e-9, 1.0, 2.0]))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "values")])
        def collect(self, values):
            kept = tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=[])
            grown = tf.zeros([0], tf.int32)
            for value in values:
                tf.autograph.experimental.set_loop_options(shape_invariants=[(grown, tf.TensorShape([None]))])
                if value % 2 == 0:
                    kept = kept.write(kept.size(), value)
                    grown = tf.concat([grown, [value, value]], 0)
            return {"kept": kept.stack(), "grown": grown}

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x"), tf.TensorSpec([], tf.int32, "branch")])
        def branches(self, x, branch):
            chosen = tf.switch_case(branch, [lambda: x * 2, lambda: tf.exp(x), lambda: x - self.big[: tf.shape(x)[0]]])
            shorter = tf.cond(tf.reduce_sum(x) > 0, lambda: x[:1], lambda: x)
            mapped = tf.map_fn(lambda row: tf.reduce_sum(row) * row, x)
            scanned = tf.scan(lambda total, row: total * 0.5 + row, x)
            return {"chosen": chosen, "shorter": shorter, "mapped": mapped, "scanned": scanned}

        @tf.function(input_signature=[tf.TensorSpec([], tf.string, "text"), tf.TensorSpec([], tf.int64, "times")])
        def repeat(self, text, times):
            made, count = tf.constant(""), tf.constant(0, tf.int64)
            while count < times:
                made, count = tf.strings.join([made, text], "+"), count + 1
            return {"made": made, "wide": self.wide * tf.cast(times, tf.float64), "count": count + 2**40}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "rows")])
        def look_up(self, rows):
            picked = tf.gather(self.big, rows)
            narrow = tf.cast(tf.cast(picked, tf.bfloat16) * self.narrow, tf.float32)
            return {"picked": picked, "narrow": narrow, "unique": tf.unique(rows).y, "where": tf.where(rows > 5)}

    made = Module()
    names = ("collect", "branches", "repeat", "look_up")
    sharded = tf.saved_model.SaveOptions(
        experimental_sharding_callback=tf.train.experimental.MaxShardSizePolicy(max_shard_size=6000)
    )
    signatures = {name: getattr(made, name).get_concrete_function() for name in names}
    tf.saved_model.save(made, folder, signatures=signatures, options=sharded)
    rng = np.random.default_rng(0)
    yield "collect", {"values": np.array([4, 1, 6, 3, 8], "int32")}
    yield "collect", {"values": np.array([1, 3], "int32")}
    for branch in (0, 1, 2, 5):
        yield "branches", {"x": rng.standard_normal((3, 3)).astype("float32"), "branch": np.int32(branch)}
    yield "repeat", {"text": np.array("é".encode(), object), "times": np.int64(3)}
    yield "look_up", {"rows": np.array([7, 0, 999, 7, 6], "int64")}


@model
def mlp(folder):
    rng = seeded()
    from keras import Sequential, layers

    made = Sequential(
        [
            layers.Input((8,), name="x"),
            layers.Normalization(mean=np.arange(8.0), variance=np.ones(8)),
            layers.Dense(32, "gelu"),
            layers.BatchNormalization(),
            layers.LayerNormalization(),
            layers.Dropout(0.3),
            layers.Dense(3, "softmax"),
        ]
    )
    made.export(folder, verbose=False)
    yield "serving_default", {"x": rng.standard_normal((5, 8)).astype("float32")}
    yield "serving_default", {"x": rng.standard_normal((1, 8)).astype("float32")}


@model
def cnn(folder):
    rng = seeded()
    from keras import Sequential, layers

    made = Sequential(
        [
            layers.Input((28, 28, 1), name="image"),
            layers.Rescaling(1 / 255.0),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(16, 3, padding="same"),
            layers.AveragePooling2D(2),
            layers.Conv2DTranspose(4, 3, strides=2),
            layers.UpSampling2D(interpolation="bilinear"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    made.export(folder, verbose=False)
    yield "serving_default", {"image": rng.uniform(0, 255, (2, 28, 28, 1)).astype("float32")}


@model
def recurrent(folder):
    rng = seeded()
    from keras import Input, Model, layers

    words = Input((None,), dtype="int32", name="words")
    x = layers.Embedding(100, 16, mask_zero=True)(words)
    x = layers.Bidirectional(layers.LSTM(12, return_sequences=True))(x)
    x = layers.GRU(8)(x)
    Model(words, layers.Dense(2)(x)).export(folder, verbose=False)
    yield "serving_default", {"words": rng.integers(0, 5, (3, 7)).astype("int32")}
    yield "serving_default", {"words": rng.integers(0, 50, (2, 4)).astype("int32")}


@model
def attention(folder):
    rng = seeded()
    import keras
    from keras import Input, Model, layers

    words, mask = Input((16,), dtype="int32", name="words"), Input((16,), dtype="int32", name="mask")
    x = layers.Embedding(200, 32)(words) + layers.Embedding(16, 32)(keras.ops.arange(16))
    for _ in range(2):
        seen = keras.ops.expand_dims(keras.ops.cast(mask, "bool"), 1)
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 8)(x, x, attention_mask=seen))
        x = layers.LayerNormalization()(x + layers.Dense(32)(layers.Dense(64, "gelu")(x)))
    Model([words, mask], layers.Dense(3)(x[:, 0])).export(folder, verbose=False)
    yield (
        "serving_default",
        {"words": rng.integers(0, 200, (4, 16)).astype("int32"), "mask": (rng.random((4, 16)) > 0.3).astype("int32")},
    )


def disturbed(made, rng):
    """A model without weights to download answers the same to everything: give its normalisations other statistics."""
    from keras import layers

    for layer in made.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.get_weights()[0].shape
            low, high = rng.uniform(0.8, 1.6, size), rng.uniform(0.3, 1.0, size)
            layer.set_weights([low, rng.normal(0, 0.2, size), rng.normal(0, 0.2, size), high])
    return made


@model
def mobilenet(folder):
    rng = seeded()
    from keras import applications

    made = applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=10, classifier_activation=None)
    disturbed(made, rng).export(folder, verbose=False)
    yield "serving_default", {made.inputs[0].name: rng.uniform(-1, 1, (2, 96, 96, 3)).astype("float32")}


@model
def resnet(folder):
    rng = seeded()
    from keras import applications

    made = applications.ResNet50(input_shape=(64, 64, 3), weights=None, classes=10, classifier_activation=None)
    disturbed(made, rng).export(folder, verbose=False)
    yield "serving_default", {made.inputs[0].name: rng.uniform(-1, 1, (2, 64, 64, 3)).astype("float32")}


@model
def conditional(folder):
    """A graph of TensorFlow 1: conditionals and loops of its own kind, a partitioned variable, a table from a file."""
    v1 = tf.compat.v1
    rng = np.random.default_rng(0)
    vocabulary = Path(folder).parent / "vocabulary.txt"
    vocabulary.write_text("apple\npear\nplum\n")
    with tf.Graph().as_default(), v1.Session() as session:
        v1.disable_control_flow_v2()
        x = v1.placeholder(tf.float32, [None, 4], "x")
        flag = v1.placeholder_with_default(False, [], "flag")
        with v1.variable_scope("dense", partitioner=v1.fixed_size_partitioner(2)):
            kernel = v1.get_variable("kernel", (4, 6), initializer=v1.random_normal_initializer(seed=1))
        scale = v1.get_variable("scale", initializer=np.float32(1.5), use_resource=True)
        h = tf.matmul(x, kernel) * scale
        chosen = v1.cond(flag, lambda: tf.nn.relu(h) + 1.0, lambda: v1.cond(scale > 1.0, lambda: -h, lambda: h))
        constant = v1.cond(flag, lambda: tf.constant(1.0), lambda: tf.constant(2.0))
        _, total = v1.while_loop(
            lambda i, t: i < 5,
            lambda i, t: (i + 1, v1.cond(tf.equal(i % 2, 0), lambda: t + tf.cast(i, tf.float32), lambda: t * 0.5)),
            [tf.constant(0), chosen],
        )
        summed = v1.while_loop(
            lambda i, rows: i < tf.shape(total)[0],
            lambda i, rows: (i + 1, rows.write(i, tf.reduce_sum(total[i]))),
            [tf.constant(0), tf.TensorArray(tf.float32, tf.shape(total)[0])],
        )[1].stack()
        words = v1.placeholder(tf.string, [None], "words")
        file = tf.constant(str(vocabulary))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, file)
        lines, numbers = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        content = tf.lookup.TextFileInitializer(file, tf.string, lines, tf.int64, numbers)
        table = tf.lookup.StaticHashTable(content, -1)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        build = v1.saved_model.build_tensor_info
        define = v1.saved_model.signature_def_utils.build_signature_def
        builder = v1.saved_model.Builder(folder)
        signatures = {
            "serving_default": define(
                {"x": build(x), "flag": build(flag)},
                {"total": build(total), "constant": build(constant), "summed": build(summed)},
                "tensorflow/serving/predict",
            ),
            "look_up": define({"words": build(words)}, {"ids": build(table.lookup(words))}, "look_up"),
        }
        builder.add_meta_graph_and_variables(
            session,
            [v1.saved_model.tag_constants.SERVING],
            signatures,
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
    inputs = rng.standard_normal((3, 4)).astype("float32")
    yield "serving_default", {"x": inputs, "flag": np.bool_(True)}
    yield "serving_default", {"x": inputs[:2], "flag": np.bool_(False)}
    yield "look_up", {"words": texts("plum", "?", "apple")}


@model
def session_loops(folder):
    """A recurrent network of TensorFlow 1: `dynamic_rnn`, a nested loop, `map_fn`."""
    v1 = tf.compat.v1
    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), v1.Session() as session:
        v1.disable_control_flow_v2()
        x = v1.placeholder(tf.float32, [None, None, 3], "x")
        lengths = v1.placeholder(tf.int32, [None], "lengths")
        matrix = v1.get_variable("matrix", initializer=rng.standard_normal((8, 5)).astype("float32"))
        state = tf.zeros([tf.shape(x)[0], 5])
        steps = tf.shape(x)[1]
        inputs = tf.TensorArray(tf.float32, steps).unstack(tf.transpose(x, [1, 0, 2]))

        def step(time, state, outputs):
            given = tf.concat([inputs.read(time), state], 1)
            new = tf.tanh(tf.matmul(given, matrix))
            state = tf.where(tf.tile((time < lengths)[:, None], [1, 5]), new, state)
            return time + 1, state, outputs.write(time, state)

        _, last, outputs = v1.while_loop(
            lambda time, *_: time < steps, step, [tf.constant(0), state, tf.TensorArray(tf.float32, steps)]
        )
        everything = tf.transpose(outputs.stack(), [1, 0, 2])

        def outer(i, a):
            inner = v1.while_loop(lambda j, b: j < i, lambda j, b: (j + 1, b + tf.cast(j, tf.float32)), [0, a])
            return i + 1, inner[1] * 0.5

        nested = v1.while_loop(lambda i, a: i < 4, outer, [tf.constant(0), last])[1]
        mapped = tf.map_fn(lambda row: tf.reduce_max(row) + row[0], last)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(
            session,
            folder,
            {"x": x, "lengths": lengths},
            {"last": last, "everything": everything, "nested": nested, "mapped": mapped},
        )
    yield (
        "serving_default",
        {"x": rng.standard_normal((3, 6, 3)).astype("float32"), "lengths": np.array([6, 2, 0], "int32")},
    )


def plain(value):
    array = np.asarray(value)
    return array.astype("S") if array.dtype == object else array


def write(folder, name):
    target = str(Path(folder) / name)
    stored, loaded = {}, None
    requests = list(MODELS[name](target))
    loaded = tf.saved_model.load(target)
    for number, (signature, inputs) in enumerate(requests):
        outputs = loaded.signatures[signature](**{key: tf.constant(value) for key, value in inputs.items()})
        stored |= {f"in.{signature}.{number}.{key}": plain(value) for key, value in inputs.items()}
        stored |= {f"out.{signature}.{number}.{key}": plain(value.numpy()) for key, value in outputs.items()}
    np.savez(f"{target}.npz", **stored)


if __name__ == "__main__":
    for each in sys.argv[2:] or MODELS:
        write(sys.argv[1], each)
