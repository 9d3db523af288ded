/* Address spaces, the tasks that live in them, and the scheduler: round robin. */
#pragma once

#include "options.h"

#include "kernel.h"

#define TASK_PAGES (1ull << 39)            /* where every space has its own pages */
#define TASK_CODE (TASK_PAGES + (1ull << 30)) /* where ring 3 finds its code */

void tasks_create(const struct options *options);

/* Runs tasks until so many switches from one to another are done. Starts with the task that ran last. */
void tasks_run(uint64_t switches);

/* Lets the next task run; called by a task, or by the timer in its stead. */
void yield(void);

/* How often the page of the space was touched. */
uint64_t touches(unsigned space, unsigned page);

/* Whether each task was given the processor. */
bool every_task_ran(void);
