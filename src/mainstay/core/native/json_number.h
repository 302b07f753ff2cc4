/* One JSON number: its digits eight at a time. */
#ifndef MAINSTAY_JSON_NUMBER_H
#define MAINSTAY_JSON_NUMBER_H

#include "json_decimal.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "digits are read eight at a time: little-endian processors only"
#endif

#define MOST_DIGITS 19           /* of that many, every number fits into 64 bits */
#define LARGEST_EXPONENT 100000  /* beyond any double: more digits of an exponent change nothing */

typedef const uint8_t *json_cursor;

/* A number as it is written. */
typedef struct {
    uint64_t digits; /* of a whole number, its value without the sign */
    double value;    /* of any other, its value without the sign */
    int negative;
    int whole; /* without fraction and exponent */
    int finite;
} json_number;

/* Marks the bytes that are no digits, the first of them truly and none before it. */
static inline uint64_t json_other_bytes(uint64_t word) {
    const uint64_t high = 0xf0f0f0f0f0f0f0f0, zeros = 0x3030303030303030;
    return ((word & high) ^ zeros) | (((word + 0x0606060606060606) & high) ^ zeros);
}

/* The number that eight digits are, each a byte from 0 to 9. */
static inline uint64_t json_eight_digits(uint64_t digits) {
    digits = digits * 10 + (digits >> 8);
    return (((digits & 0x000000ff000000ff) * 0x000f424000000064) +
            ((digits >> 16 & 0x000000ff000000ff) * 0x0000271000000001)) >> 32;
}

/* Appends the first `count` bytes of a word, which are digits, to a value. */
static inline uint64_t json_append(uint64_t value, uint64_t word, int count) {
    static const uint32_t tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    int half = 4 * (8 - count); /* a shift by 64 has no meaning in C, two by half of it do */
    return value * tens[count] + json_eight_digits((word - 0x3030303030303030) << half << half);
}

/* Reads digits, none or more, behind those of `*value`; what is more than 64 bits is lost. Up to 16 are read without a
   branch that depends on how many there are, as no processor can predict that. */
static inline json_cursor json_digits(json_cursor p, json_cursor end, uint64_t *value) {
    while (LIKELY(end - p >= 16)) {
        uint64_t first, second;
        memcpy(&first, p, 8);
        memcpy(&second, p + 8, 8);
        uint64_t others = json_other_bytes(first), more = json_other_bytes(second);
        int count = others ? __builtin_ctzll(others) >> 3 : 8;
        int further = more ? __builtin_ctzll(more) >> 3 : 8;
        further &= -(count == 8);
        *value = json_append(json_append(*value, first, count), second, further);
        p += count + further;
        if (LIKELY(count + further < 16)) return p;
    }
    while (p < end && *p >= '0' && *p <= '9') *value = *value * 10 + (*p++ - '0');
    return p;
}

/* Reads the digits in front of a point: seldom many. */
static inline json_cursor json_leading_digits(json_cursor p, json_cursor end, uint64_t *value) {
    if (LIKELY(end - p >= 8)) {
        uint64_t word;
        memcpy(&word, p, 8);
        uint64_t others = json_other_bytes(word);
        if (LIKELY(others)) {
            int count = __builtin_ctzll(others) >> 3;
            *value = json_append(0, word, count);
            return p + count;
        }
    }
    return json_digits(p, end, value);
}

/* Reads the exponent behind its `e`; returns 0 where it has no digits. */
static inline json_cursor json_exponent(json_cursor p, json_cursor end, int64_t *power) {
    int negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    json_cursor start = p;
    int64_t exponent = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (exponent < LARGEST_EXPONENT) exponent = exponent * 10 + (*p - '0');
    }
    *power += negative ? -exponent : exponent;
    return p > start ? p : 0;
}

/* How many of the digits between two places count: the zeros in front do not. */
static inline int64_t json_significant(json_cursor p, json_cursor end) {
    while (p < end && (*p == '0' || *p == '.')) p++;
    int64_t count = 0;
    for (; p < end; p++) count += *p != '.';
    return count;
}

/* Reads a word for a number that is none: NaN, Inf or Infinity. */
static inline json_cursor json_word(json_cursor p, json_cursor end, json_number *number) {
    int64_t size = 3;
    if (end - p < size) return 0;
    number->whole = number->finite = 0;
    if (!memcmp(p, "NaN", 3)) {
        number->value = __builtin_nan("");
        number->negative = 0;
    } else if (!memcmp(p, "Inf", 3)) {
        number->value = __builtin_inf();
        if (end - p >= 8 && !memcmp(p, "Infinity", 8)) size = 8;
    } else {
        return 0;
    }
    return p + size;
}

/* Reads a number; returns 0 where there is none that a double or 64 bits hold. What follows it is not looked at. */
static inline __attribute__((always_inline)) json_cursor json_read_number(json_cursor p, json_cursor end, json_number *number) {
    number->negative = p < end && *p == '-';
    p += number->negative;
    json_cursor start = p;
    number->digits = 0;
    number->finite = 1;
    if (LIKELY(end - p >= 2 && p[1] == '.' && (uint8_t)(*p - '0') < 10)) {
        number->digits = (uint64_t)(*p++ - '0');
    } else {
        p = json_leading_digits(p, end, &number->digits);
    }
    int64_t count = p - start, power = 0;
    if (UNLIKELY(count == 0)) return json_word(p, end, number);
    if (UNLIKELY(*start == '0' && count > 1)) return 0;
    number->whole = 1;
    json_cursor last = p;
    if (p < end && *p == '.') {
        json_cursor fraction = ++p;
        p = json_digits(p, end, &number->digits);
        if (UNLIKELY(p == fraction)) return 0;
        power = fraction - p;
        count -= power;
        last = p;
        number->whole = 0;
    }
    if (UNLIKELY(p < end && (*p | 32) == 'e')) {
        p = json_exponent(p + 1, end, &power);
        if (!p) return 0;
        number->whole = 0;
    }
    if (LIKELY(count <= MOST_DIGITS) || json_significant(start, last) <= MOST_DIGITS) {
        if (number->whole || LIKELY(json_decimal(number->digits, power, &number->value))) return p;
    } else if (number->whole) {
        return 0;
    }
    return json_long_decimal(start, p - start, &number->value) ? p : 0;
}

#endif
