/* The names that the daemon and the program that controls it share. */
#ifndef EXAMPLE_DAEMON_H
#define EXAMPLE_DAEMON_H

#include <stddef.h>
#include <stdio.h>

#define EXAMPLE_CODE "coreproc-examples"
#define EXAMPLE_DAEMON "daemon"

/* Writes the path of the registry. Usually that is the user's, for which coreproc_registry_new takes NULL; an example
 * keeps to its own directory. */
static inline void registry_path(const char *directory, char *path, size_t size) {
  snprintf(path, size, "%s/daemons", directory);
}

#endif
