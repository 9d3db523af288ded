/* Five levels of page tables (CR4.LA57). The helpers of paging.h know four: they go on from the PML4 below. */
#pragma once

#include "paging.h"

/* Whether the processor has them. */
bool five_levels_supported(void);

/* Goes on with a new PML5 whose first entry leads to the present PML4. */
void five_levels_begin(void);
