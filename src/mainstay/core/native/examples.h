/* tf.Example: the wire format into columns, columns of strings out of spans, and columns into the wire format. */
#ifndef MAINSTAY_EXAMPLES_H
#define MAINSTAY_EXAMPLES_H

#include "mainstay_native.h"

/* The kinds of a Feature are the numbers of its fields. */
enum { KIND_NONE = 0, KIND_BYTES = 1, KIND_FLOAT = 2, KIND_INT64 = 3 };

/* A later entry of a key that has no list empties a ragged feature, and leaves a sequence as it is. */
enum { WIDTH_RAGGED = -1, WIDTH_SEQUENCE = -2 };

/* What a parse ends with. */
enum {
    PARSE_DONE = 0,
    PARSE_MALFORMED = 1, /* the record is not an Example */
    PARSE_KIND = 2,      /* a feature has another kind */
    PARSE_COUNT = 3,     /* a feature has another number of values */
    PARSE_MISSING = 4,   /* a feature without a default is not there */
    PARSE_ROOM = 5       /* the room for a ragged feature is used up: enlarge it and go on with the same record */
};

/* One feature that is asked for. Every field has eight bytes: Python fills an array of int64, row by row. */
typedef struct {
    const uint8_t *name;
    int64_t name_size;
    int64_t kind;
    int64_t width;    /* values of each record; below 0: ragged, as many as there are, see WIDTH_* */
    void *values;     /* float, int64_t, or for strings pairs of int64_t: offset in the buffer, length */
    int64_t room;     /* ragged: how many values there is room for */
    int64_t *splits;  /* ragged: [records + 1]; the first is set by the caller */
    uint8_t *seen;    /* [records]: whether the feature was there; 0 where it must be */
    int64_t used;     /* ragged: values so far */
    int64_t row;      /* the last record that had the feature; the caller sets -1 */
    int64_t found;    /* its kind there */
    int64_t count;    /* its number of values there */
    int64_t next;     /* the feature that followed it last time */
} example_feature;

/* Parses records `first` to `count` of the `size` bytes of `buffer` into the columns of `features`. `table` has `slots` entries, all zero, a
   power of two more than twice the features. Returns PARSE_*; `report` then holds the record, the feature, the kind that
   was found and the number of values that was found. */
MAINSTAY_EXPORT int64_t mainstay_parse_examples(const uint8_t *buffer, int64_t size, const int64_t *offsets,
                                                const int64_t *lengths, int64_t first, int64_t count,
                                                example_feature *features, int64_t num_features, int32_t *table,
                                                int64_t slots, int64_t *report);

/* Sums the lengths of `count` spans; a span whose length is negative stands for entry `i % period` of the defaults. */
MAINSTAY_EXPORT int64_t mainstay_measure_spans(const int64_t *spans, int64_t count, const int64_t *default_bounds,
                                               int64_t period);

/* Copies spans one behind the other into `data`, which has room, and writes `count + 1` offsets of 32 or 64 bits. */
MAINSTAY_EXPORT void mainstay_gather_spans(const uint8_t *buffer, const int64_t *spans, int64_t count,
                                           const uint8_t *defaults, const int64_t *default_bounds, int64_t period,
                                           uint8_t *data, void *offsets, int32_t wide);

/* One column to be written: row `i` has the values `splits[i]` to `splits[i + 1]`. */
typedef struct {
    const uint8_t *key;
    int64_t key_size;
    int64_t kind;
    const int64_t *splits;
    const void *values;    /* float, int64_t, or the bytes of strings */
    const int64_t *bounds; /* strings: where each begins and ends in `values` */
} example_column;

/* Writes where each of `count` Examples would end, `[count + 1]`, into `ends`, and the Examples into `out` unless it is 0.
   The columns are written in the order in which they are given. */
MAINSTAY_EXPORT void mainstay_write_examples(const example_column *columns, int64_t num_columns, int64_t count,
                                             int64_t *ends, uint8_t *out);

#endif
