/* What every C file of this folder includes: the export mark and the bounds that all of them share. */
#ifndef MAINSTAY_NATIVE_H
#define MAINSTAY_NATIVE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Functions that Python calls bear this mark and are declared in a header of this folder: the digest of the headers is
   the library's version, so that a library of other declarations is never called. */
#define MAINSTAY_EXPORT __attribute__((visibility("default")))

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* The digest of the headers that this library was compiled with. */
MAINSTAY_EXPORT uint64_t mainstay_abi_version(void);

#endif
