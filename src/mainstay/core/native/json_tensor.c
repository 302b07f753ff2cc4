/* The JSON body of a prediction straight into arrays of numbers, in one pass and without an allocation.

   Only what is plain is read: nested lists of numbers whose shape is found on the way, and objects of such. Whatever
   else there is, a fault above all, is left to the reader in Python, which tells what is wrong. What is read here has
   exactly the values that it would have there. */
#include "json_tensor.h"

#include "json_number.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

typedef json_cursor cursor;

static inline cursor skip_space(cursor p, cursor end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/* Skips space, a byte that has to follow, and space behind it; returns 0 where another one follows. */
static inline cursor pass(cursor p, cursor end, uint8_t byte) {
    p = skip_space(p, end);
    return p < end && *p == byte ? skip_space(p + 1, end) : 0;
}

/* Returns the closing quote of a string that begins behind `p` and says nothing in another way than it is written. */
static cursor string_end(cursor p, cursor end) {
    for (; p < end && *p != '"'; p++) {
        if (*p < 32 || *p == '\\') return 0;
    }
    return p < end ? p : 0;
}

/* Whether a whole number is one of those that the input takes as they are. */
static inline int in_range(const json_input *input, const json_number *number) {
    return number->digits <= (number->negative ? input->below : input->above);
}

static cursor store_bool(cursor p, cursor end, json_input *input, int64_t index) {
    int value = end - p >= 4 && !memcmp(p, "true", 4);
    if (!value && (end - p < 5 || memcmp(p, "false", 5))) return 0;
    ((uint8_t *)input->values)[index] = (uint8_t)value;
    return p + (value ? 4 : 5);
}

static inline int store_float(json_input *input, int64_t kind, const json_number *number, int64_t index) {
    double value = number->value;
    if (number->whole) {
        if (!in_range(input, number)) return 0;
        value = (double)number->digits; /* exact, by the bounds */
        if (number->negative) value = 0 - value; /* a whole number has no negative zero */
    } else {
        if (number->finite && !(value <= input->largest)) return 0;
        if (number->negative) value = -value;
    }
    if (kind == JSON_FLOAT32) {
        ((float *)input->values)[index] = (float)value;
    } else {
        ((double *)input->values)[index] = value;
    }
    return 1;
}

static inline int store_integer(json_input *input, int64_t kind, const json_number *number, int64_t index) {
    if (!number->whole || !in_range(input, number)) return 0;
    uint64_t value = number->negative ? 0 - number->digits : number->digits;
    switch (kind) {
    case JSON_INT8:
    case JSON_UINT8:
        ((uint8_t *)input->values)[index] = (uint8_t)value;
        return 1;
    case JSON_INT16:
    case JSON_UINT16:
        ((uint16_t *)input->values)[index] = (uint16_t)value;
        return 1;
    case JSON_INT32:
    case JSON_UINT32:
        ((uint32_t *)input->values)[index] = (uint32_t)value;
        return 1;
    default:
        ((uint64_t *)input->values)[index] = value;
        return 1;
    }
}

/* Reads one value into the next place of an input of a kind. */
static ALWAYS_INLINE cursor read_scalar_of(cursor p, cursor end, json_input *input, int64_t kind) {
    int64_t index = input->count;
    if (UNLIKELY(index >= input->room)) return 0;
    if (kind == JSON_BOOL) {
        p = store_bool(p, end, input, index);
    } else {
        json_number number;
        p = json_read_number(p, end, &number);
        if (UNLIKELY(!p)) return 0;
        int stored = kind >= JSON_FLOAT32 ? store_float(input, kind, &number, index)
                                          : store_integer(input, kind, &number, index);
        if (UNLIKELY(!stored)) return 0;
    }
    input->count = index + 1;
    return p;
}

static cursor read_scalar(cursor p, cursor end, json_input *input) {
    return read_scalar_of(p, end, input, input->kind);
}

/* Notes the length of a list; returns whether all lists of its axis have it. */
static inline int note_length(json_input *input, int64_t axis, int64_t length) {
    if (input->lengths[axis] < 0) input->lengths[axis] = length;
    return input->lengths[axis] == length;
}

/* Reads the values of an innermost list whose first one is at `p`, up to its closing bracket. */
static ALWAYS_INLINE cursor read_list_of(cursor p, cursor end, json_input *input, int64_t kind) {
    for (;;) {
        p = read_scalar_of(p, end, input, kind);
        if (UNLIKELY(!p || p >= end)) return 0;
        if (UNLIKELY(*p != ',')) {
            p = skip_space(p, end);
            if (p >= end || *p != ',') return p;
        }
        p++;
        if (p < end && *p <= ' ') p = skip_space(p, end);
    }
}

/* Reads an innermost list behind its opening bracket. The kinds of most inputs have a loop of their own. */
static cursor read_list(cursor p, cursor end, json_input *input, int64_t axis) {
    int64_t start = input->count;
    switch (input->kind) {
    case JSON_FLOAT32:
        p = read_list_of(p, end, input, JSON_FLOAT32);
        break;
    case JSON_FLOAT64:
        p = read_list_of(p, end, input, JSON_FLOAT64);
        break;
    default:
        p = read_list_of(p, end, input, input->kind);
    }
    return p && p < end && *p == ']' && note_length(input, axis, input->count - start) ? p + 1 : 0;
}

/* Reads one value, a number or nested lists of them, of which `outer` axes are known from where it is. */
static cursor read_value(cursor p, cursor end, json_input *input, int64_t outer) {
    int64_t lengths[JSON_MOST_AXES] = {0}, depth = outer;
    if (p < end && *p != '[') {
        if (input->axes < 0) input->axes = outer;
        return input->axes == outer ? read_scalar(p, end, input) : 0;
    }
    for (;;) {
        /* At the opening bracket of a list. */
        if (UNLIKELY(p >= end || *p != '[' || depth == JSON_MOST_AXES)) return 0;
        p = skip_space(p + 1, end);
        if (UNLIKELY(p >= end)) return 0;
        lengths[depth++] = 0;
        if (*p == '[') continue;
        if (input->axes < 0) input->axes = depth;
        if (UNLIKELY(input->axes != depth)) return 0;
        p = read_list(p, end, input, depth - 1);
        /* Behind a list: others end with it. */
        for (;;) {
            if (UNLIKELY(!p)) return 0;
            if (--depth == outer) return p;
            lengths[depth - 1]++;
            p = skip_space(p, end);
            if (UNLIKELY(p >= end)) return 0;
            if (*p == ',') break;
            if (UNLIKELY(*p != ']' || !note_length(input, depth - 1, lengths[depth - 1]))) return 0;
            p++;
        }
        p = skip_space(p + 1, end);
    }
}

/* Returns the input of a name, looking first at the one that is next in most objects. */
static json_input *find_input(json_input *inputs, int64_t count, int64_t next, cursor name, int64_t size) {
    for (int64_t i = 0; i < count; i++) {
        json_input *input = &inputs[next + i < count ? next + i : next + i - count];
        if (input->name_size == size && !memcmp(input->name, name, (size_t)size)) return input;
    }
    return 0;
}

/* Reads an object in which every input comes once; `row` objects came before it, and `outer` axes are around it. */
static cursor read_object(cursor p, cursor end, json_input *inputs, int64_t count, int64_t row, int64_t outer) {
    p = pass(p, end, '{');
    for (int64_t member = 0; member < count; member++) {
        if (member) p = p ? pass(p, end, ',') : 0;
        if (!p || p >= end || *p != '"') return 0;
        cursor name = p + 1, quote = string_end(name, end);
        if (!quote) return 0;
        json_input *input = find_input(inputs, count, member, name, quote - name);
        /* `lengths[0]` counts the rows of an input while they are read. */
        if (!input || (outer ? input->lengths[0] : input->axes) != (outer ? row : -1)) return 0;
        p = pass(quote + 1, end, ':');
        if (!p) return 0;
        p = read_value(p, end, input, outer);
        if (outer) input->lengths[0]++;
    }
    if (!p) return 0;
    p = skip_space(p, end);
    return p < end && *p == '}' ? p + 1 : 0;
}

static cursor read_rows(cursor p, cursor end, json_input *inputs, int64_t count) {
    for (int64_t i = 0; i < count; i++) inputs[i].lengths[0] = 0;
    p = pass(p, end, '[');
    for (int64_t row = 0; p; row++) {
        p = read_object(p, end, inputs, count, row, 1);
        if (!p) return 0;
        p = skip_space(p, end);
        if (p < end && *p == ']') return p + 1;
        p = pass(p, end, ',');
    }
    return 0;
}

/* Reads what is behind `instances` or `inputs`. */
static cursor read_values(cursor p, cursor end, json_input *inputs, int64_t count, int64_t *form) {
    if (p >= end) return 0;
    if (*form == JSON_ROWS) {
        cursor first = *p == '[' ? skip_space(p + 1, end) : end;
        if (first < end && *first == '{') {
            *form = JSON_OBJECTS;
            return read_rows(p, end, inputs, count);
        }
    } else if (*p == '{') {
        *form = JSON_COLUMNS;
        return read_object(p, end, inputs, count, 0, 0);
    }
    return count == 1 && *p == '[' ? read_value(p, end, inputs, 0) : 0;
}

static int is(cursor text, int64_t size, const char *word) {
    return size == (int64_t)strlen(word) && !memcmp(text, word, (size_t)size);
}

int64_t mainstay_read_json(const uint8_t *body, int64_t size, json_input *inputs, int64_t num_inputs,
                           const uint8_t *signature, int64_t signature_size, int64_t *report) {
    cursor end = body + size, p = pass(body, end, '{');
    int64_t form = -1;
    int named = 0;
    while (p && p < end && *p == '"') {
        cursor key = p + 1, quote = string_end(key, end);
        if (!quote) return JSON_OTHER;
        p = pass(quote + 1, end, ':');
        if (!p || p >= end) return JSON_OTHER;
        if (is(key, quote - key, "signature_name") && !named++ && *p == '"') {
            cursor name = p + 1;
            quote = string_end(name, end);
            if (!quote) return JSON_OTHER;
            if (quote > name && (quote - name != signature_size || memcmp(name, signature, (size_t)signature_size))) {
                report[1] = name - body;
                report[2] = quote - name;
                return JSON_SIGNATURE;
            }
            p = quote + 1;
        } else if (form < 0 && (is(key, quote - key, "instances") || is(key, quote - key, "inputs"))) {
            form = is(key, quote - key, "instances") ? JSON_ROWS : JSON_COLUMN;
            p = read_values(p, end, inputs, num_inputs, &form);
            if (!p) return JSON_OTHER;
        } else {
            return JSON_OTHER;
        }
        p = skip_space(p, end);
        if (p < end && *p == '}') {
            report[0] = form;
            return form >= 0 && skip_space(p + 1, end) == end ? JSON_DONE : JSON_OTHER;
        }
        p = pass(p, end, ',');
    }
    return JSON_OTHER;
}

int64_t mainstay_count_byte(const uint8_t *data, int64_t size, int32_t byte) {
    int64_t count = 0;
    for (int64_t i = 0; i < size; i++) count += data[i] == (uint8_t)byte;
    return count;
}
