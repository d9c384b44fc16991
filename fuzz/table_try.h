/* table_try.h: everything that must hold of the bytes of one table.
 *
 * T1  It opens exactly when footer, index, filter and range deletes are in place, their checksums
 *     right, and the range deletes in order.
 * T2  If it is whole (plain.h), both scans, every point read and every seek show its entries, and a
 *     table built of them has the same entries again; its range deletes likewise, and point reads
 *     find what they hide deleted.
 * T3  If a block that the index names is damaged, no scan ends as if all had been well.
 * T4  Otherwise (a checksum was forged) reading comes to an end.
 *
 * Thread safety: none. */
#ifndef FUZZ_TABLE_TRY_H
#define FUZZ_TABLE_TRY_H

#include "cursor.h"
#include "plain.h"

#define TABLE_TRY_NUMBER 3u

/* `file`: 000003.sst. Aborts where a property does not hold. */
void table_try(struct bytes file);

/* Do scans in both directions and seeks show these entries, in this order? Aborts otherwise. */
void table_try_walks(struct cursor *c, const struct plain_list *list);

#endif
