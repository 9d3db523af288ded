// Distributions differ in whether the include path ends in `capstone`.
#if __has_include(<capstone/capstone.h>)
#include <capstone/capstone.h>
#else
#include <capstone.h>
#endif
