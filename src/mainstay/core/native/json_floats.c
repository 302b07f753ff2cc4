/* Floats into the JSON text of TF Serving, which is that of C's %g with six digits, or with as many as it takes.

   Nearly all floats of four bytes are written by hand: multiplied by a power of ten to a number of nine digits, of which
   the product has nearly sixty bits behind the point, to see how it rounds. Where those do not settle it, and for floats
   of eight bytes, the C library writes. */
#include "json_floats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LEAST_POWER (-31)
#define DOUBT ((uint64_t)1 << 26) /* how far a product may be from the true one, and more */

/* The first 64 bits of the powers of ten from LEAST_POWER on, cut off. */
static const uint64_t powers[] = {
    0x81ceb32c4b43fcf4, 0xa2425ff75e14fc31, 0xcad2f7f5359a3b3e, 0xfd87b5f28300ca0d, 0x9e74d1b791e07e48,
    0xc612062576589dda, 0xf79687aed3eec551, 0x9abe14cd44753b52, 0xc16d9a0095928a27, 0xf1c90080baf72cb1,
    0x971da05074da7bee, 0xbce5086492111aea, 0xec1e4a7db69561a5, 0x9392ee8e921d5d07, 0xb877aa3236a4b449,
    0xe69594bec44de15b, 0x901d7cf73ab0acd9, 0xb424dc35095cd80f, 0xe12e13424bb40e13, 0x8cbccc096f5088cb,
    0xafebff0bcb24aafe, 0xdbe6fecebdedd5be, 0x89705f4136b4a597, 0xabcc77118461cefc, 0xd6bf94d5e57a42bc,
    0x8637bd05af6c69b5, 0xa7c5ac471b478423, 0xd1b71758e219652b, 0x83126e978d4fdf3b, 0xa3d70a3d70a3d70a,
    0xcccccccccccccccc, 0x8000000000000000, 0xa000000000000000, 0xc800000000000000, 0xfa00000000000000,
    0x9c40000000000000, 0xc350000000000000, 0xf424000000000000, 0x9896800000000000, 0xbebc200000000000,
    0xee6b280000000000, 0x9502f90000000000, 0xba43b74000000000, 0xe8d4a51000000000, 0x9184e72a00000000,
    0xb5e620f480000000, 0xe35fa931a0000000, 0x8e1bc9bf04000000, 0xb1a2bc2ec5000000, 0xde0b6b3a76400000,
    0x8ac7230489e80000, 0xad78ebc5ac620000, 0xd8d726b7177a8000, 0x878678326eac9000, 0xa968163f0a57b400,
    0xd3c21bcecceda100, 0x84595161401484a0, 0xa56fa5b99019a5c8, 0xcecb8f27f4200f3a, 0x813f3978f8940984,
    0xa18f07d736b90be5, 0xc9f2c9cd04674ede, 0xfc6f7c4045812296, 0x9dc5ada82b70b59d, 0xc5371912364ce305,
    0xf684df56c3e01bc6, 0x9a130b963a6c115c, 0xc097ce7bc90715b3, 0xf0bdc21abb48db20, 0x96769950b50d88f4,
    0xbc143fa4e250eb31, 0xeb194f8e1ae525fd, 0x92efd1b8d0cf37be, 0xb7abc627050305ad, 0xe596b7b0c643c719,
    0x8f7e32ce7bea5c6f, 0xb35dbf821ae4f38b, 0xe0352f62a19e306e, 0x8c213d9da502de45, 0xaf298d050e4395d6,
    0xdaf3f04651d47b4c, 0x88d8762bf324cd0f, 0xab0e93b6efee0053, 0xd5d238a4abe98068, 0x85a36366eb71f041,
    0xa70c3c40a64e6c51};

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

typedef unsigned __int128 wide;

/* Writes digits with the point where %g of `precision` digits has it; `exponent` is that of the first digit. */
static uint8_t *put_digits(uint8_t *text, uint64_t digits, int precision, int exponent) {
    uint8_t figures[20];
    int count = precision;
    for (int place = precision - 1; place >= 0; place--) {
        figures[place] = (uint8_t)('0' + digits % 10);
        digits /= 10;
    }
    while (count > 1 && figures[count - 1] == '0') count--;
    if (exponent < -4 || exponent >= precision) {
        *text++ = figures[0];
        if (count > 1) *text++ = '.';
        for (int place = 1; place < count; place++) *text++ = figures[place];
        *text++ = 'e';
        *text++ = exponent < 0 ? '-' : '+';
        int size = exponent < 0 ? -exponent : exponent;
        if (size >= 100) *text++ = (uint8_t)('0' + size / 100);
        *text++ = (uint8_t)('0' + size / 10 % 10);
        *text++ = (uint8_t)('0' + size % 10);
        return text;
    }
    if (exponent < 0) {
        *text++ = '0';
        *text++ = '.';
        for (int zeros = -1 - exponent; zeros > 0; zeros--) *text++ = '0';
        for (int place = 0; place < count; place++) *text++ = figures[place];
        return text;
    }
    for (int place = 0; place <= exponent; place++) *text++ = place < count ? figures[place] : '0';
    *text++ = '.';
    if (count <= exponent + 1) *text++ = '0';
    for (int place = exponent + 1; place < count; place++) *text++ = figures[place];
    return text;
}

