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

static inline uint64_t load_u64(cursor p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static inline uint32_t load_u32(cursor p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}

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

/* A name of less than eight bytes as a number that no other name of that size has. */
static inline uint64_t short_name(const uint8_t *name, int64_t size) {
    if (size >= 4) return load_u32(name) | (uint64_t)load_u32(name + size - 4) << 32;
    return size ? name[0] | (uint64_t)name[size / 2] << 8 | (uint64_t)name[size - 1] << 16 : 0;
}

static inline uint64_t hash_name(const uint8_t *name, int64_t size) {
    const uint64_t factor = 0x9e3779b97f4a7c15u;
    uint64_t hash = (uint64_t)size * factor;
    for (int64_t i = 0; i < size - 8; i += 8) hash = (hash ^ hash >> 32 ^ load_u64(name + i)) * factor;
    hash = (hash ^ hash >> 32 ^ (size < 8 ? short_name(name, size) : load_u64(name + size - 8))) * factor;
    return hash ^ hash >> 32;
}

typedef struct {
    cursor buffer;
    cursor last_word; /* up to here, eight bytes can be read */
    example_feature *features;
    int64_t num_features, slots;
    const int32_t *table;
    int64_t first;  /* the feature that began the last record */
    int64_t *guess; /* where the number of the feature that probably comes next is kept */
    int64_t row;
    int64_t usual;  /* how many features the record at hand had in the usual form */
    int is_unusual; /* whether it had one in another form */
    int has_more;   /* whether there is something to be written down for a record beside its values */
} parser;

static inline int is_named(const example_feature *f, const uint8_t *key, int64_t size) {
    if (f->name_size != size) return 0;
    if (size < 8) return short_name(f->name, size) == short_name(key, size);
    for (int64_t i = 0; i < size - 8; i += 8)
        if (load_u64(f->name + i) != load_u64(key + i)) return 0;
    return load_u64(f->name + size - 8) == load_u64(key + size - 8);
}

/* Records that one writer wrote have their features in one order: the last record's order is tried before the table. */
static inline example_feature *find_feature(const parser *s, const uint8_t *key, int64_t size) {
    example_feature *f = s->features + *s->guess;
    if (LIKELY(is_named(f, key, size))) return f;
    for (uint64_t slot = hash_name(key, size);; slot++) {
        int64_t index = s->table[slot & (uint64_t)(s->slots - 1)] - 1;
        if (index < 0) return 0;
        if (is_named(s->features + index, key, size)) return s->features + index;
    }
}

static inline void note_order(parser *s, example_feature *f) {
    *s->guess = f - s->features;
    s->guess = &f->next;
}

/* The varint that is the first `size` bytes of a word, one to eight of them; all but the last have their high bit set. */
static inline uint64_t short_varint(uint64_t word, uint32_t size) {
    word &= ~(uint64_t)0 >> (64 - 8 * size);
    word = (word & 0x007f007f007f007fu) | (word & 0x7f007f007f007f00u) >> 1;
    word = (word & 0x00003fff00003fffu) | (word & 0x3fff00003fff0000u) >> 2;
    return (word & 0x0fffffffu) | (word & 0x0fffffff00000000u) >> 4;
}

/* Reads an entry in the form that almost all have: a key and one list of the kind that is wanted, packed, with one
   number or one string or the right number of floats, and less than 128 bytes in all. Returns the place behind it. It
   returns 0, and has changed nothing, where the entry is anything else: `read_entry` judges it then. */
static inline cursor read_usual_entry(cursor p, cursor end, parser *s) {
    if (UNLIKELY(end - p < 10)) return 0;
    uint32_t head = load_u32(p), key_size = head >> 24;
    if (UNLIKELY((head & 0x80ff80ffu) != (TAG(1, SIZED) | TAG(1, SIZED) << 16))) return 0;
    cursor key = p + 4, value = key + key_size, entry_end = p + 2 + (head >> 8 & 127);
    if (UNLIKELY(entry_end > end || entry_end > s->last_word || entry_end - value < 6)) return 0;
    uint32_t value_size = (uint32_t)(entry_end - value) - 2, size = value_size - 4;
    example_feature *f = find_feature(s, key, key_size);
    if (!f) return value[0] == TAG(2, SIZED) && value[1] == value_size ? entry_end : 0;
    uint32_t wanted = (uint32_t)TAG(2, SIZED) | value_size << 8 | (uint32_t)TAG(f->kind, SIZED) << 16 | (size + 2) << 24;
    cursor content = value + 6;
    if (load_u32(value) != wanted || value[4] != TAG(1, SIZED) || value[5] != size || f->row == s->row) return 0;
    int64_t count = f->kind == KIND_FLOAT ? size / 4 : 1, at = f->used;
    if (f->width < 0) {
        if (count > f->room - f->used) return 0;
    } else {
        if (count != f->width) return 0;
        at = s->row * count;
    }
    if (f->kind == KIND_INT64) {
        uint64_t word, ends, number;
        if (size - 1 < 8) {
            word = load_u64(content);
            ends = ~word & 0x8080808080808080u;
            if (!ends || (uint32_t)__builtin_ctzll(ends) != 8 * size - 1) return 0;
            number = short_varint(word, size);
        } else if (read_varint(content, entry_end, &number) != entry_end) {
            return 0;
        }
        ((uint64_t *)f->values)[at] = number;
    } else if (f->kind == KIND_FLOAT) {
        if (size % 4) return 0;
        if (count == 1) memcpy((float *)f->values + at, content, 4);
        else if (count) memcpy((float *)f->values + at, content, size);
    } else {
        ((int64_t *)f->values)[2 * at] = content - s->buffer;
        ((int64_t *)f->values)[2 * at + 1] = size;
    }
    f->row = s->row;
    f->found = f->kind;
    f->count = count;
    s->usual++;
    note_order(s, f);
    return entry_end;
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
    note_order(s, f);
    s->is_unusual = 1;
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
            cursor usual_end = read_usual_entry(p, features_end, s);
            if (LIKELY(usual_end != 0)) {
                p = usual_end;
                continue;
            }
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
static int64_t judge_record(const parser *s, int64_t *report) {
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
    return full;
}

static int64_t settle_record(const parser *s, int64_t *report) {
    if (s->is_unusual || s->usual < s->num_features) {
        int64_t outcome = judge_record(s, report);
        if (outcome != PARSE_DONE) return outcome;
    }
    if (!s->has_more) return PARSE_DONE;
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

int64_t mainstay_parse_examples(const uint8_t *buffer, int64_t size, const int64_t *offsets, const int64_t *lengths,
                                int64_t first, int64_t count, example_feature *features, int64_t num_features,
                                int32_t *table, int64_t slots, int64_t *report) {
    example_feature nothing = {.name_size = -1};
    parser s = {.buffer = buffer, .features = features, .num_features = num_features, .table = table, .slots = slots};
    if (num_features == 0) s.features = &nothing;
    s.last_word = size < 8 ? buffer : buffer + size - 8;
    for (int64_t i = 0; i < num_features; i++) {
        uint64_t slot = hash_name(features[i].name, features[i].name_size);
        while (table[slot & (uint64_t)(slots - 1)]) slot++;
        table[slot & (uint64_t)(slots - 1)] = (int32_t)(i + 1);
        features[i].next = i + 1 < num_features ? i + 1 : 0;
        features[i].row = -1;
        s.has_more |= features[i].width < 0 || features[i].seen;
    }
    for (s.row = first; s.row < count; s.row++) {
        cursor start = buffer + offsets[s.row];
        s.guess = &s.first;
        s.usual = s.is_unusual = 0;
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

/* Most strings are short: a call to copy one would take longer than the copy. */
static inline void copy_string(uint8_t *to, const uint8_t *from, int64_t size) {
    if (size > 32) {
        memcpy(to, from, (size_t)size);
    } else if (size >= 16) {
        memcpy(to, from, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else {
        for (int64_t i = 0; i < size; i++) to[i] = from[i];
    }
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
        copy_string(data + at, from, length);
        at += length;
    }
}
