/* Moving and filling bytes with string instructions. */

#include "bytes.h"

#include <stdint.h>

void *memcpy(void *restrict target, const void *restrict source, size_t count) {
    void *to = target;
    size_t words = count / 8, rest = count % 8;
    asm volatile("rep movsq" : "+D"(to), "+S"(source), "+c"(words) : : "memory");
    asm volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(rest) : : "memory");
    return target;
}

void *memmove(void *target, const void *source, size_t count) {
    if ((uintptr_t)target - (uintptr_t)source >= count)
        return memcpy(target, source, count);
    const uint8_t *from = (const uint8_t *)source + count - 1;
    uint8_t *to = (uint8_t *)target + count - 1;
    asm volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return target;
}

void *memset(void *target, int value, size_t count) {
    void *to = target;
    uint64_t pattern = (uint8_t)value * 0x0101010101010101ull;
    size_t words = count / 8, rest = count % 8;
    asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    asm volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
    return target;
}

int memcmp(const void *left, const void *right, size_t count) {
    const uint8_t *a = left, *b = right;
    for (; count; count--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}
