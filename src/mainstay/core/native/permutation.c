/* The permutation of mainstay.data: see data/permutation.py, which says what it is and does the same in NumPy. */

#include "permutation.h"

#define ROUNDS 6

static inline uint64_t encrypt(uint64_t place, int32_t bits, uint64_t mask, const uint64_t *keys) {
    uint64_t left = place >> bits, right = place & mask;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t word = (right + keys[round]) * 0x9E3779B97F4A7C15ULL;
        word ^= word >> 29;
        word *= 0xBF58476D1CE4E5B9ULL;
        uint64_t next = left ^ ((word >> 33) & mask);
        left = right;
        right = next;
    }
    return (left << bits) | right;
}

void mainstay_permute(int64_t *places, int64_t n, uint64_t length, int32_t bits, const uint64_t *keys) {
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    for (int64_t i = 0; i < n; i++) {
        uint64_t place = (uint64_t)places[i];
        do {
            place = encrypt(place, bits, mask, keys);
        } while (place >= length);
        places[i] = (int64_t)place;
    }
}
