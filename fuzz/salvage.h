/* salvage.h: verify and repair on the files of a database, whatever they hold.
 *
 * V1  Verify comes to an end with a status of what it found, tells something exactly when that is
 *     damage, names a file and an offset within it, and changes nothing.
 * V2  It finds nothing where all is sound but for what no reader minds, and something where an open
 *     refuses or a block that is damaged would be met.
 * V3  Repair answers VAULT_OK only for a database that opens, in which verify finds nothing, and
 *     that takes a write. What was sound has the same content afterwards.
 *
 * Thread safety: none. */
#ifndef FUZZ_SALVAGE_H
#define FUZZ_SALVAGE_H

#include "plain.h"
#include "stage.h"

/* The stage must not be set. `s`: what plain_store_read made of the files. Aborts where a property
 * does not hold. */
void salvage_try(const struct stage_files *files, const struct plain_store *s,
                 const struct vault_options *options);

#endif
