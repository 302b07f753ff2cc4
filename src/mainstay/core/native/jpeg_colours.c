/* Colours of half the size to the size of the picture, and YCbCr to RGB: what libjpeg does, bit for bit.

   Colours are interpolated: three quarters of the nearer sample and one of the farther, in each direction that is to be
   doubled. Halves are rounded up and down in turn. */
#include "jpeg.h"
#include "jpeg_parts.h"

#define INLINE static inline __attribute__((always_inline))
#if JPEG_WIDE
#include <immintrin.h>
#define WIDE __attribute__((target("avx2")))
#define WIDE_INLINE static inline __attribute__((always_inline, target("avx2")))
#endif

INLINE void spread_copies(const jpeg_spread *s, const uint8_t *near, uint8_t *restrict out) {
    for (int64_t i = 0; i < s->samples; i++)
        for (int64_t k = 0; k < s->copies; k++) out[i * s->copies + k] = near[i];
}

INLINE void spread(const jpeg_spread *s, const uint8_t *restrict near, const uint8_t *restrict far, int is_lower,
                   uint8_t *restrict out) {
    int64_t n = s->samples;
    if (s->kind == SPREAD_DOWN) {
        for (int64_t i = 0; i < n; i++) out[i] = (uint8_t)((3 * near[i] + far[i] + 1 + is_lower) >> 2);
        return;
    }
    if (s->kind == SPREAD_COPIES) {
        spread_copies(s, near, out);
        return;
    }
    /* The samples at the borders are their own neighbours. */
    int16_t *restrict sums = s->sums + 1;
    if (s->kind == SPREAD_BOTH)
        for (int64_t i = 0; i < n; i++) sums[i] = (int16_t)(3 * near[i] + far[i]);
    else
        for (int64_t i = 0; i < n; i++) sums[i] = near[i];
    sums[-1] = sums[0];
    sums[n] = sums[n - 1];
    if (s->kind == SPREAD_BOTH)
        for (int64_t i = 0; i < n; i++) {
            out[2 * i] = (uint8_t)((3 * sums[i] + sums[i - 1] + 8) >> 4);
            out[2 * i + 1] = (uint8_t)((3 * sums[i] + sums[i + 1] + 7) >> 4);
        }
    else
        for (int64_t i = 0; i < n; i++) {
            out[2 * i] = (uint8_t)((3 * sums[i] + sums[i - 1] + 1) >> 2);
            out[2 * i + 1] = (uint8_t)((3 * sums[i] + sums[i + 1] + 2) >> 2);
        }
}

void jpeg_spread_plain(const jpeg_spread *s, const uint8_t *near, const uint8_t *far, int is_lower, uint8_t *out) {
    spread(s, near, far, is_lower, out);
}

static inline uint8_t clipped(int32_t value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

/* The factors of ITU-R BT.601 with sixteen bits of fraction. */
enum { RED_OF_CR = 91881, GREEN_OF_CB = -22554, GREEN_OF_CR = -46802, BLUE_OF_CB = 116130, HALF = 1 << 15 };

void jpeg_to_rgb_plain(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int64_t pixels, uint8_t *out) {
    for (int64_t i = 0; i < pixels; i++) {
        int32_t b = cb[i] - 128, r = cr[i] - 128;
        out[3 * i] = clipped(y[i] + ((RED_OF_CR * r + HALF) >> 16));
        out[3 * i + 1] = clipped(y[i] + ((GREEN_OF_CB * b + GREEN_OF_CR * r + HALF) >> 16));
        out[3 * i + 2] = clipped(y[i] + ((BLUE_OF_CB * b + HALF) >> 16));
    }
}

#if JPEG_WIDE
WIDE_INLINE __m256i widened(const uint8_t *samples) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)samples));
}

WIDE_INLINE __m256i three_and_one(__m256i near, __m256i far) {
    return _mm256_add_epi16(_mm256_add_epi16(near, _mm256_add_epi16(near, near)), far);
}

WIDE_INLINE __m256i sums_at(const int16_t *sums) { return _mm256_loadu_si256((const __m256i *)sums); }

/* Sixteen samples at a time become the even and the odd bytes of the result. */
WIDE_INLINE void double_row(const int16_t *sums, int64_t n, int16_t even_half, int16_t odd_half, int bits, uint8_t *out) {
    const __m256i even_round = _mm256_set1_epi16(even_half), odd_round = _mm256_set1_epi16(odd_half);
    for (int64_t i = 0; i < n; i += 16) {
        __m256i own = sums_at(sums + i);
        __m256i even = _mm256_add_epi16(three_and_one(own, sums_at(sums + i - 1)), even_round);
        __m256i odd = _mm256_add_epi16(three_and_one(own, sums_at(sums + i + 1)), odd_round);
        odd = _mm256_slli_epi16(_mm256_srli_epi16(odd, bits), 8);
        _mm256_storeu_si256((__m256i *)(out + 2 * i), _mm256_or_si256(_mm256_srli_epi16(even, bits), odd));
    }
}

