/* The inverse DCT of Arai, Agui and Nakajima in sixteen bits: what libjpeg calls the fast integer method, bit for bit.

   Its scale factors are part of the multipliers that undo the quantisation. Sums wrap around and products keep their
   upper half, as the instructions of the processors have it, which files made by no encoder may come to see. */
#include "jpeg.h"
#include "jpeg_parts.h"

/* 2^14 times cos(row * pi / 16) * cos(column * pi / 16), each factor but the first times the root of two. */
static const int16_t scales[64] = {
    16384, 22725, 21407, 19266, 16384, 12873, 8867,  4520,  22725, 31521, 29692, 26722, 22725, 17855, 12299, 6270,
    21407, 29692, 27969, 25172, 21407, 16819, 11585, 5906,  19266, 26722, 25172, 22654, 19266, 15137, 10426, 5315,
    16384, 22725, 21407, 19266, 16384, 12873, 8867,  4520,  12873, 17855, 16819, 15137, 12873, 10114, 6967,  3552,
    8867,  12299, 11585, 10426, 8867,  6967,  4799,  2446,  4520,  6270,  5906,  5315,  4520,  3552,  2446,  1247,
};

/* A product with a constant of eight bits of fraction is the upper half of one with four times the factor. */
enum { ROOT_2 = 362 << 6, C_1_847 = 473 << 6, C_1_082 = 277 << 6, C_MINUS_1_613 = -413 * 64 };

void jpeg_multipliers(const uint8_t quantisation[64], int16_t multipliers[64]) {
    for (int i = 0; i < 64; i++) multipliers[i] = (int16_t)((quantisation[i] * scales[i] + (1 << 11)) >> 12);
}

static inline int16_t scaled(int16_t value, int32_t constant) {
    return (int16_t)((int16_t)(uint16_t)((uint16_t)value * 4u) * constant >> 16);
}

/* One column of eight in `v`, `stride` apart. */
static inline void inverse_eight(int16_t *v, int stride) {
#define AT(k) v[(k) * stride]
#define WRAP(x) (int16_t)(x)
    int16_t even10 = WRAP(AT(0) + AT(4)), even11 = WRAP(AT(0) - AT(4)), even13 = WRAP(AT(2) + AT(6));
    int16_t even12 = WRAP(scaled(WRAP(AT(2) - AT(6)), ROOT_2) - even13);
    int16_t t0 = WRAP(even10 + even13), t3 = WRAP(even10 - even13);
    int16_t t1 = WRAP(even11 + even12), t2 = WRAP(even11 - even12);
    int16_t z13 = WRAP(AT(5) + AT(3)), z10 = WRAP(AT(5) - AT(3)), z11 = WRAP(AT(1) + AT(7)), z12 = WRAP(AT(1) - AT(7));
    int16_t t7 = WRAP(z11 + z13), odd11 = scaled(WRAP(z11 - z13), ROOT_2);
    int16_t z5 = scaled(WRAP(z10 + z12), C_1_847);
    int16_t odd10 = WRAP(scaled(z12, C_1_082) - z5), odd12 = WRAP(scaled(z10, C_MINUS_1_613) - z10 + z5);
    int16_t t6 = WRAP(odd12 - t7), t5 = WRAP(odd11 - t6), t4 = WRAP(odd10 + t5);
    AT(0) = WRAP(t0 + t7);
    AT(7) = WRAP(t0 - t7);
    AT(1) = WRAP(t1 + t6);
    AT(6) = WRAP(t1 - t6);
    AT(2) = WRAP(t2 + t5);
    AT(5) = WRAP(t2 - t5);
    AT(4) = WRAP(t3 + t4);
    AT(3) = WRAP(t3 - t4);
#undef AT
#undef WRAP
}

