/* The version of the library: the digest of its headers, given by the build. */
#include "mainstay_native.h"

#ifndef MAINSTAY_ABI_VERSION
#define MAINSTAY_ABI_VERSION 0 /* a build for fuzzing, which nobody loads */
#endif

uint64_t mainstay_abi_version(void) { return (uint64_t)MAINSTAY_ABI_VERSION; }
