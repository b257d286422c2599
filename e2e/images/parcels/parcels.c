/* A service of a user's own. On 8080 it answers with the path it was asked for and with what its variables say, as JSON;
 * on 9100 every probe is well. One request a connection, one after the other. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int signal) { (void)signal; kill(0, SIGKILL); _exit(0); }

static const char *told(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

static void answer(int peer) {
  char request[8192], body[4096], head[256], path[512] = "";
  size_t length = 0;
  while (length < sizeof request - 1) {
    ssize_t read_now = read(peer, request + length, sizeof request - 1 - length);
    if (read_now <= 0) return;
    length += read_now;
    request[length] = 0;
    if (strstr(request, "\r\n\r\n")) break;
  }
  sscanf(request, "%*s %511s", path);
  int size = snprintf(body, sizeof body, "{\"path\": \"%s\", \"brokers\": \"%s\", \"database\": \"%s\", \"token\": \"%s\"}\n", path,
                      told("KAFKA_BOOTSTRAP_SERVERS"), told("DATABASE_URL"), told("CARRIER_TOKEN"));
  int head_size = snprintf(head, sizeof head,
                           "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n", size);
  if (write(peer, head, head_size) < 0 || write(peer, body, size) < 0) return;
}

static void serve(int port) {
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) _exit(1);
  for (;;) {
    int peer = accept(listener, 0, 0);
    if (peer < 0) continue;
    answer(peer);
    close(peer);
  }
}

int main(void) {
  struct sigaction on_end = {.sa_handler = end};
  sigaction(SIGTERM, &on_end, 0);
  signal(SIGPIPE, SIG_IGN);
  if (fork() == 0) serve(9100);
  serve(8080);
}
