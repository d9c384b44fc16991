/* matrix.h: the durability report card. `powercut matrix`.
 *
 * Rows are persistence models, columns what else goes wrong, one table per level of durability (how
 * often the program syncs). A cell is a survey (survey.h) of a few traces: every recovered state is
 * kept, lost within what was promised, lost against a promise, wrong, and so on. Images of other
 * models are made of different micro-ops, so none can be labelled with another model: each model is
 * surveyed by itself. */
#ifndef HARNESS_MATRIX_H
#define HARNESS_MATRIX_H

#include "campaign.h"

/* Takes store, seed, models, faults, ops, unit, budget, jobs, out, json, results and command of the
 * campaign; `seeds` scales how many traces a cell gets. Exit code: 0 every promise kept, 1 one is
 * not, 3 a cell that should have states has none, 4 no child could be started, 130 interrupted. */
int matrix_run(struct campaign *campaign);

#endif
