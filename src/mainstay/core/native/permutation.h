/* The permutation of mainstay.data. */
#ifndef MAINSTAY_PERMUTATION_H
#define MAINSTAY_PERMUTATION_H

#include "mainstay_native.h"

/* Replace each of n places in [0, length) by the one it is moved to; keys holds six words. */
MAINSTAY_EXPORT void mainstay_permute(int64_t *places, int64_t n, uint64_t length, int32_t bits, const uint64_t *keys);

#endif
