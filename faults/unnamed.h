/* unnamed.h (private): a file without a name (O_TMPFILE), as the disk sees it. */
#ifndef FAULTS_UNNAMED_H
#define FAULTS_UNNAMED_H

#include "disk.h"

/* No micro-op and no call of the log: until disk_link gives it a name nothing leads to it. */
uint32_t disk_create_unnamed(struct pc_disk *disk);

#endif
