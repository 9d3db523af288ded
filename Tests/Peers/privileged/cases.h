/* The kinds of cases. Each function makes one at random, executes it and prints the rest of its line. */
#pragma once

void case_page(void);
void case_segment(void);
void case_rights(void);
void case_far(void);
void case_return(void);
void case_flags(void);
void case_control(void);
void case_debug(void);
void case_register(void);
void case_system_call(void);
void case_privileged(void);
void case_gate(void);
void case_canonical(void);
void case_alignment(void);
