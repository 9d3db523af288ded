/* The local APIC of the processor that runs, by its registers in memory. */
#pragma once

#include <stdint.h>

/* Maps the registers. */
void apic_initialize(void);

/* Lets this processor's APIC deliver interrupts. */
void apic_enable(void);

void apic_acknowledge(void);

/* INIT and the start-up interrupts for all other processors. */
void apic_start_others(uint8_t vector);

void apic_send(unsigned processor, uint8_t vector);
void apic_send_others(uint8_t vector);
