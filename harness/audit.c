/* audit.c: see audit.h.
 *
 * A site is the chain of return addresses above a call that reads, changes or syncs. First the
 * traces are played without a search and every site is noted. Then, per site and mistake and in a
 * child of its own, the traces are explored with that mistake planted at that site:
 *   load-bearing  a rule breaks; the finding is shrunk and kept
 *   explained     no rule broke, and the file of explanations says why none can
 *   not reached   the mistake made no difference to any call: nothing was asked
 *   undetected    no rule broke within the budget: equivalent under these models, or not seen
 * Sites that a search reaches only in a recovery are found too, as the traces crash and recover.
 *
 * The plain audit leaves out syncs and renames. With every seam each site has all the mistakes that
 * can be made there (pc_seam_fits): these are mutants of the store that nobody had to write. */
#define _GNU_SOURCE /* dladdr */
#include "audit.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "powercut/posix.h"

#include "deal.h"
#include "finish.h"
#include "jobs.h"
#include "json.h"
#include "play.h"
#include "shrink.h"
#include "story.h"

#define SITES_MAX    512u
#define HITS_MAX     4u /* calls of one site that are made to fail in one trace */
#define PAIRS        10u
#define REACHED_MOST 24u /* played traces that reach the site and are explored for it */
#define WAYS         2u  /* in which each of them fails: alone, or with the like call before it */

struct known_site {
    struct pc_site site;
    uint64_t hits;
    char where[256]; /* function < caller < caller (file:line) */
};

enum class { LOAD_BEARING, EXPLAINED, NOT_REACHED, UNDETECTED, CLASSES };

static const char *const class_names[CLASSES] = {"load-bearing", "explained", "not reached",
                                                 "undetected"};

/* A mistake at a site. */
struct planted {
    const struct pc_site *site;
    const char *where;
    uint64_t hits; /* of the site while it was sought */
    enum pc_seam_act act;
    bool explained; /* why it makes no difference */
};

/* A line of the file of explanations: at sites whose chain of functions begins so ("*": at every
 * one), this mistake makes no difference that a promise is about. No line numbers: a file that is
 * edited keeps its explanations. */
struct explanation {
    char act[16], call[16], where[128], why[240];
    uint32_t sites; /* that it is about, among the mistakes planted */
    bool wrong;     /* one of these was found nevertheless */
};

struct audit {
    struct campaign *campaign;
    struct known_site *sites;
    uint32_t count;
    struct planted *planted;
    uint32_t planted_count;
    struct explanation *explanations;
    uint32_t explanation_count;
    uint32_t classes[CLASSES];
};

