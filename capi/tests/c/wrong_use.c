/* Wrong use of the interface, and use from two threads: each line says what is expected. A line that does not hold is
 * printed, and the program ends with 1. The argument is a folder with style.png, which shows what draw(..., 7) draws. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "impasto.h"

#define SIDE 64
#define BYTES (SIDE * SIDE * 4)

static int failures = 0;

static void expect(int holds, int line, const char *text) {
    if (!holds) {
        printf("line %d: %s; last error: %s\n", line, text, impasto_last_error());
        failures++;
    }
}

#define EXPECT(condition) expect((condition), __LINE__, #condition)
/* The call fails with that status, and its text has these words. */
#define REFUSED(call, status, words)                                                                                   \
    expect((call) == (status) && strstr(impasto_last_error(), (words)) != NULL, __LINE__, #call)
#define INVALID IMPASTO_STATUS_INVALID_ARGUMENT

static uint8_t photo[BYTES], painted[BYTES], other[BYTES], big[BYTES + 4096];

static void draw(uint8_t *pixels, unsigned seed) {
    int index;
    for (index = 0; index < BYTES; index++) {
        unsigned x = index / 4 % SIDE, y = index / 4 / SIDE, channel = index % 4;
        pixels[index] = (uint8_t)(channel == 3 ? 255 : x * seed + y * (channel + 1) * 3);
    }
}

static void without_a_model(void) {
    ImpastoContext *context = (ImpastoContext *)photo;
    ImpastoModel *model = (ImpastoModel *)photo;
    ImpastoOptions options;
    size_t width, height, index;

    EXPECT(strcmp(impasto_last_error(), "") == 0);
    EXPECT(strchr(impasto_version(), '.') != NULL);
    EXPECT(impasto_model_count() > 0);
    for (index = 0; index < impasto_model_count(); index++) {
        EXPECT(impasto_model_name(index) != NULL);
    }
    EXPECT(impasto_model_name(impasto_model_count()) == NULL);
    EXPECT(impasto_model_name((size_t)-1) == NULL);

    REFUSED(impasto_context_new(NULL, NULL, NULL), INVALID, "context must not be NULL");
    REFUSED(impasto_context_new("no such adapter", NULL, &context), IMPASTO_STATUS_NO_ADAPTER, "no such adapter");
    EXPECT(context == NULL);
    REFUSED(impasto_context_new("\xff\xfe", NULL, &context), INVALID, "UTF-8");
    REFUSED(impasto_context_new(NULL, "f64", &context), INVALID, "f64");
    REFUSED(impasto_load(NULL, "wave", &model), INVALID, "context must not be NULL");
    EXPECT(model == NULL);
    EXPECT(impasto_context_device(NULL) == NULL);
    impasto_context_free(NULL);
    impasto_model_free(NULL);

    REFUSED(impasto_stylize_rgba8(NULL, SIDE, SIDE, photo, 0, painted, 0, NULL), INVALID, "model must not be NULL");
    REFUSED(impasto_style_add_rgba8(NULL, SIDE, SIDE, photo, 0, 1), INVALID, "model must not be NULL");
    REFUSED(impasto_style_add_file(NULL, "a.png", 1), INVALID, "model must not be NULL");
    REFUSED(impasto_style_clear(NULL), INVALID, "model must not be NULL");

    REFUSED(impasto_options_default(NULL, sizeof options), INVALID, "options must not be NULL");
    REFUSED(impasto_options_default(&options, 0), INVALID, "sizeof(ImpastoOptions)");
    EXPECT(impasto_options_default(&options, sizeof options) == IMPASTO_STATUS_OK);
    EXPECT(options.struct_size == sizeof options && options.size == 0 && options.alpha == 1.0f);
    EXPECT(strcmp(impasto_last_error(), "") == 0);
    options.size = 32;
    EXPECT(impasto_result_size(100, 50, &options, &width, &height) == IMPASTO_STATUS_OK);
    EXPECT(width == 32 && height == 16);
    EXPECT(impasto_result_size(100, 50, NULL, &width, &height) == IMPASTO_STATUS_OK);
    EXPECT(width == 100 && height == 50);
    height = 7;
    REFUSED(impasto_result_size(100, 50, NULL, NULL, &height), INVALID, "result_width");
    REFUSED(impasto_result_size(100, 50, NULL, &height, NULL), INVALID, "result_height");
    EXPECT(height == 7);
    REFUSED(impasto_result_size(0, 50, NULL, &width, &height), INVALID, "0x50");
    options.size = 4000000000u;
    REFUSED(impasto_result_size(100, 50, &options, &width, &height), INVALID, "size of the result");
}

static void with_a_net(ImpastoContext *context) {
    ImpastoModel *model = (ImpastoModel *)photo;
    ImpastoOptions options;
    size_t row;

    REFUSED(impasto_load(context, NULL, &model), INVALID, "name must not be NULL");
    EXPECT(model == NULL);
    REFUSED(impasto_load(context, "wave", NULL), INVALID, "model must not be NULL");
    REFUSED(impasto_load(context, "no-such-net", &model), INVALID, "impressions:");
    REFUSED(impasto_load(context, "impressions", &model), INVALID, "STYLE");
    REFUSED(impasto_load(context, "impressions:no-such-style", &model), INVALID, "no-such-style");
    REFUSED(impasto_load(context, "wave:1", &model), INVALID, "one only");
    REFUSED(impasto_load(context, __FILE__, &model), IMPASTO_STATUS_WEIGHTS, "wrong_use.c");
    EXPECT(model == NULL);

    EXPECT(impasto_load(context, "wave", &model) == IMPASTO_STATUS_OK);
    REFUSED(impasto_style_add_rgba8(model, SIDE, SIDE, photo, 0, 1), INVALID, "a style of its own");
    EXPECT(impasto_style_clear(model) == IMPASTO_STATUS_OK);

    /* Pointers, sizes, strides. The output stays as it is. */
    draw(photo, 3);
    memset(painted, 7, BYTES);
    memset(other, 7, BYTES);
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, NULL, 0, painted, 0, NULL), INVALID, "pixels of the input");
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, NULL, 0, NULL), INVALID, "pixels of the output");
    REFUSED(impasto_stylize_rgba8(model, 0, SIDE, photo, 0, painted, 0, NULL), INVALID, "0x64");
    REFUSED(impasto_stylize_rgba8(model, SIDE, 0, photo, 0, painted, 0, NULL), INVALID, "64x0");
    REFUSED(impasto_stylize_rgba8(model, (size_t)-1, (size_t)-1, photo, 0, painted, 0, NULL), INVALID, "400 million");
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 255, painted, 0, NULL), INVALID, "stride of the input");
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 255, NULL), INVALID, "stride of the output");
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, (size_t)-1, painted, 0, NULL), INVALID, "too large");
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, photo + 4, 0, NULL), INVALID, "share bytes");
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, big, 0, big, SIDE * 4 + 8, NULL), INVALID, "share bytes");
    REFUSED(impasto_stylize_rgba8(model, 2, 2, photo, 0, painted, 0, NULL), INVALID, "at least");
    EXPECT(impasto_options_default(&options, sizeof options) == IMPASTO_STATUS_OK);
    options.alpha = 2;
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 0, &options), INVALID, "alpha");
    options.alpha = 0.5f;
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 0, &options), INVALID, "alpha must be 1");
    options.struct_size = 3;
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 0, &options), INVALID, "struct_size");
    EXPECT(memcmp(painted, other, BYTES) == 0);

    /* A smaller result, with the alpha of the input. Nothing behind it is written. */
    EXPECT(impasto_options_default(&options, sizeof options) == IMPASTO_STATUS_OK);
    options.size = SIDE / 2;
    for (row = 0; row < SIDE * SIDE; row++) {
        photo[4 * row + 3] = row / SIDE < SIDE / 2 ? 0 : 255;
    }
    EXPECT(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 0, &options) == IMPASTO_STATUS_OK);
    EXPECT(painted[3] == 0 && painted[BYTES / 4 - 1] == 255);
    EXPECT(memcmp(painted + BYTES / 4, other, BYTES * 3 / 4) == 0);
    options.size = 0;
    options.memory = 1;
    memset(painted, 7, BYTES);
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 0, &options), IMPASTO_STATUS_TOO_LARGE, "MiB");
    EXPECT(memcmp(painted, other, BYTES) == 0);
    draw(photo, 3);

    /* In place, and with gaps between the rows: the same picture, and the gaps stay. */
    EXPECT(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 0, NULL) == IMPASTO_STATUS_OK);
    EXPECT(memcmp(painted, photo, BYTES) != 0);
    memset(big, 9, sizeof big);
    for (row = 0; row < SIDE; row++) {
        memcpy(big + row * (SIDE * 4 + 5), photo + row * SIDE * 4, SIDE * 4);
    }
    EXPECT(impasto_stylize_rgba8(model, SIDE, SIDE, big, SIDE * 4 + 5, big, SIDE * 4 + 5, NULL) == IMPASTO_STATUS_OK);
    for (row = 0; row < SIDE; row++) {
        EXPECT(memcmp(big + row * (SIDE * 4 + 5), painted + row * SIDE * 4, SIDE * 4) == 0);
        EXPECT(big[row * (SIDE * 4 + 5) + SIDE * 4] == 9);
    }
    impasto_model_free(model);
}

