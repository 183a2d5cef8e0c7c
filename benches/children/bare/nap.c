/* nap MS: sleeps, then exit code 0. */
#include "start.h"

void start(long *stack) {
  long ms = 0;
  if (stack[0] > 1)
    for (const char *digit = (const char *)stack[2]; *digit; digit++)
      ms = ms * 10 + (*digit - '0');
  long time[2] = {ms / 1000, ms % 1000 * 1000000};
  if (system_call(__NR_nanosleep, (long)time, 0, 0) != 0)
    end(1);
  end(0);
}
