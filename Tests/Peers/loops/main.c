/* One loop at a time, for its speed: SSE2 and scalar double arithmetic, and integers beside them. What it prints is the loop's
   result. Parameters: loop=NAME, rounds=N (passes over two buffers of a page each). */

#include "../../../Sources/Guests/Kernel/kernel.h"

enum { CR0_MP = 1 << 1, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, BYTES = 4096 };

/* Each goes once over the buffers, and gives something that depends on all of it (loops.S). */
typedef uint64_t loop(void *left, void *right, uint64_t bytes);
loop loop_integers, loop_copy, loop_length, loop_xor, loop_lanes, loop_dot_scalar, loop_roots, loop_sums, loop_dot_packed;

static loop *const loops[] = {
    loop_integers, loop_copy, loop_length, loop_xor, loop_lanes, loop_dot_scalar, loop_roots, loop_sums, loop_dot_packed,
};
static const char *const loop_names[] = {
    "integers", "copy", "length", "xor", "lanes", "dot-scalar", "roots", "sums", "dot-packed", 0,
};

static uint64_t left[BYTES / 8] __attribute__((aligned(4096))), right[BYTES / 8] __attribute__((aligned(4096)));

void kernel_main(const char *parameters) {
    static const char *const names[] = {"loop", "rounds", 0};
    parameters_expect(parameters, names);
    unsigned choice = parameter_choice(parameters, "loop", loop_names);
    uint64_t rounds = parameter_number(parameters, "rounds", 100);
    write_cr0(read_cr0() | CR0_MP);
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    /* Doubles from 1 to 2, which are no zero bytes at the ends of words either. */
    for (unsigned index = 0; index < BYTES / 8; index++) {
        left[index] = 0x3ff0101010101010 + index * 0x10101010101;
        right[index] = 0x3ff0203040506070 + index * 0x20301020304;
    }
    ((uint8_t *)left)[BYTES - 1] = 0;
    uint64_t sum = 0;
    mark(1);
    for (uint64_t round = 0; round < rounds; round++)
        sum = sum * 31 + loops[choice](left, right, BYTES);
    mark(0);
    print("%s: %016lx\n", loop_names[choice], sum);
}
