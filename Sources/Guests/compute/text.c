/* Check sums and searches over bytes. */

#include "compute.h"

enum { LENGTH = 1 << 17, NEEDLE = 12 };

static uint8_t text[LENGTH];

/* Letters from a small alphabet, so that a search finds many beginnings. */
static void write_text(unsigned alphabet) {
    uint64_t state = 7;
    for (unsigned index = 0; index < LENGTH; index++)
        text[index] = (uint8_t)('a' + (next_random(&state) >> 32) % alphabet);
}

/* The CRC of Ethernet and zip, a table look-up a byte. */
uint64_t crc32(void) {
    static uint32_t table[256];
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        table[byte] = crc;
    }
    write_text(26);
    uint32_t crc = 0xffffffff;
    for (unsigned index = 0; index < LENGTH; index++)
        crc = crc >> 8 ^ table[(crc ^ text[index]) & 0xff];
    return ~crc;
}

/* Where the text's last letters occur for the first time, letter by letter. */
uint64_t search(void) {
    write_text(3);
    const uint8_t *needle = text + LENGTH - NEEDLE;
    uint64_t matches = 0, start = 0;
    for (; start + NEEDLE <= LENGTH; start++) {
        unsigned same = 0;
        while (same < NEEDLE && text[start + same] == needle[same])
            same++;
        matches += same;
        if (same == NEEDLE)
            break;
    }
    return matches << 32 | start;
}
