/* Compute-bound integer work with few TLB misses: what is left of a program's cost when paging hardly matters.

   Marks: 1 sieve, 2 matrix multiplication, 3 CRC-32, 4 sort, 5 xorshift, 6 string search; 0 between them.

   Parameters: rounds=8 */

#include "compute.h"

static const struct {
    const char *name;
    uint64_t (*round)(void);
} kernels[] = {
    {"sieve", sieve}, {"matrix multiplication", multiply_matrices}, {"CRC-32", crc32}, {"sort", sort}, {"xorshift", xorshift},
    {"string search", search},
};

void kernel_main(const char *parameters) {
    static const char *const names[] = {"rounds", 0};
    parameters_expect(parameters, names);
    uint64_t rounds = parameter_number(parameters, "rounds", 8);
    print("rounds=%lu\n", rounds);
    for (unsigned index = 0; index < sizeof kernels / sizeof *kernels; index++) {
        uint64_t sum = 0;
        mark(index + 1);
        for (uint64_t round = 0; round < rounds; round++)
            sum = mix(sum, kernels[index].round());
        mark(0);
        print("%s: %016lx\n", kernels[index].name, sum);
    }
}
