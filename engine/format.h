/* format.h: every constant that is on disk, and the names of files. FORMAT.md explains them; a unit
 * test holds the two together. All integers are little-endian. */
#ifndef ENGINE_FORMAT_H
#define ENGINE_FORMAT_H

#include "os.h"

#define FORMAT_VERSION 1u

/* Record files: the log and the manifest (record.c). */
#define FORMAT_LOG_MAGIC      0x474c564du /* "MVLG" */
#define FORMAT_MANIFEST_MAGIC 0x464d564du /* "MVMF" */
#define FORMAT_FILE_HEADER    64u
#define FORMAT_RECORD_HEADER  40u
#define FORMAT_RECORD_MAGIC   0x5652u /* "RV" */
#define FORMAT_ALIGN          8u
#define FORMAT_RECORD_DATA    1u
#define FORMAT_RECORD_CLAIM   2u
#define FORMAT_RECORD_MAX     ((uint64_t)0xf0000000u) /* payload bytes */

/* CURRENT. */
#define FORMAT_CURRENT_MAGIC 0x5543564du /* "MVCU" */
#define FORMAT_CURRENT_SIZE  32u

/* Operations of a log record. */
#define FORMAT_OP_DELETE       0u
#define FORMAT_OP_PUT          1u
#define FORMAT_OP_DELETE_RANGE 2u /* [key, value) */
#define FORMAT_OP_PUT_UNTIL    3u /* the value begins with the time at which it expires */
#define FORMAT_EXPIRY          8u /* bytes of that time */

/* Fields of a manifest edit. */
#define FORMAT_EDIT_NEXT_FILE  1u
#define FORMAT_EDIT_LAST_SEQ   2u
#define FORMAT_EDIT_LOG        3u
#define FORMAT_EDIT_ADD        4u
#define FORMAT_EDIT_REMOVE     5u
#define FORMAT_EDIT_CURSOR     6u
#define FORMAT_EDIT_ADD_RANGES 7u /* as ADD, of a table with range deletes */

/* Tables (sst.c, block.c). */
#define FORMAT_TABLE_MAGIC   0x5453564du /* "MVST" */
#define FORMAT_FOOTER        64u
#define FORMAT_BLOCK_TRAILER 5u /* type, checksum */
#define FORMAT_BLOCK_RAW     0u
#define FORMAT_BLOCK_LZ4     1u
#define FORMAT_BLOCK_ZSTD    2u

/* File numbers stay well below the 18 digits that a name may have. A larger one is not ours. */
#define FORMAT_FILE_MAX ((uint64_t)1 << 56)
/* Sequence numbers fit in 62 bits: a tag is seq * 4 + kind. */
#define FORMAT_SEQ_MAX (((uint64_t)1 << 62) - 1)

enum format_file {
    FORMAT_OTHER = 0, /* not ours */
    FORMAT_LOCK,
    FORMAT_CURRENT,
    FORMAT_TEMPORARY, /* CURRENT.tmp */
    FORMAT_LOG,
    FORMAT_TABLE,
    FORMAT_MANIFEST,
};

#define FORMAT_NAME_LOCK      "LOCK"
#define FORMAT_NAME_CURRENT   "CURRENT"
#define FORMAT_NAME_TEMPORARY "CURRENT.tmp"

/* "000012.log", "000012.sst", "MANIFEST-000012". */
void format_name(enum format_file kind, uint64_t number, char name[OS_NAME_MAX]);

/* What a name is; `number` is 0 for kinds without one. Only names that format_name would write are
 * ours: "12.log" is FORMAT_OTHER. */
enum format_file format_parse(const char *name, uint64_t *number);

#endif
