/* The instructions that C has no words for, and what the processor can do. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    CR0_WP = 1 << 16,
    CR4_PGE = 1 << 7,
    CR4_PCIDE = 1 << 17,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21,
    EFER_SCE = 1 << 0,
    EFER_NXE = 1 << 11,
    FLAG_INTERRUPT = 1 << 9,
    FLAG_ALIGNMENT = 1 << 18,
};

#define CR3_NO_FLUSH (1ull << 63)

enum msr {
    MSR_EFER = 0xc0000080,
    MSR_STAR = 0xc0000081,
    MSR_LSTAR = 0xc0000082,
    MSR_FMASK = 0xc0000084,
};

enum feature {
    FEATURE_CMPXCHG16B,
    FEATURE_GLOBAL_PAGES,
    FEATURE_GIGABYTE_PAGES,
    FEATURE_INVPCID,
    FEATURE_NX,
    FEATURE_PCID,
    FEATURE_SMAP,
    FEATURE_SMEP,
};

bool processor_has(enum feature feature);
const char *feature_name(enum feature feature);

/* MAXPHYADDR. */
unsigned physical_address_bits(void);

static inline uint8_t inb(uint16_t port) {
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void outb(uint16_t port, uint8_t value) {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value) {
    asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value) {
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

#define CONTROL_REGISTER(name)                                                                                                                       \
    static inline uint64_t read_##name(void) {                                                                                                       \
        uint64_t value;                                                                                                                              \
        asm volatile("movq %%" #name ", %0" : "=r"(value) : : "memory");                                                                             \
        return value;                                                                                                                                \
    }                                                                                                                                                \
    static inline void write_##name(uint64_t value) {                                                                                                \
        asm volatile("movq %0, %%" #name : : "r"(value) : "memory");                                                                                 \
    }

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)

static inline uint64_t read_msr(enum msr msr) {
    uint32_t low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(enum msr msr, uint64_t value) {
    asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline void invalidate_page(uint64_t address) {
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void reload_cr3(void) {
    write_cr3(read_cr3());
}

enum invpcid { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL };

static inline void invalidate_pcid(enum invpcid type, uint64_t pcid, uint64_t address) {
    uint64_t descriptor[2] = {pcid, address};
    asm volatile("invpcid %0, %1" : : "m"(descriptor), "r"((uint64_t)type) : "memory");
}

static inline void interrupts_on(void) {
    asm volatile("sti" : : : "memory");
}

static inline void interrupts_off(void) {
    asm volatile("cli" : : : "memory");
}

static inline void load_idt(const void *base, uint16_t limit) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {limit, (uint64_t)base};
    asm volatile("lidt %0" : : "m"(pointer));
}

static inline void load_task_register(uint16_t selector) {
    asm volatile("ltr %0" : : "r"(selector));
}