/* Whether a positive number is surely none of six digits. */
static int needs_all_digits(double value) {
    if (!(value > 1e-15 && value < 1e20)) return 0;
    int two;
    (void)frexp(value, &two);
    int power = 5 - (((two - 1) * 78913) >> 18);
    double six = power < 0 ? value / exact_powers[-power] : value * exact_powers[power];
    double rest = six - (double)(int64_t)six;
    return rest > 1e-6 && rest < 1 - 1e-6;
}

/* Writes a number as the C library does, whatever the process's locale is. */
static uint8_t *put_slowly(uint8_t *text, double value, int64_t bytes) {
    char buffer[40];
    int size = 0, same = 0;
    if (bytes == 4 || !needs_all_digits(value)) {
        size = snprintf(buffer, sizeof buffer, "%.6g", value);
        same = bytes == 4 ? strtof(buffer, 0) == (float)value : strtod(buffer, 0) == value;
    }
    if (!same) size = snprintf(buffer, sizeof buffer, "%.*g", bytes == 4 ? 9 : 17, value);
    int whole = 1;
    for (int place = 0; place < size; place++) {
        char letter = buffer[place];
        int plain = (letter >= '0' && letter <= '9') || letter == '-' || letter == '+' || letter == 'e';
        if (!plain || letter == 'e') whole = 0;
        *text++ = (uint8_t)(plain ? letter : '.');
    }
    if (whole) {
        *text++ = '.';
        *text++ = '0';
    }
    return text;
}

/* Writes a positive float, or returns 0 where the C library has to. */
static uint8_t *put_float(uint8_t *text, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits < (uint32_t)1 << 23) return 0; /* a subnormal one has fewer bits */
    uint64_t mantissa = (bits & 0x7fffff) | 0x800000;
    int two = (int)(bits >> 23) - 150; /* the number is mantissa * 2^two */
    /* The exponent of the first digit, or one less. */
    int exponent = ((two + 23) * 78913) >> 18;
    wide product;
    uint64_t power;
    int behind; /* how many bits of the product are behind the point of a number of nine digits */
    for (;; exponent++) {
        int ten = 8 - exponent;
        power = powers[ten - LEAST_POWER];
        behind = 63 - ((ten * 217706) >> 16) - two;
        product = mantissa * (wide)power;
        if ((product >> behind) < 1000000000) break;
    }
    uint64_t nine = (uint64_t)(product >> behind);
    uint64_t six = (nine + 500) / 1000;
    wide near = (wide)(six * 1000) << behind;
    wide error = near > product ? near - product : product - near;
    /* The next float is one unit of the mantissa away; below a power of two it is half of that. */
    wide most = mantissa == 0x800000 && near < product ? power / 4 : power / 2;
    if (error + DOUBT < most) return put_digits(text, six == 1000000 ? 100000 : six, 6, exponent + (six == 1000000));
    if (error < most + DOUBT) return 0;
    wide rest = product - ((wide)nine << behind), half = (wide)1 << (behind - 1);
    if (rest + DOUBT > half && rest < half + DOUBT) return 0;
    nine += rest > half;
    return put_digits(text, nine == 1000000000 ? 100000000 : nine, 9, exponent + (nine == 1000000000));
}

static uint8_t *put(uint8_t *text, double value, int64_t bytes) {
    if (UNLIKELY(!isfinite(value))) {
        const char *word = isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
        size_t size = strlen(word);
        memcpy(text, word, size);
        return text + size;
    }
    if (signbit(value)) {
        *text++ = '-';
        value = -value;
    }
    if (value == 0) {
        memcpy(text, "0.0", 3);
        return text + 3;
    }
    uint8_t *end = bytes == 4 ? put_float(text, (float)value) : 0;
    return end ? end : put_slowly(text, value, bytes);
}

typedef struct {
    const uint8_t *next;
    int64_t bytes;
    const int64_t *lengths;
    int64_t axes;
} source;

static uint8_t *put_list(uint8_t *text, source *from, int64_t axis) {
    int64_t length = from->lengths[axis];
    *text++ = '[';
    for (int64_t index = 0; index < length; index++) {
        if (index) *text++ = ',';
        if (axis + 1 < from->axes) {
            text = put_list(text, from, axis + 1);
            continue;
        }
        double value;
        if (from->bytes == 4) {
            float single;
            memcpy(&single, from->next, sizeof single);
            value = single;
        } else {
            memcpy(&value, from->next, sizeof value);
        }
        from->next += from->bytes;
        text = put(text, value, from->bytes);
    }
    *text++ = ']';
    return text;
}

int64_t mainstay_write_json_floats(const void *values, int64_t bytes, const int64_t *lengths, int64_t axes,
                                   uint8_t *text) {
    source from = {values, bytes, lengths, axes};
    return put_list(text, &from, 0) - text;
}
