/* Reads arbitrary bytes as the body of a prediction: nothing outside the body and the room, and shapes that hold. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_decimal.h"
#include "json_tensor.h"

#define CHECK(condition)                                                                                                 \
    do {                                                                                                                 \
        if (!(condition)) {                                                                                              \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                      \
            abort();                                                                                                     \
        }                                                                                                                \
    } while (0)

enum { KINDS = 11, INPUTS = 2 };
static const int64_t sizes[KINDS] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *exactly(int64_t bytes) {
    void *memory = malloc(bytes ? (size_t)bytes : 1);
    if (!memory) abort();
    return memory;
}

static json_input make_input(const char *name, int64_t kind, int64_t room) {
    json_input input = {(const uint8_t *)name, 1, kind, 128, 255, 3.4028234663852886e38, 0, room, 0, -1, {0}};
    for (int i = 0; i < JSON_MOST_AXES; i++) input.lengths[i] = -1;
    input.values = exactly(room * sizes[kind]);
    return input;
}

static void check_input(const json_input *input) {
    int64_t product = 1;
    CHECK(input->axes >= 0 && input->axes <= JSON_MOST_AXES && input->count <= input->room && input->count > 0);
    for (int64_t i = 0; i < input->axes; i++) {
        CHECK(input->lengths[i] > 0 && input->lengths[i] <= input->count);
        product *= input->lengths[i];
    }
    CHECK(product == input->count);
}

static void read_body(const uint8_t *body, int64_t size, const int64_t *kinds, int64_t count, int64_t room) {
    json_input inputs[INPUTS] = {make_input("x", kinds[0], room), make_input("y", kinds[1], room)};
    int64_t report[3] = {-1, -1, -1};
    int64_t status = mainstay_read_json(body, size, inputs, count, (const uint8_t *)"s", 1, report);
    CHECK(status >= JSON_DONE && status <= JSON_SIGNATURE);
    if (status == JSON_SIGNATURE) CHECK(report[1] > 0 && report[2] > 0 && report[1] + report[2] < size);
    if (status == JSON_DONE) {
        CHECK(report[0] >= JSON_ROWS && report[0] <= JSON_COLUMNS);
        for (int64_t i = 0; i < count; i++) check_input(&inputs[i]);
    }
    for (int i = 0; i < INPUTS; i++) free(inputs[i].values);
}

/* The two ways to a double agree wherever both lead to one. */
static void compare_decimals(uint64_t digits, int64_t power) {
    char text[48];
    double quick, exact;
    int length = snprintf(text, sizeof text, "%llue%lld", (unsigned long long)digits, (long long)power);
    if (!json_decimal(digits, power, &quick)) return;
    CHECK(json_long_decimal((const uint8_t *)text, length, &exact));
    CHECK(!memcmp(&quick, &exact, sizeof quick));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t given) {
    if (!given) return 0;
    int64_t size = (int64_t)given - 1, kinds[INPUTS] = {(data[0] & 15) % KINDS, (data[0] >> 4) % KINDS};
    uint8_t *body = exactly(size);
    if (size) memcpy(body, data + 1, (size_t)size);
    read_body(body, size, kinds, 1, size / 2 + 1);
    read_body(body, size, kinds, 2, size / 2 + 1);
    read_body(body, size, kinds, 2, 3);
    int64_t commas = mainstay_count_byte(body, size, ',');
    CHECK(commas >= 0 && commas <= size);
    if (size >= 9) {
        uint64_t digits;
        memcpy(&digits, body, 8);
        compare_decimals(digits, (int8_t)body[8]);
        compare_decimals(digits >> 8 * (body[8] & 7), (int8_t)body[8] / 4);
    }
    free(body);
    return 0;
}