/* What a child found out; the text of the finding follows. */
struct answer {
    bool found;
    uint64_t acted; /* calls that the mistake made a difference to */
    enum rule rule;
    uint64_t traces, recoveries;
    uint32_t ops, items;
    uint32_t explored; /* of those that are only played */
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

/* ---- what is planted where ---- */

static const char *kind_word(const struct pc_site *site)
{
    return site->directory ? "fsync dir" : pc_call_kind_name(site->kind);
}

/* Is the mistake asked for? `only` is part of its line: "ignore fsync dir load". */
static bool asked_for(const struct known_site *site, enum pc_seam_act act, const char *only)
{
    char line[320];

    snprintf(line, sizeof line, "%s %s %s", pc_seam_act_name(act), kind_word(&site->site),
             site->where);
    return only == NULL || strstr(line, only) != NULL;
}

static void plant(struct audit *audit, bool every, const char *only)
{
    for (uint32_t i = 0; i < audit->count; i++) {
        enum pc_call_kind kind = audit->sites[i].site.kind;
        bool plain = kind == PC_CALL_FSYNC || kind == PC_CALL_FDATASYNC || kind == PC_CALL_RENAME;

        for (int act = PC_SEAM_NONE + 1; act < PC_SEAM_ACTS; act++) {
            if (every ? !pc_seam_fits((enum pc_seam_act)act, kind) : !plain || act != PC_SEAM_DROP)
                continue;
            if (!asked_for(&audit->sites[i], (enum pc_seam_act)act, only))
                continue;
            audit->planted[audit->planted_count++] =
                (struct planted){.site = &audit->sites[i].site,
                                 .where = audit->sites[i].where,
                                 .hits = audit->sites[i].hits,
                                 .act = (enum pc_seam_act)act};
        }
    }
}

/* "MISTAKE, CALL, FUNCTION < FUNCTION...: WHY"; # begins a remark. */
static bool read_explanations(struct audit *audit, const char *path)
{
    FILE *in = fopen(path, "r");
    char line[512];
    unsigned number = 0;
    bool ok = in != NULL;

    if (in == NULL)
        fprintf(stderr, "powercut: %s cannot be read\n", path);
    while (ok && fgets(line, sizeof line, in)) {
        struct explanation e = {0};

        number++;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        ok = audit->explanation_count < SITES_MAX &&
             sscanf(line, "%15[^,], %15[^,], %127[^:]: %239[^\n]", e.act, e.call, e.where, e.why) ==
                 4;
        if (ok)
            audit->explanations[audit->explanation_count++] = e;
        else
            fprintf(stderr, "%s:%u: not MISTAKE, CALL, FUNCTION < FUNCTION...: WHY\n", path,
                    number);
    }
    if (in)
        fclose(in);
    return ok;
}

static bool begins(const char *where, const char *functions)
{
    size_t len = strlen(functions);

    return strcmp(functions, "*") == 0 ||
           (strncmp(where, functions, len) == 0 && (where[len] == ' ' || where[len] == '\0'));
}

static struct explanation *explanation_of(struct audit *audit, const struct planted *planted)
{
    for (uint32_t i = 0; i < audit->explanation_count; i++) {
        struct explanation *e = &audit->explanations[i];

        if (strcmp(e->act, pc_seam_act_name(planted->act)) == 0 &&
            strcmp(e->call, kind_word(planted->site)) == 0 && begins(planted->where, e->where))
            return e;
    }
    return NULL;
}

/* How many explanations are of no use any more: wrong ones, and those that are about no site. */
static uint32_t stale(const struct audit *audit)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < audit->explanation_count; i++) {
        const struct explanation *e = &audit->explanations[i];

        if (e->sites && !e->wrong)
            continue;
        count++;
        fprintf(stderr, "an explanation %s: %s, %s, %s\n",
                e->wrong ? "is wrong" : "is about no site", e->act, e->call, e->where);
    }
    return count;
}

/* ---- search ---- */

static void beat(void *channel)
{
    jobs_beat(channel);
}

/* A mistake about failures shows where its call fails. */
static bool about_failure(enum pc_seam_act act)
{
    return act == PC_SEAM_DEAF || act == PC_SEAM_RETRY;
}

/* The calls from the site in the first epoch of a trace, as rules that make each of them fail. */
struct hits {
    const struct pc_site *site;
    const struct play *play;
    uint32_t seen[PC_CALL_KINDS];
    struct pc_fault faults[HITS_MAX];
    uint32_t count;
};

static void note_hit(void *ctx, const struct pc_site *site)
{
    struct hits *hits = ctx;

    if (hits->play->session.epoch > 0)
        return;
    hits->seen[site->kind]++;
    if (!pc_site_equal(site, hits->site))
        return;
    /* The first few and the last. */
    if (hits->count == HITS_MAX)
        hits->count--;
    hits->faults[hits->count++] = (struct pc_fault){
        .kind = PC_FAULT_EIO, .call = site->kind, .file = "*", .nth = hits->seen[site->kind]};
}

static void rehearse(const struct campaign *campaign, struct trace *trace,
                     const struct planted *planted, struct hits *hits)
{
    struct finding ignored = {0};
    struct play play;

    pc_seam(NULL, PC_SEAM_NONE);
    *hits = (struct hits){.site = planted->site, .play = &play};
    play_init(&play, trace, campaign->store, NULL, &ignored);
    pc_watch_sites(note_hit, hits);
    for (uint32_t op = 0; op < trace->op_count && play_step(&play, op, NULL); op++)
        ;
    play_end(&play);
    pc_watch_sites(NULL, NULL);
    play_release(&play);
}

