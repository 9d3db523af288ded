/* Kernel parameters: words `name=value`, separated by spaces. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The parameters proper: a boot loader may have put the image's path before them. */
const char *parameters_of(const char *command_line);

/* A number, decimal or 0x..., with an optional K, M or G; the fallback where the parameter is missing. */
uint64_t parameter_number(const char *parameters, const char *name, uint64_t fallback);

/* The index of the value among the choices (a list that ends with a null pointer); 0 where the parameter is missing. */
unsigned parameter_choice(const char *parameters, const char *name, const char *const choices[]);

bool parameter_given(const char *parameters, const char *name);

/* Ends the guest with a message where a parameter is not one of the names (a list that ends with a null pointer). */
void parameters_expect(const char *parameters, const char *const names[]);
