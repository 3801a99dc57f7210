/*
 * Paints a picture in a style, with Impasto's C interface.
 *
 *     stylize OUT.ppm [NET [PHOTO.ppm [STYLE.ppm]]]
 *
 * NET is the name of an included net or a file; `stylize --list` shows the names. Without PHOTO.ppm, the program paints
 * a gradient of its own. AdaIN (`adain`, `adain-fast`) needs a style, here a picture too; without STYLE.ppm it takes
 * another drawing of its own. PPM is the simplest picture format there is: a header of text, then red, green and blue
 * of each pixel (netpbm's `P6`). ImageMagick reads and writes it: `convert photo.jpg photo.ppm`.
 *
 * Build it on Linux, in the folder capi/, after `cargo build --release`:
 *
 *     cc -std=c99 -I include examples/stylize.c -L target/release -l impasto -Wl,-rpath,$PWD/target/release -o stylize
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "impasto.h"

/* A picture in memory: four bytes for each pixel (red, green, blue, alpha), row by row from the top. */
typedef struct {
    size_t width, height;
    uint8_t *pixels;
} Picture;

/* Every function of Impasto that can fail returns a status. This program prints why, and ends. */
static void check(ImpastoStatus status, const char *what) {
    if (status != IMPASTO_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", what, impasto_last_error());
        exit(1);
    }
}

static void fail(const char *path, const char *why) {
    fprintf(stderr, "%s: %s\n", path, why);
    exit(1);
}

static Picture new_picture(size_t width, size_t height) {
    Picture picture;
    picture.width = width;
    picture.height = height;
    picture.pixels = (uint8_t *)malloc(4 * width * height);
    if (picture.pixels == NULL) {
        fail("picture", "no memory");
    }
    return picture;
}

/* Draws something to paint: a gradient, or stripes for a style. */
static Picture drawn(size_t side, int stripes) {
    Picture picture = new_picture(side, side);
    size_t x, y;
    for (y = 0; y < side; y++) {
        for (x = 0; x < side; x++) {
            uint8_t *pixel = picture.pixels + 4 * (y * side + x);
            int bright = ((x + 2 * y) / 6) % 2 == 0;
            pixel[0] = (uint8_t)(stripes ? (bright ? 230 : 30) : 255 * x / side);
            pixel[1] = (uint8_t)(stripes ? (bright ? 160 : 60) : 255 * y / side);
            pixel[2] = (uint8_t)(stripes ? 90 : 128);
            pixel[3] = 255; /* opaque */
        }
    }
    return picture;
}

static Picture read_ppm(const char *path) {
    unsigned width, height, most;
    size_t index;
    Picture picture;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail(path, "cannot be opened");
    }
    if (fscanf(file, "P6 %u %u %u", &width, &height, &most) != 3 || most != 255 || width == 0 || height == 0 ||
        width > 30000 || height > 30000) {
        fail(path, "is not a PPM of 8 bits without comments (convert it: convert photo.jpg photo.ppm)");
    }
    fgetc(file); /* the white space after the header */
    picture = new_picture(width, height);
    for (index = 0; index < (size_t)width * height; index++) {
        if (fread(picture.pixels + 4 * index, 3, 1, file) != 1) {
            fail(path, "ends too early");
        }
        picture.pixels[4 * index + 3] = 255;
    }
    fclose(file);
    return picture;
}

static void write_ppm(const char *path, Picture picture) {
    size_t index;
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        fail(path, "cannot be written");
    }
    fprintf(file, "P6\n%u %u\n255\n", (unsigned)picture.width, (unsigned)picture.height);
    for (index = 0; index < picture.width * picture.height; index++) {
        if (fwrite(picture.pixels + 4 * index, 3, 1, file) != 1) {
            fail(path, "cannot be written");
        }
    }
    if (fclose(file) != 0) {
        fail(path, "cannot be written");
    }
}

int main(int count, char **arguments) {
    const char *net = count > 2 ? arguments[2] : "wave";
    ImpastoContext *context = NULL;
    ImpastoModel *model = NULL;
    ImpastoOptions options;
    Picture photo, result;

    if (count == 2 && strcmp(arguments[1], "--list") == 0) {
        size_t index;
        for (index = 0; index < impasto_model_count(); index++) {
            printf("%s\n", impasto_model_name(index));
        }
        return 0;
    }
    if (count < 2 || count > 5) {
        fprintf(stderr, "usage: stylize OUT.ppm [NET [PHOTO.ppm [STYLE.ppm]]], or stylize --list\n");
        return 2;
    }

    /* 1. Open a GPU: the first one (or IMPASTO_DEVICE), in the usual precision. */
    check(impasto_context_new(NULL, NULL, &context), "cannot open a GPU");
    fprintf(stderr, "Impasto %s on %s\n", impasto_version(), impasto_context_device(context));

    /* 2. Load a net. One net can paint any number of pictures. */
    check(impasto_load(context, net, &model), "cannot load the net");

    /* 3. AdaIN paints in the style of any picture. Give it one; the others have learned theirs. */
    if (strcmp(net, "adain") == 0 || strcmp(net, "adain-fast") == 0) {
        Picture style = count > 4 ? read_ppm(arguments[4]) : drawn(96, 1);
        check(impasto_style_add_rgba8(model, style.width, style.height, style.pixels, 0, 1.0f), "cannot use the style");
        free(style.pixels); /* the model has measured it */
    }

    /* 4. Say how to paint. The defaults are fine; another long side would be options.size = 1024. */
    check(impasto_options_default(&options, sizeof options), "options");

    /* 5. Make room for the result, and paint. A stride of 0 says that there is no gap between the rows. */
    photo = count > 3 ? read_ppm(arguments[3]) : drawn(96, 0);
    check(impasto_result_size(photo.width, photo.height, &options, &result.width, &result.height), "size");
    result = new_picture(result.width, result.height);
    check(impasto_stylize_rgba8(model, photo.width, photo.height, photo.pixels, 0, result.pixels, 0, &options),
          "cannot paint");
    write_ppm(arguments[1], result);

    /* 6. Free everything, each exactly once. */
    free(result.pixels);
    free(photo.pixels);
    impasto_model_free(model);
    impasto_context_free(context);
    return 0;
}
