/* tf.Example into columns: one pass over each record, every read inside its bounds, nothing allocated.

   The message is Example{1: Features{1: repeated entry{1: key, 2: Feature{1: BytesList, 2: FloatList, 3: Int64List}}}},
   each list {1: repeated value}, packed or not. What protobuf merges is merged, what it skips is skipped. */
#include "examples.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "floats are copied as they are on the wire: little-endian processors only"
#endif

#define TAG(field, type) ((uint64_t)(field) << 3 | (type))
enum { VARINT = 0, FIXED64 = 1, SIZED = 2, GROUP = 3, GROUP_END = 4, FIXED32 = 5 };
#define MOST_NESTED 100 /* protobuf's own limit */

typedef const uint8_t *cursor;

/* Each reader returns the place behind what it read, or 0. */
static cursor read_long_varint(cursor p, cursor end, int most, uint64_t *value) {
    uint64_t result = 0;
    for (int i = 0; i < most && p < end; i++) {
        uint8_t byte = *p++;
        result |= (uint64_t)(byte & 127) << 7 * i;
        if (byte < 128) {
            *value = result;
            return p;
        }
    }
    return 0;
}

static inline cursor read_varint(cursor p, cursor end, uint64_t *value) {
    if (LIKELY(p < end && *p < 128)) {
        *value = *p;
        return p + 1;
    }
    return read_long_varint(p, end, 10, value);
}

static inline cursor read_tag(cursor p, cursor end, uint64_t *tag) {
    if (LIKELY(p < end && *p < 128)) {
        *tag = *p;
        return *p < 8 ? 0 : p + 1;
    }
    p = read_long_varint(p, end, 5, tag);
    return p && *tag <= UINT32_MAX && *tag >= 8 ? p : 0;
}

/* Reads the length of a field and sees to it that the field ends inside its message. */
static inline cursor read_size(cursor p, cursor end, cursor *field_end) {
    uint64_t size;
    if (LIKELY(p < end && *p < 128)) {
        size = *p++;
    } else {
        p = read_long_varint(p, end, 5, &size);
        if (!p || size > INT32_MAX) return 0;
    }
    if (UNLIKELY(size > (uint64_t)(end - p))) return 0;
    *field_end = p + size;
    return p;
}

static cursor skip_field(cursor p, cursor end, uint64_t tag, int depth) {
    uint64_t ignored, inner;
    cursor field_end;
    switch (tag & 7) {
    case VARINT:
        return read_varint(p, end, &ignored);
    case FIXED64:
        return end - p >= 8 ? p + 8 : 0;
    case FIXED32:
        return end - p >= 4 ? p + 4 : 0;
    case SIZED:
        return read_size(p, end, &field_end) ? field_end : 0;
    case GROUP:
        if (depth >= MOST_NESTED) return 0;
        for (;;) {
            p = read_tag(p, end, &inner);
            if (!p) return 0;
            if ((inner & 7) == GROUP_END) return inner >> 3 == tag >> 3 ? p : 0;
            p = skip_field(p, end, inner, depth + 1);
            if (!p) return 0;
        }
    default:
        return 0;
    }
}

/* Where the values of a feature go in the record at hand. */
typedef struct {
    cursor buffer;
    int64_t kind, count; /* what was found */
    int64_t wanted;      /* the kind that is stored */
    int64_t room;        /* how many values are stored at most; all are counted */
    float *floats;
    int64_t *numbers; /* or pairs */
} sink;

static cursor read_bytes_list(cursor p, cursor end, sink *s, int64_t room) {
    while (p < end) {
        uint64_t tag;
        cursor value_end;
        if (!(p = read_tag(p, end, &tag))) return 0;
        if (tag != TAG(1, SIZED)) {
            if (!(p = skip_field(p, end, tag, 0))) return 0;
            continue;
        }
        if (!(p = read_size(p, end, &value_end))) return 0;
        if (s->count < room) {
            s->numbers[2 * s->count] = p - s->buffer;
            s->numbers[2 * s->count + 1] = value_end - p;
        }
        s->count++;
        p = value_end;
    }
    return p;
}

static cursor read_float_list(cursor p, cursor end, sink *s, int64_t room) {
    while (p < end) {
        uint64_t tag;
        cursor packed_end;
        if (!(p = read_tag(p, end, &tag))) return 0;
        if (tag == TAG(1, SIZED)) {
            if (!(p = read_size(p, end, &packed_end)) || (packed_end - p) % 4) return 0;
            int64_t there = (packed_end - p) / 4, kept = room - s->count;
            if (kept > there) kept = there;
            if (kept == 1) memcpy(s->floats + s->count, p, 4);
            else if (kept > 0) memcpy(s->floats + s->count, p, (size_t)kept * 4);
            s->count += there;
            p = packed_end;
        } else if (tag == TAG(1, FIXED32)) {
            if (end - p < 4) return 0;
            if (s->count < room) memcpy(s->floats + s->count, p, 4);
            s->count++;
            p += 4;
        } else if (!(p = skip_field(p, end, tag, 0))) {
            return 0;
        }
    }
    return p;
}

