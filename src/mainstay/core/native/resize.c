/* Resampling of 8-bit images by tables of weights: rows first, then columns, as io/images/resizing.py does in NumPy. */

#include "resize_rows.h"

#include <stdlib.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define RESIZE_WIDE 1
#define WIDE __attribute__((target("avx2"))) /* not fma: both versions round alike */
#define WIDE_INLINE static inline __attribute__((always_inline, target("avx2")))
#else
#define RESIZE_WIDE 0
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

INLINE void make_row(const resize_task *t, int64_t y, const uint8_t *upper, int64_t stride) {
    const mainstay_axis *height = t->height, *width = t->width;
    int64_t channels = t->channels, in_row = width->input * channels, out_row = width->output * channels;
    const float *weights = height->weights + y * height->span;
    if (height->span == 2)
        blend_rows(upper, upper + stride, weights[1], in_row, t->row);
    else
        sum_rows(upper, stride, weights, height->span, in_row, t->row);
    if (width->span == 2) {
        if (channels == 3)
            blend_columns(t->row, width, 3, t->line);
        else
            blend_columns(t->row, width, channels, t->line);
    } else {
        if (channels == 3)
            sum_columns(t->row, width, 3, t->line);
        else
            sum_columns(t->row, width, channels, t->line);
    }
    if (t->bytes)
        round_line(t->line, out_row, (uint8_t *)t->out + y * out_row);
    else
        memcpy((float *)t->out + y * out_row, t->line, (size_t)out_row * sizeof *t->line);
}

static void make_row_plain(const resize_task *task, int64_t y, const uint8_t *upper, int64_t stride) {
    make_row(task, y, upper, stride);
}

#if RESIZE_WIDE
WIDE_INLINE __m256 eight_floats(const uint8_t *bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes)));
}

WIDE_INLINE int64_t blend_rows_wide(const uint8_t *upper, const uint8_t *lower, float weight, int64_t n, float *row) {
    const __m256 share = _mm256_set1_ps(weight);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 first = eight_floats(upper + i), step = _mm256_sub_ps(eight_floats(lower + i), first);
        _mm256_storeu_ps(row + i, _mm256_add_ps(first, _mm256_mul_ps(step, share)));
    }
    return i;
}

/* The sums of 32 columns stay in registers while all rows of the source go by. */
WIDE_INLINE int64_t sum_rows_wide(const uint8_t *source, int64_t stride, const float *weights, int64_t span, int64_t n,
                                  float *row) {
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const uint8_t *line = source + i;
        __m256 sums[4], weight = _mm256_set1_ps(weights[0]);
        for (int j = 0; j < 4; j++) sums[j] = _mm256_mul_ps(eight_floats(line + 8 * j), weight);
        for (int64_t k = 1; k < span; k++) {
            line += stride;
            weight = _mm256_set1_ps(weights[k]);
            for (int j = 0; j < 4; j++)
                sums[j] = _mm256_add_ps(sums[j], _mm256_mul_ps(eight_floats(line + 8 * j), weight));
        }
        for (int j = 0; j < 4; j++) _mm256_storeu_ps(row + i + 8 * j, sums[j]);
    }
    return i;
}

/* One pixel of three channels, and a fourth number that means nothing. */
WIDE_INLINE __m128 pixel_of(const float *from, const float *weights, int64_t span) {
    __m128 first = _mm_loadu_ps(from);
    if (span == 2) {
        __m128 step = _mm_sub_ps(_mm_loadu_ps(from + 3), first);
        return _mm_add_ps(first, _mm_mul_ps(step, _mm_set1_ps(weights[1])));
    }
    __m128 sum = _mm_mul_ps(first, _mm_set1_ps(weights[0]));
    for (int64_t k = 1; k < span; k++)
        sum = _mm_add_ps(sum, _mm_mul_ps(_mm_loadu_ps(from + 3 * k), _mm_set1_ps(weights[k])));
    return sum;
}

