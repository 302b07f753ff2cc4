/* Scans arbitrary bytes as a TFRecord file: nothing outside the buffer, and what is framed is found again. */
#include <stdio.h>
#include <stdlib.h>

#include "records.h"

#define CHECK(condition)                                                                                                 \
    do {                                                                                                                 \
        if (!(condition)) {                                                                                              \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                      \
            abort();                                                                                                     \
        }                                                                                                                \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *exactly(int64_t bytes) {
    void *memory = malloc(bytes ? (size_t)bytes : 1);
    if (!memory) abort();
    return memory;
}

static void scan(const uint8_t *buffer, int64_t size, int64_t stride) {
    int64_t room = size / 16 / stride + 1, next = -1;
    int64_t *offsets = exactly(8 * room), *lengths = exactly(8 * room);
    int64_t count = mainstay_scan_records(buffer, 0, size, INT64_MAX, stride, offsets, lengths, &next);
    int64_t noted = (count + stride - 1) / stride, end = 0;
    CHECK(noted <= room && next >= 0 && next <= size && 16 * count <= next);
    for (int64_t i = 0; i < noted; i++) {
        CHECK(offsets[i] >= end + RECORD_HEAD && lengths[i] >= 0 && lengths[i] <= next - offsets[i] - RECORD_TAIL);
        end = offsets[i] + lengths[i] + RECORD_TAIL;
    }
    int64_t bad = mainstay_check_records(buffer, size, offsets, lengths, noted);
    CHECK(bad >= -1 && bad < noted);
    free(offsets);
    free(lengths);
}

/* The bytes as a file; the bytes, cut in pieces, as records to be framed; the bytes as places that nobody promised. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t given) {
    int64_t size = (int64_t)given;
    uint8_t *buffer = exactly(size);
    if (size) memcpy(buffer, data, given);
    scan(buffer, size, 1);
    scan(buffer, size, 3);
    CHECK(mainstay_masked_crc32c(buffer, size, 0) == mainstay_masked_crc32c(buffer, size, 1));

    int64_t bounds[5] = {0, size / 5, size / 3, size / 3, size}, offsets[4], lengths[4], next;
    uint8_t *framed = exactly(size + 4 * (RECORD_HEAD + RECORD_TAIL));
    mainstay_frame_records(buffer, bounds, 4, framed);
    int64_t framed_size = size + 4 * (RECORD_HEAD + RECORD_TAIL);
    CHECK(mainstay_scan_records(framed, 0, framed_size, 4, 1, offsets, lengths, &next) == 4 && next == framed_size);
    CHECK(mainstay_check_records(framed, framed_size, offsets, lengths, 4) == -1);
    for (int i = 0; i < 4; i++) {
        CHECK(lengths[i] == bounds[i + 1] - bounds[i]);
        CHECK(!memcmp(framed + offsets[i], buffer + bounds[i], (size_t)lengths[i]));
    }
    if (size >= 16) {
        memcpy(offsets, buffer, 8);
        memcpy(lengths, buffer + 8, 8);
        int64_t bad = mainstay_check_records(buffer, size, offsets, lengths, 1);
        CHECK(bad == 0 || (offsets[0] >= 0 && lengths[0] >= 0 && lengths[0] <= size - offsets[0] - RECORD_TAIL));
    }
    free(framed);
    free(buffer);
    return 0;
}
