/* The chapters that have a file of their own. */
#pragma once

#include "kernel.h"

void pieces(void);
void modes(void);
void unpaged(void);

/* Each on every processor. */
void another_writes(unsigned processor);
void roots_of_their_own(unsigned processor);

/* A root that shares all tables of the current one. */
entry *root_copied(void);
