/* TFRecord framing: a scan that trusts no length, and CRC-32C by the processor's instruction where it has one. */
#include "records.h"

#if defined(__x86_64__) || defined(__i386__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#if defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif
#endif

typedef uint32_t (*crc_function)(const uint8_t *data, int64_t size);
typedef void (*crc_of_three_function)(const uint8_t *const data[3], const int64_t sizes[3], uint32_t crcs[3]);

static uint32_t tables[8][256];

static uint64_t load_u64(const uint8_t *p) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | p[i];
    return value;
}

#if defined(__x86_64__)
static inline uint64_t load_word(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}
#endif

static uint32_t load_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store(uint8_t *p, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t crc_tables(const uint8_t *p, int64_t size) {
    uint32_t crc = ~0u;
    for (; size >= 8; size -= 8, p += 8) {
        uint32_t low = load_u32(p) ^ crc, high = load_u32(p + 4);
        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
              tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    }
    for (; size > 0; size--) crc = tables[0][(crc ^ *p++) & 255] ^ crc >> 8;
    return ~crc;
}

static void crc_of_three_tables(const uint8_t *const data[3], const int64_t sizes[3], uint32_t crcs[3]) {
    for (int i = 0; i < 3; i++) crcs[i] = crc_tables(data[i], sizes[i]);
}

#if defined(__x86_64__)
#define HAS_INSTRUCTION
#define WITH_CRC __attribute__((target("sse4.2")))
#define CRC_OF_WORD(crc, p) (uint32_t)_mm_crc32_u64(crc, load_word(p))
#define CRC_OF_BYTE(crc, byte) _mm_crc32_u8(crc, byte)
static int has_instruction(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__) && (defined(__linux__) || defined(__ARM_FEATURE_CRC32))
#define HAS_INSTRUCTION
#if defined(__ARM_FEATURE_CRC32)
#define WITH_CRC
#else
#define WITH_CRC __attribute__((target("+crc")))
#endif
#define CRC_OF_WORD(crc, p) __crc32cd(crc, load_u64(p))
#define CRC_OF_BYTE(crc, byte) __crc32cb(crc, byte)
static int has_instruction(void) {
#if defined(__ARM_FEATURE_CRC32)
    return 1;
#else
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#endif
}
#endif

static crc_function best = crc_tables;
static crc_of_three_function best_of_three = crc_of_three_tables;

#if defined(HAS_INSTRUCTION)
WITH_CRC static uint32_t crc_from(uint32_t crc, const uint8_t *p, int64_t size) {
    for (; size >= 8; size -= 8, p += 8) crc = CRC_OF_WORD(crc, p);
    for (; size > 0; size--) crc = CRC_OF_BYTE(crc, *p++);
    return ~crc;
}

WITH_CRC static uint32_t crc_instruction(const uint8_t *p, int64_t size) { return crc_from(~0u, p, size); }

/* How many bytes ahead memory is fetched: the processor does not see by itself that three streams are read. */
#define FETCHED 2048
#define LINE 64

/* The instruction takes three cycles, and a processor can begin one in each: three sums cost about as much as one. */
WITH_CRC static void crc_of_three_instructions(const uint8_t *const data[3], const int64_t sizes[3], uint32_t crcs[3]) {
    int64_t common = sizes[0] < sizes[1] ? sizes[0] : sizes[1], at = 0;
    if (sizes[2] < common) common = sizes[2];
    uint32_t first = ~0u, second = ~0u, third = ~0u;
    for (; at + 8 <= common; at += 8) {
        if (at % LINE == 0)
            for (int i = 0; i < 3; i++) __builtin_prefetch(data[i] + at + FETCHED);
        first = CRC_OF_WORD(first, data[0] + at);
        second = CRC_OF_WORD(second, data[1] + at);
        third = CRC_OF_WORD(third, data[2] + at);
    }
    crcs[0] = crc_from(first, data[0] + at, sizes[0] - at);
    crcs[1] = crc_from(second, data[1] + at, sizes[1] - at);
    crcs[2] = crc_from(third, data[2] + at, sizes[2] - at);
}
#endif

/* When the library is loaded, and so before any thread can ask. */
__attribute__((constructor)) static void prepare(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        tables[0][i] = crc;
    }
    for (int i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++) tables[t][i] = tables[0][tables[t - 1][i] & 255] ^ tables[t - 1][i] >> 8;
#if defined(HAS_INSTRUCTION)
    if (has_instruction()) {
        best = crc_instruction;
        best_of_three = crc_of_three_instructions;
    }
#endif
}

