/* A baseline JPEG, decoded a row of MCUs at a time into pixels, or straight into a resized picture.

   The result is libjpeg-turbo's with its fast integer DCT and interpolated colours, bit for bit, and what is resized is
   what mainstay_resize would have made of it: only the picture in between is never whole, and rows that no row of the
   result needs are not made. Whatever is unusual is left to libjpeg-turbo: progressive, arithmetic and twelve-bit files,
   four inks, several scans, rarer samplings, and data that are damaged in any way. */
#include "jpeg.h"

#include <stdlib.h>

#include "jpeg_parts.h"
#include "resize_rows.h"

typedef struct {
    uint8_t *rows; /* of samples, from row `first` of the component on */
    int64_t stride, first;
} plane;

typedef struct {
    jpeg_header header;
    const mainstay_jpeg_request *request;
    jpeg_kernels kernels;
    int16_t multipliers[3][64] __attribute__((aligned(32)));
    int16_t blocks[JPEG_MOST_BLOCKS * JPEG_BLOCK_ROOM] __attribute__((aligned(32)));
    int64_t num_made; /* components whose samples are wanted: the first, or all three */
    int64_t mcus_across, mcus_down, band; /* rows of pixels in a row of MCUs */
    int has_context;                      /* whether the colours of a row need those of the next */
    plane planes[3];
    jpeg_spread spread;
    uint8_t *colours[2]; /* a row of each, as wide as the picture */
    int64_t next_row;    /* of pixels */
    resize_task resize;  /* from here on: with axes only */
    int64_t next_result; /* the row of the result that comes next */
    uint8_t *window;     /* rows of pixels from `window_first` on */
    int64_t window_first, window_rows, window_stride;
} decoder;

enum { ALIGNMENT = 64 };

/* Cut one piece after the other from a block of memory; with none, count. */
typedef struct {
    uint8_t *memory;
    int64_t used;
} cutter;

static void *cut(cutter *c, int64_t size) {
    void *piece = c->memory ? c->memory + c->used : NULL;
    c->used += (size + ALIGNMENT - 1) & ~(int64_t)(ALIGNMENT - 1);
    return piece;
}

/* The memory whose size depends on the picture. */
static uint8_t *cut_memory(decoder *d, cutter *c, int64_t scan_size) {
    const mainstay_jpeg_request *r = d->request;
    int64_t width = d->header.width;
    for (int i = 0; i < d->num_made; i++) {
        const jpeg_component *component = d->header.components + i;
        plane *p = d->planes + i;
        p->stride = d->mcus_across * component->blocks_across * 8 + JPEG_SLACK;
        p->first = -d->has_context;
        p->rows = cut(c, p->stride * (component->blocks_down * 8 + d->has_context));
    }
    d->spread.sums = cut(c, (width + JPEG_SLACK) * (int64_t)sizeof *d->spread.sums);
    for (int i = 0; i < 2; i++) d->colours[i] = cut(c, width + 2 * JPEG_SLACK);
    if (r->rows) {
        d->window_rows = r->rows->span + 16;
        d->window_stride = width * r->channels + JPEG_SLACK;
        d->window = cut(c, d->window_rows * d->window_stride);
        float *room = cut(c, resize_room(r->columns, r->channels) * (int64_t)sizeof(float));
        if (room) resize_prepare(&d->resize, room, r->plain);
    }
    return cut(c, scan_size + JPEG_BITS_ROOM);
}

static int has_fair_axes(const mainstay_jpeg_request *r) {
    if (!resize_is_within(r->rows) || !resize_is_within(r->columns) || r->top < 0 || r->left < 0) return 0;
    if (r->rows->input > r->height - r->top || r->columns->input > r->width - r->left) return 0;
    for (int64_t y = 1; y < r->rows->output; y++)
        if (r->rows->starts[y] < r->rows->starts[y - 1]) return 0;
    return 1;
}

