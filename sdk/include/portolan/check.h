/* portolan/check.h - holds a plugin's file to the rules, from a plugin author's own tests. `portolan-check FILE` is the same as a program.
 * Link with PortolanSDK::check (libportolan_check.so). C11 and C++. */
#ifndef PORTOLAN_CHECK_H
#define PORTOLAN_CHECK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs every rule as a test in a child process with a time limit, about a second in all.
 *   plugin       path of the .so; a private copy is loaded
 *   cases        a case file or a folder of them (docs/plugins/check.md), or NULL
 *   time_factor  budgets and time limits are multiplied by it; 1, more under a sanitizer
 *   report       NULL, or called once with the report as JSON, which is good until it returns
 * Returns 0 if all rules are kept, 1 if not, also when there is no such file. Call it from one thread at a time, best before the test
 * starts threads of its own: children are forked. */
__attribute__((visibility("default"))) int portolan_check(const char *plugin, const char *cases, double time_factor,
                                                          void (*report)(void *user, const char *json, size_t size), void *user);

#ifdef __cplusplus
}
#endif
#endif
