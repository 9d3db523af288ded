/* Kernel parameters. A wrong one ends the guest: better than a run with other values than were asked for. */

#include "commandline.h"

#include "console.h"
#include "exit.h"

static bool ends_word(char c) {
    return c == ' ' || c == '\0';
}

static const char *skip_word(const char *text) {
    while (!ends_word(*text))
        text++;
    return text;
}

static const char *skip_spaces(const char *text) {
    while (*text == ' ')
        text++;
    return text;
}

/* Where the text goes on behind the prefix, or null. */
static const char *behind(const char *text, const char *prefix) {
    while (*prefix)
        if (*text++ != *prefix++)
            return 0;
    return text;
}

static const char *find_value(const char *parameters, const char *name) {
    for (const char *word = skip_spaces(parameters); *word; word = skip_spaces(skip_word(word))) {
        const char *value = behind(word, name);
        if (value && *value == '=')
            return value + 1;
    }
    return 0;
}

__attribute__((noreturn)) static void fail(const char *reason, const char *word) {
    print("%s: ", reason);
    while (!ends_word(*word))
        print_character(*word++);
    print("\n");
    exit_guest(EXIT_FAILURE);
}

const char *parameters_of(const char *command_line) {
    /* A boot loader puts the image's name first. Every parameter has a value, so a first word without one is that name. */
    const char *first = skip_spaces(command_line);
    for (const char *c = first; !ends_word(*c); c++)
        if (*c == '=')
            return first;
    return skip_spaces(skip_word(first));
}

static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

uint64_t parameter_number(const char *parameters, const char *name, uint64_t fallback) {
    const char *text = find_value(parameters, name);
    if (!text)
        return fallback;
    const char *hexadecimal = behind(text, "0x");
    const char *c = hexadecimal ? hexadecimal : text;
    int base = hexadecimal ? 16 : 10;
    if (digit(*c) >= base)
        fail("not a number", text);
    uint64_t value = 0;
    for (; digit(*c) < base; c++)
        value = value * (unsigned)base + (unsigned)digit(*c);
    unsigned shift = *c == 'K' ? 10 : *c == 'M' ? 20 : *c == 'G' ? 30 : 0;
    if (!ends_word(c[shift != 0]))
        fail("not a number", text);
    return value << shift;
}

unsigned parameter_choice(const char *parameters, const char *name, const char *const choices[]) {
    const char *text = find_value(parameters, name);
    if (!text)
        return 0;
    for (unsigned index = 0; choices[index]; index++) {
        const char *end = behind(text, choices[index]);
        if (end && ends_word(*end))
            return index;
    }
    fail("unknown value", text);
}

bool parameter_given(const char *parameters, const char *name) {
    return find_value(parameters, name) != 0;
}

void parameters_expect(const char *parameters, const char *const names[]) {
    for (const char *word = skip_spaces(parameters); *word; word = skip_spaces(skip_word(word))) {
        bool known = false;
        for (unsigned index = 0; names[index]; index++) {
            const char *end = behind(word, names[index]);
            known |= end && *end == '=';
        }
        if (!known)
            fail("unknown parameter", word);
    }
}
