/* A bump allocator of physical frames with a list of free frames, linked through their first words. */

#include "frames.h"

#include "bytes.h"
#include "console.h"
#include "exit.h"

extern const char kernel_end[];

static uint64_t next_frame, end_of_memory, free_list, in_use;

void frames_initialize(uint64_t memory_end) {
    next_frame = (uint64_t)kernel_end;
    end_of_memory = memory_end;
}

uint64_t frames_allocate(uint64_t count, uint64_t alignment) {
    uint64_t first = (next_frame + alignment - 1) & -alignment;
    if (first + count * FRAME_SIZE > end_of_memory) {
        print("out of memory\n");
        exit_guest(EXIT_FAILURE);
    }
    next_frame = first + count * FRAME_SIZE;
    in_use += count;
    return first;
}

uint64_t frame_allocate(void) {
    uint64_t frame = free_list;
    if (frame) {
        free_list = *(uint64_t *)frame;
        in_use++;
    } else {
        frame = frames_allocate(1, FRAME_SIZE);
    }
    memset((void *)frame, 0, FRAME_SIZE);
    return frame;
}

void frame_free(uint64_t frame) {
    *(uint64_t *)frame = free_list;
    free_list = frame;
    in_use--;
}

uint64_t frames_in_use(void) {
    return in_use;
}
