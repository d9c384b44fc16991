/* judge_tools.c: what is asked of a store's tools, which work on the files of a store that is
 * closed. See judge.h.
 *
 *   J12 After an honest crash, a recovery and a close the store's check finds no damage and no file
 *       that nobody needs. Where the store has refused damage, its check finds it.
 *   J13 A store that has refused damage is repaired: then it opens, nothing is left in it to be
 *       found by the check, and no value is there that nobody wrote. If the repair has told of no
 *       loss, what is there is one of the states that were legal. */
#include "judge.h"

#include "base/check.h"
#include "powercut/posix.h"

bool judge_clean(const struct pc_store *store, const struct pc_store_env *env,
                 struct verdict *verdict)
{
    struct pc_store_error error = {0};
    uint64_t orphans = 0;

    if (store->verify == NULL)
        return true;
    if (store->verify(env, &orphans, &error))
        return judge_fail(verdict, RULE_VERIFY, "the check finds damage where there is none",
                          error.text);
    if (orphans)
        return judge_fail(verdict, RULE_VERIFY, "a file is left that nobody needs", "");
    return true;
}

/* Reads into judge->other what a repair has left. */
static bool open_repaired(struct judge *judge, const struct question *question,
                          struct verdict *verdict)
{
    struct pc_store_error error = {0}, closing = {0};
    enum pc_store_status st =
        judge_open(judge, question, (struct judge_open){STORE_DIR, false}, &error);

    if (st)
        return judge_fail(verdict, RULE_REPAIR, "a repaired store does not open", error.text);
    judge->other.now = question->now;
    st = judge_scan(judge->store, judge->db, NULL, &judge->other, &error);
    if (judge->store->close(judge->db, &closing) && st == PC_STORE_OK)
        return judge_fail(verdict, RULE_REPAIR, "a repaired store does not close", closing.text);
    judge->db = NULL;
    return st == PC_STORE_OK ||
           judge_fail(verdict, RULE_REPAIR, "a repaired store cannot be read", error.text);
}

bool judge_damaged(struct judge *judge, const struct question *question, struct verdict *verdict)
{
    struct pc_store_env env = judge_env(judge, question, (struct judge_open){STORE_DIR, false});
    struct pc_store_error error = {0};
    struct verdict content = {0};
    uint64_t orphans = 0, lost = 0;

    if (judge->store->verify == NULL || judge->store->repair == NULL)
        return true;
    heap_reset(&judge->heap);
    if (judge->store->verify(&env, &orphans, &error) == PC_STORE_OK) /* J12 */
        return judge_fail(verdict, RULE_VERIFY, "the check finds nothing in a store that refuses",
                          "");
    heap_reset(&judge->heap);
    if (judge->store->repair(&env, &lost, &error)) /* J13 */
        return judge_fail(verdict, RULE_REPAIR, "a repair fails", error.text);
    if (judge->heap.held || pc_open_descriptors())
        return judge_fail(verdict, RULE_LEAK, "memory or descriptors are left after a repair", "");
    heap_reset(&judge->heap);
    if (!open_repaired(judge, question, verdict))
        return false;
    if (model_strange(question->model, &judge->other))
        return judge_fail(verdict, RULE_REPAIR, "a repair shows what nobody wrote", "");
    if (lost == 0)
        model_judge(question->model, question->at, false, question->trust, &judge->other, &content);
    if (content.rule != RULE_NONE)
        return judge_fail(verdict, RULE_REPAIR, "a repair tells of no loss", content.text);
    heap_reset(&judge->heap);
    if (judge->store->verify(&env, &orphans, &error))
        return judge_fail(verdict, RULE_REPAIR, "the check finds damage after a repair",
                          error.text);
    return true;
}
