/* Tasks. A kernel stack lies in the identity-mapped part that all spaces share, so stacks and CR3 can change in either order. */

#include "tasks.h"

enum { STACK_FRAMES = 1 };

struct task {
    uint64_t stack;     /* RSP while it does not run */
    uint64_t stack_top; /* of its kernel stack */
    unsigned space;
    uint64_t turns;
    struct task *next;
};

void switch_stacks(uint64_t *save, uint64_t load, uint64_t cr3, bool load_cr3);
void kernel_task(void);
void kernel_task_spinning(void);
extern const char interrupt_return[], system_call[], user_code[], user_code_end[], user_task[], user_task_spinning[];
extern uint64_t system_call_stack;

static struct task *tasks, *current, boot;
static uint64_t *cr3_of; /* by space */
static unsigned task_count, loaded_space;
static uint64_t remaining;

/* Frames for an array; contiguous and cleared. */
static void *array(uint64_t bytes) {
    uint64_t count = (bytes + FRAME_SIZE - 1) / FRAME_SIZE;
    return memset((void *)frames_allocate(count, FRAME_SIZE), 0, count * FRAME_SIZE);
}

static void kernel_made_global(void) {
    entry *directory = entry_for(current_root(), 0, LEVEL_PD);
    for (unsigned index = 0; index < 512; index++)
        directory[index] |= PAGE_GLOBAL;
    write_cr4(read_cr4() | CR4_PGE);
}

static void system_calls_initialize(void) {
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
    write_msr(MSR_STAR, (uint64_t)USER_CODE32 << 48 | (uint64_t)KERNEL_CODE << 32);
    write_msr(MSR_LSTAR, (uint64_t)system_call);
    write_msr(MSR_FMASK, FLAG_INTERRUPT | FLAG_ALIGNMENT);
}

static void spaces_create(const struct options *options) {
    cr3_of = array(options->spaces * sizeof *cr3_of);
    uint64_t code = frame_allocate();
    memcpy((void *)code, user_code, (size_t)(user_code_end - user_code));
    for (unsigned space = 0; space < options->spaces; space++) {
        entry *root = root_create();
        for (unsigned page = 0; page < options->pages; page++)
            map_page(root, TASK_PAGES + page * PAGE_4K, frame_allocate(), PAGE_WRITABLE | PAGE_USER);
        map_page(root, TASK_CODE, code, PAGE_USER);
        cr3_of[space] = (uint64_t)root | (options->pcid ? CR3_NO_FLUSH | (space + 1) : 0);
    }
}

/* Where the task begins: ring 0 calls `yield`, ring 3 asks for it by a system call, and with the timer neither does anything. */
static uint64_t entry_point(const struct options *options) {
    if (!options->user)
        return (uint64_t)(options->timer ? kernel_task_spinning : kernel_task);
    return TASK_CODE + (uint64_t)((options->timer ? user_task_spinning : user_task) - user_code);
}

/* Makes the stack look as if the task had been interrupted before its first instruction, and switched away from. */
static void task_prepare(struct task *task, const struct options *options) {
    struct {
        uint64_t saved[6], return_address;
        struct frame frame;
    } *start;
    task->stack_top = frames_allocate(STACK_FRAMES, FRAME_SIZE) + STACK_FRAMES * FRAME_SIZE;
    task->stack = task->stack_top - sizeof *start - 16;
    start = memset((void *)task->stack, 0, sizeof *start);
    start->return_address = (uint64_t)interrupt_return;
    start->frame = (struct frame){
        .r12 = TASK_PAGES,
        .rbx = options->pages,
        .rip = entry_point(options),
        .cs = options->user ? USER_CODE : KERNEL_CODE,
        .rflags = 2 | (options->timer ? FLAG_INTERRUPT : 0),
        .rsp = task->stack_top,
        .ss = options->user ? USER_DATA : KERNEL_DATA,
    };
}

static void tick(struct frame *frame) {
    (void)frame;
    interrupt_acknowledge(TIMER_LINE);
    yield();
}

void tasks_create(const struct options *options) {
    if (options->global)
        kernel_made_global();
    system_calls_initialize();
    spaces_create(options);

    task_count = options->tasks;
    tasks = array(task_count * sizeof *tasks);
    for (unsigned index = 0; index < task_count; index++) {
        tasks[index].space = index % options->spaces;
        tasks[index].next = &tasks[(index + 1) % task_count];
        task_prepare(&tasks[index], options);
    }
    current = &tasks[0];

    if (options->pcid)
        write_cr4(read_cr4() | CR4_PCIDE);
    write_cr3(cr3_of[0] & ~CR3_NO_FLUSH);
    if (options->timer) {
        handlers[VECTOR_IRQ0 + TIMER_LINE] = tick;
        timer_start(options->hz);
        interrupt_unmask(TIMER_LINE);
    }
}

static void switch_to(struct task *from, struct task *to) {
    bool load_cr3 = to->space != loaded_space;
    loaded_space = to->space;
    to->turns++;
    system_call_stack = to->stack_top;
    descriptors_set_kernel_stack(to->stack_top);
    switch_stacks(&from->stack, to->stack, cr3_of[to->space], load_cr3);
}

void yield(void) {
    struct task *from = current;
    if (remaining == 0) {
        switch_stacks(&from->stack, boot.stack, 0, false);
        return;
    }
    remaining--;
    current = from->next;
    switch_to(from, current);
}

void tasks_run(uint64_t switches) {
    remaining = switches;
    switch_to(&boot, current);
}

uint64_t touches(unsigned space, unsigned page) {
    entry *root = table_of(cr3_of[space] & ~CR3_NO_FLUSH);
    uint64_t frame = *entry_for(root, TASK_PAGES + page * PAGE_4K, LEVEL_PT) & PAGE_ADDRESS;
    return *(uint64_t *)(frame + (page & 63) * 64);
}

bool every_task_ran(void) {
    for (unsigned index = 0; index < task_count; index++)
        if (tasks[index].turns == 0)
            return false;
    return true;
}
