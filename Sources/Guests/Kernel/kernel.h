/* What a guest needs to be one: all of the runtime, and its own entry point. */
#pragma once

#include "bytes.h"
#include "commandline.h"
#include "console.h"
#include "descriptors.h"
#include "exit.h"
#include "frames.h"
#include "interrupts.h"
#include "marks.h"
#include "paging.h"
#include "processor.h"
#include "timer.h"

/* Called in 64-bit mode with interrupts off, a stack of 16 KiB, and the first GiB identity-mapped. Returning means success. */
void kernel_main(const char *parameters);
