/* Decimals into doubles, correctly rounded. */
#ifndef MAINSTAY_JSON_DECIMAL_H
#define MAINSTAY_JSON_DECIMAL_H

#include "mainstay_native.h"

/* Sets `*value` to `digits` times ten to `power`, or returns 0 where `json_long_decimal` has to be asked. */
int json_decimal(uint64_t digits, int64_t power, double *value);

/* Sets `*value` to a decimal without a sign, as JSON writes it; returns 0 where it is infinite or endlessly long. */
int json_long_decimal(const uint8_t *text, int64_t size, double *value);

#endif
