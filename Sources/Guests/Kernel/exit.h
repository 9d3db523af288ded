/* The end of a guest. */
#pragma once

#include <stdint.h>

enum { EXIT_SUCCESS = 0, EXIT_FAILURE = 1 };

/* Writes the value to the debug-exit port, which ends an emulator with status (value << 1) | 1;
   powers off where there is no such port, and halts for ever where that does not work either. */
__attribute__((noreturn)) void exit_guest(uint32_t value);
