/* imresize of uint8 pictures, for where a C compiler was at hand: arrays.py does the same in NumPy.
 *
 * Python calls it through ctypes, so it needs no header of Python's. Installing the package
 * compiles it; whoever lifts the folder out does this beside it:
 *
 *     cc -O3 -shared -fPIC -o _kernel.so kernel.c
 *
 * Sums are taken in float32, in any order and fused where the processor can. Those that come closer
 * to a half than their proven error (error_bound in weights.py) are taken again in float64, one tap
 * after the other as MATLAB does.
 */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__GNUC__) || FLT_EVAL_METHOD != 0
#error "needs GCC's vectors, and float32 that is rounded after each step"
#endif

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 4, BLOCK = 64, PADDING = 4 }; /* a row is read up to one Quad past its end */

typedef float Quad __attribute__((vector_size(16)));
typedef float Pair __attribute__((vector_size(32))); /* pixels of two rows, four channels each */

/* Result o is the sum of weights[o * taps + k] * input[indices[o * taps + k]], k ascending. */
typedef struct {
    int64_t size, out_size, taps;
    const int32_t *indices;
    const float *weights;
    const double *exact_weights;
    float margin; /* how far a sum in float32 and its rounding stray; 0: neither does */
} Pass;

/* Rows of `width * channels` values become rows of `out_width * channels`. */
typedef struct {
    const Pass *rows, *columns;
    int64_t channels, in_row, out_row, stride; /* stride: room for either, padded */
    int rows_first;
    float *whole;  /* the picture in floats */
    float *middle; /* after the first pass: one row where that one makes rows, or else all */
    float *packed; /* four rows before the pass over columns, see pack_row */
    float *sums;   /* four rows */
} Job;

/* What kernel.py asks first: it leaves a library alone whose functions take something else. */
int64_t resize_interface(void) { return 1; }

INLINE Quad load(const float *from) {
    Quad quad;
    memcpy(&quad, from, sizeof quad);
    return quad;
}

INLINE void store(float *to, Quad quad) { memcpy(to, &quad, sizeof quad); }

static int32_t sum_again(const Pass *pass, int64_t result, const float *inputs, int64_t stride) {
    double sum = 0;
    for (int64_t k = result * pass->taps; k < (result + 1) * pass->taps; k++) {
        /* A product that is stored cannot be fused with the sum. */
        volatile double product = pass->exact_weights[k] * inputs[pass->indices[k] * stride];
        sum += product;
    }
    sum = floor(sum + 0.5);
    return sum < 0 ? 0 : sum > 255 ? 255 : (int32_t)sum;
}

/* One result row out of whole rows of `count` values. */
INLINE void sum_rows(const Pass *pass, int64_t result, const float *inputs, int64_t count,
                     float *restrict sums) {
    const int32_t *indices = pass->indices + result * pass->taps;
    const float *weights = pass->weights + result * pass->taps;
    int64_t k = 0;
    memset(sums, 0, count * sizeof *sums);
    for (; k + 4 <= pass->taps; k += 4) { /* fewer trips to the cache than one tap at a time */
        const float *restrict a = inputs + indices[k] * count;
        const float *restrict b = inputs + indices[k + 1] * count;
        const float *restrict c = inputs + indices[k + 2] * count;
        const float *restrict d = inputs + indices[k + 3] * count;
        const float p = weights[k], q = weights[k + 1], r = weights[k + 2], s = weights[k + 3];
        for (int64_t x = 0; x < count; x++)
            sums[x] += p * a[x] + q * b[x] + r * c[x] + s * d[x];
    }
    for (; k < pass->taps; k++) {
        const float *restrict a = inputs + indices[k] * count;
        const float p = weights[k];
        for (int64_t x = 0; x < count; x++)
            sums[x] += p * a[x];
    }
}

/* Before the pass over columns four rows are put side by side, so that one weight serves all of
 * them at once: of each pixel [row][channel], with room for four channels, where there are three or
 * four; else [channel][row]. `channels` is a constant wherever these are inlined. */
INLINE int64_t packed_stride(int64_t channels) {
    return channels == 3 || channels == 4 ? ROWS * 4 : ROWS * channels;
}

INLINE int64_t packed_place(int64_t row, int64_t channel, int64_t channels) {
    return channels == 3 || channels == 4 ? row * 4 + channel : channel * ROWS + row;
}

