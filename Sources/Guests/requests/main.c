/* A server's shape: processes take turns, a request each. A request computes a little and touches pages of its process,
   some of them far more often than others. Where a walk's references are served depends on such a working set more than on
   anything else.

   Marks: 1 opens the measured requests, 2 closes them.

   Parameters: processes=4 pages=2048 (of each process) touches=64 (in a request) work=300 (turns of a loop of two
   instructions before each touch) requests=2000 skew=3 (a page is the lowest of so many random ones) kernel=0 (of 100 touches,
   those that go through the kernel's own mapping of all memory, in large pages) spread=1 (a process's pages lie so many pages
   apart) lines=1 (cache lines that a touch touches) */

#include "kernel.h"

#define PAGES_BASE (1ull << 39)

enum { LINES = 64, LINE = 64, MOST_PROCESSES = 256, MOST_PAGES = 1 << 18, MOST_SPREAD = 512 };

struct load {
    uint64_t processes, pages, touches, work, requests, skew, kernel, spread, lines;
};

static uint64_t root_of[MOST_PROCESSES], frame_of[MOST_PAGES];
static uint64_t state = 1;

/* Knuth's MMIX generator; the upper half is the random part. */
static uint32_t next_random(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}

static uint64_t choose_page(const struct load *load) {
    uint64_t lowest = load->pages - 1;
    for (uint64_t draw = 0; draw < load->skew; draw++) {
        uint64_t page = next_random() % load->pages;
        lowest = page < lowest ? page : lowest;
    }
    return lowest * 0x9e3779b1 % load->pages; /* busy pages do not lie side by side */
}

static uint64_t address_of(const struct load *load, uint64_t page) {
    return PAGES_BASE + page * load->spread * PAGE_4K;
}

static void compute(uint64_t turns) {
    if (turns)
        asm volatile("1: decq %0\n"
                     "   jnz 1b"
                     : "+r"(turns));
}

static void serve(const struct load *load, uint64_t requests) {
    for (uint64_t request = 0; request < requests; request++) {
        write_cr3(root_of[request % load->processes]);
        for (uint64_t touch = 0; touch < load->touches; touch++) {
            compute(load->work);
            uint64_t page = choose_page(load);
            uint64_t base = address_of(load, page);
            if (next_random() % 100 < load->kernel)
                base = frame_of[page];
            uint64_t line = next_random();
            for (uint64_t touched = 0; touched < load->lines; touched++)
                *(uint64_t *)(base + (line + touched) % LINES * LINE) += page;
        }
    }
}

/* The frames of a process are scattered, as they are once a machine has run for a while. */
static void create(const struct load *load) {
    for (uint64_t process = 0; process < load->processes; process++)
        root_of[process] = (uint64_t)root_create();
    for (uint64_t page = 0; page < load->pages; page++)
        for (uint64_t process = 0; process < load->processes; process++) {
            uint64_t scattered = page * 0x9e3779b1 % load->pages;
            frame_of[scattered] = frame_allocate(); /* the last process's stands for all */
            map_page((entry *)root_of[process], address_of(load, scattered), frame_of[scattered], PAGE_WRITABLE);
        }
}

static uint64_t checksum(const struct load *load) {
    uint64_t sum = 0;
    for (uint64_t process = 0; process < load->processes; process++) {
        write_cr3(root_of[process]);
        for (uint64_t page = 0; page < load->pages; page++)
            for (uint64_t line = 0; line < LINES; line++)
                sum = (sum << 7 | sum >> 57) ^ *(uint64_t *)(address_of(load, page) + line * LINE);
    }
    return sum;
}

void kernel_main(const char *parameters) {
    static const char *const names[] = {"processes", "pages", "touches", "work", "requests", "skew", "kernel", "spread", "lines", 0};
    parameters_expect(parameters, names);
    struct load load = {
        .processes = parameter_number(parameters, "processes", 4),
        .pages = parameter_number(parameters, "pages", 2048),
        .touches = parameter_number(parameters, "touches", 64),
        .work = parameter_number(parameters, "work", 300),
        .requests = parameter_number(parameters, "requests", 2000),
        .skew = parameter_number(parameters, "skew", 3),
        .kernel = parameter_number(parameters, "kernel", 0),
        .spread = parameter_number(parameters, "spread", 1),
        .lines = parameter_number(parameters, "lines", 1),
    };
    if (load.processes < 1 || load.processes > MOST_PROCESSES || load.pages < 1 || load.pages > MOST_PAGES || load.pages & (load.pages - 1)) {
        print("processes must be from 1 to %d, and pages a power of two up to %d\n", MOST_PROCESSES, MOST_PAGES);
        exit_guest(EXIT_FAILURE);
    }
    if (load.spread < 1 || load.spread > MOST_SPREAD || load.lines < 1 || load.lines > LINES) {
        print("spread must be from 1 to %d, and lines from 1 to %d\n", MOST_SPREAD, LINES);
        exit_guest(EXIT_FAILURE);
    }
    create(&load);
    serve(&load, load.requests / 4 + 4 * load.processes);
    MARK(1);
    serve(&load, load.requests);
    MARK(2);
    print("%lu requests to %lu processes: checksum %016lx\n", load.requests, load.processes, checksum(&load));
}
