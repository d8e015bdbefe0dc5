/* brim/data.h - labelled samples from a one-line description.
 *
 *   cifar:FILE[,FILE...]   idx:IMAGES[:LABELS]   npy:X[:Y]   npz:FILE   csv:FILE   synth:glyphs
 * synth:noise
 *
 * each with optional ?key=value&...: offset, limit (samples); scale, zero (real =
 * scale*(raw-zero)); mean, std (then (v-mean)/std, one number or one per channel, comma-separated);
 * layout (nchw, nhwc: the order of the file; brim hands out nchw); label (csv: column, -1 = none);
 * shape (synth:noise); seed. Files that are gzipped are read as such.
 */
#ifndef BRIM_DATA_H
#define BRIM_DATA_H

#include <brim/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A dataset: n samples of one shape, each float32, with or without a label. Read-only once opened.
 */
typedef struct brim_data brim_data;

/**
 * Open what `spec` describes. The raw bytes are kept in memory, samples are converted when read.
 * @retval BRIM_ERR_ARG   the description does not parse, or names an unknown kind or key
 * @retval BRIM_ERR_IO    a file cannot be read
 * @retval BRIM_ERR_FILE  a file is malformed, empty, or images and labels differ in number
 */
BRIM_API BRIM_NODISCARD brim_status brim_data_open(brim_ctx *ctx, const char *spec,
                                                   brim_data **data);
BRIM_API void brim_data_free(brim_data *data);

/**
 * Samples first..first+n-1 of `data` as a dataset of their own. Nothing is copied: `data` has to outlive it.
 * @retval BRIM_ERR_ARG  outside the data, or no samples
 */
BRIM_API BRIM_NODISCARD brim_status brim_data_slice(brim_ctx *ctx, const brim_data *data,
                                                    size_t first, size_t n, brim_data **slice);

/** Samples after offset and limit. */
BRIM_API size_t brim_data_count(const brim_data *data);
/** Rank of one sample (no batch axis), at most 7; fills dim. */
BRIM_API int brim_data_shape(const brim_data *data, int64_t dim[8]);
/** Elements of one sample. */
BRIM_API size_t brim_data_sample_size(const brim_data *data);
BRIM_API bool brim_data_has_labels(const brim_data *data);

/**
 * Read samples first..first+n-1.
 * @param[out] x       n * sample_size floats, row-major, nchw for images
 * @param[out] labels  n labels, or NULL; -1 where there is none
 * @retval BRIM_ERR_ARG   outside the data
 * @retval BRIM_ERR_FILE  a NaN or an infinity, naming the sample
 * @par Threads  Safe concurrently.
 */
BRIM_API BRIM_NODISCARD brim_status brim_data_read(brim_ctx *ctx, const brim_data *data,
                                                   size_t first, size_t n, float *x,
                                                   int64_t *labels);

/** Write all samples and labels as X.npy-style arrays in one .npz file ("x", "y"). */
BRIM_API BRIM_NODISCARD brim_status brim_data_save_npz(brim_ctx *ctx, const brim_data *data,
                                                       const char *path);

#ifdef __cplusplus
}
#endif
#endif
