/* Printing and counting the checks. */

#include "check.h"

static unsigned done, failed;

void chapter(const char *title) {
    print("== %s\n", title);
}

static bool begin(const char *name, bool holds) {
    done++;
    failed += !holds;
    print("%s ... %s", name, holds ? "ok\n" : "FAILED");
    return holds;
}

void check(const char *name, bool holds) {
    if (!begin(name, holds))
        print("\n");
}

void check_equal(const char *name, uint64_t expected, uint64_t got) {
    if (!begin(name, expected == got))
        print(": expected %lx, got %lx\n", expected, got);
}

static void print_fault(uint64_t vector, uint64_t error, uint64_t address) {
    if (vector == NO_EXCEPTION)
        print("no exception");
    else if (vector == VECTOR_PAGE_FAULT)
        print("page fault with error code %lx at %lx", error, address);
    else
        print("vector %lu with error code %lx", vector, error);
}

void check_fault(const char *name, struct fault got, unsigned vector, uint64_t error, uint64_t address) {
    bool holds = got.vector == vector;
    if (vector != NO_EXCEPTION)
        holds &= got.error == error;
    if (vector == VECTOR_PAGE_FAULT)
        holds &= got.address == address;
    if (begin(name, holds))
        return;
    print(": expected ");
    print_fault(vector, error, address);
    print(", got ");
    print_fault(got.vector, got.error, got.address);
    print("\n");
}

void check_page_fault(const char *name, struct fault got, uint64_t error, uint64_t address) {
    check_fault(name, got, VECTOR_PAGE_FAULT, error, address);
}

void check_no_fault(const char *name, struct fault got) {
    check_fault(name, got, NO_EXCEPTION, 0, 0);
}

bool feature_or_skip(enum feature feature) {
    bool has = processor_has(feature);
    if (!has)
        print("%s: not available, skipped\n", feature_name(feature));
    return has;
}

bool check_summary(void) {
    print("%u checks, %u failed\n", done, failed);
    return failed == 0;
}
