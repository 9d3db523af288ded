/* The interrupt descriptor table, the dispatcher and the two 8259 interrupt controllers. */

#include "interrupts.h"

#include "console.h"
#include "descriptors.h"
#include "exit.h"
#include "processor.h"

enum {
    GATE_INTERRUPT = 0x8e, /* present, DPL 0, 64-bit interrupt gate */
    GATE_USER = 0x60,      /* DPL 3 */
    STUB_SIZE = 16,

    PIC1_COMMAND = 0x20,
    PIC1_DATA = 0x21,
    PIC2_COMMAND = 0xa0,
    PIC2_DATA = 0xa1,
    PIC_END_OF_INTERRUPT = 0x20,
};

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, attributes;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

extern const char interrupt_stubs[];

handler handlers[256];

static struct gate idt[256];

void interrupt_dispatch(struct frame *frame);

void interrupt_dispatch(struct frame *frame) {
    handler handle = handlers[frame->vector];
    if (handle) {
        handle(frame);
        return;
    }
    print("unexpected exception: vector %lu error %lx rip %lx cr2 %lx\n", frame->vector, frame->error, frame->rip, read_cr2());
    exit_guest(EXIT_FAILURE);
}

static void pic_initialize(void) {
    outb(PIC1_COMMAND, 0x11); /* ICW1: edge-triggered, cascaded, ICW4 follows */
    outb(PIC2_COMMAND, 0x11);
    outb(PIC1_DATA, VECTOR_IRQ0); /* ICW2: first vector */
    outb(PIC2_DATA, VECTOR_IRQ0 + 8);
    outb(PIC1_DATA, 1 << 2); /* ICW3: the second controller is on line 2 */
    outb(PIC2_DATA, 2);
    outb(PIC1_DATA, 1); /* ICW4: 8086 mode */
    outb(PIC2_DATA, 1);
    outb(PIC1_DATA, 0xff); /* all masked */
    outb(PIC2_DATA, 0xff);
}

void interrupts_initialize(void) {
    for (unsigned vector = 0; vector < 256; vector++) {
        uint64_t offset = (uint64_t)interrupt_stubs + vector * STUB_SIZE;
        idt[vector] = (struct gate){
            .offset_low = (uint16_t)offset,
            .offset_middle = (uint16_t)(offset >> 16),
            .offset_high = (uint32_t)(offset >> 32),
            .selector = KERNEL_CODE,
            .attributes = GATE_INTERRUPT,
        };
    }
    load_idt(idt, sizeof idt - 1);
    pic_initialize();
}

void interrupts_set_gate(unsigned vector, const void *code) {
    uint64_t offset = (uint64_t)code;
    idt[vector].offset_low = (uint16_t)offset;
    idt[vector].offset_middle = (uint16_t)(offset >> 16);
    idt[vector].offset_high = (uint32_t)(offset >> 32);
}

void interrupts_set_stack(unsigned vector, unsigned ist) {
    idt[vector].ist = (uint8_t)ist;
}

void interrupts_allow_user(unsigned vector) {
    idt[vector].attributes |= GATE_USER;
}

void interrupt_unmask(unsigned line) {
    uint16_t port = line < 8 ? PIC1_DATA : PIC2_DATA;
    outb(port, inb(port) & (uint8_t) ~(1u << (line & 7)));
}

void interrupt_acknowledge(unsigned line) {
    if (line >= 8)
        outb(PIC2_COMMAND, PIC_END_OF_INTERRUPT);
    outb(PIC1_COMMAND, PIC_END_OF_INTERRUPT);
}
