/* A release whose migrations fail. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void end(int signal) { (void)signal; _exit(0); }

static int fail(void) {
  fputs("relation \"goods\" does not exist\n", stderr);
  return 1;
}

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "migrate") == 0) return fail();
  struct sigaction on_end = {.sa_handler = end};
  sigaction(SIGTERM, &on_end, 0);
  for (;;) pause();
}
