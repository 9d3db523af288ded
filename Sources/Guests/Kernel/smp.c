/* The other processors: found, started, and brought together. */

#include "smp.h"

#include "apic.h"
#include "console.h"
#include "exit.h"
#include "paging.h"
#include "processor.h"

enum { TRAMPOLINE = 0x8000, FIRMWARE_SELECT = 0x510, FIRMWARE_DATA = 0x511, FIRMWARE_PROCESSORS = 5 };

extern const uint8_t trampoline[], trampoline_end[];
extern uint8_t trampoline_root[], trampoline_efer[], trampoline_gdt[];

void processor_started(unsigned processor);

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

unsigned processor_count;
static unsigned started, arrived;
static volatile unsigned phase;
static struct table_pointer idt_pointer;
static void (*work_of_all)(unsigned processor);

void barrier(void) {
    unsigned now = phase;
    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == processor_count) {
        arrived = 0;
        __atomic_store_n(&phase, now + 1, __ATOMIC_SEQ_CST);
    } else {
        while (phase == now)
            relax();
    }
}

static void work(unsigned processor) {
    interrupts_on();
    work_of_all(processor);
    barrier();
    interrupts_off();
}

/* Where the trampoline leads to. */
void processor_started(unsigned processor) {
    asm volatile("lidt %0" : : "m"(idt_pointer));
    apic_enable();
    __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
    work(processor);
}

/* The number of processors that firmware tells (QEMU's fw_cfg). */
static unsigned firmware_processors(void) {
    outw(FIRMWARE_SELECT, FIRMWARE_PROCESSORS);
    unsigned low = inb(FIRMWARE_DATA);
    return low | (unsigned)inb(FIRMWARE_DATA) << 8;
}

static void set_word(uint8_t *at, uint32_t value) {
    *(uint32_t *)(TRAMPOLINE + (at - trampoline)) = value;
}

static void start_others(void) {
    for (unsigned byte = 0; byte < (unsigned)(trampoline_end - trampoline); byte++)
        ((uint8_t *)TRAMPOLINE)[byte] = trampoline[byte];
    set_word(trampoline_root, (uint32_t)read_cr3());
    set_word(trampoline_efer, (uint32_t)read_msr(MSR_EFER) & ~(1u << 10)); /* without LMA, which the processor sets */
    asm volatile("sgdt %0" : "=m"(*(struct table_pointer *)(TRAMPOLINE + (trampoline_gdt - trampoline))));
    asm volatile("sidt %0" : "=m"(idt_pointer));
    started = 1;
    if (processor_count > 1)
        apic_start_others(TRAMPOLINE >> 12);
    while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < processor_count)
        relax();
}

void processors_run(void (*work_of_each)(unsigned processor)) {
    processor_count = firmware_processors();
    if (processor_count < 1 || processor_count > PROCESSORS_MAX) {
        print("firmware tells of %u processors\n", processor_count);
        exit_guest(EXIT_FAILURE);
    }
    work_of_all = work_of_each;
    apic_initialize();
    apic_enable();
    start_others();
    work(0);
}
