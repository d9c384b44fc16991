/* database.h: a set of files is opened as a database, and everything that must hold is checked:
 * the status and the content against plain.h; forward scan, backward scan, point reads and seeks
 * against each other; that it goes on working; that it opens again with the same content; that
 * nothing is left behind. Thread safety: none. */
#ifndef FUZZ_DATABASE_H
#define FUZZ_DATABASE_H

#include "stage.h"

/* `chunk`: bytes the log reader asks for at once. Aborts where a property does not hold. */
void database_try(const struct stage_files *files, size_t chunk);

/* The files of a new database in which `fill`, if any, has written. Aborts where that fails. */
void database_make(struct stage_files *files, void (*fill)(struct vault *v));
/* What a new, empty database consists of. Made once; never released. */
const struct stage_files *database_empty(void);

#endif
