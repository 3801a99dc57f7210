/*
 * Impasto: neural style transfer on any GPU. capi/README.md says how to build and link the library, and
 * capi/examples/stylize.c is a whole program.
 *
 * Every function may be called from any thread. Calls with the same model wait for each other, so a program that paints
 * in parallel loads a model for each thread. A function that can fail returns an ImpastoStatus; impasto_last_error has
 * the reason in words. Handles belong to the caller, who frees each exactly once. Pixels, names and options are only
 * read or written during a call. Texts are UTF-8.
 *
 * This file is generated from capi/src/ by cbindgen; do not edit it.
 */

#ifndef IMPASTO_H
#define IMPASTO_H

#include <stddef.h>
#include <stdint.h>

/**
 * How a call ended. `impasto_last_error` has the details in words. Later versions may add further values.
 */
typedef enum {
    /**
     * The call succeeded.
     */
    IMPASTO_STATUS_OK = 0,
    /**
     * An argument is NULL, out of range or does not fit the others. Nothing was changed.
     */
    IMPASTO_STATUS_INVALID_ARGUMENT = 1,
    /**
     * There is no GPU adapter, or none matches, or it cannot be opened.
     */
    IMPASTO_STATUS_NO_ADAPTER = 2,
    /**
     * A file cannot be read.
     */
    IMPASTO_STATUS_FILE = 3,
    /**
     * A file is not a picture that can be read.
     */
    IMPASTO_STATUS_PICTURE = 4,
    /**
     * A file is not a net or a style that can be used, or the net is not part of this build.
     */
    IMPASTO_STATUS_WEIGHTS = 5,
    /**
     * The picture needs more than the memory or the limits of the device allow.
     */
    IMPASTO_STATUS_TOO_LARGE = 6,
    /**
     * The driver is out of memory.
     */
    IMPASTO_STATUS_OUT_OF_MEMORY = 7,
    /**
     * The device was reset, unplugged or stopped by a watchdog. Free the models and the context, and open a new one.
     */
    IMPASTO_STATUS_DEVICE_LOST = 8,
    /**
     * The driver refused a command or a shader: a bug of Impasto or of the driver.
     */
    IMPASTO_STATUS_DEVICE = 9,
    /**
     * The result has values that are not finite.
     */
    IMPASTO_STATUS_NOT_FINITE = 10,
    /**
     * The adapter gives wrong results.
     */
    IMPASTO_STATUS_ADAPTER = 11,
    /**
     * A bug of Impasto. A handle that was in use refuses all further calls with this status; free it.
     */
    IMPASTO_STATUS_INTERNAL = 12,
} ImpastoStatus;

/**
 * An open GPU device. Any thread may use it; calls that load a net wait for each other. Models keep what they need of
 * it, so it may be freed before them.
 */
typedef struct ImpastoContext ImpastoContext;

/**
 * A net on a device, and for AdaIN the styles that it paints in. Any thread may use it; calls with one model wait for
 * each other. The first picture of a size takes longer, because a program is compiled for it; the programs of the last
 * few sizes are kept.
 */
typedef struct ImpastoModel ImpastoModel;

/**
 * How a picture is painted. Fill it with `impasto_options_default`, then change what you want. Later versions may add
 * fields at the end; `struct_size` tells the library which of them the program knows.
 */
