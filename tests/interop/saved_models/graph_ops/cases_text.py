"""Strings: patterns, encodings, n-grams, CSV, base 64, bytes of numbers."""

import numpy as np
from case import case, i32, i64, words

TEXT = words("Hello World", "", "aXbXc", "snowman ☃ here", b"\xff\xfe raw", "2024-11-28", "tab\tnew\nline", "aaa")
PATTERNS = [
    ("[aeiou]", "_"),
    ("(\\w+)-(\\w+)", "\\2:\\1"),
    ("^", "> "),
    ("$", "!"),
    ("", "-"),
    (".", "<\\0>"),
    ("\\bW", "w"),
    ("[^\\x00-\\x7F]", "?"),
    ("(?i)hello|x", ""),
    ("a*?", "z"),
    ("\\s+", " "),
    ("[[:punct:]]|\\pL", "\\\\"),
    ("\\Qa", "q"),
    ("(a)(a)(a)", "\\3\\1"),
]
for pattern, rewrite in PATTERNS:
    for everywhere in (True, False):
        case("StaticRegexReplace", input=TEXT, pattern=pattern, rewrite=rewrite, replace_global=everywhere)
    case("StaticRegexFullMatch", input=TEXT, pattern=pattern)
    case("StaticRegexFullMatch", input=TEXT, pattern=f"{pattern}.*")
scalar = [words(each).reshape(()) for each in ("l+", "L", "(", ")(", "(?=x)")]
case("RegexReplace", input=TEXT.reshape(2, 4), pattern=scalar[0], rewrite=scalar[1])
case("RegexFullMatch", input=TEXT.reshape(2, 4), pattern=scalar[0])
case("RegexFullMatch", input=TEXT[:0], pattern=scalar[0])
case("RegexFullMatch", input=words("a|b", "a", "ab"), pattern=words("a|b").reshape(()))
for wrong in scalar[2:]:
    case("RegexFullMatch", input=TEXT, pattern=wrong, _fails=True)
    case("RegexReplace", input=TEXT, pattern=wrong, rewrite=scalar[1], _fails=True)

BROKEN = words(
    "aé☃\U0001f600", "", b"a\xffb\xe2\x98", b"\xed\xa0\x80x", b"\xf0\x9f\x98\x80\xf0\x9f", "\x00\x1f\x7f", b"\xc0\x80"
)
for op in ("UnicodeDecode", "UnicodeDecodeWithOffsets"):
    for errors in ("replace", "ignore"):
        for controls in (False, True):
            options = {"errors": errors, "replace_control_characters": controls}
            case(op, input=BROKEN, input_encoding="UTF-8", **options)
            case(op, input=words("aé☃\U0001f600".encode("utf-16-be")), input_encoding="UTF-16-BE", **options)
            case(op, input=words("aé☃\U0001f600".encode("utf-32-be")), input_encoding="UTF-32-BE", **options)
            case(op, input=words(b"caf\xe9"), input_encoding="ISO-8859-1", **options)
            case(op, input=words(b"ab\x80"), input_encoding="US-ASCII", **options)
    case(op, input=BROKEN, input_encoding="UTF-8", errors="strict", _fails=True)
    case(op, input=BROKEN[:2], input_encoding="UTF-8", errors="strict")
    case(op, input=BROKEN, input_encoding="nonsense", _fails=True)
    case(op, input=BROKEN, input_encoding="UTF-8", replacement_char=63)
    case(op, input=BROKEN[:0], input_encoding="UTF-8")
case("UnicodeDecode", input=BROKEN.reshape(7, 1)[:2], input_encoding="UTF-8")
for target in ("UTF-8", "UTF-16-BE", "UTF-32-BE"):
    for errors in ("replace", "ignore"):
        case("UnicodeTranscode", input=BROKEN, input_encoding="UTF-8", output_encoding=target, errors=errors)
        points = i32([97, 0x1F600, 0xD800, 0x110000, -1, 0, 0x2603])
        case(
            "UnicodeEncode", input_values=points, input_splits=i64([0, 2, 2, 7]), output_encoding=target, errors=errors
        )
case("UnicodeTranscode", input=BROKEN, input_encoding="UTF-8", output_encoding="UTF-8", replace_control_characters=True)
case("UnicodeTranscode", input=BROKEN, input_encoding="UTF-8", output_encoding="UTF-8", errors="strict", _fails=True)
case("UnicodeTranscode", input=words(b"caf\xe9\x80"), input_encoding="windows-1252", output_encoding="UTF-8")
case(
    "UnicodeEncode",
    input_values=i32([0xD800]),
    input_splits=i64([0, 1]),
    output_encoding="UTF-8",
    errors="strict",
    _fails=True,
)
case("UnicodeEncode", input_values=i32([97]), input_splits=i64([0, 2]), output_encoding="UTF-8", _fails=True)

