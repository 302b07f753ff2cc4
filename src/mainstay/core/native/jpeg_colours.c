/* Colours of half the size to the size of the picture, and YCbCr to RGB: what libjpeg does, bit for bit.

   Colours are interpolated: three quarters of the nearer sample and one of the farther, in each direction that is to be
   doubled. Halves are rounded up and down in turn. */
#include "jpeg.h"
#include "jpeg_parts.h"

#define INLINE static inline __attribute__((always_inline))
#if JPEG_WIDE
#include <immintrin.h>
#define WIDE __attribute__((target("avx2")))
#else
#define WIDE
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

WIDE void jpeg_spread_wide(const jpeg_spread *s, const uint8_t *near, const uint8_t *far, int is_lower, uint8_t *out) {
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
#define WIDE_INLINE static inline __attribute__((always_inline, target("avx2")))

WIDE_INLINE __m256i widened(const uint8_t *samples) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)samples));
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

WIDE_INLINE __m128i bytes_of(__m256i values) {
    return _mm_packus_epi16(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
}

/* Sixteen pixels: 48 bytes. Each third takes its bytes from the three colours. */
WIDE_INLINE void put_pixels(colours c, uint8_t *out) {
    __m128i red = bytes_of(c.red), green = bytes_of(c.green), blue = bytes_of(c.blue);
#define PICK(from, ...) _mm_shuffle_epi8(from, _mm_setr_epi8(__VA_ARGS__))
    __m128i first = _mm_or_si128(PICK(red, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5),
                                 PICK(green, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1));
    first = _mm_or_si128(first, PICK(blue, -1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1));
    __m128i second = _mm_or_si128(PICK(red, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1),
                                  PICK(green, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10));
    second = _mm_or_si128(second, PICK(blue, -1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1));
    __m128i third = _mm_or_si128(PICK(red, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1),
                                 PICK(green, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1));
    third = _mm_or_si128(third, PICK(blue, 10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15));
#undef PICK
    _mm_storeu_si128((__m128i *)out, first);
    _mm_storeu_si128((__m128i *)(out + 16), second);
    _mm_storeu_si128((__m128i *)(out + 32), third);
}

WIDE void jpeg_to_rgb_wide(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int64_t pixels, uint8_t *out) {
    int64_t i = 0;
    for (; i + 16 <= pixels; i += 16) put_pixels(converted(y + i, cb + i, cr + i), out + 3 * i);
    if (i < pixels) {
        uint8_t rest[48];
        put_pixels(converted(y + i, cb + i, cr + i), rest); /* rows of samples have slack */
        memcpy(out + 3 * i, rest, (size_t)(3 * (pixels - i)));
    }
}
#else
void jpeg_to_rgb_wide(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int64_t pixels, uint8_t *out) {
    jpeg_to_rgb_plain(y, cb, cr, pixels, out);
}
#endif
