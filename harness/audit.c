/* audit.c: see audit.h.
 *
 * A site is the chain of return addresses above an fsync, fdatasync or rename. First the traces are
 * played without a search and every site is noted. Then, per site and in a child of its own, the
 * traces are explored with that site left out:
 *   load-bearing  a rule breaks without it; the finding is shrunk and kept
 *   undetected    no rule broke within the budget: redundant under these models, or not seen
 * Sites that a search reaches only in a recovery are found too, as the traces crash and recover. */
#define _GNU_SOURCE /* dladdr */
#include "audit.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "powercut/posix.h"

#include "jobs.h"
#include "json.h"
#include "play.h"
#include "shrink.h"
#include "story.h"

#define SITES_MAX 128u

struct known_site {
    struct pc_site site;
    uint64_t hits;
    char where[256]; /* function < caller < caller (file:line) */
};

struct audit {
    struct campaign *campaign;
    struct known_site *sites;
    uint32_t count;
    uint32_t undetected;
};

/* What a child found out; the text of the finding follows. */
struct answer {
    bool found;
    enum rule rule;
    uint64_t traces, recoveries;
    uint32_t ops, items;
};

static void note_site(void *ctx, const struct pc_site *site)
{
    struct audit *audit = ctx;

    for (uint32_t i = 0; i < audit->count; i++)
        if (pc_site_equal(&audit->sites[i].site, site)) {
            audit->sites[i].hits++;
            return;
        }
    must(audit->count < SITES_MAX);
    audit->sites[audit->count++] = (struct known_site){.site = *site, .hits = 1};
}

static void collect(struct audit *audit)
{
    struct campaign *campaign = audit->campaign;

    pc_watch_sites(note_site, audit);
    for (uint64_t i = 0; i < campaign->seeds; i++) {
        struct finding ignored = {0};
        struct trace trace;
        struct play play;

        campaign_trace(campaign, i, campaign->models[0], &trace);
        play_init(&play, &trace, campaign->store, NULL, &ignored);
        for (uint32_t op = 0; op < trace.op_count && play_step(&play, op, NULL); op++)
            ;
        play_end(&play);
        play_release(&play);
        trace_release(&trace);
    }
    pc_watch_sites(NULL, NULL);
}

/* ---- names ---- */

/* One frame through addr2line: "function" into out, "file:line" into place. */
static bool name_frame(const void *frame, char *out, size_t room, char *place, size_t place_room)
{
    char command[512], line[512];
    const char *slash;
    Dl_info info;
    FILE *in;
    bool ok;

    if (!dladdr(frame, &info) || info.dli_fbase == NULL)
        return false;
    snprintf(command, sizeof command, "addr2line -f -e '%s' 0x%lx 2>/dev/null", info.dli_fname,
             (unsigned long)((const char *)frame - (const char *)info.dli_fbase - 1));
    in = popen(command, "r");
    if (in == NULL)
        return false;
    ok = fgets(line, sizeof line, in) != NULL;
    line[strcspn(line, "\n")] = '\0';
    snprintf(out, room, "%.60s", line);
    ok = ok && fgets(line, sizeof line, in) != NULL;
    line[strcspn(line, " \n")] = '\0';
    slash = strrchr(line, '/');
    snprintf(place, place_room, "%.60s", slash ? slash + 1 : line);
    pclose(in);
    return ok && out[0] != '?';
}

/* The innermost frame is the store's own door to the system, so the place is its caller's. */
static void name_site(struct known_site *site)
{
    size_t n = 0;
    char place[64] = "", first[64] = "";

    for (int i = 0; i < PC_SITE_FRAMES && site->site.frames[i]; i++) {
        char name[64];

        if (!name_frame(site->site.frames[i], name, sizeof name, place, sizeof place))
            snprintf(name, sizeof name, "%p", site->site.frames[i]);
        if (i == 1)
            memcpy(first, place, sizeof first);
        if (i > 0 && n < sizeof site->where)
            n += (size_t)snprintf(site->where + n, sizeof site->where - n, "%s%s",
                                  i > 1 ? " < " : "", name);
    }
    if (n < sizeof site->where)
        snprintf(site->where + n, sizeof site->where - n, " (%s)", first);
}

/* ---- search ---- */

static void beat(void *channel)
{
    jobs_beat(channel);
}

