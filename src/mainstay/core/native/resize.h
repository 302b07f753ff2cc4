/* Resampling of 8-bit images: see resize.c. */
#ifndef MAINSTAY_RESIZE_H
#define MAINSTAY_RESIZE_H

#include "mainstay_native.h"

/* One axis of a resampling: output i is the sum of weights[i * span + k] times input starts[i] + k. */
typedef struct {
    int64_t input, output, span;
    const int64_t *starts; /* [output] */
    const float *weights;  /* [output, span] */
} mainstay_axis;

/* Resample one image; 0 when done, 1 for a table that leads out of the image, 2 where memory is lacking.
   source: rows of `width->input` pixels of `channels` bytes, `stride` bytes apart. out: [height, width, channels],
   packed, of floats; of bytes, rounded half to even, where `bytes` is not 0. */
MAINSTAY_EXPORT int32_t mainstay_resize(const uint8_t *source, int64_t stride, int64_t channels,
                                        const mainstay_axis *height, const mainstay_axis *width, void *out,
                                        int32_t bytes);

#endif