static void with_adain(ImpastoContext *context, const char *folder) {
    ImpastoModel *model = NULL;
    char path[4096];
    FILE *file;

    EXPECT(impasto_load(context, "adain-fast", &model) == IMPASTO_STATUS_OK);
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 0, NULL), INVALID, "needs a style");
    REFUSED(impasto_style_add_rgba8(model, SIDE, SIDE, photo, 0, 0), INVALID, "weight of a style");
    REFUSED(impasto_style_add_rgba8(model, SIDE, SIDE, photo, 0, -1), INVALID, "weight of a style");
    REFUSED(impasto_style_add_rgba8(model, SIDE, SIDE, NULL, 0, 1), INVALID, "pixels of the style");
    REFUSED(impasto_style_add_rgba8(model, SIDE, SIDE, photo, 7, 1), INVALID, "stride of the style");
    REFUSED(impasto_style_add_rgba8(model, 2, 2, photo, 0, 1), INVALID, "at least");
    memset(other, 0, BYTES);
    REFUSED(impasto_style_add_rgba8(model, SIDE, SIDE, other, 0, 1), INVALID, "visible");
    REFUSED(impasto_style_add_file(model, NULL, 1), INVALID, "path must not be NULL");
    REFUSED(impasto_style_add_file(model, "no/such/file.png", 1), IMPASTO_STATUS_FILE, "no/such/file.png");
    snprintf(path, sizeof path, "%s/not-a-picture.png", folder);
    file = fopen(path, "wb");
    if (file == NULL || fputs("not a picture", file) < 0 || fclose(file) != 0) {
        printf("%s cannot be written\n", path);
        exit(1);
    }
    REFUSED(impasto_style_add_file(model, path, 1), IMPASTO_STATUS_PICTURE, "not-a-picture.png");
    REFUSED(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 0, NULL), INVALID, "needs a style");

    /* A style from pixels, the same twice, the same from a file; another that is mixed with it. */
    draw(photo, 5);
    draw(other, 7);
    EXPECT(impasto_style_add_rgba8(model, SIDE, SIDE, other, 0, 3) == IMPASTO_STATUS_OK);
    EXPECT(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, painted, 0, NULL) == IMPASTO_STATUS_OK);
    EXPECT(impasto_style_add_rgba8(model, SIDE, SIDE, other, 0, 3) == IMPASTO_STATUS_OK);
    EXPECT(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, big, 0, NULL) == IMPASTO_STATUS_OK);
    EXPECT(memcmp(big, painted, BYTES) == 0);
    EXPECT(impasto_style_clear(model) == IMPASTO_STATUS_OK);
    snprintf(path, sizeof path, "%s/style.png", folder);
    EXPECT(impasto_style_add_file(model, path, 0.5f) == IMPASTO_STATUS_OK);
    EXPECT(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, big, 0, NULL) == IMPASTO_STATUS_OK);
    EXPECT(memcmp(big, painted, BYTES) == 0);
    EXPECT(impasto_style_add_rgba8(model, SIDE, SIDE, photo, 0, 0.5f) == IMPASTO_STATUS_OK);
    EXPECT(impasto_stylize_rgba8(model, SIDE, SIDE, photo, 0, big, 0, NULL) == IMPASTO_STATUS_OK);
    EXPECT(memcmp(big, painted, BYTES) != 0);
    impasto_model_free(model);
}