static void inverse_one(const jpeg_block *block) {
    int16_t work[64];
    for (int i = 0; i < 64; i++) work[i] = (int16_t)(block->coefficients[i] * block->multipliers[i]);
    for (int i = 0; i < 8; i++) inverse_eight(work + i, 8);
    for (int i = 0; i < 8; i++) inverse_eight(work + 8 * i, 1);
    for (int i = 0; i < 64; i++) {
        int value = (work[i] >> 5) + 128;
        block->out[(i >> 3) * block->stride + (i & 7)] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

void jpeg_inverse_plain(const jpeg_block *first, const jpeg_block *second) {
    inverse_one(first);
    if (second) inverse_one(second);
}

#if JPEG_WIDE
#include <immintrin.h>
#define WIDE __attribute__((target("avx2")))
#define WIDE_INLINE static inline __attribute__((always_inline, target("avx2")))

WIDE_INLINE __m256i both(const int16_t *first, const int16_t *second) {
    __m256i low = _mm256_castsi128_si256(_mm_load_si128((const __m128i *)first));
    return _mm256_inserti128_si256(low, _mm_load_si128((const __m128i *)second), 1);
}

WIDE_INLINE __m256i scaled_wide(__m256i value, int16_t constant) {
    return _mm256_mulhi_epi16(_mm256_slli_epi16(value, 2), _mm256_set1_epi16(constant));
}

WIDE_INLINE void inverse_columns(__m256i v[8]) {
#define ADD _mm256_add_epi16
#define SUB _mm256_sub_epi16
    __m256i even10 = ADD(v[0], v[4]), even11 = SUB(v[0], v[4]), even13 = ADD(v[2], v[6]);
    __m256i even12 = SUB(scaled_wide(SUB(v[2], v[6]), ROOT_2), even13);
    __m256i t0 = ADD(even10, even13), t3 = SUB(even10, even13), t1 = ADD(even11, even12), t2 = SUB(even11, even12);
    __m256i z13 = ADD(v[5], v[3]), z10 = SUB(v[5], v[3]), z11 = ADD(v[1], v[7]), z12 = SUB(v[1], v[7]);
    __m256i t7 = ADD(z11, z13), odd11 = scaled_wide(SUB(z11, z13), ROOT_2);
    __m256i z5 = scaled_wide(ADD(z10, z12), C_1_847);
    __m256i odd10 = SUB(scaled_wide(z12, C_1_082), z5);
    __m256i odd12 = ADD(SUB(scaled_wide(z10, C_MINUS_1_613), z10), z5);
    __m256i t6 = SUB(odd12, t7), t5 = SUB(odd11, t6), t4 = ADD(odd10, t5);
    v[0] = ADD(t0, t7);
    v[7] = SUB(t0, t7);
    v[1] = ADD(t1, t6);
    v[6] = SUB(t1, t6);
    v[2] = ADD(t2, t5);
    v[5] = SUB(t2, t5);
    v[4] = ADD(t3, t4);
    v[3] = SUB(t3, t4);
#undef ADD
#undef SUB
}

/* Eight rows of eight become eight columns, in each half. */
WIDE_INLINE void transpose(__m256i v[8]) {
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi16(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi16(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            b[4 * i + 2 * k] = _mm256_unpacklo_epi32(a[4 * i + k], a[4 * i + 2 + k]);
            b[4 * i + 2 * k + 1] = _mm256_unpackhi_epi32(a[4 * i + k], a[4 * i + 2 + k]);
        }
    for (int k = 0; k < 4; k++) {
        v[2 * k] = _mm256_unpacklo_epi64(b[k], b[4 + k]);
        v[2 * k + 1] = _mm256_unpackhi_epi64(b[k], b[4 + k]);
    }
}

WIDE_INLINE void put_two_rows(const jpeg_block *block, int row, __m128i bytes) {
    _mm_storel_epi64((__m128i *)(block->out + row * block->stride), bytes);
    _mm_storeh_pd((double *)(block->out + (row + 1) * block->stride), _mm_castsi128_pd(bytes));
}

WIDE void jpeg_inverse_wide(const jpeg_block *first, const jpeg_block *second) {
    __m256i v[8];
    const jpeg_block *other = second ? second : first;
    for (int i = 0; i < 8; i++)
        v[i] = _mm256_mullo_epi16(both(first->coefficients + 8 * i, other->coefficients + 8 * i),
                                  both(first->multipliers + 8 * i, other->multipliers + 8 * i));
    inverse_columns(v);
    transpose(v);
    inverse_columns(v);
    transpose(v);
    for (int row = 0; row < 8; row += 2) {
        __m256i bytes = _mm256_packs_epi16(_mm256_srai_epi16(v[row], 5), _mm256_srai_epi16(v[row + 1], 5));
        bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)); /* 128 is added */
        put_two_rows(first, row, _mm256_castsi256_si128(bytes));
        if (second) put_two_rows(second, row, _mm256_extracti128_si256(bytes, 1));
    }
}
#else
void jpeg_inverse_wide(const jpeg_block *first, const jpeg_block *second) { jpeg_inverse_plain(first, second); }
#endif
