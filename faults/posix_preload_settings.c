/* posix_preload_settings.c: what the environment asks of the preload library. Every error names the
 * variable, the part that is wrong and what would be right. Nothing here calls malloc. */
#define _GNU_SOURCE
#include "posix_preload.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOUNT_DEFAULT "/powercut"
#define UNIT_DEFAULT  512u
#define UNIT_MAX      16384u

bool settings_error(const char *variable, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fprintf(stderr, "powercut: %s: ", variable);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    return false;
}

/* An empty variable counts as none. */
static const char *value_of(const char *variable)
{
    const char *value = getenv(variable);

    return value && *value ? value : NULL;
}

static bool is_mount(const char *path)
{
    size_t len = strlen(path);

    return len > 1 && len < 256 && path[0] == '/' && path[len - 1] != '/' && !strstr(path, "//") &&
           !strstr(path, "/.");
}

bool settings_mount(char *mount, size_t size)
{
    const char *value = value_of("POWERCUT_MOUNT");

    if (!value)
        value = MOUNT_DEFAULT;
    if (!is_mount(value))
        return false;
    snprintf(mount, size, "%s", value);
    return true;
}

bool settings_below(const struct settings *settings, const char *path)
{
    size_t len = strlen(settings->mount);

    return !strncmp(path, settings->mount, len) && (path[len] == '/' || !path[len]);
}

/* ---- numbers and models ---- */

static bool number_of(const char *text, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 0);
    return !errno && !*end;
}

static bool read_number(const char *variable, uint64_t *out)
{
    const char *value = value_of(variable);

    if (!value || number_of(value, out))
        return true;
    return settings_error(variable, "'%s' is not a number", value);
}

static bool read_model(enum pc_model *out)
{
    const char *value = value_of("POWERCUT_MODEL");
    char names[200] = "";
    size_t len = 0;

    *out = PC_EXT4_ORDERED;
    if (!value || (pc_model_from_name(value, out) && pc_model_simulated(*out)))
        return true;
    for (int i = 0; i < PC_MODELS; i++) {
        if (pc_model_simulated((enum pc_model)i))
            len += (size_t)snprintf(names + len, sizeof names - len, " %s",
                                    pc_model_name((enum pc_model)i));
    }
    return settings_error("POWERCUT_MODEL", "no model '%s'; there are:%s", value, names);
}

static bool read_config(struct settings *out)
{
    uint64_t unit = UNIT_DEFAULT, seed = 0;

    if (!read_model(&out->config.model) || !read_number("POWERCUT_UNIT", &unit) ||
        !read_number("POWERCUT_SEED", &seed))
        return false;
    if (unit == 0 || unit > UNIT_MAX || (unit & (unit - 1)))
        return settings_error("POWERCUT_UNIT", "%llu is not a power of two up to %u",
                              (unsigned long long)unit, UNIT_MAX);
    out->config.unit = (uint32_t)unit;
    out->config.seed = seed;
    return true;
}

/* ---- POWERCUT_FAULTS=kind:call[:file[:nth]],... ---- */

static bool rule_error(const struct rule *rule, const char *what, const char *given,
                       const char *(*name)(int), int count)
{
    char names[300] = "";
    size_t len = 0;

    for (int i = 0; i < count; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, " %s", name(i));
    return settings_error("POWERCUT_FAULTS", "in '%s': no %s '%s'; there are:%s", rule->text, what,
                          given, names);
}

static const char *fault_name(int i)
{
    return pc_fault_kind_name((enum pc_fault_kind)i);
}

static const char *call_name(int i)
{
    return pc_call_kind_name((enum pc_call_kind)i);
}

