/* Resampling of 8-bit images by tables of weights: rows first, then columns, as io/images/resizing.py does in NumPy. */

#include "resize.h"

#include <stdlib.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define WIDE __attribute__((target("avx2"))) /* not fma: both versions round alike */
#else
#define WIDE
#endif
#define INLINE static inline __attribute__((always_inline))

typedef float four __attribute__((vector_size(16)));

/* A span of two is an interpolation: a constant image stays one, which a sum of products would not promise. */
INLINE void blend_rows(const uint8_t *restrict upper, const uint8_t *restrict lower, float weight, int64_t n,
                       float *restrict row) {
    for (int64_t i = 0; i < n; i++) {
        float first = (float)upper[i];
        row[i] = first + ((float)lower[i] - first) * weight;
    }
}

INLINE void sum_rows(const uint8_t *restrict source, int64_t stride, const float *restrict weights, int64_t span,
                     int64_t n, float *restrict row) {
    for (int64_t i = 0; i < n; i++)
        row[i] = weights[0] * (float)source[i];
    for (int64_t k = 1; k < span; k++) {
        const uint8_t *restrict line = source + k * stride;
        float weight = weights[k];
        for (int64_t i = 0; i < n; i++)
            row[i] += weight * (float)line[i];
    }
}

/* Four floats are read and written at once where three or four channels are wanted: row and line have room for it. */
INLINE void blend_columns(const float *restrict row, const mainstay_axis *axis, int64_t channels, float *line) {
    for (int64_t x = 0; x < axis->output; x++) {
        const float *pixel = row + axis->starts[x] * channels;
        float weight = axis->weights[2 * x + 1];
        if (channels >= 3) {
            four first, second;
            memcpy(&first, pixel, sizeof first);
            memcpy(&second, pixel + channels, sizeof second);
            first += (second - first) * weight;
            memcpy(line + x * channels, &first, sizeof first);
        } else {
            for (int64_t c = 0; c < channels; c++)
                line[x * channels + c] = pixel[c] + (pixel[channels + c] - pixel[c]) * weight;
        }
    }
}

INLINE void sum_columns(const float *restrict row, const mainstay_axis *axis, int64_t channels, float *line) {
    int64_t span = axis->span;
    for (int64_t x = 0; x < axis->output; x++) {
        const float *pixel = row + axis->starts[x] * channels, *weights = axis->weights + x * span;
        if (channels >= 3) {
            four sum, more;
            memcpy(&sum, pixel, sizeof sum);
            sum *= weights[0];
            for (int64_t k = 1; k < span; k++) {
                memcpy(&more, pixel + k * channels, sizeof more);
                sum += more * weights[k];
            }
            memcpy(line + x * channels, &sum, sizeof sum);
        } else {
            for (int64_t c = 0; c < channels; c++) {
                float sum = weights[0] * pixel[c];
                for (int64_t k = 1; k < span; k++)
                    sum += weights[k] * pixel[k * channels + c];
                line[x * channels + c] = sum;
            }
        }
    }
}

INLINE void round_line(const float *restrict line, int64_t n, uint8_t *restrict out) {
    for (int64_t i = 0; i < n; i++) {
        /* 1.5 * 2^23 leaves no room for a fraction: the sum is rounded, half to even. */
        int32_t value = (int32_t)((line[i] + 12582912.0f) - 12582912.0f);
        value = value < 0 ? 0 : value;
        out[i] = (uint8_t)(value > 255 ? 255 : value);
    }
}

INLINE void resize(const uint8_t *source, int64_t stride, int64_t channels, const mainstay_axis *height,
                   const mainstay_axis *width, void *out, int32_t bytes, float *row, float *line) {
    int64_t in_row = width->input * channels, out_row = width->output * channels;
    for (int64_t y = 0; y < height->output; y++) {
        const uint8_t *upper = source + height->starts[y] * stride;
        const float *weights = height->weights + y * height->span;
        if (height->span == 2)
            blend_rows(upper, upper + stride, weights[1], in_row, row);
        else
            sum_rows(upper, stride, weights, height->span, in_row, row);
        if (width->span == 2) {
            if (channels == 3)
                blend_columns(row, width, 3, line);
            else
                blend_columns(row, width, channels, line);
        } else {
            if (channels == 3)
                sum_columns(row, width, 3, line);
            else
                sum_columns(row, width, channels, line);
        }
        if (bytes)
            round_line(line, out_row, (uint8_t *)out + y * out_row);
        else
            memcpy((float *)out + y * out_row, line, (size_t)out_row * sizeof *line);
    }
}

typedef void resizer(const uint8_t *, int64_t, int64_t, const mainstay_axis *, const mainstay_axis *, void *, int32_t,
                     float *, float *);

static void resize_plain(const uint8_t *source, int64_t stride, int64_t channels, const mainstay_axis *height,
                         const mainstay_axis *width, void *out, int32_t bytes, float *row, float *line) {
    resize(source, stride, channels, height, width, out, bytes, row, line);
}

WIDE static void resize_wide(const uint8_t *source, int64_t stride, int64_t channels, const mainstay_axis *height,
                             const mainstay_axis *width, void *out, int32_t bytes, float *row, float *line) {
    resize(source, stride, channels, height, width, out, bytes, row, line);
}

static resizer *best_resizer(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    return __builtin_cpu_supports("avx2") ? resize_wide : resize_plain;
#else
    return resize_wide; /* the platform's own instructions: the same as plain */
#endif
}

static int within(const mainstay_axis *axis) {
    if (axis->input < 1 || axis->output < 1 || axis->span < 1 || axis->span > axis->input)
        return 0;
    for (int64_t i = 0; i < axis->output; i++)
        if (axis->starts[i] < 0 || axis->starts[i] > axis->input - axis->span)
            return 0;
    return 1;
}

int32_t mainstay_resize(const uint8_t *source, int64_t stride, int64_t channels, const mainstay_axis *height,
                        const mainstay_axis *width, void *out, int32_t bytes) {
    if (channels < 1 || channels > 4 || !within(height) || !within(width) || stride < width->input * channels)
        return 1;
    int64_t in_row = width->input * channels + 4, out_row = width->output * channels + 4;
    float *row = calloc((size_t)(in_row + out_row), sizeof *row);
    if (row == NULL)
        return 2;
    best_resizer()(source, stride, channels, height, width, out, bytes, row, row + in_row);
    free(row);
    return 0;
}