static void plan_spread(decoder *d) {
    const jpeg_component *light = d->header.components;
    int64_t across = light->blocks_across, down = light->blocks_down;
    jpeg_spread *s = &d->spread;
    s->pixels = d->header.width;
    s->samples = (d->header.width + across - 1) / across;
    s->copies = across;
    s->kind = down == 2 ? (across == 2 ? SPREAD_BOTH : SPREAD_DOWN) : across == 1 ? SPREAD_NOT : SPREAD_ACROSS;
    /* libjpeg copies where a row has too few samples to interpolate them, and where there are four pixels to each. */
    if (across == 4 || (across == 2 && s->samples <= 2)) s->kind = SPREAD_COPIES;
}

int jpeg_has_wide(void) {
#if JPEG_WIDE
    return __builtin_cpu_supports("avx2");
#else
    return 0;
#endif
}

static int32_t plan(decoder *d) {
    const mainstay_jpeg_request *r = d->request;
    jpeg_header *h = &d->header;
    if (!r->plain && !jpeg_has_wide()) return JPEG_UNUSUAL;
    if (r->height != h->height || r->width != h->width || (r->channels != 1 && r->channels != 3)) return JPEG_UNUSUAL;
    if (!r->rows != !r->columns || (r->rows && !has_fair_axes(r))) return JPEG_UNUSUAL;
    d->num_made = r->channels == 3 ? h->num_components : 1;
    for (int i = 0; i < d->num_made; i++)
        jpeg_multipliers(h->quantisations[h->components[i].quantisation], d->multipliers[i]);
    d->band = 8 * h->components[0].blocks_down;
    int64_t across = 8 * h->components[0].blocks_across;
    d->mcus_across = (h->width + across - 1) / across;
    d->mcus_down = (h->height + d->band - 1) / d->band;
    plan_spread(d);
    d->has_context = d->num_made == 3 && d->header.components[0].blocks_down == 2;
    if (r->plain) d->kernels = (jpeg_kernels){jpeg_inverse_plain, jpeg_spread_plain, jpeg_to_rgb_plain};
    else d->kernels = (jpeg_kernels){jpeg_inverse_wide, jpeg_spread_wide, jpeg_to_rgb_wide};
    d->next_row = d->next_result = 0;
    d->resize = (resize_task){.channels = r->channels, .height = r->rows, .width = r->columns, .out = r->out};
    d->resize.bytes = r->bytes;
    return JPEG_DONE;
}

/* The first row of pixels that is still wanted, at least `next_row`; the height where none is. */
static int64_t next_wanted(const decoder *d) {
    const mainstay_jpeg_request *r = d->request;
    if (!r->rows) return d->next_row;
    if (d->next_result == r->rows->output) return d->header.height;
    int64_t row = r->top + r->rows->starts[d->next_result];
    return row > d->next_row ? row : d->next_row;
}

static const uint8_t *sample_row(const plane *p, int64_t row) { return p->rows + (row - p->first) * p->stride; }

static void make_pixels(decoder *d, int64_t row, uint8_t *out) {
    int64_t width = d->header.width, down = d->header.components[0].blocks_down;
    const uint8_t *light = sample_row(d->planes, row), *colours[2];
    if (d->request->channels == 1) {
        memcpy(out, light, (size_t)width);
        return;
    }
    if (d->num_made == 1) {
        for (int64_t i = 0; i < width; i++) out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = light[i];
        return;
    }
    int64_t rows = (d->header.height + down - 1) / down, near = row / down, far = near;
    int is_lower = down == 2 && row % 2;
    if (down == 2) far = is_lower ? (near + 1 < rows ? near + 1 : near) : (near > 0 ? near - 1 : 0);
    for (int i = 0; i < 2; i++) {
        colours[i] = sample_row(d->planes + 1 + i, near);
        if (d->spread.kind == SPREAD_NOT) continue;
        d->kernels.spread(&d->spread, colours[i], sample_row(d->planes + 1 + i, far), is_lower, d->colours[i]);
        colours[i] = d->colours[i];
    }
    d->kernels.to_rgb(light, colours[0], colours[1], width, out);
}

