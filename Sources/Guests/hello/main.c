/* The smallest guest on the shared runtime: prints what it was given and the mode that it runs in. */

#include "kernel.h"

void kernel_main(const char *parameters) {
    print("Hello from a guest kernel!\n");
    print("command line: %s\n", *parameters ? parameters : "(empty)");

    bool long_mode = read_msr(MSR_EFER) >> 10 & 1;
    bool five_levels = read_cr4() >> 12 & 1;
    print("mode: %s, %d-level paging\n", long_mode ? "long mode" : "legacy mode", five_levels ? 5 : 4);
}
