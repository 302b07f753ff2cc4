/* The JSON body of a prediction straight into arrays of numbers. */
#ifndef MAINSTAY_JSON_TENSOR_H
#define MAINSTAY_JSON_TENSOR_H

#include "mainstay_native.h"

#define JSON_MOST_AXES 8

/* How the numbers of an input are kept. */
enum {
    JSON_BOOL = 0,
    JSON_INT8 = 1,
    JSON_INT16 = 2,
    JSON_INT32 = 3,
    JSON_INT64 = 4,
    JSON_UINT8 = 5,
    JSON_UINT16 = 6,
    JSON_UINT32 = 7,
    JSON_UINT64 = 8,
    JSON_FLOAT32 = 9,
    JSON_FLOAT64 = 10
};

/* What reading a body ends with. */
enum {
    JSON_DONE = 0,
    JSON_OTHER = 1,    /* not wrong, maybe, but nothing that is read here */
    JSON_SIGNATURE = 2 /* it names another signature */
};

/* The form of a body. */
enum {
    JSON_ROWS = 0,    /* {"instances": [value, ...]} */
    JSON_OBJECTS = 1, /* {"instances": [{"name": value, ...}, ...]} */
    JSON_COLUMN = 2,  /* {"inputs": [value, ...]} */
    JSON_COLUMNS = 3  /* {"inputs": {"name": [value, ...], ...}} */
};

/* One input. Every field has eight bytes: Python fills an array of int64, row by row. */
typedef struct {
    const uint8_t *name;
    int64_t name_size;
    int64_t kind;
    uint64_t below; /* the least whole number that is taken as it is, without its sign */
    uint64_t above; /* the largest one */
    double largest; /* floats: the largest number that is taken, infinities aside */
    void *values;
    int64_t room;  /* how many values there is room for */
    int64_t count; /* how many there were */
    int64_t axes;  /* how many axes they had; the caller sets -1 */
    int64_t lengths[JSON_MOST_AXES]; /* of each axis; the caller sets -1 */
} json_input;

/* Reads a whole body. Returns JSON_DONE with the values, the counts and the shapes of `inputs` set, and the form of the
   body in `report[0]`; JSON_SIGNATURE where it names another signature than that of `signature_size` bytes, with the
   place and the size of the name in `report[1]` and `report[2]`; and JSON_OTHER for all that is unusual: what is wrong,
   and what takes more than numbers to tell. An empty name is as good as none. */
MAINSTAY_EXPORT int64_t mainstay_read_json(const uint8_t *body, int64_t size, json_input *inputs, int64_t num_inputs,
                                           const uint8_t *signature, int64_t signature_size, int64_t *report);

/* Returns how often a byte comes. */
MAINSTAY_EXPORT int64_t mainstay_count_byte(const uint8_t *data, int64_t size, int32_t byte);

#endif