/* With three channels the fourth value is the next pixel's, and its sum is written over. */
INLINE void pack_row(const float *restrict from, int64_t width, int64_t row, int64_t channels,
                     float *restrict packed) {
    for (int64_t x = 0; x < width; x++) {
        float *to = packed + x * packed_stride(channels);
        if (channels == 3 || channels == 4)
            store(to + row * 4, load(from + x * channels));
        else
            for (int64_t channel = 0; channel < channels; channel++)
                to[packed_place(row, channel, channels)] = from[x * channels + channel];
    }
}

INLINE void sum_columns(const Pass *pass, const float *packed, int64_t channels, float *sums,
                        int64_t out_stride) {
    const int64_t stride = packed_stride(channels);
    for (int64_t o = 0; o < pass->out_size; o++) {
        const int32_t *indices = pass->indices + o * pass->taps;
        const float *weights = pass->weights + o * pass->taps;
        float *to = sums + o * channels;
        if (channels == 3 || channels == 4) {
            Pair upper = {0}, lower = {0}, pixels;
            for (int64_t k = 0; k < pass->taps; k++) {
                const float *from = packed + indices[k] * stride;
                memcpy(&pixels, from, sizeof pixels);
                upper += weights[k] * pixels;
                memcpy(&pixels, from + 8, sizeof pixels);
                lower += weights[k] * pixels;
            }
            float values[ROWS * 4];
            memcpy(values, &upper, sizeof upper);
            memcpy(values + 8, &lower, sizeof lower);
            for (int64_t row = 0; row < ROWS; row++)
                store(to + row * out_stride, load(values + row * 4));
            continue;
        }
        for (int64_t channel = 0; channel < channels; channel++) {
            Quad sum = {0};
            for (int64_t k = 0; k < pass->taps; k++)
                sum += weights[k] * load(packed + indices[k] * stride + channel * ROWS);
            for (int64_t row = 0; row < ROWS; row++)
                to[row * out_stride + channel] = sum[row];
        }
    }
}

/* How far sum + 1/2 is from the next whole number, where rounding it down jumps. */
INLINE float distance(float sum) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding and taking it away rounds */
    const float up = sum + 0.5f;
    return fabsf(up - ((up + magic) - magic));
}

/* Whole numbers out of a row of sums, as floats or as bytes: one of the two is null. `result` is
 * which row they are, out of `inputs` that are whole rows; or -1 after the pass over columns, whose
 * `inputs` are packed, the row in question first. */
INLINE void round_sums(const Pass *pass, int64_t result, const float *inputs, int64_t channels,
                       const float *restrict sums, int64_t count, float *restrict floats,
                       uint8_t *restrict bytes) {
    const float margin = pass->margin;
    const int64_t stride = packed_stride(channels);
    for (int64_t start = 0; start < count; start += BLOCK) {
        const int64_t end = count - start < BLOCK ? count : start + BLOCK;
        int any = 0;
        for (int64_t x = start; x < end; x++) {
            int32_t value = (int32_t)(sums[x] + 0.5f); /* below 0 it is clipped in any case */
            value = value < 0 ? 0 : value;
            value = value > 255 ? 255 : value;
            if (floats)
                floats[x] = (float)value;
            else
                bytes[x] = (uint8_t)value;
        }
        if (margin == 0)
            continue;
        for (int64_t x = start; x < end; x++)
            any |= distance(sums[x]) <= margin;
        for (int64_t x = any ? start : end; x < end; x++)
            if (distance(sums[x]) <= margin) {
                const int64_t place = packed_place(0, x % channels, channels);
                const int32_t value =
                    result < 0 ? sum_again(pass, x / channels, inputs + place, stride)
                               : sum_again(pass, result, inputs + x, count);
                if (floats)
                    floats[x] = (float)value;
                else
                    bytes[x] = (uint8_t)value;
            }
    }
}

/* The sums of four rows, at most, that have been packed: `here` rows of whole numbers. */
INLINE void resize_columns(const Job *job, int64_t channels, int64_t here, float *floats,
                           uint8_t *bytes) {
    sum_columns(job->columns, job->packed, channels, job->sums, job->stride);
    for (int64_t row = 0; row < here; row++)
        round_sums(job->columns, -1, job->packed + packed_place(row, 0, channels), channels,
                   job->sums + row * job->stride, job->out_row,
                   floats ? floats + row * job->out_row : NULL,
                   bytes ? bytes + row * job->out_row : NULL);
}

