/* deal.c: see deal.h. A block is a first round, in which each trace is preceded by those that are
 * played, and a round for each further model. */
#include "deal.h"

static uint64_t per_trace(const struct deal *deal)
{
    return deal->models + (deal->plain ? 0 : DEAL_PLAYS);
}

uint64_t deal_first(const struct deal *deal)
{
    return deal->first * per_trace(deal);
}

uint64_t deal_tasks(const struct deal *deal)
{
    return deal->traces == UINT64_MAX ? UINT64_MAX : deal->traces * per_trace(deal);
}

struct dealt deal_task(const struct deal *deal, uint64_t task)
{
    uint64_t whole = DEAL_BLOCK * per_trace(deal), mine = task - deal_first(deal);
    uint64_t begin = mine / whole * DEAL_BLOCK, at = mine % whole;
    uint64_t n = deal->traces - begin < DEAL_BLOCK ? deal->traces - begin : DEAL_BLOCK;
    uint64_t first = n * (DEAL_PLAYS + 1), i, round = 0;

    if (deal->plain)
        return (struct dealt){task / deal->models, (uint32_t)(task % deal->models), false};
    if (at < first) {
        uint64_t part = at % (DEAL_PLAYS + 1);

        i = at / (DEAL_PLAYS + 1);
        if (part < DEAL_PLAYS) {
            uint64_t trace = (deal->first + begin + i) * DEAL_PLAYS + part;

            return (struct dealt){trace, (uint32_t)((trace + trace / deal->models) % deal->models),
                                  true};
        }
    } else {
        i = (at - first) % n;
        round = 1 + (at - first) / n;
    }
    i += deal->first + begin;
    /* The quotient: or all traces of one lane of faults would begin with the same model. */
    return (struct dealt){i, (uint32_t)((i + i / deal->models + round) % deal->models), false};
}
