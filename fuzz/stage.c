/* stage.c: see stage.h.
 *
 * Files are written with ordinary calls, which faults_posix takes to the simulated disk, so what
 * the engine does afterwards is what it does in production. The disk is booted anew for
 * each input, in the memory of the one before: a leftover of one input would make a finding that no
 * file reproduces. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "powercut/disk.h"
#include "powercut/posix.h"
#include "pen.h"
#include "stage.h"

#define MOUNT "/fuzz"

static struct pc_disk *ground; /* with the empty directory on it; made once */
static struct pc_image *image;
static struct pc_disk *disk; /* booted on it for each input; NULL before the first */
static bool set;
static size_t held;
static size_t request_max = STAGE_REQUEST_MAX;

const struct stage_file *stage_find(const struct stage_files *files, enum format_file kind,
                                    uint64_t number)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->at[i].kind == kind && files->at[i].number == number)
            return &files->at[i];
    return NULL;
}

static void hangs(void *ctx)
{
    fprintf(stderr, "stage: more than %d calls on the disk: a hang\n", STAGE_STEPS_MAX);
    abort();
}

static void lay_ground(void)
{
    static const struct pc_disk_config config = {.model = PC_PREFIX, .unit = 512};

    ground = pc_disk_new(&config);
    pc_mount(MOUNT, ground);
    must(mkdir(STAGE_DIR, 0755) == 0);
    pc_mount(MOUNT, NULL);
    pc_disk_settle(ground);
    image = pc_image_new(ground, pc_disk_call_count(ground));
}

void stage_set(void)
{
    must(!set);
    if (ground == NULL)
        lay_ground();
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    if (disk == NULL)
        disk = pc_disk_boot(image);
    else
        pc_disk_reboot(disk, image);
    pc_disk_step_limit(disk, STAGE_STEPS_MAX, hangs, NULL);
    pc_mount(MOUNT, disk);
    set = true;
    held = 0;
    request_max = STAGE_REQUEST_MAX;
}

void stage_clear(void)
{
    size_t open_count = pc_open_descriptors();

    must(open_count == 0);
    stage_forget();
    pc_mount(MOUNT, NULL);
    set = false;
}

static void path_of(enum format_file kind, uint64_t number, char *path, size_t room)
{
    char name[OS_NAME_MAX] = FORMAT_NAME_CURRENT;

    if (kind == FORMAT_TEMPORARY)
        snprintf(name, sizeof name, "%s", FORMAT_NAME_TEMPORARY);
    else if (kind != FORMAT_CURRENT)
        format_name(kind, number, name);
    snprintf(path, room, "%s/%s", STAGE_DIR, name);
}

void stage_write(enum format_file kind, uint64_t number, struct bytes data)
{
    char path[80];
    int fd = -1;

    if (kind == FORMAT_TABLE && data.len * STAGE_RATIO_MAX > request_max)
        request_max = data.len * STAGE_RATIO_MAX;
    path_of(kind, number, path, sizeof path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(fd >= 0);
    if (data.len)
        must(write(fd, data.data, data.len) == (ssize_t)data.len);
    must(close(fd) == 0);
}

void stage_write_all(const struct stage_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        stage_write(files->at[i].kind, files->at[i].number, files->at[i].data);
}

static void capture(void *ctx, const struct pc_entry *entry)
{
    struct stage_files *files = ctx;
    const char *name = strrchr(entry->path, '/');
    struct stage_file file = {FORMAT_OTHER, 0, {NULL, 0}};
    uint8_t *copy = NULL;

    if (entry->is_dir || !name)
        return;
    file.kind = format_parse(name + 1, &file.number);
    if (file.kind == FORMAT_OTHER || file.kind == FORMAT_LOCK)
        return;
    must(files->count < STAGE_FILES_MAX);
    copy = malloc(entry->size + 1);
    must(copy != NULL);
    if (entry->size)
        memcpy(copy, entry->data, entry->size);
    file.data = bytes_of(copy, entry->size);
    files->at[files->count++] = file;
}

void stage_capture(struct stage_files *files)
{
    files->count = 0;
    pc_disk_walk(disk, capture, files);
}

void stage_release(struct stage_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free((void *)files->at[i].data.data);
    files->count = 0;
}

static void *get(void *ctx, size_t size)
{
    if (size > request_max) {
        fprintf(stderr, "stage: %zu bytes asked for on the word of an input\n", size);
        abort();
    }
    held += size;
    return pen_get(size);
}

static void put(void *ctx, void *p, size_t size)
{
    must(p == NULL || held >= size);
    held -= p ? size : 0;
    pen_put(p, size);
}

const struct vault_allocator *stage_allocator(void)
{
    static const struct vault_allocator face = {NULL, get, put};

    return &face;
}

void stage_forget(void)
{
    must(held == 0);
    pen_clear();
}

size_t stage_held(void)
{
    return held;
}

static uint64_t stopped_clock(void *ctx)
{
    (void)ctx;
    return STAGE_NOW;
}

void stage_options(struct vault_options *options)
{
    vault_options_init(options);
    options->clock = stopped_clock;
    options->background = VAULT_INLINE;
    options->write_buffer_size = 2048;
    options->block_size = 256;
    options->restart_interval = 4;
    options->table_size = 1024;
    options->level0_tables = 2;
    options->level1_size = 2048;
    options->level_multiplier = 2;
    options->block_cache_size = 4096;
    options->read_chunk = 512;
    options->manifest_size = 4096;
    options->allocator = stage_allocator();
}

void stage_env(struct env *env)
{
    enum vault_status st = env_init(env, STAGE_DIR, stage_allocator(), NULL);

    must(st == VAULT_OK);
}

/* Two failures name the offset that was looked for, not one that is there. (The bound itself leaves
 * room for padding: where that of the last record is cut off, the next record would lie up to seven
 * bytes behind the end.) */
static bool leads_outside(const struct vault_error *error)
{
    return strcmp(error->what, "index entry") == 0 ||
           strcmp(error->what, "table is shorter than the manifest says") == 0;
}

void stage_check_error(const struct vault_error *error)
{
    char path[80];
    struct stat info = {0};

    must(error->status == VAULT_CORRUPT || error->status == VAULT_DATA_LOSS ||
         error->status == VAULT_UNSUPPORTED);
    must(error->file[0] != '\0');
    must(error->what[0] != '\0');
    snprintf(path, sizeof path, "%s/%s", STAGE_DIR, error->file);
    if (stat(path, &info))
        info.st_size = 0; /* a file that is missing: offset 0 */
    must(error->offset < (uint64_t)info.st_size + FORMAT_ALIGN || leads_outside(error));
}
