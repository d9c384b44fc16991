/* exchange.h (private): renameat2 with RENAME_EXCHANGE, as a call of the disk. */
#ifndef FAULTS_EXCHANGE_H
#define FAULTS_EXCHANGE_H

#include "disk.h"

/* Each of the two names, which both exist, points to what the other pointed to. In the log it is a
 * rename. 0 or -errno. */
int disk_exchange(struct pc_disk *disk, uint32_t dir, const char *name, size_t len, uint32_t to_dir,
                  const char *to_name, size_t to_len);

#endif
