/* A release whose gateway never gets ready. Everything else is the real program. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void end(int signal) { (void)signal; _exit(0); }

int main(int count, char **arguments) {
  if (count < 2 || strcmp(arguments[1], "gateway") != 0) {
    execv("/usr/local/bin/greencommerce", arguments);
    perror("greencommerce");
    return 1;
  }
  struct sigaction on_end = {.sa_handler = end};
  sigaction(SIGTERM, &on_end, 0);
  for (;;) pause();
}