ROWS = words("a", "b", "c", "d", "e")
for padding in (-1, 0, 1, 2):
    for short in (False, True):
        for widths in ([1], [2], [3, 2], [6]):
            case(
                "StringNGrams",
                data=ROWS,
                data_splits=i64([0, 3, 3, 4, 5]),
                separator="|",
                ngram_widths=widths,
                left_pad="L",
                right_pad="R",
                pad_width=padding,
                preserve_short_sequences=short,
            )
GRAMS = {"separator": " ", "ngram_widths": [2], "left_pad": "", "right_pad": "", "pad_width": 0}
case("StringNGrams", data=ROWS, data_splits=i32([0, 5]), preserve_short_sequences=False, **GRAMS)
case("StringNGrams", data=ROWS, data_splits=i64([0, 9]), preserve_short_sequences=False, _fails=True, **GRAMS)

LINES = words("1,2.5,abc", ' 7 ,,"q,""x"""', "-3,1e3,")
DEFAULTS = [i32([9]), np.array([0.5], np.float32), words("none")]
case("DecodeCSV", records=LINES, record_defaults=DEFAULTS)
case("DecodeCSV", records=LINES.reshape(3, 1), record_defaults=DEFAULTS)
case("DecodeCSV", records=words("1,NA,x"), record_defaults=DEFAULTS, na_value="NA")
case("DecodeCSV", records=LINES, record_defaults=[i32([0]), words("")], select_cols=[0, 2])
case("DecodeCSV", records=words("1;2;3", '4;"5";6'), record_defaults=[i64([])] * 3, field_delim=";")
case("DecodeCSV", records=words('1,"2'), record_defaults=[i64([]), words("")], use_quote_delim=False)
for wrong, defaults in (
    ("1,2", DEFAULTS),
    ("1,2,3,4", DEFAULTS),
    ("x,2,a", DEFAULTS),
    ("1.5,2,a", DEFAULTS),
    ('1,2,a"b', DEFAULTS),
    ('1,2,"ab', DEFAULTS),
    ('1,2,"a"b"', DEFAULTS),
    ("", DEFAULTS),
    ("", [words("z")]),
    (",2,c", [i32([]), *DEFAULTS[1:]]),
):
    case("DecodeCSV", records=words(wrong), record_defaults=defaults, _fails=True)

PLAIN = words("", "f", "fo", "foo", b"\xff\xfe\xfd\x00>?", "longer text here")
for pad in (False, True):
    case("EncodeBase64", input=PLAIN, pad=pad)
case("DecodeBase64", input=words("", "Zg", "Zg==", "Zm8", "Zm8=", "Zm9v", "__79AD4_", "Zh=="))
for wrong in ("Z", "Zg=", "Zg===", "Zm9v!", "+/79", "Zm 9v", "=", "====", "Zm=9", "ABCDE", "Zm9v===="):
    case("DecodeBase64", input=words("Zm9v", wrong), _fails=True)

NUMBERS = np.arange(6, dtype=np.int16)
case("DecodeRaw", bytes=words(NUMBERS.tobytes(), NUMBERS[::-1].tobytes()), out_type=np.int16)
case("DecodeRaw", bytes=words(NUMBERS.tobytes()).reshape(()), out_type=np.int16, little_endian=False)
case("DecodeRaw", bytes=words(np.arange(3.0).tobytes()), out_type=np.float64)
case("DecodeRaw", bytes=words("abc", "def"), out_type=np.uint8)
case("DecodeRaw", bytes=words("abcd").reshape(()), out_type=np.float32)
case("DecodeRaw", bytes=words("")[:0], out_type=np.uint8)
case("DecodeRaw", bytes=words("", ""), out_type=np.int32)
case("DecodeRaw", bytes=words("abc", "de"), out_type=np.uint8, _fails=True)
case("DecodeRaw", bytes=words("abc"), out_type=np.int16, _fails=True)
case("DecodePaddedRaw", input_bytes=words("abc", "", "abcdefgh"), fixed_length=i32(4), out_type=np.int16)
case("DecodePaddedRaw", input_bytes=words("abcd"), fixed_length=i32(4), out_type=np.int16, little_endian=False)
case("DecodePaddedRaw", input_bytes=words("abc"), fixed_length=i32(3), out_type=np.int16, _fails=True)
case("DecodePaddedRaw", input_bytes=words("abc"), fixed_length=i32(0), out_type=np.int16, _fails=True)
