/* story_marks.c: see story.h. The finding is run once as it is, and once without each of its
 * operations. Of the branches that the first run takes those are named that are missing in at least
 * half of the runs in which nothing shows, the most telling first. (Fault localisation by spectra:
 * Jones and Harrold, "Empirical Evaluation of the Tarantula Automatic Fault-Localization
 * Technique", 2005; here the runs that pass are neighbours of the one that fails.) */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#include "marks.h"
#include "play.h"
#include "story.h"

#define NAMED_MOST 4u

struct spectrum {
    uint64_t *before;
    uint32_t *missing; /* in so many of the runs that show nothing */
    bool *taken;       /* in the run that shows it */
    uint32_t marks, silent;
};

/* Runs it; *taken gets the marks that were hit. */
static bool run(struct spectrum *spectrum, const struct trace *trace, const struct finding *finding,
                const struct pc_store *store, bool *taken)
{
    enum rule rule;

    for (uint32_t m = 0; m < spectrum->marks; m++)
        spectrum->before[m] = marks_get(m);
    rule = shrink_replay_told(store, trace, finding, true, NULL);
    for (uint32_t m = 0; m < spectrum->marks; m++)
        taken[m] = marks_get(m) != spectrum->before[m];
    return rule == finding->verdict.rule;
}

static void run_without(struct spectrum *spectrum, const struct trace *trace, uint32_t op,
                        const struct finding *finding, const struct pc_store *store)
{
    bool *taken = calloc(spectrum->marks + 1, sizeof *taken);
    struct trace copy;

    must(taken != NULL);
    trace_copy(&copy, trace);
    memmove(copy.ops + op, copy.ops + op + 1, (copy.op_count - op - 1) * sizeof *copy.ops);
    copy.op_count--;
    if (!run(spectrum, &copy, finding, store, taken)) {
        spectrum->silent++;
        for (uint32_t m = 0; m < spectrum->marks; m++)
            spectrum->missing[m] += spectrum->taken[m] && !taken[m];
    }
    trace_release(&copy);
    free(taken);
}

static void tell(FILE *out, const struct spectrum *spectrum)
{
    uint32_t named = 0;

    for (uint32_t times = spectrum->silent; times > 0 && times * 2 >= spectrum->silent; times--)
        for (uint32_t m = 0; m < spectrum->marks && named < NAMED_MOST; m++)
            if (spectrum->missing[m] == times)
                fprintf(out, "%s %s",
                        named++ ? "," : "branches of the store that are taken when it shows:",
                        marks_name(m));
    if (named)
        fputc('\n', out);
}

void story_branches(FILE *out, const struct trace *trace, const struct finding *finding,
                    const struct pc_store *store)
{
    struct spectrum spectrum = {.marks = marks_count()};

    spectrum.before = calloc(spectrum.marks + 1, sizeof *spectrum.before);
    spectrum.missing = calloc(spectrum.marks + 1, sizeof *spectrum.missing);
    spectrum.taken = calloc(spectrum.marks + 1, sizeof *spectrum.taken);
    must(spectrum.before && spectrum.missing && spectrum.taken);
    if (run(&spectrum, trace, finding, store, spectrum.taken)) {
        for (uint32_t op = 0; op < trace->op_count; op++)
            if (trace->ops[op].kind != OP_CRASH && trace->ops[op].kind != OP_RECOVER)
                run_without(&spectrum, trace, op, finding, store);
        tell(out, &spectrum);
    }
    free(spectrum.before);
    free(spectrum.missing);
    free(spectrum.taken);
}
