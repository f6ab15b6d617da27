/* imresize of uint8 pictures, for where a C compiler was at hand: arrays.py does the same in NumPy.
 *
 * Python calls it through ctypes, so it needs no header of Python's. Installing the package compiles
 * it; whoever lifts the folder out does this beside it:
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
    float *middle; /* after the first pass: four rows where that one makes rows, or else all */
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

/* Four rows at a time, so that a weight is looked up once for all. `channels` is a constant where
 * this is inlined. With three, the fourth lane is a neighbour's value, written over at once. */
INLINE void sum_columns(const Pass *pass, const float *inputs, int64_t in_stride, int64_t channels,
                        float *sums, int64_t out_stride) {
    for (int64_t o = 0; o < pass->out_size; o++) {
        const int32_t *indices = pass->indices + o * pass->taps;
        const float *weights = pass->weights + o * pass->taps;
        float *to = sums + o * channels;
        if (channels == 3 || channels == 4) {
            Quad a = {0}, b = {0}, c = {0}, d = {0};
            for (int64_t k = 0; k < pass->taps; k++) {
                const float *pixel = inputs + indices[k] * channels;
                const Quad weight = {weights[k], weights[k], weights[k], weights[k]};
                a += weight * load(pixel);
                b += weight * load(pixel + in_stride);
                c += weight * load(pixel + 2 * in_stride);
                d += weight * load(pixel + 3 * in_stride);
            }
            store(to, a);
            store(to + out_stride, b);
            store(to + 2 * out_stride, c);
            store(to + 3 * out_stride, d);
            continue;
        }
        for (int64_t channel = 0; channel < channels; channel++) {
            float a = 0, b = 0, c = 0, d = 0;
            for (int64_t k = 0; k < pass->taps; k++) {
                const float *value = inputs + indices[k] * channels + channel;
                a += weights[k] * value[0];
                b += weights[k] * value[in_stride];
                c += weights[k] * value[2 * in_stride];
                d += weights[k] * value[3 * in_stride];
            }
            to[channel] = a;
            to[channel + out_stride] = b;
            to[channel + 2 * out_stride] = c;
            to[channel + 3 * out_stride] = d;
        }
    }
}

/* How far sum + 1/2 is from the next whole number, where rounding it down jumps. */
INLINE float distance(float sum) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding and taking it away rounds */
    const float up = sum + 0.5f;
    return fabsf(up - ((up + magic) - magic));
}

/* Whole numbers out of a row of sums, as floats or as bytes: one of the two is null. Taps of sum x
 * are `stride` apart. Of a pass over columns, `columns` is not 0 and `result` means nothing. */
INLINE void round_sums(const Pass *pass, int64_t result, int columns, const float *inputs,
                       int64_t stride, const float *restrict sums, int64_t count,
                       float *restrict floats, uint8_t *restrict bytes) {
    const float margin = pass->margin;
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
                const int32_t value = columns
                                          ? sum_again(pass, x / stride, inputs + x % stride, stride)
                                          : sum_again(pass, result, inputs + x, stride);
                if (floats)
                    floats[x] = (float)value;
                else
                    bytes[x] = (uint8_t)value;
            }
    }
}

INLINE void resize_rows_first(const Job *job, int64_t channels, uint8_t *target) {
    const int64_t stride = job->stride, in_row = job->in_row, out_row = job->out_row;
    for (int64_t first = 0; first < job->rows->out_size; first += ROWS) {
        const int64_t left = job->rows->out_size - first, here = left < ROWS ? left : ROWS;
        for (int64_t i = 0; i < here; i++) {
            float *row = job->middle + i * stride;
            sum_rows(job->rows, first + i, job->whole, in_row, job->sums);
            round_sums(job->rows, first + i, 0, job->whole, in_row, job->sums, in_row, row, NULL);
        }
        sum_columns(job->columns, job->middle, stride, channels, job->sums, stride);
        for (int64_t i = 0; i < here; i++)
            round_sums(job->columns, 0, 1, job->middle + i * stride, channels,
                       job->sums + i * stride, out_row, NULL, target + (first + i) * out_row);
    }
}

INLINE void resize_columns_first(const Job *job, int64_t channels, uint8_t *target) {
    const int64_t stride = job->stride, in_row = job->in_row, out_row = job->out_row;
    for (int64_t first = 0; first < job->rows->size; first += ROWS) {
        const int64_t left = job->rows->size - first, here = left < ROWS ? left : ROWS;
        const float *rows = job->whole + first * in_row; /* up to three past the end are room */
        sum_columns(job->columns, rows, in_row, channels, job->sums, stride);
        for (int64_t i = 0; i < here; i++)
            round_sums(job->columns, 0, 1, rows + i * in_row, channels, job->sums + i * stride,
                       out_row, job->middle + (first + i) * out_row, NULL);
    }
    for (int64_t o = 0; o < job->rows->out_size; o++) {
        sum_rows(job->rows, o, job->middle, out_row, job->sums);
        round_sums(job->rows, o, 0, job->middle, out_row, job->sums, out_row, NULL,
                   target + o * out_row);
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
    Job job = {rows, columns, channels, columns->size * channels, columns->out_size * channels,
               0, rows_first, NULL, NULL, NULL};
    job.stride = (job.in_row > job.out_row ? job.in_row : job.out_row) + PADDING;
    const int64_t whole = (rows->size + ROWS) * job.in_row + PADDING;
    const int64_t middle = rows_first ? ROWS * job.stride : rows->size * job.out_row;
    /* Zeros, for what is read beyond a row's end goes into sums that nobody looks at. */
    job.whole = calloc(whole + middle + ROWS * job.stride, sizeof *job.whole);
    if (!job.whole)
        return 1;
    job.middle = job.whole + whole;
    job.sums = job.middle + middle;
#if defined(__x86_64__) && !defined(PORTABLE)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        resize_with_avx2(&job, source, target, images);
    else
#endif
        resize_anywhere(&job, source, target, images);
    free(job.whole);
    return 0;
}
