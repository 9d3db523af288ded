/* Marks split a run into regions that the emulator accounts for one by one. A mark is a no-operation everywhere else:
   NOPL with the displacement 0x50454E00 + ID. A region lasts from its mark to the next; ID 0 is what lies between. */
#pragma once

/* The ID must be a constant from 0 to 255. */
#define MARK(id) asm volatile("nopl 0x50454e00 + %c0(%%rax, %%rax, 1)" : : "i"(id) : "memory")

/* As MARK, for an ID that is computed. */
void mark(unsigned id);
