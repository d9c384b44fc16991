/* record_log.c: the log of a recording.
 *
 * A file is 16 bytes of magic, then frames. A frame is its length without these first 20 bytes
 * (u32), its sequence number from 0 (u64), the low 8 bytes of XXH3 over what follows (u64), then:
 * kind u8, flags u8 (1 dsync, 2 keep size), process u32, file u32, mode u32, offset u64, length
 * u64, path, to, data; each of these three is a u32 length and its bytes. Little endian. A frame is
 * written with one call to a file opened for appending. The last record is PC_RECORD_END: a log
 * without it is not whole, and is refused. */
#include "record_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/check.h"

#define FRAME_HEAD 20u
#define FRAME_MIN  (2u + 3u * 4u + 2u * 8u + 3u * 4u)

static const char *const kind_names[PC_RECORD_KINDS] = {
    [PC_RECORD_BASE_DIRECTORY] = "directory",
    [PC_RECORD_BASE_FILE] = "file",
    [PC_RECORD_BASE_SYMLINK] = "symbolic link",
    [PC_RECORD_BASE_LINK] = "second name",
    [PC_RECORD_PROCESS] = "process",
    [PC_RECORD_CREATE] = "create",
    [PC_RECORD_UNNAMED] = "create nameless",
    [PC_RECORD_MKDIR] = "mkdir",
    [PC_RECORD_SYMLINK] = "symlink",
    [PC_RECORD_LINK] = "link",
    [PC_RECORD_RENAME] = "rename",
    [PC_RECORD_EXCHANGE] = "exchange",
    [PC_RECORD_UNLINK] = "unlink",
    [PC_RECORD_RMDIR] = "rmdir",
    [PC_RECORD_WRITE] = "write",
    [PC_RECORD_STORE] = "store",
    [PC_RECORD_TRUNCATE] = "truncate",
    [PC_RECORD_ALLOCATE] = "allocate",
    [PC_RECORD_FSYNC] = "fsync",
    [PC_RECORD_FDATASYNC] = "fdatasync",
    [PC_RECORD_SYNC] = "sync",
    [PC_RECORD_SYNC_RANGE] = "sync_range",
    [PC_RECORD_MSYNC] = "msync",
    [PC_RECORD_MODE] = "chmod",
    [PC_RECORD_OUTPUT] = "output",
    [PC_RECORD_END] = "end",
    [PC_RECORD_PUNCH] = "punch",
    [PC_RECORD_ZERO_RANGE] = "zero_range",
};

const char *pc_record_kind_name(enum pc_record_kind kind)
{
    must(kind < PC_RECORD_KINDS);
    return kind_names[kind];
}

/* ---- writing ---- */

static uint8_t *put(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        *at++ = (uint8_t)(value >> 8 * i);
    return at;
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t size)
{
    at = put(at, size, 4);
    if (size)
        memcpy(at, bytes, size);
    return at + size;
}

bool log_writer_open(struct log_writer *writer, const char *path)
{
    size_t size = strlen(LOG_MAGIC);

    *writer = (struct log_writer){0};
    writer->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    writer->failed =
        writer->fd < 0 || write(writer->fd, LOG_MAGIC, size) != (ssize_t)strlen(LOG_MAGIC);
    return !writer->failed;
}

void log_writer_add(struct log_writer *writer, const struct pc_record *record)
{
    const char *path = record->path ? record->path : "", *to = record->to ? record->to : "";
    size_t size = FRAME_HEAD + FRAME_MIN + strlen(path) + strlen(to) + record->size;
    uint8_t *at;

    must(record->size < UINT32_MAX / 2);
    if (size > writer->room) {
        writer->frame = realloc(writer->frame, size);
        must(writer->frame != NULL);
        writer->room = size;
    }
    at = writer->frame + FRAME_HEAD;
    at = put(at, record->kind, 1);
    at = put(at, (record->dsync ? 1u : 0u) | (record->keep_size ? 2u : 0u), 1);
    at = put(at, record->process, 4);
    at = put(at, record->file, 4);
    at = put(at, record->mode, 4);
    at = put(at, record->offset, 8);
    at = put(at, record->length, 8);
    at = put_bytes(at, path, strlen(path));
    at = put_bytes(at, to, strlen(to));
    at = put_bytes(at, record->data, record->size);
    must(at == writer->frame + size);
    at = put(writer->frame, size - FRAME_HEAD, 4);
    at = put(at, writer->sequence++, 8);
    put(at, XXH3_64bits(writer->frame + FRAME_HEAD, size - FRAME_HEAD), 8);
    if (!writer->failed && write(writer->fd, writer->frame, size) != (ssize_t)size)
        writer->failed = true;
}

