/* script_fuzz.c: a .crash file. The input lies on the simulated disk, as script_load wants a file.
 *
 * S1  What is refused says why, with the line.
 * S2  What is accepted prints as a trace whose lines are accepted again, one by one, and which
 *     prints as the same text. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "powercut/disk.h"
#include "powercut/posix.h"
#include "script.h"
#include "target.h"

#define MOUNT "/fuzz"
#define PATH  MOUNT "/input.crash"

static char *printed(const struct trace *trace)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    must(out != NULL);
    trace_print(out, trace);
    fclose(out);
    must(strlen(text) == len);
    return text;
}

/* S2. */
static void print_and_parse(const struct trace *trace)
{
    struct trace again;
    char *text = printed(trace);
    char *rest = strdup(text);
    char *second = NULL;
    char why[200] = "";
    uint32_t number = 1;

    must(rest != NULL);
    trace_init(&again);
    for (char *line = rest, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        must(end != NULL);
        *end = '\0';
        if (!trace_parse(&again, line, number++, why, sizeof why)) {
            fprintf(stderr, "script: printed \"%s\", which is refused: %s\n", line, why);
            abort();
        }
    }
    must(again.op_count == trace->op_count);
    second = printed(&again);
    if (strcmp(text, second) != 0) {
        fprintf(stderr, "script: printed\n%sthen\n%s", text, second);
        abort();
    }
    trace_release(&again);
    free(second);
    free(rest);
    free(text);
}

static void put_input(const uint8_t *data, size_t size)
{
    int fd = open(PATH, O_WRONLY | O_CREAT, 0644);

    must(fd >= 0);
    if (size)
        must(write(fd, data, size) == (ssize_t)size);
    must(close(fd) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pc_disk_config config = {.model = PC_PREFIX, .unit = 512};
    struct pc_disk *disk = NULL;
    struct script script;
    char why[300] = "";
    size_t open_count = 0;

    if (size > TARGET_SIZE_MAX)
        return 0;
    disk = pc_disk_new(&config);
    pc_mount(MOUNT, disk);
    put_input(data, size);
    if (script_load(&script, PATH, why, sizeof why)) {
        print_and_parse(&script.trace);
    } else {
        must(strncmp(why, PATH ":", sizeof PATH) == 0); /* S1 */
        must(why[sizeof PATH] >= '1' && why[sizeof PATH] <= '9');
    }
    script_release(&script);
    open_count = pc_open_descriptors();
    must(open_count == 0);
    pc_mount(MOUNT, NULL);
    pc_disk_free(disk);
    return 0;
}
