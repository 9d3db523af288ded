/* The serial console and a tiny printf. */

#include "console.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "processor.h"

enum {
    PORT = 0x3f8,
    DATA = PORT,
    INTERRUPT_ENABLE = PORT + 1,
    FIFO_CONTROL = PORT + 2,
    LINE_CONTROL = PORT + 3,
    MODEM_CONTROL = PORT + 4,
    LINE_STATUS = PORT + 5,
    HOLDING_REGISTER_EMPTY = 1 << 5,
    TRANSMITTER_EMPTY = 1 << 6,
};

void console_initialize(void) {
    outb(INTERRUPT_ENABLE, 0);
    outb(LINE_CONTROL, 0x80); /* the next two registers are the divisor */
    outb(DATA, 1);            /* 115200 baud */
    outb(INTERRUPT_ENABLE, 0);
    outb(LINE_CONTROL, 0x03); /* 8 bits, no parity, one stop bit */
    outb(FIFO_CONTROL, 0x07);
    outb(MODEM_CONTROL, 0x03);
}

void print_character(char character) {
    while (!(inb(LINE_STATUS) & HOLDING_REGISTER_EMPTY))
        ;
    outb(DATA, (uint8_t)character);
}

void console_flush(void) {
    while (!(inb(LINE_STATUS) & TRANSMITTER_EMPTY))
        ;
}

static void print_padded(const char *text, unsigned length, unsigned width, char padding) {
    for (; width > length; width--)
        print_character(padding);
    while (length--)
        print_character(*text++);
}

static void print_number(uint64_t value, unsigned base, bool negative, unsigned width, char padding) {
    char digits[24];
    unsigned start = sizeof digits;
    do {
        digits[--start] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        digits[--start] = '-';
    print_padded(digits + start, sizeof digits - start, width, padding);
}

static unsigned length_of(const char *text) {
    unsigned length = 0;
    while (text[length])
        length++;
    return length;
}

void print(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    for (; *format; format++) {
        if (*format != '%') {
            print_character(*format);
            continue;
        }
        char padding = *++format == '0' ? '0' : ' ';
        unsigned width = 0;
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (unsigned)(*format - '0');
        bool is_long = false;
        for (; *format == 'l'; format++)
            is_long = true;
        switch (*format) {
        case 's': {
            const char *text = va_arg(arguments, const char *);
            print_padded(text, length_of(text), width, ' ');
            break;
        }
        case 'd': {
            int64_t value = is_long ? va_arg(arguments, int64_t) : va_arg(arguments, int);
            print_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, value < 0, width, padding);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t value = is_long ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
            print_number(value, *format == 'u' ? 10 : 16, false, width, padding);
            break;
        }
        case 'c':
            print_character((char)va_arg(arguments, int));
            break;
        default:
            print_character(*format);
        }
    }
    va_end(arguments);
}
