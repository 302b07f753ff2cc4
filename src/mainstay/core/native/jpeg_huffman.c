/* The entropy code of a baseline JPEG: ISO/IEC 10918-1, annex F. One look into a table gives most coefficients whole. */
#include "jpeg.h"
#include "jpeg_parts.h"

/* Positions past the block lead to the place behind it, so that a step that ends a block needs no branch. */
static const uint8_t places[64 + 128] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,
    7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46,
    53, 60, 61, 54, 47, 55, 62, 63, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
};

/* Eight bits a sample make no larger numbers; two symbols with theirs fit into what one refill promises. */
enum { MOST_DC_BITS = 11, MOST_AC_BITS = 10 };

/* How far a symbol moves the place in the block. */
static inline int32_t step_of(int symbol, int is_dc) {
    if (is_dc) return 1;
    if (symbol & 15) return (symbol >> 4) + 1;
    return symbol >> 4 == 15 ? 16 : ENTRY_ENDS_BLOCK;
}

/* The number that `size` bits stand for. */
static inline int32_t extended(int32_t bits, int size) { return bits < 1 << size >> 1 ? bits - (1 << size) + 1 : bits; }

static int32_t entry_of(int32_t window, int length, int symbol, int is_dc) {
    int size = is_dc ? symbol : symbol & 15, total = length + size;
    if (size > (is_dc ? MOST_DC_BITS : MOST_AC_BITS)) return ENTRY_IS_LONGER;
    int32_t entry = step_of(symbol, is_dc) << 8;
    if (total > JPEG_LOOKUP_BITS) return entry | size << 16 | ENTRY_HAS_MORE | length;
    int32_t bits = window >> (JPEG_LOOKUP_BITS - total) & ((1 << size) - 1);
    return (int32_t)((uint32_t)extended(bits, size) << 16) | entry | total;
}

/* An entry of `pairs`: the bits of both symbols, the step of each, the bits of the first, and the two coefficients. A
   symbol that has no second is followed by itself and no step, which changes nothing. */
enum { PAIR_IS_NONE = 128, FIRST_STEP = 8, SECOND_STEP = 16, FIRST_BITS = 24, FIRST_VALUE = 32, SECOND_VALUE = 48 };

static uint64_t pair_of(const int32_t *lookup, int32_t window) {
    int32_t first = lookup[window], bits = first & ENTRY_BITS, step = first >> 8 & 255;
    if (first & (ENTRY_HAS_MORE | ENTRY_IS_LONGER)) return PAIR_IS_NONE;
    uint64_t value = (uint16_t)(first >> 16);
    uint64_t pair = (uint64_t)step << FIRST_STEP | (uint64_t)bits << FIRST_BITS | value << FIRST_VALUE;
    if (step != ENTRY_ENDS_BLOCK) {
        int32_t second = lookup[window << bits & ((1 << JPEG_LOOKUP_BITS) - 1)], total = bits + (second & ENTRY_BITS);
        if (!(second & (ENTRY_HAS_MORE | ENTRY_IS_LONGER)) && total <= JPEG_LOOKUP_BITS) {
            uint64_t other = (uint16_t)(second >> 16);
            return pair | (uint64_t)(second >> 8 & 255) << SECOND_STEP | other << SECOND_VALUE | (uint64_t)total;
        }
    }
    return pair | value << SECOND_VALUE | (uint64_t)bits;
}

int32_t jpeg_build_code(jpeg_code *code, int is_dc) {
    if (!code->is_there) return JPEG_UNUSUAL;
    if (code->is_built) return JPEG_DONE;
    int32_t first = 0, index = 0;
    for (int i = 0; i < 1 << JPEG_LOOKUP_BITS; i++) code->lookup[i] = ENTRY_IS_LONGER;
    for (int length = 1; length <= 16; length++) {
        int32_t count = code->counts[length];
        if (first + count > 1 << length) return JPEG_UNUSUAL;
        code->offset[length] = index - first;
        for (int32_t i = 0; i < count; i++, index++, first++) {
            if (is_dc && code->symbols[index] > 15) return JPEG_UNUSUAL;
            int spare = JPEG_LOOKUP_BITS - length;
            if (spare < 0) continue;
            for (int32_t window = first << spare; window < (first + 1) << spare; window++)
                code->lookup[window] = entry_of(window, length, code->symbols[index], is_dc);
        }
        code->limit[length] = first << (16 - length);
        first <<= 1;
    }
    if (!is_dc)
        for (int32_t window = 0; window < 1 << JPEG_LOOKUP_BITS; window++)
            code->pairs[window] = pair_of(code->lookup, window);
    code->is_built = 1;
    return JPEG_DONE;
}

const uint8_t *jpeg_take_interval(jpeg_bits *bits, const uint8_t *data, const uint8_t *end, uint8_t *room) {
    uint8_t *out = room;
    for (;;) {
        const uint8_t *stop = memchr(data, 0xFF, (size_t)(end - data));
        int is_stuffed = stop && stop + 1 < end && stop[1] == 0;
        int64_t length = (stop ? stop : end) + is_stuffed - data;
        memcpy(out, data, (size_t)length);
        out += length;
        data += length + is_stuffed;
        if (!is_stuffed) break;
    }
    memset(out, 0, JPEG_BITS_ROOM);
    *bits = (jpeg_bits){.next = room, .start = room, .stop = out};
    return data;
}

