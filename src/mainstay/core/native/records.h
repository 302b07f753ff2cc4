/* TFRecord framing and its checksums. */
#ifndef MAINSTAY_RECORDS_H
#define MAINSTAY_RECORDS_H

#include "mainstay_native.h"

/* Bytes around a record: its length (8), the length's checksum (4), and the record's checksum (4). */
#define RECORD_HEAD 12
#define RECORD_TAIL 4

/* Finds the records between `start` and `stop` of `buffer`, at most `limit`, and notes every `stride`-th: where its
   content begins and how long it is. Returns how many it passed; `*next` is where it stopped: at `stop`, after `limit`
   records, or before a record that is cut off or whose length does not match its checksum. */
MAINSTAY_EXPORT int64_t mainstay_scan_records(const uint8_t *buffer, int64_t start, int64_t stop, int64_t limit,
                                              int64_t stride, int64_t *offsets, int64_t *lengths, int64_t *next);

/* Returns the first of `count` records that is not inside the buffer or does not match its checksum, or -1. */
MAINSTAY_EXPORT int64_t mainstay_check_records(const uint8_t *buffer, int64_t size, const int64_t *offsets,
                                               const int64_t *lengths, int64_t count);

/* Writes `count` records, `data[bounds[i]:bounds[i + 1]]`, each in its frame; `out` has room for 16 bytes more each. */
MAINSTAY_EXPORT void mainstay_frame_records(const uint8_t *data, const int64_t *bounds, int64_t count, uint8_t *out);

/* The masked CRC-32C of `size` bytes; with `portable`, by tables whatever the processor can do. */
MAINSTAY_EXPORT uint32_t mainstay_masked_crc32c(const uint8_t *data, int64_t size, int32_t portable);

#endif