WIDE void jpeg_spread_wide(const jpeg_spread *s, const uint8_t *near, const uint8_t *far, int is_lower, uint8_t *out) {
    if (s->kind != SPREAD_BOTH && s->kind != SPREAD_ACROSS) {
        spread(s, near, far, is_lower, out);
        return;
    }
    int64_t n = s->samples;
    int16_t *sums = s->sums + 1;
    for (int64_t i = 0; i < n; i += 16) {
        __m256i own = widened(near + i);
        if (s->kind == SPREAD_BOTH) own = three_and_one(own, widened(far + i));
        _mm256_storeu_si256((__m256i *)(sums + i), own);
    }
    sums[-1] = sums[0];
    sums[n] = sums[n - 1];
    if (s->kind == SPREAD_BOTH) double_row(sums, n, 8, 7, 4, out);
    else double_row(sums, n, 1, 2, 2, out);
}

/* A sample times a factor between -0.5 and 0.5, rounded: twice the sample leaves one more bit to round with. */
WIDE_INLINE __m256i part(__m256i sample, int16_t factor) {
    __m256i product = _mm256_mulhi_epi16(_mm256_add_epi16(sample, sample), _mm256_set1_epi16(factor));
    return _mm256_srai_epi16(_mm256_add_epi16(product, _mm256_set1_epi16(1)), 1);
}

typedef struct {
    __m256i red, green, blue;
} colours;

/* Sixteen pixels. Factors that sixteen bits do not hold are whole numbers and a rest. */
WIDE_INLINE colours converted(const uint8_t *y, const uint8_t *cb, const uint8_t *cr) {
    const __m256i centre = _mm256_set1_epi16(128), half = _mm256_set1_epi32(HALF);
    const __m256i factors = _mm256_set1_epi32((int32_t)(((uint32_t)(65536 + GREEN_OF_CR) << 16) | (uint16_t)GREEN_OF_CB));
    __m256i light = widened(y), b = _mm256_sub_epi16(widened(cb), centre), r = _mm256_sub_epi16(widened(cr), centre);
    __m256i red = _mm256_add_epi16(part(r, RED_OF_CR - 65536), r);
    __m256i blue = _mm256_add_epi16(part(b, BLUE_OF_CB - 131072), _mm256_add_epi16(b, b));
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(b, r), factors);
    __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi16(b, r), factors);
    low = _mm256_srai_epi32(_mm256_add_epi32(low, half), 16);
    high = _mm256_srai_epi32(_mm256_add_epi32(high, half), 16);
    __m256i green = _mm256_sub_epi16(_mm256_packs_epi32(low, high), r);
    return (colours){_mm256_add_epi16(light, red), _mm256_add_epi16(light, green), _mm256_add_epi16(light, blue)};
}

WIDE_INLINE __m256i bytes_of(__m256i first, __m256i second) {
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(first, second), 0xD8);
}

WIDE_INLINE __m256i picked(__m256i from, __m128i places) {
    return _mm256_shuffle_epi8(from, _mm256_broadcastsi128_si256(places));
}

/* Thirty-two pixels: two times 48 bytes. Each third of those takes its bytes from the three colours. */
WIDE_INLINE void put_pixels(colours a, colours b, uint8_t *out) {
    __m256i red = bytes_of(a.red, b.red), green = bytes_of(a.green, b.green), blue = bytes_of(a.blue, b.blue);
    for (int third = 0; third < 3; third++) {
        static const int8_t places[3][3][16] = {
            {{0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5},
             {-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1},
             {-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1}},
            {{-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1},
             {5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10},
             {-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1}},
            {{-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1},
             {-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1},
             {10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15}},
        };
        const __m128i *from = (const __m128i *)places[third];
        __m256i bytes = _mm256_or_si256(picked(red, _mm_loadu_si128(from)), picked(green, _mm_loadu_si128(from + 1)));
        bytes = _mm256_or_si256(bytes, picked(blue, _mm_loadu_si128(from + 2)));
        _mm_storeu_si128((__m128i *)(out + 16 * third), _mm256_castsi256_si128(bytes));
        _mm_storeu_si128((__m128i *)(out + 48 + 16 * third), _mm256_extracti128_si256(bytes, 1));
    }
}

WIDE void jpeg_to_rgb_wide(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int64_t pixels, uint8_t *out) {
    int64_t i = 0;
    for (; i + 32 <= pixels; i += 32)
        put_pixels(converted(y + i, cb + i, cr + i), converted(y + i + 16, cb + i + 16, cr + i + 16), out + 3 * i);
    if (i < pixels) {
        uint8_t rest[96]; /* rows of samples have slack, rows of pixels need not */
        put_pixels(converted(y + i, cb + i, cr + i), converted(y + i + 16, cb + i + 16, cr + i + 16), rest);
        memcpy(out + 3 * i, rest, (size_t)(3 * (pixels - i)));
    }
}
#else
void jpeg_spread_wide(const jpeg_spread *s, const uint8_t *near, const uint8_t *far, int is_lower, uint8_t *out) {
    spread(s, near, far, is_lower, out);
}

void jpeg_to_rgb_wide(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int64_t pixels, uint8_t *out) {
    jpeg_to_rgb_plain(y, cb, cr, pixels, out);
}
#endif