typedef struct {
    /**
     * The size of this struct in bytes, as the program was compiled. `impasto_options_default` sets it.
     */
    size_t struct_size;
    /**
     * Long side of the result in pixels, or 0 for the size of the input. See `impasto_result_size`. Default: 0.
     */
    uint32_t size;
    /**
     * Strength of the style for AdaIN, 0 to 1. At 0 the result is the photo as the decoder reproduces it. Other nets
     * have no strength; for them it must be 1. Default: 1.
     */
    float alpha;
    /**
     * 1: keep the colours of the photo and take only the brightness from the result. 0: do not. Default: 0.
     */
    uint32_t keep_luminance;
    /**
     * Approximate long side in pixels of the coarsest pass of AdaIN. Larger results are painted coarse to fine, so
     * that brush strokes keep their share of the picture. 0: one pass. Other nets ignore it. Default: 512.
     */
    uint32_t coarse_size;
    /**
     * Most device memory in MiB, at least 1. A picture that needs more is painted in windows, without seams.
     * Default: 2048.
     */
    uint32_t memory;
    /**
     * 1: a net with instance norm that paints in windows gives exactly the result of one piece, in 16 passes. 0: it
     * takes one pass, with the statistics of a reduced photo. AdaIN and nets with batch norm are always exact.
     * Default: 0.
     */
    uint32_t exact;
} ImpastoOptions;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library, such as `0.1.0`: a text that is valid for the life of the program.
 */
const char *impasto_version(void);

/**
 * The number of included nets. A net of many styles counts once for each style.
 */
size_t impasto_model_count(void);

/**
 * The name of an included net, for `impasto_load`: `adain`, `wave`, `impressions:night-cafe` and so on. `index` is
 * from 0 to `impasto_model_count() - 1`; for others the result is NULL. The text is valid for the life of the program.
 */
const char *impasto_model_name(size_t index);

/**
 * Opens a GPU device.
 *
 * `device` is the number of an adapter or a part of its name, and `precision` how nets are stored: `f32`, `f16` (half
 * the memory) or `f16-matrix` (multiplied on the adapter's tensor cores), where the adapter supports it. NULL chooses
 * the first adapter (or that of the environment variable `IMPASTO_DEVICE`) and `f32`. A GPU comes before a software
 * adapter. A name without a match gives an error that lists the adapters.
 *
 * `*context` is the new handle, which `impasto_context_free` takes, or NULL if the call fails.
 *
 * The caller promises:
 * `device` and `precision` are NULL or texts with a NUL at their ends. `context` points to a place for a handle.
 */
ImpastoStatus impasto_context_new(const char *device, const char *precision, ImpastoContext **context);

/**
 * The name of the adapter, such as `NVIDIA GeForce RTX 4090`; NULL for NULL. The text lives as long as the context.
 *
 * The caller promises:
 * `context` is NULL or a context that is not freed.
 */
const char *impasto_context_device(const ImpastoContext *context);

/**
 * Frees a context. NULL is allowed. No other call may use the context during this call or after it; models that were
 * loaded with it still work. Freeing a context twice is undefined behaviour.
 *
 * The caller promises:
 * `context` is NULL, or of `impasto_context_new` and not freed, and not in use.
 */
void impasto_context_free(ImpastoContext *context);

/**
 * Loads a net.
 *
 * `name` is one of `impasto_model_name`, or a file (UTF-8): `adain` and `adain-fast` paint in any style and need
 * `impasto_style_add_rgba8`; `wave`, `impressions:night-cafe` and others have a style of their own. A file is a
 * feed-forward net (`.safetensors` or `.pth`), for a net of many styles `FILE:STYLE`, or a style of an included net
 * (`.style`). A file that exists comes before an included net of the same name.
 *
 * `*model` is the new handle, which `impasto_model_free` takes, or NULL if the call fails.
 *
 * The caller promises:
 * `context` is NULL or a context that is not freed. `name` is NULL or a text with a NUL at its end. `model` points to
 * a place for a handle.
 */
ImpastoStatus impasto_load(const ImpastoContext *context, const char *name, ImpastoModel **model);

/**
 * Frees a model. NULL is allowed. No other call may use the model during this call or after it. Freeing a model twice
 * is undefined behaviour.
 *
 * The caller promises:
 * `model` is NULL, or of `impasto_load` and not freed, and not in use.
 */
void impasto_model_free(ImpastoModel *model);