static bool read_rule(struct rule *rule)
{
    char text[RULE_TEXT_MAX], *part[4] = {NULL}, *rest = text;
    struct pc_fault *fault = &rule->fault;
    uint64_t nth = 1;
    int count = 0;

    snprintf(text, sizeof text, "%s", rule->text);
    while (rest && count < 4)
        part[count++] = strsep(&rest, ":");
    if (rest || count < 2)
        return settings_error("POWERCUT_FAULTS", "'%s' is not kind:call[:file[:nth]]", rule->text);
    if (!pc_fault_kind_from_name(part[0], &fault->kind))
        return rule_error(rule, "fault", part[0], fault_name, PC_FAULT_KINDS);
    if (!pc_call_kind_from_name(part[1], &fault->call))
        return rule_error(rule, "call", part[1], call_name, PC_CALL_KINDS);
    if (part[2] && strlen(part[2]) >= sizeof fault->file)
        return settings_error("POWERCUT_FAULTS", "in '%s': the pattern of the file is too long",
                              rule->text);
    snprintf(fault->file, sizeof fault->file, "%s", part[2] && *part[2] ? part[2] : "*");
    if (part[3] && (!number_of(part[3], &nth) || nth == 0 || nth > UINT32_MAX))
        return settings_error("POWERCUT_FAULTS", "in '%s': '%s' is not a number from 1", rule->text,
                              part[3]);
    fault->nth = (uint32_t)nth;
    return true;
}

static bool read_rules(struct settings *out)
{
    const char *value = value_of("POWERCUT_FAULTS");

    while (value && *value) {
        size_t len = (size_t)(strchrnul(value, ',') - value);
        struct rule *rule = &out->rules[out->rule_count];

        if (out->rule_count == RULES_MAX)
            return settings_error("POWERCUT_FAULTS", "more than %d rules", RULES_MAX);
        if (len >= RULE_TEXT_MAX)
            return settings_error("POWERCUT_FAULTS", "a rule is longer than %d", RULE_TEXT_MAX - 1);
        memcpy(rule->text, value, len);
        rule->text[len] = '\0';
        if (!read_rule(rule))
            return false;
        out->rule_count++;
        value += len + (value[len] == ',');
    }
    return true;
}

/* ---- POWERCUT_CRASH=K|end[:oldest|newest] ---- */

static bool read_crash(struct settings *out)
{
    const char *value = value_of("POWERCUT_CRASH"), *colon;
    char text[32];

    if (!value)
        return true;
    if (!out->export[0])
        return settings_error("POWERCUT_CRASH", "needs POWERCUT_EXPORT, where the image goes");
    colon = strchrnul(value, ':');
    out->crash = true;
    out->oldest = !*colon || !strcmp(colon, ":oldest");
    out->crash_at = UINT64_MAX;
    snprintf(text, sizeof text, "%.*s", (int)(colon - value), value);
    if ((strcmp(text, "end") && !number_of(text, &out->crash_at)) ||
        (*colon && !out->oldest && strcmp(colon, ":newest")))
        return settings_error("POWERCUT_CRASH", "'%s' is not K[:oldest|newest], K a number or end",
                              value);
    return true;
}

/* ---- all of it ---- */

/* A path beside the mount; made absolute, because the program may change its directory before the
 * end, and copied, because it may change its environment. */
static bool read_outside(const struct settings *settings, const char *variable, char *path)
{
    const char *value = value_of(variable);
    size_t len = 0;

    path[0] = '\0';
    if (!value)
        return true;
    if (settings_below(settings, value))
        return settings_error(variable, "'%s' is on the simulated disk", value);
    if (value[0] != '/') {
        if (!getcwd(path, PATH_MAX - 1))
            return settings_error(variable, "%s: %s", value, strerror(errno));
        len = strlen(path);
        path[len++] = '/';
    }
    if (len + strlen(value) >= PATH_MAX)
        return settings_error(variable, "%s: %s", value, strerror(ENAMETOOLONG));
    memcpy(path + len, value, strlen(value) + 1);
    return true;
}

bool settings_read(struct settings *out)
{
    memset(out, 0, sizeof *out);
    if (!settings_mount(out->mount, sizeof out->mount))
        return settings_error("POWERCUT_MOUNT",
                              "'%s' is not an absolute path without '.', '..' and a slash at the "
                              "end",
                              value_of("POWERCUT_MOUNT"));
    if (!read_config(out) || !read_rules(out))
        return false;
    if (!read_outside(out, "POWERCUT_REPORT", out->report) ||
        !read_outside(out, "POWERCUT_IMPORT", out->import) ||
        !read_outside(out, "POWERCUT_EXPORT", out->export))
        return false;
    if (out->export[0] && !tree_may_export(out->export))
        return false;
    return read_crash(out);
}