/* Put a row of pixels into the window, and make all rows of the result that it completes. */
static void put_row(decoder *d, int64_t row, int64_t first_wanted) {
    const mainstay_jpeg_request *r = d->request;
    int64_t stride = d->window_stride;
    if (row == first_wanted && row == r->top + r->rows->starts[d->next_result]) d->window_first = row;
    if (row - d->window_first == d->window_rows) {
        int64_t oldest = r->top + r->rows->starts[d->next_result];
        memmove(d->window, d->window + (oldest - d->window_first) * stride, (size_t)((row - oldest) * stride));
        d->window_first = oldest;
    }
    make_pixels(d, row, d->window + (row - d->window_first) * stride);
    while (d->next_result < r->rows->output && r->top + r->rows->starts[d->next_result] + r->rows->span - 1 <= row) {
        int64_t at = r->top + r->rows->starts[d->next_result] - d->window_first;
        d->resize.make_row(&d->resize, d->next_result, d->window + at * stride + r->left * r->channels, stride);
        d->next_result++;
    }
}

/* Make the pixels of all rows below `stop` whose samples are there. */
static void make_rows(decoder *d, int64_t stop) {
    const mainstay_jpeg_request *r = d->request;
    for (; d->next_row < stop; d->next_row++) {
        int64_t wanted = next_wanted(d);
        if (wanted > d->next_row) {
            d->next_row = (wanted < stop ? wanted : stop) - 1;
            continue;
        }
        if (r->rows) put_row(d, d->next_row, wanted);
        else make_pixels(d, d->next_row, (uint8_t *)r->out + d->next_row * d->header.width * r->channels);
    }
}

/* Keep the last row of samples for the colours of the next. */
static void move_planes(decoder *d, int64_t mcu_row) {
    for (int i = 0; i < d->num_made; i++) {
        plane *p = d->planes + i;
        int64_t rows = 8 * d->header.components[i].blocks_down;
        if (d->has_context && mcu_row) memcpy(p->rows, p->rows + rows * p->stride, (size_t)p->stride);
        p->first = mcu_row * rows - d->has_context;
    }
}

/* The samples of the blocks of an MCU, two by two. */
static void make_samples(decoder *d, int64_t mcu, const int64_t counts[JPEG_MOST_BLOCKS]) {
    const jpeg_block *waiting = NULL;
    jpeg_block blocks[JPEG_MOST_BLOCKS];
    int64_t number = 0;
    for (int i = 0; i < d->num_made; i++) {
        const jpeg_component *c = d->header.components + i;
        const plane *p = d->planes + i;
        for (int64_t y = 0; y < c->blocks_down; y++)
            for (int64_t x = 0; x < c->blocks_across; x++, number++) {
                jpeg_block *block = blocks + number;
                block->coefficients = d->blocks + number * JPEG_BLOCK_ROOM;
                block->multipliers = d->multipliers[i];
                block->stride = p->stride;
                block->out = p->rows + (d->has_context + 8 * y) * p->stride + 8 * (mcu * c->blocks_across + x);
                if (counts[number] == 1) {
                    int value = ((int16_t)(block->coefficients[0] * block->multipliers[0]) >> 5) + 128;
                    uint8_t sample = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
                    for (int row = 0; row < 8; row++) memset(block->out + row * block->stride, sample, 8);
                } else if (waiting) {
                    d->kernels.inverse_pair(waiting, block);
                    waiting = NULL;
                } else {
                    waiting = block;
                }
            }
    }
    if (waiting) d->kernels.inverse_pair(waiting, NULL);
}

/* Where the entropy-coded data are read. */
typedef struct {
    jpeg_bits bits;
    const uint8_t *marker;
    uint8_t *room;
    int64_t left, intervals; /* MCUs of this interval, and intervals before it */
    int32_t last[3];
} reader;