/* Four pixels at a time as twelve bytes: the processor rounds half to even, and packing holds them in their range. */
WIDE_INLINE void put_bytes(const float *row, const mainstay_axis *axis, int64_t span, uint8_t *out) {
    const __m128i colours = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    const int64_t *starts = axis->starts, n = axis->output;
    const float *weights = axis->weights;
    int64_t x = 0;
#define WHOLE(k) _mm_cvtps_epi32(pixel_of(row + starts[x + (k)] * 3, weights + (x + (k)) * span, span))
    for (; x + 4 <= n; x += 4, out += 12) {
        __m128i low = _mm_packs_epi32(WHOLE(0), WHOLE(1)), high = _mm_packs_epi32(WHOLE(2), WHOLE(3));
        __m128i bytes = _mm_shuffle_epi8(_mm_packus_epi16(low, high), colours);
        int32_t last = _mm_extract_epi32(bytes, 2);
        _mm_storel_epi64((__m128i *)out, bytes);
        memcpy(out + 8, &last, 4);
    }
    for (; x < n; x++, out += 3) {
        __m128i whole = _mm_packs_epi32(WHOLE(0), WHOLE(0));
        int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(whole, whole));
        memcpy(out, &bytes, 3);
    }
#undef WHOLE
}

WIDE_INLINE void put_floats(const float *row, const mainstay_axis *axis, int64_t span, float *out) {
    const int64_t *starts = axis->starts, last = axis->output - 1;
    const float *weights = axis->weights;
    for (int64_t x = 0; x < last; x++, out += 3)
        _mm_storeu_ps(out, pixel_of(row + starts[x] * 3, weights + x * span, span));
    float pixel[4];
    _mm_storeu_ps(pixel, pixel_of(row + starts[last] * 3, weights + last * span, span));
    memcpy(out, pixel, 3 * sizeof *out);
}

WIDE static void make_row_wide(const resize_task *t, int64_t y, const uint8_t *upper, int64_t stride) {
    if (t->channels != 3) {
        make_row(t, y, upper, stride);
        return;
    }
    const mainstay_axis *height = t->height, *width = t->width;
    int64_t in_row = 3 * width->input, out_row = 3 * width->output, span = height->span, i;
    const float *weights = height->weights + y * span;
    if (span == 2) {
        i = blend_rows_wide(upper, upper + stride, weights[1], in_row, t->row);
        blend_rows(upper + i, upper + stride + i, weights[1], in_row - i, t->row + i);
    } else {
        i = sum_rows_wide(upper, stride, weights, span, in_row, t->row);
        sum_rows(upper + i, stride, weights, span, in_row - i, t->row + i);
    }
    /* The loops for two are made apart from those for any number. */
    if (t->bytes && width->span == 2) put_bytes(t->row, width, 2, (uint8_t *)t->out + y * out_row);
    else if (t->bytes) put_bytes(t->row, width, width->span, (uint8_t *)t->out + y * out_row);
    else if (width->span == 2) put_floats(t->row, width, 2, (float *)t->out + y * out_row);
    else put_floats(t->row, width, width->span, (float *)t->out + y * out_row);
}
#endif

int resize_is_within(const mainstay_axis *axis) {
    if (axis->input < 1 || axis->output < 1 || axis->span < 1 || axis->span > axis->input)
        return 0;
    for (int64_t i = 0; i < axis->output; i++)
        if (axis->starts[i] < 0 || axis->starts[i] > axis->input - axis->span)
            return 0;
    return 1;
}

/* A row of the source and one of the result; four floats are read and written at once at the end of each. */
int64_t resize_room(const mainstay_axis *width, int64_t channels) {
    return (width->input + width->output) * channels + 8;
}

void resize_prepare(resize_task *task, float *room, int32_t plain) {
    task->row = room;
    task->line = room + task->width->input * task->channels + 4;
    task->make_row = make_row_plain;
#if RESIZE_WIDE
    if (!plain && __builtin_cpu_supports("avx2"))
        task->make_row = make_row_wide;
#else
    (void)plain;
#endif
}

int32_t mainstay_resize(const uint8_t *source, int64_t stride, int64_t channels, const mainstay_axis *height,
                        const mainstay_axis *width, void *out, int32_t bytes) {
    if (channels < 1 || channels > 4 || !resize_is_within(height) || !resize_is_within(width))
        return 1;
    if (stride < width->input * channels)
        return 1;
    resize_task task = {.channels = channels, .height = height, .width = width, .out = out, .bytes = bytes};
    float *room = calloc((size_t)resize_room(width, channels), sizeof *room);
    if (room == NULL)
        return 2;
    resize_prepare(&task, room, 0);
    for (int64_t y = 0; y < height->output; y++)
        task.make_row(&task, y, source + height->starts[y] * stride, stride);
    free(room);
    return 0;
}