static cursor read_int64_list(cursor p, cursor end, sink *s, int64_t room) {
    uint64_t tag, value;
    while (p < end) {
        cursor packed_end;
        if (!(p = read_tag(p, end, &tag))) return 0;
        if (tag == TAG(1, SIZED)) {
            if (!(p = read_size(p, end, &packed_end))) return 0;
            while (p < packed_end) {
                if (!(p = read_varint(p, packed_end, &value))) return 0;
                if (s->count < room) s->numbers[s->count] = (int64_t)value;
                s->count++;
            }
        } else if (tag == TAG(1, VARINT)) {
            if (!(p = read_varint(p, end, &value))) return 0;
            if (s->count < room) s->numbers[s->count] = (int64_t)value;
            s->count++;
        } else if (!(p = skip_field(p, end, tag, 0))) {
            return 0;
        }
    }
    return p;
}

/* Reads a Feature, or a further piece of one, which protobuf merges: lists of one kind go on, another kind replaces. */
static cursor read_feature(cursor p, cursor end, sink *s) {
    while (p < end) {
        uint64_t tag;
        cursor list_end;
        if (!(p = read_tag(p, end, &tag))) return 0;
        if ((tag & 7) != SIZED || tag >> 3 > KIND_INT64) {
            if (!(p = skip_field(p, end, tag, 0))) return 0;
            continue;
        }
        if (!(p = read_size(p, end, &list_end))) return 0;
        int64_t kind = (int64_t)(tag >> 3);
        if (kind != s->kind) {
            s->kind = kind;
            s->count = 0;
        }
        int64_t room = kind == s->wanted ? s->room : 0;
        if (kind == KIND_INT64) p = read_int64_list(p, list_end, s, room);
        else if (kind == KIND_FLOAT) p = read_float_list(p, list_end, s, room);
        else p = read_bytes_list(p, list_end, s, room);
        if (!p) return 0;
    }
    return p;
}

static uint64_t hash_name(const uint8_t *name, int64_t size) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < size; i++) hash = (hash ^ name[i]) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

typedef struct {
    cursor buffer;
    example_feature *features;
    int64_t num_features, slots;
    const int32_t *table;
    int64_t first;  /* the feature that began the last record */
    int64_t *guess; /* where the number of the feature that probably comes next is kept */
    int64_t row;
} parser;

static inline int is_named(const example_feature *f, const uint8_t *key, int64_t size) {
    return f->name_size == size && !memcmp(f->name, key, (size_t)size);
}

/* Records that one writer wrote have their features in one order: the last record's order is tried before the table. */
static inline example_feature *find_feature(parser *s, const uint8_t *key, int64_t size) {
    int64_t index = *s->guess;
    if (UNLIKELY(!is_named(s->features + index, key, size))) {
        uint64_t slot = hash_name(key, size);
        for (;; slot++) {
            index = s->table[slot & (uint64_t)(s->slots - 1)] - 1;
            if (index < 0) return 0;
            if (is_named(s->features + index, key, size)) break;
        }
        *s->guess = index;
    }
    s->guess = &s->features[index].next;
    return s->features + index;
}

static cursor read_entry(cursor p, cursor end, parser *s) {
    cursor key = p, key_end = p, value = 0, value_end = 0, begin = p;
    int values = 0;
    while (p < end) {
        uint64_t tag;
        if (!(p = read_tag(p, end, &tag))) return 0;
        if (tag == TAG(1, SIZED)) {
            if (!(key = read_size(p, end, &key_end))) return 0;
            p = key_end;
        } else if (tag == TAG(2, SIZED)) {
            if (!(value = read_size(p, end, &value_end))) return 0;
            values++;
            p = value_end;
        } else if (!(p = skip_field(p, end, tag, 0))) {
            return 0;
        }
    }
    example_feature *f = find_feature(s, key, key_end - key);
    if (!f) return p;
    int64_t start = f->width < 0 ? f->used : s->row * f->width;
    sink into = {.buffer = s->buffer, .wanted = f->kind, .room = f->width < 0 ? f->room - f->used : f->width};
    if (into.room > 0) {
        if (f->kind == KIND_FLOAT) into.floats = (float *)f->values + start;
        else into.numbers = (int64_t *)f->values + (f->kind == KIND_BYTES ? 2 * start : start);
    }
    if (LIKELY(values == 1)) {
        if (!read_feature(value, value_end, &into)) return 0;
    } else if (values > 1) {
        for (cursor q = begin; q < end;) {
            uint64_t tag;
            if (!(q = read_tag(q, end, &tag))) return 0;
            if (tag == TAG(2, SIZED)) {
                if (!(q = read_size(q, end, &value_end)) || !(q = read_feature(q, value_end, &into))) return 0;
            } else if (!(q = skip_field(q, end, tag, 0))) {
                return 0;
            }
        }
    }
    /* A later entry of the same key replaces an earlier one. One without a list replaces it as TensorFlow has it: by
       nothing where any number of values will do, and not at all where the column is a dense one. */
    if (into.kind != KIND_NONE || f->width == WIDTH_RAGGED) {
        f->row = s->row;
        f->found = into.kind == KIND_NONE ? f->kind : into.kind;
        f->count = into.count;
    }
    return p;
}

