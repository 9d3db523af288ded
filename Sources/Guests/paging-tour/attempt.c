/* Exceptions as values: the handler notes what happened and goes back to the end of the attempt. */

#include "attempt.h"

#include "kernel.h"
#include "page.h"

void attempt_kernel(void (*body)(uint64_t), uint64_t argument);
void attempt_ring3(uint64_t rip, uint64_t rsp, uint64_t rdi, uint64_t rsi);
extern const char attempt_resume[], user_code[], user_read[], user_write[], user_code_end[];
extern uint64_t attempt_stack;

static struct fault last;
static struct page code_page, stack_page;

static void note(struct frame *frame) {
    last = (struct fault){
        .vector = frame->vector,
        .error = frame->error,
        .address = frame->vector == VECTOR_PAGE_FAULT ? read_cr2() : 0,
        .rip = frame->rip,
        .cs = frame->cs,
        .rax = frame->rax,
        .rcx = frame->rcx,
        .stack = (uint64_t)frame,
    };
    frame->rip = (uint64_t)attempt_resume;
    frame->cs = KERNEL_CODE;
    frame->rflags = 2;
    frame->rsp = attempt_stack;
    frame->ss = KERNEL_DATA;
}

void attempt_initialize(void) {
    for (unsigned vector = 0; vector < 32; vector++)
        handlers[vector] = note;
    handlers[VECTOR_DONE] = note;
    interrupts_allow_user(VECTOR_DONE);
    interrupts_allow_user(VECTOR_BREAKPOINT);

    code_page = page_create(PAGE_USER);
    stack_page = page_create(PAGE_USER | PAGE_WRITABLE);
    memcpy((void *)code_page.frame, user_code, (size_t)(user_code_end - user_code));
}

struct fault attempt(void (*body)(uint64_t), uint64_t argument) {
    last = (struct fault){.vector = NO_EXCEPTION};
    attempt_kernel(body, argument);
    return last;
}

static uint64_t value_read, value_to_write;

static void read_body(uint64_t address) {
    value_read = *(volatile uint64_t *)address;
}

static void write_body(uint64_t address) {
    *(volatile uint64_t *)address = value_to_write;
}

static void call_body(uint64_t address) {
    value_read = ((uint64_t(*)(void))address)();
}

struct fault attempt_read(uint64_t address) {
    struct fault fault = attempt(read_body, address);
    fault.rax = value_read;
    return fault;
}

struct fault attempt_write(uint64_t address, uint64_t value) {
    value_to_write = value;
    return attempt(write_body, address);
}

struct fault attempt_call(uint64_t address) {
    struct fault fault = attempt(call_body, address);
    fault.rax = value_read;
    return fault;
}

static struct fault ring3(uint64_t rip, uint64_t rdi, uint64_t rsi) {
    attempt_ring3(rip, stack_page.address + FRAME_SIZE - 16, rdi, rsi);
    if (last.vector == VECTOR_DONE)
        last.vector = NO_EXCEPTION;
    return last;
}

static uint64_t in_code_page(const char *stub) {
    return code_page.address + (uint64_t)(stub - user_code);
}

struct fault attempt_user_read(uint64_t address) {
    return ring3(in_code_page(user_read), address, 0);
}

struct fault attempt_user_write(uint64_t address, uint64_t value) {
    return ring3(in_code_page(user_write), address, value);
}

struct fault attempt_user_jump(uint64_t address) {
    return ring3(address, 0, 0);
}

struct fault attempt_user_stub(const char *stub) {
    return ring3(in_code_page(stub), 0, 0);
}