bool log_writer_close(struct log_writer *writer)
{
    bool good = !writer->failed;

    free(writer->frame);
    if (writer->fd >= 0 && close(writer->fd))
        good = false;
    *writer = (struct log_writer){.fd = -1, .failed = true};
    return good;
}

/* ---- reading ---- */

struct pc_recording {
    uint8_t *bytes; /* the whole file; records borrow from it */
    size_t size;
    char *texts; /* paths, each ended by a zero byte */
    struct pc_record *records;
    size_t count;
};

struct cursor {
    const uint8_t *at, *end;
    char *text;
    bool bad;
};

static uint64_t take(struct cursor *cursor, size_t bytes)
{
    uint64_t value = 0;

    if ((size_t)(cursor->end - cursor->at) < bytes) {
        cursor->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)*cursor->at++ << 8 * i;
    return value;
}

static const uint8_t *take_bytes(struct cursor *cursor, size_t *size)
{
    const uint8_t *bytes;

    *size = (size_t)take(cursor, 4);
    if (cursor->bad || (size_t)(cursor->end - cursor->at) < *size) {
        cursor->bad = true;
        *size = 0;
    }
    bytes = cursor->at;
    cursor->at += *size;
    return bytes;
}

static const char *take_text(struct cursor *cursor)
{
    size_t size;
    const uint8_t *bytes = take_bytes(cursor, &size);
    char *text = cursor->text;

    memcpy(text, bytes, size);
    text[size] = '\0';
    cursor->text += size + 1;
    return text;
}

static bool take_record(struct cursor *cursor, struct pc_record *record)
{
    uint64_t kind = take(cursor, 1), flags = take(cursor, 1);

    record->kind = kind < PC_RECORD_KINDS ? (enum pc_record_kind)kind : PC_RECORD_END;
    record->dsync = flags & 1;
    record->keep_size = flags & 2;
    record->process = (uint32_t)take(cursor, 4);
    record->file = (uint32_t)take(cursor, 4);
    record->mode = (uint32_t)take(cursor, 4);
    record->offset = take(cursor, 8);
    record->length = take(cursor, 8);
    record->path = take_text(cursor);
    record->to = take_text(cursor);
    record->data = take_bytes(cursor, &record->size);
    return !cursor->bad && kind < PC_RECORD_KINDS && cursor->at == cursor->end;
}

static bool slurp(const char *file, uint8_t **bytes, size_t *size)
{
    FILE *in = fopen(file, "re");
    long end = -1;
    bool good = in && fseek(in, 0, SEEK_END) == 0 && (end = ftell(in)) >= 0;

    *size = end > 0 ? (size_t)end : 0;
    *bytes = malloc(*size + 1);
    must(*bytes != NULL);
    if (good)
        rewind(in);
    good = good && fread(*bytes, 1, *size, in) == *size;
    if (in)
        (void)fclose(in);
    return good;
}

static bool parse(struct pc_recording *recording, const char *log, char *why, size_t room)
{
    size_t at = strlen(LOG_MAGIC), records = 0;
    char *text;

    if (recording->size < at || memcmp(recording->bytes, LOG_MAGIC, at) != 0) {
        snprintf(why, room, "%s: not the log of a recording", log);
        return false;
    }
    recording->texts = text = malloc(recording->size + 1);
    must(text != NULL);
    while (at < recording->size) {
        struct cursor head = {recording->bytes + at, recording->bytes + recording->size, text,
                              false};
        size_t length = (size_t)take(&head, 4);
        uint64_t sequence = take(&head, 8), sum = take(&head, 8);
        struct cursor body = {head.at, head.at + length, text, false};

        if (head.bad || length < FRAME_MIN || (size_t)(head.end - head.at) < length ||
            sequence != recording->count || XXH3_64bits(head.at, length) != sum) {
            snprintf(why, room, "%s: broken at byte %zu, record %zu", log, at, recording->count);
            return false;
        }
        if (recording->count == records) {
            records = records ? 2 * records : 64;
            recording->records = realloc(recording->records, records * sizeof *recording->records);
            must(recording->records != NULL);
        }
        if (!take_record(&body, &recording->records[recording->count++])) {
            snprintf(why, room, "%s: record %zu makes no sense", log, recording->count - 1);
            return false;
        }
        text = body.text;
        at += FRAME_HEAD + length;
    }
    if (recording->count == 0 || recording->records[recording->count - 1].kind != PC_RECORD_END) {
        snprintf(why, room, "%s: the recording was not finished", log);
        return false;
    }
    return true;
}

struct pc_recording *pc_recording_load(const char *log, char *why, size_t room)
{
    struct pc_recording *recording = calloc(1, sizeof *recording);

