/* A release whose migrations do and whose services never get ready. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void end(int signal) { (void)signal; _exit(0); }

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "migrate") == 0) return 0;
  struct sigaction on_end = {.sa_handler = end};
  sigaction(SIGTERM, &on_end, 0);
  for (;;) pause();
}
