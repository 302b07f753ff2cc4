/* Single TFRecords out of a mapped file: found from the nearest known frame on, and copied side by side. */
#ifndef MAINSTAY_RECORD_WALK_H
#define MAINSTAY_RECORD_WALK_H

#include "mainstay_native.h"

/* Goes `hops[i]` records on from the frame at `frames[i]`, for each of `count`, and notes where that record's content
   begins and how long it is. Returns the first for which a frame on the way is not whole inside `size`, or -1. */
MAINSTAY_EXPORT int64_t mainstay_walk_records(const uint8_t *buffer, int64_t size, const int64_t *frames,
                                              const int64_t *hops, int64_t count, int64_t *offsets, int64_t *lengths);

/* Copies `count` ranges of `buffer`, which the caller has checked, one behind the other into `out`. */
MAINSTAY_EXPORT void mainstay_gather_records(const uint8_t *buffer, const int64_t *offsets, const int64_t *lengths,
                                             int64_t count, uint8_t *out);

#endif
