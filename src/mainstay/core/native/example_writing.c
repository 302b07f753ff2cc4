/* Columns into tf.Examples: the sizes of the nested messages first, then the bytes. */
#include "examples.h"

static int64_t varint_size(uint64_t value) {
    int64_t size = 1;
    for (; value >= 128; value >>= 7) size++;
    return size;
}

static uint8_t *write_varint(uint8_t *out, uint64_t value) {
    for (; value >= 128; value >>= 7) *out++ = (uint8_t)(value | 128);
    *out++ = (uint8_t)value;
    return out;
}

/* The size of a field of one byte of tag, its length, and `size` bytes. */
static int64_t field_size(int64_t size) { return 1 + varint_size((uint64_t)size) + size; }

static uint8_t *write_head(uint8_t *out, uint8_t field, int64_t size) {
    *out++ = (uint8_t)(field << 3 | 2);
    return write_varint(out, (uint64_t)size);
}

/* The bytes of the packed values of one row, without tag and length; of strings with them. */
static int64_t values_size(const example_column *c, int64_t start, int64_t stop) {
    if (c->kind == KIND_FLOAT) return 4 * (stop - start);
    int64_t size = 0;
    for (int64_t i = start; i < stop; i++)
        size += c->kind == KIND_INT64 ? varint_size(((const uint64_t *)c->values)[i])
                                      : field_size(c->bounds[i + 1] - c->bounds[i]);
    return size;
}

static int64_t list_size(const example_column *c, int64_t values) {
    return c->kind == KIND_BYTES || values == 0 ? values : field_size(values);
}

static uint8_t *write_entry(uint8_t *out, const example_column *c, int64_t start, int64_t stop, int64_t values) {
    int64_t list = list_size(c, values), feature = field_size(list);
    out = write_head(out, 1, field_size(c->key_size) + field_size(feature));
    out = write_head(out, 1, c->key_size);
    memcpy(out, c->key, (size_t)c->key_size);
    out = write_head(out + c->key_size, 2, feature);
    out = write_head(out, (uint8_t)c->kind, list);
    if (c->kind == KIND_BYTES) {
        for (int64_t i = start; i < stop; i++) {
            int64_t size = c->bounds[i + 1] - c->bounds[i];
            out = write_head(out, 1, size);
            if (size) memcpy(out, (const uint8_t *)c->values + c->bounds[i], (size_t)size);
            out += size;
        }
        return out;
    }
    if (values == 0) return out;
    out = write_head(out, 1, values);
    if (c->kind == KIND_FLOAT) {
        memcpy(out, (const float *)c->values + start, (size_t)values);
        return out + values;
    }
    for (int64_t i = start; i < stop; i++) out = write_varint(out, ((const uint64_t *)c->values)[i]);
    return out;
}

void mainstay_write_examples(const example_column *columns, int64_t num_columns, int64_t count, int64_t *ends,
                             uint8_t *out) {
    int64_t end = 0;
    ends[0] = 0;
    for (int64_t row = 0; row < count; row++) {
        int64_t features = 0;
        for (int64_t i = 0; i < num_columns; i++) {
            const example_column *c = columns + i;
            int64_t values = values_size(c, c->splits[row], c->splits[row + 1]);
            features += field_size(field_size(c->key_size) + field_size(field_size(list_size(c, values))));
        }
        if (out) {
            out = write_head(out, 1, features);
            for (int64_t i = 0; i < num_columns; i++) {
                int64_t start = columns[i].splits[row], stop = columns[i].splits[row + 1];
                out = write_entry(out, columns + i, start, stop, values_size(columns + i, start, stop));
            }
        }
        end += field_size(features);
        ends[row + 1] = end;
    }
}
