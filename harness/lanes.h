/* lanes.h: a finding as data for pictures: what was done and acknowledged, the calls of the epoch,
 * the micro-operations that were open when the power failed and what became of each, and a survey
 * of all crash points of the trace. reports/README.md has the fields. */
#ifndef HARNESS_LANES_H
#define HARNESS_LANES_H

#include "finding.h"
#include "session.h"
#include "powercut/store.h"

/* One JSON object as text; the caller frees it. Plays the trace again, and surveys it when
 * `survey` (not for a store that died: it would die again). */
char *lanes_text(const struct trace *trace, const struct finding *finding,
                 const struct pc_store *store, bool survey);

/* In words: the writes and what became of them, and side by side the operations, the calls and what
 * they left on the disk, around the first crash. Nothing where there was none. */
void lanes_tell(FILE *out, const struct trace *trace, const struct finding *finding,
                const struct pc_store *store);

/* The image of the first crash of a finding in a session that has run its trace, everything
 * decided; *k: its place. NULL: there is none. */
struct pc_image *lanes_image(struct session *session, const struct finding *finding, size_t *k);

struct json;

/* The calls of a disk, as members "calls" and "calls_left_out" of the open object. */
void lanes_calls(struct json *json, const struct pc_disk *disk);
/* A survey of all crash points of a finished epoch, as the member `name` of the open object. */
void lanes_strip(struct json *json, const char *name, struct session *session,
                 enum trouble trouble);

/* The files of the image of the first crash, or of the one whose recovery is a step of the trace
 * and broke a promise. As a list: per entry its kind ('d' or 'f'), the length of its path and of
 * its data (16 digits each), path, data. The caller frees it. NULL: no image. */
char *lanes_disk(const struct trace *trace, const struct finding *finding,
                 const struct pc_store *store, size_t *len);
/* Writes such a list as files below `dir`. False: errno says why. */
bool lanes_write_disk(const char *dir, struct bytes list);

#endif