/* What the table does not give whole: an entry as the table would have it, and above it the number of bits of the code
   and of the coefficient. 0 for damaged data. */
static __attribute__((noinline)) int64_t read_long(uint64_t bits, const jpeg_code *code, int32_t entry, int is_dc) {
    int32_t length = entry & ENTRY_BITS, size = entry >> 16, step = entry & 0xFF00;
    if (entry & ENTRY_IS_LONGER) {
        int32_t window = (int32_t)(bits >> 48);
        for (length = 1; length <= 16 && window >= code->limit[length];) length++;
        if (length > 16) return 0;
        int symbol = code->symbols[(window >> (16 - length)) + code->offset[length]];
        size = is_dc ? symbol : symbol & 15;
        if (size > (is_dc ? MOST_DC_BITS : MOST_AC_BITS)) return 0;
        step = step_of(symbol, is_dc) << 8;
    }
    int32_t value = size ? extended((int32_t)(bits << length >> (64 - size)), size) : 0;
    return (int64_t)(length + size) << 32 | (uint32_t)value << 16 | (uint32_t)step;
}

/* The bits are kept in variables and not in memory: each step waits for the last. */
#define REFILL                                                                                                         \
    do {                                                                                                               \
        uint64_t more;                                                                                                 \
        memcpy(&more, next, 8);                                                                                        \
        bits |= BIG_ENDIAN_OF(more) >> count;                                                                          \
        next += (63 - count) >> 3;                                                                                     \
        count |= 56;                                                                                                   \
    } while (0)

#define READ_SYMBOL(code, is_dc)                                                                                       \
    do {                                                                                                               \
        entry = (code)->lookup[bits >> (64 - JPEG_LOOKUP_BITS)];                                                       \
        uint64_t used = entry & ENTRY_BITS;                                                                            \
        if (UNLIKELY(entry & (ENTRY_HAS_MORE | ENTRY_IS_LONGER))) {                                                    \
            int64_t longer = read_long(bits, code, entry, is_dc);                                                      \
            if (!longer) return 0;                                                                                     \
            entry = (int32_t)longer;                                                                                   \
            used = (uint64_t)longer >> 32;                                                                             \
        }                                                                                                              \
        bits <<= used;                                                                                                 \
        count -= used;                                                                                                 \
    } while (0)

/* Put a coefficient, or two, into the block. */
#define PUT(step, value)                                                                                               \
    do {                                                                                                               \
        place += (step) & 255;                                                                                         \
        block[places[place - 1]] = (int16_t)(value);                                                                   \
    } while (0)

#define READ_PAIR(code)                                                                                                \
    do {                                                                                                               \
        uint64_t pair = (code)->pairs[bits >> (64 - JPEG_LOOKUP_BITS)];                                                \
        if (UNLIKELY(pair & PAIR_IS_NONE)) {                                                                           \
            READ_SYMBOL(code, 0);                                                                                      \
            PUT(entry >> 8, entry >> 16);                                                                              \
        } else {                                                                                                       \
            PUT(pair >> FIRST_STEP, pair >> FIRST_VALUE);                                                              \
            if (place >= 64) {                                                                                         \
                bits <<= pair >> FIRST_BITS & 63;                                                                      \
                count -= pair >> FIRST_BITS & 63;                                                                      \
                goto done;                                                                                             \
            }                                                                                                          \
            PUT(pair >> SECOND_STEP, pair >> SECOND_VALUE);                                                            \
            bits <<= pair & 63;                                                                                        \
            count -= pair & 63;                                                                                        \
        }                                                                                                              \
        if (place >= 64) goto done;                                                                                    \
    } while (0)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BIG_ENDIAN_OF(value) __builtin_bswap64(value)
#else
#define BIG_ENDIAN_OF(value) (value)
#endif

int64_t jpeg_read_block(jpeg_bits *from, const jpeg_code *dc, const jpeg_code *ac, int32_t *last, int16_t *block) {
    uint64_t bits = from->bits, count = (uint64_t)from->count;
    const uint8_t *next = from->next;
    int32_t entry;
    REFILL;
    READ_SYMBOL(dc, 1);
    *last += entry >> 16;
    if (UNLIKELY(*last != (int16_t)*last)) return 0;
    block[0] = (int16_t)*last;
    uint64_t place = 1;
    for (;;) {
        READ_PAIR(ac);
        REFILL;
        READ_PAIR(ac);
    }
done:
    from->bits = bits;
    from->count = (int64_t)count;
    from->next = next;
    if (place > ENTRY_ENDS_BLOCK) return (int64_t)place - ENTRY_ENDS_BLOCK;
    return place == 64 ? 64 : 0;
}

int jpeg_is_overrun(const jpeg_bits *bits) { return bits->next > bits->stop + 8; }

int jpeg_is_used_up(const jpeg_bits *bits) {
    int64_t left = (bits->stop - bits->next) * 8 + bits->count;
    return left >= 0 && left < 8;
}
