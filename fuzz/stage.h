/* stage.h: where a target plays: a simulated disk of its own, made anew for each input, mounted
 * beneath the POSIX calls, with one database directory; and memory that is counted. No byte goes to
 * a real disk. Thread safety: none. */
#ifndef FUZZ_STAGE_H
#define FUZZ_STAGE_H

#include "buffer.h"
#include "format.h"
#include "minivault/minivault.h"

#define STAGE_DIR         "/fuzz/db"
#define STAGE_FILES_MAX   24
#define STAGE_REQUEST_MAX ((size_t)8 << 20) /* bytes that the engine may ask for at once */
#define STAGE_RATIO_MAX   4096u             /* or so many times a table, which may be compressed */
#define STAGE_STEPS_MAX   200000            /* calls on one stage; more is a hang */

/* A file of a database, its bytes borrowed. */
struct stage_file {
    enum format_file kind;
    uint64_t number; /* 0 where the kind has none */
    struct bytes data;
};

struct stage_files {
    struct stage_file at[STAGE_FILES_MAX];
    size_t count;
};

/* NULL: there is none. */
const struct stage_file *stage_find(const struct stage_files *files, enum format_file kind,
                                    uint64_t number);

/* Sets the stage: an empty database directory. Memory counts from zero. */
void stage_set(void);
/* Ends it: no descriptor may be open and no memory held. */
void stage_clear(void);

void stage_write(enum format_file kind, uint64_t number, struct bytes data);
void stage_write_all(const struct stage_files *files);
/* The files on the stage that a database is made of; free each data with free(). */
void stage_capture(struct stage_files *files);
void stage_release(struct stage_files *files);

/* Memory for the engine, counted by the stage. */
const struct vault_allocator *stage_allocator(void);
size_t stage_held(void);
/* For targets that need memory and no disk: ends the input; no memory may be held. */
void stage_forget(void);

#define STAGE_NOW 1000u /* where the clock of every store stands */

/* Small everything, inline, memory from the stage. */
void stage_options(struct vault_options *options);
void stage_env(struct env *env);

/* A failure names a file and an offset within it. */
void stage_check_error(const struct vault_error *error);

#endif
