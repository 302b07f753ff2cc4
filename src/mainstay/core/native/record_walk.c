/* Single TFRecords out of a mapped file. Nothing trusts a length that it read. */
#include "record_walk.h"
#include "records.h"

static uint64_t load_u64(const uint8_t *p) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | p[i];
    return value;
}

/* Records lie far apart when they come in random order: what follows is fetched while this one is worked on. */
#define AHEAD 8
#define LINE 64
#define MOST_FETCHED 1024

int64_t mainstay_walk_records(const uint8_t *buffer, int64_t size, const int64_t *frames, const int64_t *hops,
                              int64_t count, int64_t *offsets, int64_t *lengths) {
    for (int64_t i = 0; i < count; i++) {
        int64_t position = frames[i];
        if (i + AHEAD < count && frames[i + AHEAD] >= 0 && frames[i + AHEAD] < size)
            __builtin_prefetch(buffer + frames[i + AHEAD]);
        for (int64_t hop = hops[i];; hop--) {
            if (position < 0 || position > size || size - position < RECORD_HEAD + RECORD_TAIL) return i;
            uint64_t length = load_u64(buffer + position);
            if (length > (uint64_t)(size - position - RECORD_HEAD - RECORD_TAIL)) return i;
            if (hop <= 0) {
                offsets[i] = position + RECORD_HEAD;
                lengths[i] = (int64_t)length;
                break;
            }
            position += RECORD_HEAD + (int64_t)length + RECORD_TAIL;
        }
    }
    return -1;
}

void mainstay_gather_records(const uint8_t *buffer, const int64_t *offsets, const int64_t *lengths, int64_t count,
                             uint8_t *out) {
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            const uint8_t *next = buffer + offsets[i + AHEAD];
            int64_t size = lengths[i + AHEAD] < MOST_FETCHED ? lengths[i + AHEAD] : MOST_FETCHED;
            for (int64_t line = 0; line < size; line += LINE) __builtin_prefetch(next + line);
        }
        memcpy(out, buffer + offsets[i], (size_t)lengths[i]);
        out += lengths[i];
    }
}
