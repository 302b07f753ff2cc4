/* Parses arbitrary bytes as tf.Examples: no read or write outside an array, spans inside the buffer, splits that rise, and
   what is written again reads the same. */
#include <stdio.h>
#include <stdlib.h>

#include "examples.h"

#define FIELDS 7
#define CHECK(condition)                                                                                                 \
    do {                                                                                                                 \
        if (!(condition)) {                                                                                              \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                      \
            abort();                                                                                                     \
        }                                                                                                                \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *name;
    int64_t kind, width;
    int optional;
} ASKED[FIELDS] = {
    {"", KIND_INT64, WIDTH_RAGGED, 0},
    {"a", KIND_INT64, 1, 1},
    {"b", KIND_FLOAT, 2, 1},
    {"floats", KIND_FLOAT, WIDTH_SEQUENCE, 0},
    {"s", KIND_BYTES, 1, 1},
    {"strings", KIND_BYTES, WIDTH_RAGGED, 0},
    {"a_name_of_23_characters", KIND_INT64, 1, 1},
};

static int64_t value_size(int64_t kind) { return kind == KIND_BYTES ? 16 : kind == KIND_INT64 ? 8 : 4; }

/* Arrays of the very size that is promised, so that the sanitizer sees one byte more. */
static void *exactly(int64_t bytes) {
    void *memory = malloc(bytes ? (size_t)bytes : 1);
    if (!memory) abort();
    if (bytes) memset(memory, 0xa5, (size_t)bytes);
    return memory;
}

static void prepare(example_feature *f, int number, int64_t records, int64_t room) {
    memset(f, 0, sizeof *f);
    f->name = (const uint8_t *)ASKED[number].name;
    f->name_size = (int64_t)strlen(ASKED[number].name);
    f->kind = ASKED[number].kind;
    f->width = ASKED[number].width;
    f->room = f->width < 0 ? room : records;
    f->values = exactly((f->width < 0 ? room : records * f->width) * value_size(f->kind));
    if (f->width < 0) {
        f->splits = exactly(8 * (records + 1));
        f->splits[0] = 0;
    }
    if (ASKED[number].optional) f->seen = exactly(records);
}

static void release(example_feature *features) {
    for (int i = 0; i < FIELDS; i++) {
        free(features[i].values);
        free(features[i].splits);
        free(features[i].seen);
    }
}

/* Parses all of the records that a buffer consists of. */
static int64_t parse(const uint8_t *buffer, const int64_t *offsets, const int64_t *lengths, int64_t records,
                     example_feature *features) {
    int64_t size = offsets[records - 1] + lengths[records - 1];
    int64_t report[4] = {0}, first = 0;
    for (;;) {
        int32_t table[16] = {0};
        int64_t outcome =
            mainstay_parse_examples(buffer, size, offsets, lengths, first, records, features, FIELDS, table, 16, report);
        if (outcome != PARSE_ROOM) {
            CHECK(outcome == PARSE_DONE || (report[0] >= first && report[0] < records));
            return outcome;
        }
        CHECK(report[0] >= first && report[1] >= 0 && report[1] < FIELDS);
        first = report[0];
        example_feature *f = features + report[1];
        int64_t room = f->used + report[3], bytes = value_size(f->kind);
        CHECK(f->width < 0 && room > f->room);
        void *larger = exactly(room * bytes);
        memcpy(larger, f->values, (size_t)(f->used * bytes));
        free(f->values);
        f->values = larger;
        f->room = room;
    }
}

static void check_spans(const int64_t *spans, int64_t count, int64_t size) {
    for (int64_t i = 0; i < count; i++)
        CHECK(spans[2 * i] >= 0 && spans[2 * i + 1] >= 0 && spans[2 * i + 1] <= size - spans[2 * i]);
}

/* Writes the ragged columns as Examples, reads them, and compares. */
static void round_trip(const uint8_t *buffer, example_feature *features, int64_t records) {
    example_column columns[3];
    uint8_t *strings = 0;
    int64_t *bounds = 0, empty_bounds[2] = {0, 0};
    int numbers[3] = {0, 3, 5};
    for (int i = 0; i < 3; i++) {
        example_feature *f = features + numbers[i];
        columns[i] = (example_column){f->name, f->name_size, f->kind, f->splits, f->values, 0};
        if (f->kind != KIND_BYTES) continue;
        int64_t total = mainstay_measure_spans(f->values, f->used, empty_bounds, 1);
        strings = exactly(total);
        bounds = exactly(8 * (f->used + 1));
        mainstay_gather_spans(buffer, f->values, f->used, strings, empty_bounds, 1, strings, bounds, 1);
        CHECK(bounds[0] == 0 && bounds[f->used] == total);
        columns[i].values = strings;
        columns[i].bounds = bounds;
    }
    int64_t *ends = exactly(8 * (records + 1)), *lengths = exactly(8 * records);
    mainstay_write_examples(columns, 3, records, ends, 0);
    uint8_t *out = exactly(ends[records]);
    mainstay_write_examples(columns, 3, records, ends, out);
    for (int64_t i = 0; i < records; i++) lengths[i] = ends[i + 1] - ends[i];
    example_feature again[FIELDS];
    for (int i = 0; i < FIELDS; i++) prepare(again + i, i, records, 1);
    CHECK(parse(out, ends, lengths, records, again) == PARSE_DONE);
    for (int i = 0; i < 3; i++) {
        example_feature *f = features + numbers[i], *g = again + numbers[i];
        CHECK(f->used == g->used && !memcmp(f->splits, g->splits, 8 * (size_t)(records + 1)));
        if (f->kind != KIND_BYTES) CHECK(!memcmp(f->values, g->values, (size_t)(f->used * value_size(f->kind))));
        for (int64_t k = 0; f->kind == KIND_BYTES && k < f->used; k++) {
            const int64_t *a = (const int64_t *)f->values + 2 * k, *b = (const int64_t *)g->values + 2 * k;
            CHECK(a[1] == b[1] && !memcmp(buffer + a[0], out + b[0], (size_t)a[1]));
        }
    }
    release(again);
    free(strings);
    free(bounds);
    free(ends);
    free(lengths);
    free(out);
}

/* The first byte says how many records the others are divided into. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t given) {
    if (given == 0) return 0;
    int64_t records = 1 + data[0] % 3, size = (int64_t)given - 1, offsets[3], lengths[3];
    uint8_t *buffer = exactly(size);
    if (size) memcpy(buffer, data + 1, (size_t)size);
    for (int64_t i = 0; i < records; i++) {
        offsets[i] = size * i / records;
        lengths[i] = size * (i + 1) / records - offsets[i];
    }
    example_feature features[FIELDS];
    for (int i = 0; i < FIELDS; i++) prepare(features + i, i, records, data[0] / 64);
    if (parse(buffer, offsets, lengths, records, features) == PARSE_DONE) {
        for (int i = 0; i < FIELDS; i++) {
            example_feature *f = features + i;
            if (f->width >= 0) {
                for (int64_t row = 0; f->kind == KIND_BYTES && row < records; row++)
                    if (f->seen[row]) check_spans((int64_t *)f->values + 2 * row, 1, size);
                continue;
            }
            CHECK(f->used <= f->room && f->splits[records] == f->used);
            for (int64_t row = 0; row < records; row++) CHECK(f->splits[row] <= f->splits[row + 1]);
            if (f->kind == KIND_BYTES) check_spans(f->values, f->used, size);
        }
        round_trip(buffer, features, records);
    }
    release(features);
    free(buffer);
    return 0;
}