INLINE void resize_rows_first(const Job *job, int64_t channels, uint8_t *target) {
    for (int64_t first = 0; first < job->rows->out_size; first += ROWS) {
        const int64_t left = job->rows->out_size - first, here = left < ROWS ? left : ROWS;
        for (int64_t row = 0; row < here; row++) {
            sum_rows(job->rows, first + row, job->whole, job->in_row, job->sums);
            round_sums(job->rows, first + row, job->whole, channels, job->sums, job->in_row,
                       job->middle, NULL);
            pack_row(job->middle, job->columns->size, row, channels, job->packed);
        }
        resize_columns(job, channels, here, NULL, target + first * job->out_row);
    }
}

INLINE void resize_columns_first(const Job *job, int64_t channels, uint8_t *target) {
    for (int64_t first = 0; first < job->rows->size; first += ROWS) {
        const int64_t left = job->rows->size - first, here = left < ROWS ? left : ROWS;
        for (int64_t row = 0; row < here; row++)
            pack_row(job->whole + (first + row) * job->in_row, job->columns->size, row, channels,
                     job->packed);
        resize_columns(job, channels, here, job->middle + first * job->out_row, NULL);
    }
    for (int64_t o = 0; o < job->rows->out_size; o++) {
        sum_rows(job->rows, o, job->middle, job->out_row, job->sums);
        round_sums(job->rows, o, job->middle, channels, job->sums, job->out_row, NULL,
                   target + o * job->out_row);
    }
}

INLINE void resize_images(const Job *job, int64_t channels, const uint8_t *source, uint8_t *target,
                          int64_t images) {
    const int64_t in_image = job->rows->size * job->in_row;
    const int64_t out_image = job->rows->out_size * job->out_row;
    for (int64_t n = 0; n < images; n++, source += in_image, target += out_image) {
        float *restrict whole = job->whole;
        for (int64_t i = 0; i < in_image; i++)
            whole[i] = source[i];
        if (job->rows_first)
            resize_rows_first(job, channels, target);
        else
            resize_columns_first(job, channels, target);
    }
}

INLINE void choose_channels(const Job *job, const uint8_t *source, uint8_t *target,
                            int64_t images) {
    if (job->channels == 1)
        resize_images(job, 1, source, target, images);
    else if (job->channels == 3)
        resize_images(job, 3, source, target, images);
    else if (job->channels == 4)
        resize_images(job, 4, source, target, images);
    else
        resize_images(job, job->channels, source, target, images);
}

static void resize_anywhere(const Job *job, const uint8_t *source, uint8_t *target,
                            int64_t images) {
    choose_channels(job, source, target, images);
}

#if defined(__x86_64__) && !defined(PORTABLE)
__attribute__((target("avx2,fma"))) static void
resize_with_avx2(const Job *job, const uint8_t *source, uint8_t *target, int64_t images) {
    choose_channels(job, source, target, images);
}
#endif

/* Pictures [images, rows->size, columns->size, channels] to [images, rows->out_size,
 * columns->out_size, channels]. Returns 0, or 1 where memory is short. */
int resize(const uint8_t *source, uint8_t *target, int64_t images, const Pass *rows,
           const Pass *columns, int64_t channels, int rows_first) {
    const int64_t in_row = columns->size * channels, out_row = columns->out_size * channels;
    const int64_t stride = (in_row > out_row ? in_row : out_row) + PADDING;
    const int64_t whole = rows->size * in_row + PADDING;
    const int64_t middle = rows_first ? stride : rows->size * out_row;
    const int64_t packed = columns->size * packed_stride(channels), sums = ROWS * stride;
    /* Zeros, for what is read beyond a row's end goes into sums that nobody looks at. */
    float *room = calloc(packed + whole + middle + sums, sizeof *room);
    if (!room)
        return 1;
    const Job job = {rows, columns, channels, in_row, out_row, stride, rows_first,
                     room + packed, room + packed + whole, room, room + packed + whole + middle};
#if defined(__x86_64__) && !defined(PORTABLE)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        resize_with_avx2(&job, source, target, images);
    else
#endif
        resize_anywhere(&job, source, target, images);
    free(room);
    return 0;
}