static void search(struct explorer *explorer, struct trace *trace, const struct pc_store *store,
                   bool played, struct finding *finding)
{
    struct play play;

    if (!played) {
        explore_trace(explorer, trace, store, finding);
        if (!finding->found)
            explore_after(explorer, trace, store, finding);
        return;
    }
    *finding = (struct finding){0};
    play_init(&play, trace, store, NULL, finding);
    for (uint32_t op = 0; op < trace->op_count && play_step(&play, op, NULL); op++)
        ;
    play_end(&play);
    play_release(&play);
}

/* With one call that fails, too. */
static void search_with(struct explorer *explorer, struct trace *trace,
                        const struct pc_store *store, bool played, const struct pc_fault *fault,
                        struct finding *finding)
{
    struct trace copy;

    trace_copy(&copy, trace);
    trace_arm(&copy, fault, 1);
    search(explorer, &copy, store, played, finding);
    if (finding->found) {
        trace_release(trace);
        *trace = copy;
    } else {
        trace_release(&copy);
    }
}

/* Searches the trace with the mistake, once for each failure of its call if it is about that. In a
 * short trace any two like calls in a row fail, too: the first failure leads to where the call is
 * made that the rehearsal did not make. */
static bool search_planted(const struct campaign *campaign, const struct planted *planted,
                           struct trace *trace, bool played, struct answer *answer,
                           struct finding *finding)
{
    bool aimed = about_failure(planted->act);
    uint32_t pairs = aimed && campaign->exhaustive_ops == 1 ? PAIRS : 0;
    struct explorer explorer;
    struct hits hits = {0};

    explorer_init(&explorer, &campaign->budget, campaign->store, trace->tuning, trace->seed);
    if (aimed)
        rehearse(campaign, trace, planted, &hits);
    pc_seam(planted->site, planted->act);
    if (!aimed)
        search(&explorer, trace, campaign->store, played, finding);
    if (played && !finding->found && (aimed ? hits.count > 0 : pc_seam_acted() > 0) &&
        answer->explored < REACHED_MOST) {
        answer->explored++;
        played = false;
        if (!aimed)
            search(&explorer, trace, campaign->store, false, finding);
    }
    if (!aimed && !finding->found && campaign->systematic)
        campaign_single_faults(campaign, &explorer, trace, finding);
    for (uint32_t i = 0; i < hits.count * WAYS && !finding->found; i++) {
        struct pc_fault fault = hits.faults[i / WAYS];

        if (i % WAYS && fault.nth == 1)
            continue;
        if (i % WAYS) { /* what the first failure left, the second one meets */
            fault.nth--;
            fault.times = 2;
        }
        search_with(&explorer, trace, campaign->store, played, &fault, finding);
    }
    for (uint32_t i = 1; i <= pairs && !finding->found; i++) {
        struct pc_fault fault = {
            .kind = PC_FAULT_EIO, .call = planted->site->kind, .file = "*", .nth = i, .times = 2};

        search_with(&explorer, trace, campaign->store, played, &fault, finding);
    }
    answer->acted += pc_seam_acted();
    answer->traces++;
    answer->recoveries += explorer.tally.recoveries;
    explorer_release(&explorer);
    return finding->found;
}

static char *tell(const struct audit *audit, const struct planted *planted, struct trace *trace,
                  struct finding *finding, struct answer *answer, struct jobs_channel *channel)
{
    struct shrink shrink = {.store = audit->campaign->store,
                            .seed = trace->seed,
                            .tries = 100,
                            .beat = beat,
                            .beat_ctx = channel};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    if (!audit->campaign->no_shrink)
        shrink_finding(&shrink, trace, finding);
    answer->rule = finding->verdict.rule;
    answer->ops = trace->op_count;
    for (uint32_t c = 0; c < finding->cuts; c++)
        answer->items += finding->cut[c].item_count;
    fprintf(out, "# with this mistake (%s): %s %s\n", pc_seam_act_name(planted->act),
            kind_word(planted->site), planted->where);
    story_file(out, trace, finding, audit->campaign->command);
    fclose(out);
    return text;
}