    must(recording != NULL);
    if (!slurp(log, &recording->bytes, &recording->size)) {
        snprintf(why, room, "%s: %s", log, strerror(errno));
    } else if (parse(recording, log, why, room)) {
        return recording;
    }
    pc_recording_free(recording);
    return NULL;
}

void pc_recording_free(struct pc_recording *recording)
{
    if (recording == NULL)
        return;
    free(recording->bytes);
    free(recording->texts);
    free(recording->records);
    free(recording);
}

size_t pc_recording_count(const struct pc_recording *recording)
{
    return recording->count;
}

const struct pc_record *pc_recording_at(const struct pc_recording *recording, size_t index)
{
    must(index < recording->count);
    return &recording->records[index];
}

const char *pc_recording_program(const struct pc_recording *recording, size_t index)
{
    uint32_t process = pc_recording_at(recording, index)->process;

    for (size_t i = index + 1; i-- > 0;)
        if (recording->records[i].kind == PC_RECORD_PROCESS &&
            recording->records[i].process == process)
            return recording->records[i].to;
    return "";
}

const char *pc_recording_symlink(const struct pc_recording *recording, uint32_t file)
{
    for (size_t i = 0; i < recording->count; i++) {
        const struct pc_record *record = &recording->records[i];

        if (record->file == file &&
            (record->kind == PC_RECORD_SYMLINK || record->kind == PC_RECORD_BASE_SYMLINK))
            return record->to;
    }
    return NULL;
}

unsigned pc_recording_mode(const struct pc_recording *recording, uint32_t file, size_t index)
{
    unsigned mode = 0644;

    for (size_t i = 0; i < recording->count; i++) {
        const struct pc_record *record = &recording->records[i];
        bool creates = record->kind == PC_RECORD_CREATE || record->kind == PC_RECORD_MKDIR ||
                       record->kind == PC_RECORD_UNNAMED ||
                       record->kind == PC_RECORD_BASE_DIRECTORY ||
                       record->kind == PC_RECORD_BASE_FILE;

        if (record->file == file && (creates || (record->kind == PC_RECORD_MODE && i < index)))
            mode = record->mode;
    }
    return mode;
}

/* ---- in words ---- */

void pc_record_say(const struct pc_record *record, char *text, size_t room)
{
    const char *name = pc_record_kind_name(record->kind);
    const char *path = *record->path ? record->path : record->file ? "." : "";
    unsigned long long offset = record->offset, length = record->length;

    switch (record->kind) {
    case PC_RECORD_WRITE:
    case PC_RECORD_STORE:
        snprintf(text, room, "%s %s %llu+%zu%s", name, path, offset, record->size,
                 record->dsync ? ", synchronous" : "");
        break;
    case PC_RECORD_TRUNCATE:
        snprintf(text, room, "%s %s to %llu", name, path, length);
        break;
    case PC_RECORD_ALLOCATE:
    case PC_RECORD_PUNCH:
    case PC_RECORD_ZERO_RANGE:
    case PC_RECORD_SYNC_RANGE:
    case PC_RECORD_MSYNC:
        snprintf(text, room, "%s %s %llu+%llu%s", name, path, offset, length,
                 record->keep_size ? ", keeps the size" : "");
        break;
    case PC_RECORD_RENAME:
    case PC_RECORD_EXCHANGE:
    case PC_RECORD_SYMLINK:
    case PC_RECORD_BASE_SYMLINK:
        snprintf(text, room, "%s %s -> %s", name, path, record->to);
        break;
    case PC_RECORD_MODE:
        snprintf(text, room, "%s %s %o", name, path, (unsigned)record->mode);
        break;
    case PC_RECORD_PROCESS:
        snprintf(text, room, "%s %s", name, record->to);
        break;
    case PC_RECORD_OUTPUT:
        snprintf(text, room, "%s, %zu bytes", name, record->size);
        break;
    case PC_RECORD_END:
        snprintf(text, room, "%s, exit %llu", name, length);
        break;
    default:
        snprintf(text, room, "%s%s%s", name, *path ? " " : "", path);
    }
}

void pc_recording_print(const struct pc_recording *recording, FILE *out)
{
    char text[2 * PATH_MAX];

    for (size_t i = 0; i < recording->count; i++) {
        const struct pc_record *record = &recording->records[i];
        const char *program = pc_recording_program(recording, i);
        int len = (int)strcspn(program, " ");

        pc_record_say(record, text, sizeof text);
        fprintf(out, "%5zu ", i);
        if (record->process)
            fprintf(out, "%.*s[%u] ", len, program, (unsigned)record->process);
        fprintf(out, "%s", text);
        if (record->file)
            fprintf(out, " (file %u)", (unsigned)record->file);
        fputc('\n', out);
    }
}
