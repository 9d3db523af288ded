/* Interrupts between processors (SDM vol. 3, 11.6). */

#include "apic.h"

#include "paging.h"

#define APIC_BASE 0xfee00000ull

enum apic_register { APIC_END_OF_INTERRUPT = 0xb0, APIC_SPURIOUS = 0xf0, APIC_COMMAND = 0x300, APIC_COMMAND_HIGH = 0x310 };

enum {
    SPURIOUS_ENABLE = 1 << 8,
    SPURIOUS_VECTOR = 0xff,
    DELIVER_INIT = 5 << 8,
    DELIVER_START_UP = 6 << 8,
    LEVEL_ASSERT = 1 << 14,
    ALL_BUT_SELF = 3 << 18,
};

static volatile uint32_t *apic(enum apic_register at) {
    return (volatile uint32_t *)(APIC_BASE + at);
}

void apic_initialize(void) {
    map_page(current_root(), APIC_BASE, APIC_BASE, PAGE_WRITABLE);
}

void apic_enable(void) {
    *apic(APIC_SPURIOUS) = SPURIOUS_ENABLE | SPURIOUS_VECTOR;
}

void apic_acknowledge(void) {
    *apic(APIC_END_OF_INTERRUPT) = 0;
}

void apic_start_others(uint8_t vector) {
    *apic(APIC_COMMAND) = ALL_BUT_SELF | DELIVER_INIT | LEVEL_ASSERT;
    *apic(APIC_COMMAND) = ALL_BUT_SELF | DELIVER_START_UP | LEVEL_ASSERT | vector;
    /* The manual wants two; the second says nothing to a processor that has started. */
    *apic(APIC_COMMAND) = ALL_BUT_SELF | DELIVER_START_UP | LEVEL_ASSERT | vector;
}

void apic_send(unsigned processor, uint8_t vector) {
    *apic(APIC_COMMAND_HIGH) = processor << 24;
    *apic(APIC_COMMAND) = LEVEL_ASSERT | vector;
}

void apic_send_others(uint8_t vector) {
    *apic(APIC_COMMAND) = ALL_BUT_SELF | LEVEL_ASSERT | vector;
}
