"""Run inside an environment that has TensorFlow: writes the models of `foreign_models`, and those that read strings.

python text_models.py FOLDER [NAME ...]
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from foreign_models import MODELS, model, seeded, texts, write

sys.path.insert(0, str(Path(__file__).parent / "graph_ops"))
from examples import example

LOOKUP = tf.lookup.TextFileIndex
HOSTILE = [b"credit CARD", b"", b"\xff\xfe", "é☃ 4,50 €".encode(), b"a,b,,c", b"  two  words ", b"x" * 99]


def vocabulary(folder, name, lines):
    """A file of lines that becomes an asset."""
    path = Path(folder).parent / name
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return tf.saved_model.Asset(str(path))


def text_table(asset, key, key_index, value, value_index):
    return tf.lookup.TextFileInitializer(asset.asset_path, key, key_index, value, value_index, delimiter="\t")


class Taxi(tf.Module):
    """What tf.Transform makes: features parsed, looked up, hashed, put in buckets, embedded, and labels named."""

    def __init__(self, folder):
        super().__init__()
        rng = np.random.default_rng(0)
        self.companies = vocabulary(folder, "companies.txt", [b"yellow cab", b"blue ribbon", "café".encode()])
        self.kinds = vocabulary(folder, "kinds.txt", [b"credit card\t1", b"cash\t7", b"mobile\t3"])
        ids = text_table(self.companies, tf.string, LOOKUP.WHOLE_LINE, tf.int64, LOOKUP.LINE_NUMBER)
        self.company_ids = tf.lookup.StaticVocabularyTable(ids, 5)
        self.kind_ids = tf.lookup.StaticHashTable(text_table(self.kinds, tf.string, 0, tf.int64, 1), -1)
        keys, names = tf.constant([0, 1, 2], tf.int64), tf.constant(["none", "low", "high"])
        self.labels = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, names), "?")
        self.embedding = tf.Variable(rng.standard_normal((16, 4)).astype("float32"))
        self.kernel = tf.Variable(rng.standard_normal((10, 3)).astype("float32"))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(self, examples):
        parsed = tf.io.parse_example(
            examples,
            {
                "company": tf.io.VarLenFeature(tf.string),
                "fare": tf.io.FixedLenFeature([], tf.float32, 0.0),
                "hours": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True, default_value=-1),
                "kind": tf.io.FixedLenFeature([], tf.string, "cash"),
                "pair": tf.io.FixedLenFeature([2], tf.float32, [1.0, 2.0]),
                "tags": tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64),
            },
        )
        company = parsed["company"]
        cleaned = tf.strings.lower(tf.strings.regex_replace(tf.strings.strip(company.values), r"\s+", " "))
        ids = tf.SparseTensor(company.indices, self.company_ids.lookup(cleaned), company.dense_shape)
        embedded = tf.nn.safe_embedding_lookup_sparse(self.embedding, ids, combiner="mean")
        kind = self.kind_ids.lookup(tf.strings.lower(parsed["kind"]))
        bucket = tf.raw_ops.Bucketize(input=parsed["fare"], boundaries=[1.0, 5.0, 20.0])
        tags = tf.strings.to_hash_bucket_fast(parsed["tags"], 16)
        counted = tf.cast(tf.math.bincount(tags, minlength=16, maxlength=16, axis=-1), tf.float32)
        numbers = tf.stack([tf.cast(kind, tf.float32), tf.cast(bucket, tf.float32), parsed["fare"]], 1)
        longest = tf.cast(tf.reduce_sum(tf.nn.relu(parsed["hours"]), 1, keepdims=True), tf.float32)
        features = tf.concat([embedded, numbers, parsed["pair"], longest + counted[:, :1]], 1)
        scores = tf.nn.softmax(tf.matmul(features * 0.1, self.kernel))
        dense = tf.sparse.to_dense(ids, default_value=-1)
        return {
            "scores": scores,
            "label": self.labels.lookup(tf.argmax(scores, 1)),
            "ids": dense,
            "tags": tags.to_tensor(),
        }


@model
def taxi(folder):
    made = Taxi(folder)
    tf.saved_model.save(made, folder, signatures=made.serve)
    requests = [
        example(
            fare=[12.5], hours=[3, 4], kind=[b"Credit Card"], company=[b" Yellow  CAB", b"nobody"], tags=[b"a", b"b"]
        ),
        example(pair=[0.5, 0.25], tags=[b"a"], company=["CAFÉ".encode(), "café".encode()]),
        example(fare=[2.0], kind=[b"\xff?"]),
        example(company=[b"blue ribbon", b"", b"blue ribbon"], kind=[b"mobile"]),
    ]
    yield "serving_default", {"examples": np.array(requests, object)}
    yield "serving_default", {"examples": np.array(requests[:1], object)}
    yield "serving_default", {"examples": np.zeros(0, object)}


class Text(tf.Module):
    """Strings, ragged tensors and tables that change."""

    def __init__(self):
        super().__init__()
        self.counts = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        self.counts.insert(tf.constant(["a", "words", "two"]), tf.constant([1, 2, 3], tf.int64))
        self.dense = tf.lookup.experimental.DenseHashTable(tf.int64, tf.float32, -1.0, 0, -1)
        self.dense.insert(tf.constant([5, 7], tf.int64), tf.constant([0.5, 0.75]))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def split(self, text):
        words = tf.strings.split(text)
        lengths = tf.ragged.map_flat_values(tf.strings.length, words)
        mapped = tf.map_fn(lambda row: tf.strings.reduce_join(row, separator="-"), words, fn_output_signature=tf.string)
        bigrams = tf.strings.ngrams(words, 2, separator="_")
        doubled = tf.concat([words, words], 1)
        letters = tf.strings.unicode_decode(text, "UTF-8", errors="replace")
        return {
            "words": words.to_tensor("<pad>"),
            "lengths": tf.reduce_sum(lengths, axis=1),
            "joined": mapped,
            "bigrams": bigrams.to_tensor(),
            "letters": letters.to_tensor(),
            "back": tf.strings.unicode_encode(letters, "UTF-8"),
            "known": tf.ragged.map_flat_values(self.counts.lookup, words).to_tensor(),
            "doubled": doubled.to_tensor(),
            "firsts": words[:, :1].to_sparse().values,
            "parts": tf.strings.split(text, sep=",").flat_values,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([None], tf.int64, "ids")])
    def write(self, x, ids):
        spelled = tf.strings.as_string(x, precision=2)
        unique, places, counts = tf.unique_with_counts(ids)
        crossed = tf.sparse.cross_hashed([spelled[:, None], tf.sparse.from_dense(ids[:, None])], num_buckets=1000)
        parts = tf.dynamic_partition(ids, tf.cast(ids % 2, tf.int32), 2)
        return {
            "spelled": spelled,
            "numbers": tf.strings.to_number(spelled),
            "formatted": tf.strings.format("x = {}", x),
            "unique": unique,
            "places": places,
            "counts": counts,
            "crossed": tf.sparse.to_dense(crossed),
            "odd": parts[1],
            "positive": tf.where(x > 0),
            "masked": tf.boolean_mask(ids, x > 0),
            "strong": tf.strings.to_hash_bucket_strong(spelled, 100, [3, 4]),
            "looked": self.dense.lookup(tf.maximum(ids, 1)),
            "coded": tf.io.decode_base64(tf.io.encode_base64(spelled)),
            "both": tf.sets.intersection(ids[None, :], tf.constant([[5, 7]], tf.int64)).values,
        }


@model
def text(folder):
    made = Text()
    signatures = {name: getattr(made, name).get_concrete_function() for name in ("split", "write")}
    tf.saved_model.save(made, folder, signatures=signatures)
    yield "split", {"text": np.array(HOSTILE, object)}
    yield "split", {"text": texts("one")}
    yield "write", {"x": np.float32([1.25, -2.5, 1e10]), "ids": np.int64([5, 7, 5])}
    yield "write", {"x": np.float32([0.0]), "ids": np.int64([2**40])}


@model
def preprocessing(folder):
    seeded()
    from keras import Input, Model, layers

    words = texts("the cat sat", "the dog sat on the mat", "a cat, a dog!", "")
    text, city = Input((), dtype="string", name="text"), Input((), dtype="string", name="city")
    age, code = Input((1,), name="age"), Input((), dtype="int64", name="code")
    vectors = layers.TextVectorization(max_tokens=20, output_sequence_length=6, ngrams=2)
    weights = layers.TextVectorization(max_tokens=12, output_mode="tf_idf")
    vectors.adapt(words)
    weights.adapt(words)
    cities = layers.StringLookup(vocabulary=["Köln", "Bern", "Paris"], num_oov_indices=2, output_mode="one_hot")
    codes = layers.IntegerLookup(vocabulary=[10, 20, 2**40], output_mode="int")
    normal = layers.Normalization(mean=[30.0], variance=[100.0])
    names = layers.StringLookup(vocabulary=["x", "y"], invert=True)
    buckets = layers.Discretization([20.0, 40.0, 60.0])(age)
    outputs = {
        "vectors": layers.Embedding(20, 4)(vectors(text)),
        "weights": weights(text),
        "city": cities(city),
        "hashed": layers.Hashing(50, salt=[3, 9])(city),
        "plain": layers.Hashing(50)(city),
        "code": codes(code),
        "encoded": layers.CategoryEncoding(4, output_mode="multi_hot")(buckets),
        "age": layers.Dense(2)(normal(age)),
        "name": names(codes(code)),
    }
    Model([text, city, age, code], outputs).export(folder, verbose=False)
    yield (
        "serving_default",
        {
            "text": texts("The CAT sat!", "", "on a mat é", "dog dog dog unknown words here and more"),
            "city": texts("Bern", "Köln", "?", ""),
            "age": np.float32([[19.0], [20.0], [45.5], [99.0]]),
            "code": np.int64([10, 2**40, 7, 20]),
        },
    )


if __name__ == "__main__":
    for each in sys.argv[2:] or MODELS:
        write(sys.argv[1], each)
