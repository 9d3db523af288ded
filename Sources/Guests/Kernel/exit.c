/* The end of a guest: one of these ports ends every emulator that the guests are meant for. */

#include "exit.h"

#include "console.h"
#include "processor.h"

enum {
    PORT_DEBUG_EXIT = 0xf4,
    PORT_POWER = 0x604,
    POWER_OFF = 0x2000,
    PORT_SHUTDOWN = 0x8900, /* Bochs ends when "Shutdown" is written to it */
};

void exit_guest(uint32_t value) {
    console_flush();
    outl(PORT_DEBUG_EXIT, value);
    outw(PORT_POWER, POWER_OFF);
    for (const char *letter = "Shutdown"; *letter; letter++)
        outb(PORT_SHUTDOWN, (uint8_t)*letter);
    for (;;)
        asm volatile("cli; hlt");
}
