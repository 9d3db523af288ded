/* What all processors do together, chapter by chapter. */
#pragma once

#include <stdint.h>

#include "smp.h"

/* Each is called on every processor with its number, from 0, and returns what processor 0 will print. */
uint64_t count_together(unsigned processor, uint64_t rounds);
uint64_t count_in_turn(unsigned processor, uint64_t rounds);
uint64_t pass_messages(unsigned processor, uint64_t laps);
uint64_t shoot_down(unsigned processor, uint64_t rounds);
uint64_t change_code(unsigned processor, uint64_t rounds);
