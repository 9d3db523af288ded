/* Primes, matrices and random numbers. */

#include "compute.h"

enum { LIMIT = 1 << 18, SIZE = 64, STEPS = 400000 };

/* The sieve of Eratosthenes: the number of primes below 2^18, and the last of them. */
uint64_t sieve(void) {
    static uint8_t composite[LIMIT];
    memset(composite, 0, sizeof composite);
    uint64_t count = 0, last = 0;
    for (uint32_t number = 2; number < LIMIT; number++) {
        if (composite[number])
            continue;
        count++;
        last = number;
        for (uint64_t multiple = (uint64_t)number * number; multiple < LIMIT; multiple += number)
            composite[multiple] = 1;
    }
    return count << 32 | last;
}

uint64_t multiply_matrices(void) {
    static uint64_t a[SIZE][SIZE], b[SIZE][SIZE], product[SIZE][SIZE];
    uint64_t state = 1, sum = 0;
    for (unsigned row = 0; row < SIZE; row++)
        for (unsigned column = 0; column < SIZE; column++) {
            a[row][column] = next_random(&state);
            b[row][column] = next_random(&state);
        }
    for (unsigned row = 0; row < SIZE; row++)
        for (unsigned column = 0; column < SIZE; column++) {
            uint64_t dot = 0;
            for (unsigned k = 0; k < SIZE; k++)
                dot += a[row][k] * b[k][column];
            product[row][column] = dot;
        }
    for (unsigned row = 0; row < SIZE; row++)
        for (unsigned column = 0; column < SIZE; column++)
            sum = mix(sum, product[row][column]);
    return sum;
}

uint64_t xorshift(void) {
    uint64_t state = 88172645463325252, sum = 0;
    for (unsigned step = 0; step < STEPS; step++)
        sum += next_random(&state) % 1009;
    return mix(sum, state);
}
