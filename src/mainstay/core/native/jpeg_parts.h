/* The parts of the JPEG decoder: the header, the entropy code, the inverse DCT, the colours. */
#ifndef MAINSTAY_JPEG_PARTS_H
#define MAINSTAY_JPEG_PARTS_H

#include "mainstay_native.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define JPEG_WIDE 1
#else
#define JPEG_WIDE 0
#endif

#define JPEG_LOOKUP_BITS 11
#define JPEG_BLOCK_ROOM 80 /* 64 coefficients, a place for what is thrown away, and the alignment of the next block */
#define JPEG_MOST_BLOCKS 6 /* of an MCU */
#define JPEG_SLACK 64      /* bytes that may be read and written past the end of a row of samples */

/* One Huffman table. An entry of `lookup` has the number of bits that it stands for, the flags, how far the place in the
   block moves, and the coefficient in the upper half. */
enum { ENTRY_BITS = 63, ENTRY_HAS_MORE = 64, ENTRY_IS_LONGER = 128, ENTRY_ENDS_BLOCK = 128 };
typedef struct {
    int32_t lookup[1 << JPEG_LOOKUP_BITS];
    int32_t limit[17];  /* the first code that is too large for its length, aligned to 16 bits */
    int32_t offset[17]; /* what leads from a code of a length to its symbol */
    uint8_t counts[17], symbols[256];
    int is_there, is_built;
    /* Of coefficients that follow each other two at once, where the bits hold them: see jpeg_huffman.c. */
    uint64_t pairs[1 << JPEG_LOOKUP_BITS];
} jpeg_code;

typedef struct {
    int64_t blocks_across, blocks_down; /* of this component in an MCU */
    int quantisation, dc_code, ac_code;
    uint8_t id;
} jpeg_component;

typedef struct {
    int64_t height, width, num_components, restart_interval;
    jpeg_component components[3];
    uint8_t quantisations[4][64];
    uint8_t has_quantisation[4];
    jpeg_code dc_codes[4], ac_codes[4];
    const uint8_t *scan, *end; /* where the entropy-coded data begin, and the end of the file */
} jpeg_header;

/* Each of these returns 0, or JPEG_UNUSUAL. */
int32_t jpeg_read_header(jpeg_header *header, const uint8_t *file, int64_t size);
int32_t jpeg_build_code(jpeg_code *code, int is_dc);

/* The bits of one restart interval, freed of stuffed bytes; `bits` are aligned to the left. */
typedef struct {
    uint64_t bits;
    int64_t count;
    const uint8_t *next, *start, *stop;
} jpeg_bits;

#define JPEG_BITS_ROOM 2048 /* zeros behind an interval: more than the blocks of an MCU can ask for */

/* Copy the data of an interval to `room`, which has place for all of them and JPEG_BITS_ROOM more; return the marker. */
const uint8_t *jpeg_take_interval(jpeg_bits *bits, const uint8_t *data, const uint8_t *end, uint8_t *room);
/* Read the coefficients of a block, which must be zeros, in natural order; return how many may be other than zero, in
   the order of the file, or 0 where the data are damaged. */
int64_t jpeg_read_block(jpeg_bits *bits, const jpeg_code *dc, const jpeg_code *ac, int32_t *last, int16_t *block);
int jpeg_is_overrun(const jpeg_bits *bits);
/* Whether all that remains is the filling of the last byte. */
int jpeg_is_used_up(const jpeg_bits *bits);

/* A block on its way to samples. */
typedef struct {
    const int16_t *coefficients, *multipliers; /* aligned to 16 bytes */
    uint8_t *out;
    int64_t stride;
} jpeg_block;

/* How the samples of a component become as many as there are pixels. */
typedef enum { SPREAD_NOT, SPREAD_ACROSS, SPREAD_DOWN, SPREAD_BOTH, SPREAD_COPIES } jpeg_spreading;
typedef struct {
    jpeg_spreading kind;
    int64_t copies; /* of each sample in a row, for SPREAD_COPIES */
    int64_t samples, pixels;
    int16_t *sums; /* room for the samples of a row, and slack */
} jpeg_spread;

typedef struct {
    void (*inverse_pair)(const jpeg_block *first, const jpeg_block *second);
    void (*spread)(const jpeg_spread *spread, const uint8_t *near, const uint8_t *far, int is_lower, uint8_t *out);
    void (*to_rgb)(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int64_t pixels, uint8_t *out);
} jpeg_kernels;

int jpeg_has_wide(void); /* whether the processor has the instructions of the wide kernels */
void jpeg_multipliers(const uint8_t quantisation[64], int16_t multipliers[64]);
void jpeg_inverse_plain(const jpeg_block *first, const jpeg_block *second);
void jpeg_inverse_wide(const jpeg_block *first, const jpeg_block *second);
void jpeg_spread_plain(const jpeg_spread *spread, const uint8_t *near, const uint8_t *far, int is_lower, uint8_t *out);
void jpeg_spread_wide(const jpeg_spread *spread, const uint8_t *near, const uint8_t *far, int is_lower, uint8_t *out);
void jpeg_to_rgb_plain(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int64_t pixels, uint8_t *out);
void jpeg_to_rgb_wide(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int64_t pixels, uint8_t *out);

#endif
