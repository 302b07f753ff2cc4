/* The segments of a JPEG up to the first scan: ISO/IEC 10918-1, annex B. Whatever is not the usual is left to libjpeg. */
#include "jpeg.h"
#include "jpeg_parts.h"

enum { SOF0 = 0xC0, SOF1 = 0xC1, DHT = 0xC4, SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, DQT = 0xDB, DRI = 0xDD };
enum { APP0 = 0xE0, APP14 = 0xEE, APP15 = 0xEF, COM = 0xFE };
#define MOST_PIXELS_OF_A_SIDE 65500 /* libjpeg's own limit */

static const uint8_t natural_order[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

typedef struct {
    int is_jfif, is_adobes, transform;
} marks;

static int read_quantisations(jpeg_header *header, const uint8_t *p, const uint8_t *end) {
    for (; p < end; p += 65) {
        if (end - p < 65 || *p > 3) return JPEG_UNUSUAL; /* sixteen bits are in the upper half of the byte */
        for (int i = 0; i < 64; i++) header->quantisations[*p][natural_order[i]] = p[1 + i];
        header->has_quantisation[*p] = 1;
    }
    return JPEG_DONE;
}

static int read_codes(jpeg_header *header, const uint8_t *p, const uint8_t *end) {
    while (p < end) {
        if (end - p < 17 || (*p & 15) > 3 || *p >> 4 > 1) return JPEG_UNUSUAL;
        jpeg_code *code = (*p >> 4 ? header->ac_codes : header->dc_codes) + (*p & 15);
        int64_t count = 0;
        for (int i = 1; i <= 16; i++) count += p[i];
        if (count > 256 || count > end - p - 17) return JPEG_UNUSUAL;
        code->is_there = 1;
        /* Most files have the tables of the last one, and there they are built. */
        if (!code->is_built || memcmp(code->counts, p, 17) || memcmp(code->symbols, p + 17, (size_t)count)) {
            memcpy(code->counts, p, 17);
            memset(code->symbols, 0, sizeof code->symbols);
            memcpy(code->symbols, p + 17, (size_t)count);
            code->is_built = 0;
        }
        p += 17 + count;
    }
    return JPEG_DONE;
}

static int read_frame(jpeg_header *header, const uint8_t *p, const uint8_t *end) {
    if (header->num_components || end - p < 6 || p[0] != 8) return JPEG_UNUSUAL;
    int64_t height = p[1] << 8 | p[2], width = p[3] << 8 | p[4], count = p[5];
    if (height < 1 || width < 1 || height > MOST_PIXELS_OF_A_SIDE || width > MOST_PIXELS_OF_A_SIDE) return JPEG_UNUSUAL;
    if ((count != 1 && count != 3) || end - p != 6 + 3 * count) return JPEG_UNUSUAL;
    header->height = height;
    header->width = width;
    header->num_components = count;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *from = p + 6 + 3 * i;
        jpeg_component *component = header->components + i;
        *component = (jpeg_component){.blocks_across = from[1] >> 4, .blocks_down = from[1] & 15};
        component->id = from[0];
        component->quantisation = from[2];
        if (from[2] > 3 || component->blocks_across < 1 || component->blocks_down < 1) return JPEG_UNUSUAL;
        if (component->blocks_across > 4 || component->blocks_down > 4) return JPEG_UNUSUAL;
    }
    jpeg_component *c = header->components;
    if (count == 1) {
        c->blocks_across = c->blocks_down = 1; /* a scan of one component has no other */
        return JPEG_DONE;
    }
    for (int i = 1; i < 3; i++)
        if (c[i].blocks_across != 1 || c[i].blocks_down != 1) return JPEG_UNUSUAL;
    int is_usual = c->blocks_across <= 2 && c->blocks_down <= 2;
    if (!is_usual && (c->blocks_across != 4 || c->blocks_down != 1)) return JPEG_UNUSUAL;
    return c[0].id == c[1].id || c[1].id == c[2].id || c[0].id == c[2].id ? JPEG_UNUSUAL : JPEG_DONE;
}

static int read_scan(jpeg_header *header, const uint8_t *p, const uint8_t *end) {
    int64_t count = header->num_components;
    if (!count || end - p != 4 + 2 * count || p[0] != count) return JPEG_UNUSUAL;
    for (int64_t i = 0; i < count; i++) {
        jpeg_component *component = header->components + i;
        component->dc_code = p[2 + 2 * i] >> 4;
        component->ac_code = p[2 + 2 * i] & 15;
        if (p[1 + 2 * i] != component->id || component->dc_code > 3 || component->ac_code > 3) return JPEG_UNUSUAL;
        if (!header->has_quantisation[component->quantisation]) return JPEG_UNUSUAL;
        if (jpeg_build_code(header->dc_codes + component->dc_code, 1)) return JPEG_UNUSUAL;
        if (jpeg_build_code(header->ac_codes + component->ac_code, 0)) return JPEG_UNUSUAL;
    }
    p += 1 + 2 * count;
    return p[0] != 0 || p[1] != 63 || p[2] != 0 ? JPEG_UNUSUAL : JPEG_DONE;
}

/* Whether libjpeg takes three components for YCbCr. */
static int is_ycc(const jpeg_header *header, const marks *seen) {
    const jpeg_component *c = header->components;
    if (seen->is_jfif) return 1;
    if (seen->is_adobes) return seen->transform == 1;
    return c[0].id == 1 && c[1].id == 2 && c[2].id == 3;
}

int32_t jpeg_read_header(jpeg_header *header, const uint8_t *file, int64_t size) {
    const uint8_t *p = file, *end = file + size;
    marks seen = {0, 0, 0};
    header->num_components = header->restart_interval = 0;
    memset(header->has_quantisation, 0, sizeof header->has_quantisation);
    for (int i = 0; i < 4; i++) header->dc_codes[i].is_there = header->ac_codes[i].is_there = 0;
    if (size < 4 || p[0] != 0xFF || p[1] != SOI) return JPEG_UNUSUAL;
    p += 2;
    for (;;) {
        if (end - p < 4 || *p++ != 0xFF) return JPEG_UNUSUAL;
        while (p < end && *p == 0xFF) p++;
        if (end - p < 3) return JPEG_UNUSUAL;
        int kind = *p++;
        int64_t length = (p[0] << 8 | p[1]) - 2;
        p += 2;
        if (length < 0 || length > end - p) return JPEG_UNUSUAL;
        const uint8_t *stop = p + length;
        int32_t status = JPEG_DONE;
        if (kind == DQT) status = read_quantisations(header, p, stop);
        else if (kind == DHT) status = read_codes(header, p, stop);
        else if (kind == SOF0 || kind == SOF1) status = read_frame(header, p, stop);
        else if (kind == DRI) {
            if (length != 2) return JPEG_UNUSUAL;
            header->restart_interval = p[0] << 8 | p[1];
        } else if (kind == APP0) seen.is_jfif |= length >= 14 && !memcmp(p, "JFIF", 5);
        else if (kind == APP14) {
            if (length >= 12 && !memcmp(p, "Adobe", 5)) {
                seen.is_adobes = 1;
                seen.transform = p[11];
            }
        } else if (kind == SOS) {
            status = read_scan(header, p, stop);
            if (!status && header->num_components == 3 && !is_ycc(header, &seen)) return JPEG_UNUSUAL;
            header->scan = stop;
            header->end = end;
            return status;
        } else if ((kind < APP0 || kind > APP15) && kind != COM) return JPEG_UNUSUAL;
        if (status) return status;
        p = stop;
    }
}
