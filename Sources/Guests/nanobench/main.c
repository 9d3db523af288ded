/* The operations that Adams and Agesen (ASPLOS 2006, section 6.3) measured one by one, and two more. Each runs in a loop of
   its own, `count` times, after a round that is not measured; the loop without an operation is the control.

   mark    region
   1       nothing: the control
   2       call and return
   3       a system call from ring 3 that returns at once
   4       a read of port 0x80
   5       a write of CR8, the task priority
   6       a divide error, whose handler steps over the instruction
   7       a page fault on a page that is not present, whose handler steps over the instruction
   8       a change of an ignored bit in a page-table entry that maps a page in use
   9       INVLPG of a mapped page
   10      a load of CR3
   0       what lies between

   Parameters: count=1000 */

#include "operations.h"

enum { WARM_UP = 4 };

/* What the operations need: a page whose entry they write, one that is absent, ring 3, and handlers that step over. */
static void prepare(struct ground *ground) {
    entry *root = current_root();
    map_page(root, GROUND_PAGE, frame_allocate(), PAGE_WRITABLE);
    ground->page = GROUND_PAGE;
    ground->absent = ABSENT_PAGE;
    ground->user_code = USER_CODE_PAGE;
    ground->user_stack = USER_STACK_PAGE + PAGE_4K;
    ground->faults = 0;
    ground->entry = entry_for(root, GROUND_PAGE, LEVEL_PT);
    map_page(root, USER_CODE_PAGE, frame_allocate(), PAGE_WRITABLE | PAGE_USER);
    memcpy((void *)USER_CODE_PAGE, user_loop, (size_t)(user_loop_end - user_loop));
    map_page(root, USER_STACK_PAGE, frame_allocate(), PAGE_WRITABLE | PAGE_USER);

    interrupts_set_gate(VECTOR_DIVIDE_ERROR, step_over_divide_error);
    interrupts_set_gate(VECTOR_PAGE_FAULT, step_over_page_fault);
    interrupts_set_gate(VECTOR_BREAKPOINT, leave_user);
    interrupts_allow_user(VECTOR_BREAKPOINT);

    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
    write_msr(MSR_STAR, (uint64_t)USER_CODE32 << 48 | (uint64_t)KERNEL_CODE << 32);
    write_msr(MSR_LSTAR, (uint64_t)system_call);
    write_msr(MSR_FMASK, FLAG_INTERRUPT);
}

void kernel_main(const char *parameters) {
    static const char *const names[] = {"count", 0};
    static const struct {
        const char *name;
        operation *run;
    } operations[] = {
        {"nothing", loop_nothing}, {"call and return", loop_call},     {"system call", loop_system_call}, {"port read", loop_port},
        {"CR8 write", loop_cr8},   {"divide error", loop_divide},      {"page fault", loop_page_fault},   {"entry write", loop_entry},
        {"INVLPG", loop_invlpg},   {"CR3 load", loop_cr3},
    };
    parameters_expect(parameters, names);
    uint64_t count = parameter_number(parameters, "count", 1000);
    if (count < 1 || count > 1000000000) {
        print("count must be from 1 to 1000000000\n");
        exit_guest(EXIT_FAILURE);
    }
    struct ground ground;
    prepare(&ground);
    for (unsigned index = 0; index < sizeof operations / sizeof *operations; index++) {
        operations[index].run(WARM_UP, &ground, 0);
        operations[index].run(count, &ground, index + 1);
        print("%s: %lu times\n", operations[index].name, count);
    }
    bool complete = ground.faults == 2 * (count + WARM_UP);
    print("every fault was delivered: %s\n", complete ? "yes" : "NO");
    if (!complete)
        exit_guest(EXIT_FAILURE);
}
