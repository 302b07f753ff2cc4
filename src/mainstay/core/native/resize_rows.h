/* Resampling one row of the result after the other: what mainstay_resize and the JPEG decoder share. */
#ifndef MAINSTAY_RESIZE_ROWS_H
#define MAINSTAY_RESIZE_ROWS_H

#include "resize.h"

typedef struct resize_task resize_task;
struct resize_task {
    int64_t channels;
    const mainstay_axis *height, *width;
    void *out; /* floats, or bytes */
    int32_t bytes;
    float *row, *line; /* room for resize_room() floats in all, zeros at first */
    /* Make row `y` of the result; `upper` is its first row of the source, the others follow `stride` bytes apart. */
    void (*make_row)(const resize_task *task, int64_t y, const uint8_t *upper, int64_t stride);
};

/* Whether no entry of the axis leads out of its input. */
int resize_is_within(const mainstay_axis *axis);
int64_t resize_room(const mainstay_axis *width, int64_t channels);
void resize_prepare(resize_task *task, float *room, int32_t plain);

#endif