/**
 * Adds a style picture to a model of AdaIN. The model measures it at once and keeps only its statistics.
 *
 * Pixels and sizes are as in `impasto_stylize_rgba8`. Pixels count as much as they are opaque, and a picture without a
 * visible pixel is refused. A picture with a side above 512 pixels is reduced first. Several styles are mixed by their
 * weights (above 0), which are divided by their sum. A style that is refused leaves the others as they are.
 *
 * The caller promises:
 * `model` is NULL or a model that is not freed. `pixels` is NULL or has `height` rows of `4 * width` bytes, which
 * begin `stride` bytes after each other.
 */
ImpastoStatus impasto_style_add_rgba8(ImpastoModel *model,
                                      size_t width,
                                      size_t height,
                                      const uint8_t *pixels,
                                      size_t stride,
                                      float weight);

/**
 * Adds a style from a file to a model of AdaIN: a picture (PNG, JPEG, WebP or TIFF), or a style that was saved for the
 * encoder of the model, whose name ends in `.style`. `path` is UTF-8. See `impasto_style_add_rgba8`.
 *
 * The caller promises:
 * `model` is NULL or a model that is not freed. `path` is NULL or a text with a NUL at its end.
 */
ImpastoStatus impasto_style_add_file(ImpastoModel *model, const char *path, float weight);

/**
 * Removes all styles from a model of AdaIN. A model with a style of its own keeps it.
 *
 * The caller promises:
 * `model` is NULL or a model that is not freed.
 */
ImpastoStatus impasto_style_clear(ImpastoModel *model);

/**
 * The size in pixels of the result of `impasto_stylize_rgba8` for an input of `width` by `height` pixels and these
 * options, or the defaults if `options` is NULL.
 *
 * The caller promises:
 * `options` is NULL or has as many bytes as its `struct_size` says. `result_width` and `result_height` are NULL or
 * places for a number.
 */
ImpastoStatus impasto_result_size(size_t width,
                                  size_t height,
                                  const ImpastoOptions *options,
                                  size_t *result_width,
                                  size_t *result_height);

/**
 * Paints a picture.
 *
 * A pixel has four bytes: red, green, blue and alpha, sRGB, not multiplied by alpha. Rows go from top to bottom. A
 * stride is the distance in bytes from the start of a row to that of the next one, at least 4 times the width; 0 means
 * exactly that. Sides have 1 to 30000 pixels, and pictures at most 400 million; nets have a least side, which the
 * error names.
 *
 * `output` has the size of the input, or that of `impasto_result_size` if `options->size` is not 0. It gets the alpha
 * of the input. It may be the input itself, with the same stride and size, or share no pixel with it; others are
 * refused. If the call fails, the output is unchanged. `options` may be NULL for the defaults.
 *
 * The call returns when the picture is finished. Besides `options->memory` on the device, it takes up to 4 bytes of
 * memory for each pixel of the input, 8 for each pixel of the result, and 256 MiB.
 *
 * The caller promises:
 * `model` is NULL or a model that is not freed. `input` is NULL or has `height` rows of `4 * width` bytes, which begin
 * `input_stride` bytes after each other. `output` is NULL or has the rows of the result in the same way. `options` is
 * NULL or has as many bytes as its `struct_size` says.
 */
ImpastoStatus impasto_stylize_rgba8(ImpastoModel *model,
                                    size_t width,
                                    size_t height,
                                    const uint8_t *input,
                                    size_t input_stride,
                                    uint8_t *output,
                                    size_t output_stride,
                                    const ImpastoOptions *options);

/**
 * Fills `options` with the defaults. `struct_size` is `sizeof(ImpastoOptions)`.
 *
 * The caller promises:
 * `options` is NULL, or points to `struct_size` bytes that can be written.
 */
ImpastoStatus impasto_options_default(ImpastoOptions *options, size_t struct_size);

/**
 * Why the last call on this thread that returned a status failed: a sentence in English, UTF-8, that names the cause
 * and the way out. It is empty after a call that succeeded, and never NULL. The text is valid until the next such call
 * on this thread; copy it if you need it longer.
 */
const char *impasto_last_error(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* IMPASTO_H */
