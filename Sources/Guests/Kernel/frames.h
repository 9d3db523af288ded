/* Physical memory, frame by frame. Everything below 1 GiB is identity-mapped, so a frame's address is a pointer too. */
#pragma once

#include <stdint.h>

enum { FRAME_SIZE = 4096 };

/* Hands out what lies between the end of the kernel and the end of memory. */
void frames_initialize(uint64_t memory_end);

/* A frame full of zeros: the one freed last, or a new one. Ends the guest when there is none left. */
uint64_t frame_allocate(void);

void frame_free(uint64_t frame);

/* Contiguous frames with the given alignment (a power of two), not cleared, never freed. */
uint64_t frames_allocate(uint64_t count, uint64_t alignment);

/* Frames handed out and not given back. */
uint64_t frames_in_use(void);
