/* CPUID: which features the processor has. */

#include "processor.h"

struct registers {
    uint32_t eax, ebx, ecx, edx;
};

enum output { EBX, ECX, EDX };

static const struct {
    const char *name;
    uint32_t leaf;
    enum output output;
    unsigned bit;
} features[] = {
    [FEATURE_CMPXCHG16B] = {"CMPXCHG16B", 1, ECX, 13},
    [FEATURE_GLOBAL_PAGES] = {"global pages", 1, EDX, 13},
    [FEATURE_GIGABYTE_PAGES] = {"1 GiB pages", 0x80000001, EDX, 26},
    [FEATURE_INVPCID] = {"INVPCID", 7, EBX, 10},
    [FEATURE_NX] = {"NX", 0x80000001, EDX, 20},
    [FEATURE_PCID] = {"PCID", 1, ECX, 17},
    [FEATURE_SMAP] = {"SMAP", 7, EBX, 20},
    [FEATURE_SMEP] = {"SMEP", 7, EBX, 7},
};

/* All zero for a leaf above the highest of its range. */
static struct registers cpuid(uint32_t leaf) {
    struct registers r;
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf & 0x80000000), "c"(0));
    if (r.eax < leaf)
        return (struct registers){0};
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
    return r;
}

bool processor_has(enum feature feature) {
    struct registers r = cpuid(features[feature].leaf);
    const uint32_t outputs[] = {[EBX] = r.ebx, [ECX] = r.ecx, [EDX] = r.edx};
    return outputs[features[feature].output] >> features[feature].bit & 1;
}

const char *feature_name(enum feature feature) {
    return features[feature].name;
}

unsigned physical_address_bits(void) {
    unsigned bits = cpuid(0x80000008).eax & 0xff;
    return bits ? bits : 36;
}
