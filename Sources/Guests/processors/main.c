/* Several processors at one memory: they are started, count together, pass interrupts around, and follow each other's
   changes of page tables and of code. With `penumbra run processors --cpus 4`; with one processor it does the same alone.

   Marks: 1 counting with LOCK, 2 counting under a lock, 3 interrupts around, 4 changed mappings, 5 changed code; 0 between.

   Parameters: rounds=200 laps=20 changes=20 */

#include "processors.h"

#include "apic.h"
#include "kernel.h"

enum { TRAMPOLINE = 0x8000 };

extern const uint8_t trampoline[], trampoline_end[];
extern uint8_t trampoline_root[], trampoline_efer[], trampoline_gdt[];

void processor_start(unsigned processor);

static const struct {
    const char *name, *parameter;
    uint64_t usual;
    uint64_t (*run)(unsigned processor, uint64_t times);
} chapters[] = {
    {"counted together", "rounds", 200, count_together}, {"counted in turn", "rounds", 200, count_in_turn},
    {"interrupts passed", "laps", 20, pass_messages},    {"mappings changed", "changes", 20, shoot_down},
    {"code changed", "changes", 20, change_code},
};

enum { CHAPTERS = sizeof chapters / sizeof *chapters };

unsigned processor_count;
static uint64_t times[CHAPTERS];
static unsigned started, arrived;
static volatile unsigned phase;

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static struct table_pointer idt_pointer;

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

static void run_chapters(unsigned processor) {
    for (unsigned chapter = 0; chapter < CHAPTERS; chapter++) {
        barrier();
        mark(chapter + 1);
        uint64_t result = chapters[chapter].run(processor, times[chapter]);
        mark(0);
        barrier();
        if (processor == 0)
            print("%s: %lu\n", chapters[chapter].name, result);
    }
    barrier();
}

/* Where the trampoline leads to. */
void processor_start(unsigned processor) {
    asm volatile("lidt %0" : : "m"(idt_pointer));
    apic_enable();
    __atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
    interrupts_on();
    run_chapters(processor);
    interrupts_off();
}

/* The number of processors that firmware tells (QEMU's fw_cfg, key 5). */
static unsigned firmware_processors(void) {
    outw(0x510, 5);
    unsigned low = inb(0x511);
    return low | (unsigned)inb(0x511) << 8;
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

void kernel_main(const char *parameters) {
    static const char *const names[] = {"rounds", "laps", "changes", 0};
    parameters_expect(parameters, names);
    for (unsigned chapter = 0; chapter < CHAPTERS; chapter++)
        times[chapter] = parameter_number(parameters, chapters[chapter].parameter, chapters[chapter].usual);
    processor_count = firmware_processors();
    if (processor_count < 1 || processor_count > PROCESSORS_MAX) {
        print("firmware tells of %u processors\n", processor_count);
        exit_guest(EXIT_FAILURE);
    }
    apic_initialize();
    apic_enable();
    start_others();
    print("processors: %u\n", processor_count);
    interrupts_on();
    run_chapters(0);
    interrupts_off();
}
