"""CSV and lines of text."""

import gzip

from encoding import elements, fails, spec, values

TABLE = 'a,b,c,d\n1,2.5,x,7\n2,,"y, ""z""",\n-3,1e3,"two\nlines",9\n'


def _csv(folder, text=TABLE, name="table.csv"):
    path = folder / name
    path.write_text(text, newline="")
    return str(path)


def _dataset(tf):
    return tf.data.experimental.CsvDataset


def csv_with_types_and_defaults(tf, folder):
    data = _dataset(tf)(_csv(folder), [tf.int32, [0.5], tf.string, [-1]], header=True)
    return [elements(data), spec(data)["spec"]]


def csv_of_other_types(tf, folder):
    path = _csv(folder, "1,2.5,\n5000000000,1e-3,x\n", "doubles.csv")
    data = _dataset(tf)(path, [tf.int64, tf.float64, ["none"]])
    return [elements(data), spec(data)["spec"]]


def csv_of_some_columns(tf, folder):
    data = _dataset(tf)(_csv(folder), [tf.string, tf.int64], header=True, select_cols=[2, 0][::-1])
    return fails(lambda: list(data))


def csv_of_columns_in_order(tf, folder):
    data = _dataset(tf)(_csv(folder), [tf.int64, tf.string], header=True, select_cols=[0, 2])
    return [elements(data), spec(data)["spec"]]


def csv_without_a_value_that_is_required(tf, folder):
    data = _dataset(tf)(_csv(folder), [tf.int32, tf.float32, tf.string, tf.int32], header=True)
    return fails(lambda: list(data))


def csv_with_another_delimiter(tf, folder):
    path = _csv(folder, "1;2,5\n3;4\n", "semicolons.csv")
    return elements(_dataset(tf)(path, [tf.int32, tf.string], field_delim=";"))


def csv_with_marks_for_nothing(tf, folder):
    path = _csv(folder, "1,NA\nNA,2\n", "marks.csv")
    return elements(_dataset(tf)(path, [[-1], [-2.0]], na_value="NA"))


def csv_without_quotes(tf, folder):
    path = _csv(folder, 'a"b,"c"\n', "quotes.csv")
    return elements(_dataset(tf)(path, [tf.string, tf.string], use_quote_delim=False))


def csv_refuses_wrong_values(tf, folder):
    texts = ["1,x\n", "1\n", "1,2,3\n", "1.5,2\n", "99999999999,2\n", 'a"b,2\n', '"a"b,2\n']
    paths = [_csv(folder, text, f"wrong-{number}.csv") for number, text in enumerate(texts)]
    return [fails(lambda path=path: list(_dataset(tf)(path, [tf.int32, tf.int32]))) for path in paths]


def csv_with_windows_line_ends(tf, folder):
    path = _csv(folder, "1,a\r\n2,b\r\n", "windows.csv")
    return elements(_dataset(tf)(path, [tf.int32, tf.string]))


def csv_without_a_last_line_end(tf, folder):
    return elements(_dataset(tf)(_csv(folder, "1,a\n2,b", "open.csv"), [tf.int32, tf.string]))


def csv_of_several_files(tf, folder):
    paths = [_csv(folder, f"h\n{n}\n{n + 1}\n", f"part-{n}.csv") for n in (1, 5)]
    return elements(_dataset(tf)(paths, [tf.int64], header=True))


def csv_compressed(tf, folder):
    path = folder / "table.csv.gz"
    path.write_bytes(gzip.compress(b"1,2\n3,4\n"))
    return elements(_dataset(tf)(str(path), [tf.int32, tf.int32], compression_type="GZIP"))


def csv_in_batches_by_name(tf, folder):
    path = _csv(folder, "x,y,label\n1,a,0\n2,b,1\n3,,0\n", "named.csv")
    make = tf.data.experimental.make_csv_dataset
    data = make(path, 2, num_epochs=1, shuffle=False)
    labelled = make(path, 2, label_name="label", num_epochs=1, shuffle=False)
    some = make(path, 2, select_columns=["y", "x"], column_defaults=[[7], ["q"]], num_epochs=1, shuffle=False)
    return [[elements(one), spec(one)["spec"]] for one in (data, labelled, some)]


def csv_in_batches_infers_types(tf, folder):
    path = _csv(folder, "i,big,f,s,e\n1,5000000000,1.5,x,\n2,6,2,y,\n", "kinds.csv")
    data = tf.data.experimental.make_csv_dataset(path, 2, num_epochs=1, shuffle=False)
    return [elements(data), spec(data)["spec"]]


def csv_in_batches_refuses_an_unknown_label(tf, folder):
    make = tf.data.experimental.make_csv_dataset
    return fails(lambda: list(make(_csv(folder), 2, label_name="none", num_epochs=1)))


def lines(tf, folder):
    data = tf.data.TextLineDataset(_csv(folder, "one\n\ntwo\r\nthree", "lines.txt"))
    return [elements(data), spec(data)]


def lines_of_several_files(tf, folder):
    paths = [_csv(folder, "a\nb", "first.txt"), _csv(folder, "c\n", "second.txt")]
    return values(tf.data.TextLineDataset(paths))


def lines_compressed(tf, folder):
    path = folder / "lines.txt.gz"
    path.write_bytes(gzip.compress(b"a\nb\n"))
    return values(tf.data.TextLineDataset(str(path), compression_type="GZIP"))


def lines_of_a_missing_file(tf, folder):
    return fails(lambda: list(tf.data.TextLineDataset(str(folder / "none.txt"))))