/* Trace `i` of the search for one mistake. First every trace of one operation; then many that are
 * only played, which is cheap, of which the first that make the mistake are explored, for a site
 * that few traces reach; then those of the campaign; then every trace of one operation again
 * with every single fault, the models taking turns. Where calls are made to fail, the traces have
 * no other faults. A mistake that is explained is not looked for by the last two, which take nearly
 * all of the time. False: no more. */
static bool next_trace(struct campaign *campaign, const struct planted *planted, uint64_t i,
                       struct trace *trace, bool *played)
{
    bool aimed = about_failure(planted->act);
    uint64_t one = (uint64_t)CAMPAIGN_ALPHABET * campaign->model_count;
    uint64_t plays = campaign->seeds * DEAL_PLAYS / (aimed ? 4 : 1);
    uint64_t drawn = campaign->seeds * campaign->model_count;
    uint64_t index = i / campaign->model_count, model = i % campaign->model_count;

    campaign->exhaustive_ops = i < one ? 1 : 0;
    campaign->systematic = i >= one + plays + drawn;
    *played = i >= one && i < one + plays;
    if (planted->explained && i >= one + plays)
        return false;
    if (campaign->systematic) {
        index = i - one - plays - drawn;
        model = index % campaign->model_count;
        campaign->exhaustive_ops = 1;
        if (aimed || index >= CAMPAIGN_ALPHABET)
            return false;
    } else if (*played) {
        index = i - one;
        model = (index + index / campaign->model_count) % campaign->model_count;
    } else if (i >= one) {
        index = (i - one - plays) / campaign->model_count;
    }
    campaign_trace(campaign, index, campaign->models[model], trace);
    if (*played)
        finish_trace(trace, finish_way(index));
    return true;
}

static void work(void *ctx, uint64_t task, struct jobs_channel *channel)
{
    struct audit *audit = ctx;
    const struct planted *planted = &audit->planted[task];
    struct campaign campaign = *audit->campaign;
    struct answer answer = {0};
    struct finding finding = {0};
    struct trace trace;
    char *text = NULL;

    for (uint64_t i = 0; !answer.found; i++) {
        bool played;

        if (!next_trace(&campaign, planted, i, &trace, &played))
            break;
        answer.found = search_planted(&campaign, planted, &trace, played, &answer, &finding);
        jobs_beat(channel);
        if (answer.found)
            text = tell(audit, planted, &trace, &finding, &answer, channel);
        trace_release(&trace);
    }
    jobs_emit(channel, bytes_of(&answer, sizeof answer));
    if (text)
        jobs_emit(channel, bytes_of(text, strlen(text)));
    free(text);
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
                        const char *class, const char *why, const char *path)
{
    const struct planted *planted = &audit->planted[task];
    struct json json = {0};

    json_object_begin(&json);
    json_key_text(&json, "type", "site");
    json_key_text(&json, "mistake", pc_seam_act_name(planted->act));
    json_key_text(&json, "call", kind_word(planted->site));
    json_key_text(&json, "where", planted->where);
    json_key_u64(&json, "hits", planted->hits);
    json_key_text(&json, "class", class);
    json_key_text(&json, "why", why);
    json_key_text(&json, "rule", answer->found ? rule_name(answer->rule) : "");
    json_key_u64(&json, "acted", answer->acted);
    json_key_u64(&json, "operations", answer->ops);
    json_key_u64(&json, "traces", answer->traces);
    json_key_u64(&json, "recoveries", answer->recoveries);
    json_key_text(&json, "file", path);
    json_object_end(&json);
    if (!json_line(&json, stdout))
        fprintf(stderr, "standard output cannot be written\n");
    json_release(&json);
}