/* What a thread paints with. */
typedef struct {
    ImpastoModel *model;
    ImpastoStatus status;
    uint8_t painted[BYTES];
} Job;

static void *paint_often(void *argument) {
    Job *job = (Job *)argument;
    int time;
    for (time = 0; time < 10; time++) {
        memset(job->painted, 0, BYTES);
        job->status = impasto_stylize_rgba8(job->model, SIDE, SIDE, photo, 0, job->painted, 0, NULL);
        if (job->status != IMPASTO_STATUS_OK) {
            printf("thread: %s\n", impasto_last_error());
            break;
        }
    }
    return NULL;
}

/* Two threads give the picture that one gives. */
static void on_threads(ImpastoModel *first, ImpastoModel *second) {
    static Job jobs[2];
    pthread_t threads[2];
    int index;
    jobs[0].model = first;
    jobs[1].model = second;
    EXPECT(impasto_stylize_rgba8(first, SIDE, SIDE, photo, 0, painted, 0, NULL) == IMPASTO_STATUS_OK);
    for (index = 0; index < 2; index++) {
        EXPECT(pthread_create(&threads[index], NULL, paint_often, &jobs[index]) == 0);
    }
    for (index = 0; index < 2; index++) {
        pthread_join(threads[index], NULL);
        EXPECT(jobs[index].status == IMPASTO_STATUS_OK && memcmp(jobs[index].painted, painted, BYTES) == 0);
    }
}

int main(int count, char **arguments) {
    ImpastoContext *context = NULL;
    ImpastoModel *first = NULL, *second = NULL;
    if (count != 2) {
        return 2;
    }
    without_a_model();
    if (impasto_context_new(NULL, NULL, &context) != IMPASTO_STATUS_OK) {
        printf("%s\n", impasto_last_error());
        return 1;
    }
    EXPECT(strlen(impasto_context_device(context)) > 0);
    with_a_net(context);
    with_adain(context, arguments[1]);
    EXPECT(impasto_load(context, "wave", &first) == IMPASTO_STATUS_OK);
    EXPECT(impasto_load(context, "wave", &second) == IMPASTO_STATUS_OK);
    impasto_context_free(context); /* the model still works */
    draw(photo, 5);
    on_threads(first, second);
    on_threads(first, first);
    impasto_model_free(first);
    impasto_model_free(second);
    return failures > 0;
}