static uint32_t mask(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

uint32_t mainstay_masked_crc32c(const uint8_t *data, int64_t size, int32_t portable) {
    return mask((portable ? crc_tables : best)(data, size));
}

#define AHEAD 3

int64_t mainstay_scan_records(const uint8_t *buffer, int64_t start, int64_t stop, int64_t limit, int64_t stride,
                              int64_t *offsets, int64_t *lengths, int64_t *next) {
    int64_t count = 0, position = start, until_noted = 0;
    while (count < limit && stop - position >= RECORD_HEAD + RECORD_TAIL) {
        uint64_t length = load_u64(buffer + position);
        if (length > (uint64_t)(stop - position - RECORD_HEAD - RECORD_TAIL)) break;
        if (mask(best(buffer + position, 8)) != load_u32(buffer + position + 8)) break;
        if (until_noted == 0) {
            *offsets++ = position + RECORD_HEAD;
            *lengths++ = (int64_t)length;
            until_noted = stride;
        }
        until_noted--;
        count++;
        position += RECORD_HEAD + (int64_t)length + RECORD_TAIL;
        /* Where the next one begins is known late; those behind it are probably about as long. */
        int64_t probable = position + AHEAD * (RECORD_HEAD + (int64_t)length + RECORD_TAIL);
        if (probable < stop) __builtin_prefetch(buffer + probable);
    }
    *next = position;
    return count;
}

static int is_inside(int64_t size, int64_t offset, int64_t length) {
    return offset >= 0 && length >= 0 && offset <= size && length <= size - offset &&
           size - offset - length >= RECORD_TAIL;
}

/* Whether three records are inside the buffer and match their checksums. */
static int are_right(const uint8_t *buffer, int64_t size, const int64_t *offsets, const int64_t *lengths) {
    const uint8_t *data[3];
    uint32_t crcs[3], differences = 0;
    for (int i = 0; i < 3; i++) {
        if (!is_inside(size, offsets[i], lengths[i])) return 0;
        data[i] = buffer + offsets[i];
    }
    best_of_three(data, lengths, crcs);
    for (int i = 0; i < 3; i++) differences |= mask(crcs[i]) ^ load_u32(data[i] + lengths[i]);
    return !differences;
}

int64_t mainstay_check_records(const uint8_t *buffer, int64_t size, const int64_t *offsets, const int64_t *lengths,
                               int64_t count) {
    int64_t i = 0;
    while (i + 3 <= count && are_right(buffer, size, offsets + i, lengths + i)) i += 3;
    for (; i < count; i++) {
        int64_t offset = offsets[i], length = lengths[i];
        if (!is_inside(size, offset, length)) return i;
        if (mask(best(buffer + offset, length)) != load_u32(buffer + offset + length)) return i;
    }
    return -1;
}

void mainstay_frame_records(const uint8_t *data, const int64_t *bounds, int64_t count, uint8_t *out) {
    for (int64_t i = 0; i < count; i++) {
        int64_t length = bounds[i + 1] - bounds[i];
        const uint8_t *record = data + bounds[i];
        store(out, (uint64_t)length, 8);
        store(out + 8, mask(best(out, 8)), 4);
        memcpy(out + RECORD_HEAD, record, (size_t)length);
        store(out + RECORD_HEAD + length, mask(best(record, length)), 4);
        out += RECORD_HEAD + length + RECORD_TAIL;
    }
}
