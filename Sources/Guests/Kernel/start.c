/* From the boot loader's information to a guest's `kernel_main`. */

#include "kernel.h"

void runtime_start(uint64_t information);

/* The beginning of the Multiboot information structure. */
struct multiboot {
    uint32_t flags, memory_lower, memory_upper, boot_device, command_line;
};

enum { HAS_MEMORY = 1 << 0, HAS_COMMAND_LINE = 1 << 2 };

static char command_line[1024];

/* The loader's copy may lie where frames will be handed out. */
static void copy_command_line(const char *from) {
    for (unsigned length = 0; length < sizeof command_line - 1 && from[length]; length++)
        command_line[length] = from[length];
}

void runtime_start(uint64_t information) {
    const struct multiboot *multiboot = (const struct multiboot *)information;
    if (multiboot->flags & HAS_COMMAND_LINE)
        copy_command_line((const char *)(uint64_t)multiboot->command_line);
    uint64_t memory_end = 1 << 25;
    if (multiboot->flags & HAS_MEMORY)
        memory_end = (1ull << 20) + ((uint64_t)multiboot->memory_upper << 10);
    frames_initialize(memory_end < 1ull << 30 ? memory_end : 1ull << 30);

    console_initialize();
    descriptors_initialize();
    interrupts_initialize();
    kernel_main(parameters_of(command_line));
    exit_guest(EXIT_SUCCESS);
}
