/* The serial console: the first 16550 at port 0x3f8, polled. */
#pragma once

void console_initialize(void);

void print_character(char character);

/* Waits until all that was printed has left. */
void console_flush(void);

/* %s %c %d %u %x, with l or ll for 64 bits, a width, and zero padding (%016lx); %% prints a percent sign. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