static void report(const struct audit *audit, uint64_t task, const struct answer *answer,
                   const char *class, const char *why, const char *path)
{
    const struct planted *planted = &audit->planted[task];

    printf("%-7s %-9s %-70s %s", pc_seam_act_name(planted->act), kind_word(planted->site),
           planted->where, class);
    if (answer->found)
        printf(": %s, %u operations, after %llu recoveries; %s\n", rule_name(answer->rule),
               (unsigned)answer->ops, (unsigned long long)answer->recoveries, path);
    else
        printf(" in %llu recoveries of %llu traces%s%s\n", (unsigned long long)answer->recoveries,
               (unsigned long long)answer->traces, *why ? ": " : "", why);
    fflush(stdout);
}

static bool done(void *ctx, uint64_t task, const struct jobs_result *result)
{
    struct audit *audit = ctx;
    struct explanation *explanation = explanation_of(audit, &audit->planted[task]);
    struct answer answer = {0};
    char path[1100] = "";
    enum class class = UNDETECTED;
    const char *why = explanation ? explanation->why : "";

    if (result->outcome == JOBS_EXITED && result->emitted.len >= sizeof answer) {
        memcpy(&answer, result->emitted.data, sizeof answer);
        if (answer.found)
            keep(
                audit, task,
                bytes_of(result->emitted.data + sizeof answer, result->emitted.len - sizeof answer),
                path, sizeof path);
    } else { /* the store died of it */
        answer.found = true;
        answer.rule = RULE_CRASH;
    }
    if (answer.found)
        class = LOAD_BEARING;
    else if (explanation)
        class = EXPLAINED;
    else if (answer.acted == 0)
        class = NOT_REACHED;
    if (explanation) {
        explanation->sites++;
        explanation->wrong |= answer.found;
    }
    audit->classes[class]++;
    (audit->campaign->json ? report_json : report)(audit, task, &answer, class_names[class], why,
                                                   path);
    return true;
}

static void sum_up(const struct audit *audit)
{
    struct rusage used;
    double seconds;

    getrusage(RUSAGE_CHILDREN, &used);
    seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
    printf("%u call sites, %u mistakes, %.0f minutes of processor time:", (unsigned)audit->count,
           (unsigned)audit->planted_count, seconds / 60);
    for (int i = 0; i < CLASSES; i++)
        printf("%s %u %s", i ? "," : "", (unsigned)audit->classes[i], class_names[i]);
    printf("\n");
}

int audit_run(struct campaign *campaign, bool every, const char *explained, const char *only)
{
    struct audit audit = {.campaign = campaign};
    struct jobs_config config = {
        .jobs = campaign->jobs, .stall_seconds = 300, .ctx = &audit, .work = work, .done = done};
    enum jobs_end end = JOBS_ALL;
    uint32_t useless = 0;
    bool ok;

    audit.sites = calloc(SITES_MAX, sizeof *audit.sites);
    audit.planted = calloc((size_t)SITES_MAX * PC_SEAM_ACTS, sizeof *audit.planted);
    audit.explanations = calloc(SITES_MAX, sizeof *audit.explanations);
    must(audit.sites && audit.planted && audit.explanations);
    ok = explained == NULL || read_explanations(&audit, explained);
    if (ok) {
        collect(&audit);
        for (uint32_t i = 0; i < audit.count; i++)
            name_site(&audit.sites[i]);
        plant(&audit, every, only);
        for (uint32_t i = 0; i < audit.planted_count; i++)
            audit.planted[i].explained = explanation_of(&audit, &audit.planted[i]) != NULL;
        config.count = audit.planted_count;
        end = jobs_run(&config);
        if (!campaign->json)
            sum_up(&audit);
        useless = end == JOBS_ALL && only == NULL ? stale(&audit) : 0;
    }
    free(audit.sites);
    free(audit.planted);
    free(audit.explanations);
    if (!ok)
        return 2;
    if (end != JOBS_ALL)
        return end == JOBS_INTERRUPTED ? 130 : 4;
    return audit.classes[UNDETECTED] || audit.classes[NOT_REACHED] || useless ? 1 : 0;
}
