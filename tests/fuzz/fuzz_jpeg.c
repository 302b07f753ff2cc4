/* Decodes arbitrary bytes as a JPEG: nothing outside the buffers, and every way to the pixels leads to the same. */
#include <stdio.h>
#include <stdlib.h>

#include "jpeg.h"
#include "jpeg_parts.h"

#define CHECK(condition)                                                                                                 \
    do {                                                                                                                 \
        if (!(condition)) {                                                                                              \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                      \
            abort();                                                                                                     \
        }                                                                                                                \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *exactly(int64_t bytes) {
    void *memory = malloc(bytes ? (size_t)bytes : 1);
    if (!memory) abort();
    return memory;
}

static void *zeros(size_t bytes) {
    void *memory = calloc(bytes, 1);
    if (!memory) abort();
    return memory;
}

/* An axis of any span: what matters here is where it reads. */
static mainstay_axis axis_of(int64_t input, int64_t output, int64_t span) {
    if (span > input) span = input;
    int64_t *starts = exactly(8 * output);
    float *weights = exactly(4 * output * span);
    for (int64_t i = 0; i < output; i++) {
        starts[i] = (input - span) * i / output;
        for (int64_t k = 0; k < span; k++) weights[i * span + k] = (float)(k + 1 + i % 3) / 7;
    }
    return (mainstay_axis){input, output, span, starts, weights};
}

static void free_axis(mainstay_axis axis) {
    free((void *)axis.starts);
    free((void *)axis.weights);
}

/* The picture whole, then windows of it, resized: with the instructions of this processor and without. */
static void decode(const uint8_t *file, int64_t size, jpeg_header *header, const uint8_t *choices) {
    int64_t height = header->height, width = header->width, channels = choices[0] & 1 ? 3 : 1;
    int64_t bytes = height * width * channels;
    uint8_t *pixels = exactly(bytes), *again = exactly(bytes);
    mainstay_jpeg_request whole = {.channels = channels, .height = height, .width = width, .out = pixels, .bytes = 1};
    whole.state = zeros((size_t)mainstay_jpeg_state_size());
    whole.plain = !jpeg_has_wide();
    int32_t status = mainstay_decode_jpeg(file, size, &whole);
    whole.out = again;
    whole.plain = 1;
    CHECK(mainstay_decode_jpeg(file, size, &whole) == status);
    CHECK(status || !memcmp(pixels, again, (size_t)bytes));

    int64_t top = choices[1] % height, left = choices[2] % width;
    int64_t rows = (height - top + 1) / 2, columns = (width - left + 1) / 2, sample = choices[0] & 2 ? 1 : 4;
    mainstay_axis down = axis_of(rows, choices[3] % 40 + 1, choices[4] % 6 + 1);
    mainstay_axis across = axis_of(columns, choices[5] % 40 + 1, choices[6] % 6 + 1);
    int64_t room = down.output * across.output * channels * sample;
    uint8_t *result = exactly(room), *expected = exactly(room);
    mainstay_jpeg_request part = whole;
    part.top = top;
    part.left = left;
    part.rows = &down;
    part.columns = &across;
    part.out = result;
    part.bytes = sample == 1;
    for (part.plain = !jpeg_has_wide(); part.plain < 2; part.plain++) {
        CHECK(mainstay_decode_jpeg(file, size, &part) == status);
        if (status) continue;
        const uint8_t *corner = pixels + (top * width + left) * channels;
        CHECK(!mainstay_resize(corner, width * channels, channels, &down, &across, expected, sample == 1));
        CHECK(!memcmp(result, expected, (size_t)room));
    }
    free(whole.state);
    free_axis(down);
    free_axis(across);
    free(pixels);
    free(again);
    free(result);
    free(expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t given) {
    enum { CHOICES = 7, MOST_PIXELS = 1 << 14 };
    if (given < CHOICES) return 0;
    int64_t size = (int64_t)given - CHOICES;
    uint8_t *file = exactly(size);
    memcpy(file, data + CHOICES, (size_t)size);
    jpeg_header *header = zeros(sizeof *header);
    if (!jpeg_read_header(header, file, size)) {
        CHECK(header->height > 0 && header->width > 0 && header->scan >= file && header->scan <= file + size);
        if (header->height * header->width <= MOST_PIXELS) decode(file, size, header, data);
    }
    free(header);
    free(file);
    return 0;
}