/* Go on behind the marker that ends an interval, which must be the one whose turn it is. */
static int32_t restart(decoder *d, reader *r) {
    const jpeg_header *h = &d->header;
    const uint8_t *data = h->scan;
    if (r->marker) {
        if (!jpeg_is_used_up(&r->bits) || h->end - r->marker < 2) return JPEG_UNUSUAL;
        if (r->marker[1] != (0xD0 | (r->intervals & 7))) return JPEG_UNUSUAL;
        data = r->marker + 2;
        r->intervals++;
    }
    r->marker = jpeg_take_interval(&r->bits, data, h->end, r->room);
    r->left = h->restart_interval ? h->restart_interval : INT64_MAX;
    memset(r->last, 0, sizeof r->last);
    return JPEG_DONE;
}

/* Sixteen bytes at a time: compilers make less of a call of memset. */
static inline void clear(int16_t *block) {
    typedef int16_t eight __attribute__((vector_size(16)));
    for (int i = 0; i < 8; i++) ((eight *)(void *)block)[i] = (eight){0};
}

static int32_t read_mcu(decoder *d, reader *r, int64_t counts[JPEG_MOST_BLOCKS]) {
    const jpeg_header *h = &d->header;
    int64_t number = 0;
    for (int i = 0; i < h->num_components; i++) {
        const jpeg_component *c = h->components + i;
        for (int64_t k = c->blocks_across * c->blocks_down; k > 0; k--, number++) {
            int16_t *block = d->blocks + number * JPEG_BLOCK_ROOM;
            clear(block);
            const jpeg_code *dc = h->dc_codes + c->dc_code, *ac = h->ac_codes + c->ac_code;
            counts[number] = jpeg_read_block(&r->bits, dc, ac, r->last + i, block);
            if (!counts[number]) return JPEG_UNUSUAL;
        }
    }
    return jpeg_is_overrun(&r->bits) ? JPEG_UNUSUAL : JPEG_DONE;
}

static int32_t decode(decoder *d, uint8_t *room) {
    reader r = {.room = room};
    int64_t counts[JPEG_MOST_BLOCKS], height = d->header.height;
    int32_t status = restart(d, &r);
    for (int64_t y = 0; y < d->mcus_down && !status; y++) {
        int64_t below = (y + 1) * d->band;
        /* The row below may need the colours of this one. */
        int is_wanted = next_wanted(d) <= below - !d->has_context;
        move_planes(d, y);
        for (int64_t x = 0; x < d->mcus_across && !status; x++) {
            if (!r.left--) {
                if ((status = restart(d, &r))) break;
                r.left--;
            }
            status = read_mcu(d, &r, counts);
            if (is_wanted && !status) make_samples(d, x, counts);
        }
        if (!status) make_rows(d, y + 1 == d->mcus_down ? height : below - d->has_context);
    }
    if (status) return status;
    int is_whole = jpeg_is_used_up(&r.bits) && d->header.end - r.marker >= 2 && r.marker[1] == 0xD9;
    return is_whole ? JPEG_DONE : JPEG_UNUSUAL;
}

int64_t mainstay_jpeg_state_size(void) { return (int64_t)sizeof(decoder) + ALIGNMENT; }

int32_t mainstay_decode_jpeg(const uint8_t *file, int64_t size, const mainstay_jpeg_request *request) {
    /* Huffman tables stay in the state: the next file mostly has the same. */
    decoder *d = (decoder *)(void *)(((uintptr_t)request->state + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
    d->request = request;
    int32_t status = jpeg_read_header(&d->header, file, size);
    if (!status) status = plan(d);
    if (status) return status;
    int64_t scan_size = d->header.end - d->header.scan;
    cutter c = {NULL, 0};
    cut_memory(d, &c, scan_size);
    c.memory = aligned_alloc(ALIGNMENT, (size_t)c.used);
    if (!c.memory) return JPEG_NO_MEMORY;
    c.used = 0;
    status = decode(d, cut_memory(d, &c, scan_size));
    free(c.memory);
    return status;
}
