/* Floats into the JSON text of TF Serving. */
#ifndef MAINSTAY_JSON_FLOATS_H
#define MAINSTAY_JSON_FLOATS_H

#include "mainstay_native.h"

/* Writes an array of floats of 4 or 8 bytes as nested lists, without a space, and returns the size of the text; the
   caller gives room for 26 bytes a value, and as many more as there are brackets and commas between lists.

   A number has six significant digits where they tell it from every other of its type, and else nine, or seventeen, as
   C's %g writes them; whole ones end in ".0". */
MAINSTAY_EXPORT int64_t mainstay_write_json_floats(const void *values, int64_t bytes, const int64_t *lengths,
                                                   int64_t axes, uint8_t *text);

#endif
