/* Baseline JPEG to pixels, and straight to a resized picture: see jpeg.c. */
#ifndef MAINSTAY_JPEG_H
#define MAINSTAY_JPEG_H

#include "resize.h"

/* JPEG_UNUSUAL: a file that libjpeg-turbo is to decode or to refuse, or a processor on which that is faster; what `out`
   holds then means nothing. */
enum { JPEG_DONE = 0, JPEG_UNUSUAL = 1, JPEG_NO_MEMORY = 2 };

/* What a file is decoded to. Without axes, all its pixels as bytes. With axes, the window whose corner is at `top` and
   `left` and whose size is the axes' input, resampled as mainstay_resize does it. */
typedef struct {
    int64_t channels;      /* 1: gray, 3: RGB */
    int64_t height, width; /* of the whole picture: a file of another size is unusual */
    int64_t top, left;
    const mainstay_axis *rows, *columns; /* both or none */
    void *out;                           /* packed: bytes, or floats where `bytes` is 0 and there are axes */
    int32_t bytes;
    int32_t plain; /* do without AVX2, which is slow and gives the same result: for tests */
    void *state;   /* mainstay_jpeg_state_size() bytes, zeros at first and then left alone: what one call keeps for the
                      next, and so not for two at a time */
} mainstay_jpeg_request;

MAINSTAY_EXPORT int64_t mainstay_jpeg_state_size(void);

MAINSTAY_EXPORT int32_t mainstay_decode_jpeg(const uint8_t *file, int64_t size, const mainstay_jpeg_request *request);

#endif