static void work(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    struct audit *audit = ctx;
    struct campaign *campaign = audit->campaign;
    struct answer answer = {0};
    struct finding finding = {0};
    struct trace trace;
    char *text = NULL;
    size_t size;
    /* First every trace of one operation, and with every single fault. */
    uint64_t first = (uint64_t)CAMPAIGN_ALPHABET * campaign->model_count;

    pc_suppress_site(&audit->sites[task].site);
    for (uint64_t i = 0; !answer.found && i < first + campaign->seeds * campaign->model_count;
         i++) {
        struct campaign now = *campaign;
        struct explorer explorer;
        uint64_t number = i < first ? i : i - first;

        now.exhaustive_ops = i < first ? 1 : 0;
        campaign_trace(&now, number / campaign->model_count,
                       campaign->models[number % campaign->model_count], &trace);
        explorer_init(&explorer, &campaign->budget, campaign->store, trace.tuning, trace.seed);
        explore_trace(&explorer, &trace, campaign->store, &finding);
        if (!finding.found && i < first)
            campaign_single_faults(campaign, &explorer, &trace, &finding);
        jobs_beat(channel);
        answer.found = finding.found;
        answer.traces++;
        answer.recoveries += explorer.tally.recoveries;
        explorer_release(&explorer);
        if (!answer.found)
            trace_release(&trace);
    }
    if (answer.found) {
        struct shrink shrink = {.store = campaign->store,
                                .seed = trace.seed,
                                .tries = 400,
                                .beat = beat,
                                .beat_ctx = channel};
        FILE *out = open_memstream(&text, &size);

        must(out != NULL);
        if (!campaign->no_shrink)
            shrink_finding(&shrink, &trace, &finding);
        answer.rule = finding.verdict.rule;
        answer.ops = trace.op_count;
        for (uint32_t c = 0; c < finding.cuts; c++)
            answer.items += finding.cut[c].item_count;
        fprintf(out, "# with this call left out: %s %s\n",
                pc_call_kind_name(audit->sites[task].site.kind), audit->sites[task].where);
        story_file(out, &trace, &finding, campaign->command);
        fclose(out);
        trace_release(&trace);
    }
    jobs_emit(channel, bytes_of(&answer, sizeof answer));
    if (text)
        jobs_emit(channel, bytes_of(text, strlen(text)));
    free(text);
}

static const char *kind_word(const struct pc_site *site)
{
    return site->directory ? "fsync dir" : pc_call_kind_name(site->kind);
}

static void keep(const struct audit *audit, uint64_t task, struct bytes text, char *path,
                 size_t room)
{
    char dir[1024];
    FILE *out;

    mkdir(audit->campaign->out, 0777);
    snprintf(dir, sizeof dir, "%.900s/audit", audit->campaign->out);
    mkdir(dir, 0777);
    snprintf(path, room, "%s/site-%02u.crash", dir, (unsigned)task + 1);
    out = fopen(path, "w");
    if (out == NULL) {
        fprintf(stderr, "%s: cannot be written\n", path);
        return;
    }
    fwrite(text.data, 1, text.len, out);
    fclose(out);
}

static void report_json(const struct audit *audit, uint64_t task, const struct answer *answer,
                        const char *class, const char *path)
{
    struct json json = {0};

    json_object_begin(&json);
    json_key_text(&json, "type", "site");
    json_key_text(&json, "call", kind_word(&audit->sites[task].site));
    json_key_text(&json, "where", audit->sites[task].where);
    json_key_u64(&json, "hits", audit->sites[task].hits);
    json_key_text(&json, "class", class);
    json_key_text(&json, "rule", answer->found ? rule_name(answer->rule) : "");
    json_key_u64(&json, "operations", answer->ops);
    json_key_u64(&json, "traces", answer->traces);
    json_key_u64(&json, "recoveries", answer->recoveries);
    json_key_text(&json, "file", path);
    json_object_end(&json);
    if (!json_line(&json, stdout))
        fprintf(stderr, "standard output cannot be written\n");
    json_release(&json);
}

static bool done(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct audit *audit = ctx;
    const struct known_site *site = &audit->sites[task];
    struct answer answer = {0};
    char path[1100] = "";
    const char *class = "undetected";

    if (result->outcome == JOBS_EXITED && result->emitted.len >= sizeof answer) {
        memcpy(&answer, result->emitted.data, sizeof answer);
        if (answer.found)
            keep(
                audit, task,
                bytes_of(result->emitted.data + sizeof answer, result->emitted.len - sizeof answer),
                path, sizeof path);
    } else { /* the store died without it */
        answer.found = true;
        answer.rule = RULE_CRASH;
    }
    if (answer.found)
        class = "load-bearing";
    else
        audit->undetected++;
    if (audit->campaign->json) {
        report_json(audit, task, &answer, class, path);
        return true;
    }
    printf("%-9s %-70s %s", kind_word(&site->site), site->where, class);
    if (answer.found)
        printf(": %s, %u operations, after %llu recoveries; %s\n", rule_name(answer.rule),
               (unsigned)answer.ops, (unsigned long long)answer.recoveries, path);
    else
        printf(" in %llu recoveries of %llu traces\n", (unsigned long long)answer.recoveries,
               (unsigned long long)answer.traces);
    fflush(stdout);
    return true;
}

int audit_run(struct campaign *campaign)
{
    struct audit audit = {.campaign = campaign};
    struct jobs_config config = {
        .jobs = campaign->jobs, .stall_seconds = 300, .ctx = &audit, .work = work, .done = done};
    enum jobs_end end;

    audit.sites = calloc(SITES_MAX, sizeof *audit.sites);
    must(audit.sites != NULL);
    collect(&audit);
    for (uint32_t i = 0; i < audit.count; i++)
        name_site(&audit.sites[i]);
    config.count = audit.count;
    end = jobs_run(&config);
    if (!campaign->json)
        printf("%u call sites: %u load-bearing, %u undetected\n", (unsigned)audit.count,
               (unsigned)(audit.count - audit.undetected), (unsigned)audit.undetected);
    free(audit.sites);
    if (end != JOBS_ALL)
        return end == JOBS_INTERRUPTED ? 130 : 4;
    return audit.undetected ? 1 : 0;
}