static cursor read_example(cursor p, cursor end, parser *s) {
    while (p < end) {
        uint64_t tag;
        cursor features_end, entry_end;
        if (!(p = read_tag(p, end, &tag))) return 0;
        if (tag != TAG(1, SIZED)) {
            if (!(p = skip_field(p, end, tag, 0))) return 0;
            continue;
        }
        if (!(p = read_size(p, end, &features_end))) return 0;
        while (p < features_end) {
            if (!(p = read_tag(p, features_end, &tag))) return 0;
            if (UNLIKELY(tag != TAG(1, SIZED))) {
                if (!(p = skip_field(p, features_end, tag, 0))) return 0;
                continue;
            }
            if (!(p = read_size(p, features_end, &entry_end)) || !(p = read_entry(p, entry_end, s))) return 0;
        }
    }
    return p;
}

/* Looks at what the record had of each feature; the first that is wrong is the one reported. */
static int64_t settle_record(parser *s, int64_t *report) {
    int64_t full = PARSE_DONE;
    for (int64_t i = 0; i < s->num_features; i++) {
        example_feature *f = s->features + i;
        int there = f->row == s->row, ragged = f->width < 0;
        int64_t outcome = PARSE_DONE;
        if (there && f->found != f->kind) outcome = PARSE_KIND;
        else if (there && !ragged && f->count != f->width) outcome = PARSE_COUNT;
        else if (!there && !ragged && !f->seen) outcome = PARSE_MISSING;
        if (outcome != PARSE_DONE) {
            report[1] = i;
            report[2] = f->found;
            report[3] = f->count;
            return outcome;
        }
        if (ragged && there && f->count > f->room - f->used) {
            report[1] = i;
            report[3] = f->count;
            full = PARSE_ROOM;
        }
    }
    if (full != PARSE_DONE) return full;
    for (int64_t i = 0; i < s->num_features; i++) {
        example_feature *f = s->features + i;
        if (f->width < 0) {
            if (f->row == s->row) f->used += f->count;
            f->splits[s->row + 1] = f->used;
        }
        if (f->seen) f->seen[s->row] = f->row == s->row;
    }
    return PARSE_DONE;
}

int64_t mainstay_parse_examples(const uint8_t *buffer, const int64_t *offsets, const int64_t *lengths, int64_t first,
                                int64_t count, example_feature *features, int64_t num_features, int32_t *table,
                                int64_t slots, int64_t *report) {
    example_feature nothing = {.name_size = -1};
    parser s = {.buffer = buffer, .features = features, .num_features = num_features, .table = table, .slots = slots};
    if (num_features == 0) s.features = &nothing;
    for (int64_t i = 0; i < num_features; i++) {
        uint64_t slot = hash_name(features[i].name, features[i].name_size);
        while (table[slot & (uint64_t)(slots - 1)]) slot++;
        table[slot & (uint64_t)(slots - 1)] = (int32_t)(i + 1);
        features[i].next = i + 1 < num_features ? i + 1 : 0;
        features[i].row = -1;
    }
    for (s.row = first; s.row < count; s.row++) {
        cursor start = buffer + offsets[s.row];
        s.guess = &s.first;
        int64_t outcome = PARSE_MALFORMED;
        if (read_example(start, start + lengths[s.row], &s)) outcome = settle_record(&s, report);
        if (UNLIKELY(outcome != PARSE_DONE)) {
            report[0] = s.row;
            return outcome;
        }
    }
    return PARSE_DONE;
}

int64_t mainstay_measure_spans(const int64_t *spans, int64_t count, const int64_t *default_bounds, int64_t period) {
    int64_t total = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t entry = spans[2 * i + 1] < 0 ? i % period : 0;
        total += spans[2 * i + 1] < 0 ? default_bounds[entry + 1] - default_bounds[entry] : spans[2 * i + 1];
    }
    return total;
}

void mainstay_gather_spans(const uint8_t *buffer, const int64_t *spans, int64_t count, const uint8_t *defaults,
                           const int64_t *default_bounds, int64_t period, uint8_t *data, void *offsets, int32_t wide) {
    int64_t at = 0;
    for (int64_t i = 0; i <= count; i++) {
        if (wide) ((int64_t *)offsets)[i] = at;
        else ((int32_t *)offsets)[i] = (int32_t)at;
        if (i == count) return;
        const uint8_t *from = buffer + spans[2 * i];
        int64_t length = spans[2 * i + 1];
        if (length < 0) {
            from = defaults + default_bounds[i % period];
            length = default_bounds[i % period + 1] - default_bounds[i % period];
        }
        if (length > 0) memcpy(data + at, from, (size_t)length);
        at += length;
    }
}
