/*
 * The caller of the benchmarks: asks a server at a Unix socket, or starts a command, as cheaply as a program can, and
 * keeps as many of either under way as it is told. It reads a line for each order and answers with a line:
 *
 *   load SOCKET CALLERS FRESH MILLISECONDS STATUS REQUEST...   the callers take the requests in turn, and each asks its own
 *                                                            one again and again; FRESH 1: on a connection each
 *   start CALLERS MILLISECONDS COMMAND...                     the same with commands
 *     -> ok WALL_NS CPU_US REFUSED LATENCY_NS...              CPU of this process and of those that it has waited for;
 *                                                            REFUSED were answered by 503 and have no latency
 *   first SOCKET REQUEST STATUS MILLISECONDS OUTPUT COMMAND   starts a server and asks until it answers
 *     -> ok LATENCY_NS PID, or late
 *   end PID                                                   ends such a server
 *     -> ok
 *
 * SOCKET, REQUEST, OUTPUT and COMMAND are bytes in hexadecimal digits, a command with a NUL behind each argument.
 * 0 milliseconds: once for each caller. Whatever fails is answered by `error` and what it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CALLERS = 1024, MAX_ARGUMENTS = 64, MAX_HEAD = 8192, BODY_CHUNK = 1 << 18 };

extern char **environ;

struct bytes {
  char *at;
  size_t length;
};

struct caller {
  struct bytes given; /* a request, or a command */
  int fd;             /* its connection, or the output of its command */
  pid_t pid;
  long long begun;
  size_t have; /* bytes of the head that have come */
  int in_body;
  int refused;
  long left; /* bytes of the body that have not come */
  char head[MAX_HEAD + 1];
};

static struct caller callers[MAX_CALLERS];
static struct pollfd polled[MAX_CALLERS];
static char chunk[BODY_CHUNK];
static long long *latencies;
static size_t measured, room, refused;
static char problem[256];

static int fails(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(problem, sizeof problem, format, arguments);
  va_end(arguments);
  return -1;
}

static long long now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long microseconds(struct timeval time) { return time.tv_sec * 1000000LL + time.tv_usec; }

static long long cpu_us(void) {
  struct rusage self, children;
  getrusage(RUSAGE_SELF, &self);
  getrusage(RUSAGE_CHILDREN, &children);
  return microseconds(self.ru_utime) + microseconds(self.ru_stime) + microseconds(children.ru_utime) +
         microseconds(children.ru_stime);
}

static void note_latency(long long latency) {
  if (measured == room) {
    room = room ? room * 2 : 1 << 16;
    latencies = realloc(latencies, room * sizeof *latencies);
    if (!latencies) abort();
  }
  latencies[measured++] = latency;
}

/* In place; what comes out is ended by a NUL, too. */
static struct bytes from_hex(char *hex) {
  size_t length = strlen(hex) / 2;
  for (size_t i = 0; i < length; i++) {
    unsigned byte = 0;
    sscanf(hex + 2 * i, "%2x", &byte);
    hex[i] = (char)byte;
  }
  hex[length] = 0;
  return (struct bytes){hex, length};
}

/* --- asking */

static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

static int ask(struct caller *caller) {
  caller->have = 0;
  caller->in_body = 0;
  ssize_t sent = send(caller->fd, caller->given.at, caller->given.length, MSG_NOSIGNAL);
  return sent == (ssize_t)caller->given.length ? 0 : fails("a request cannot be sent: %s", strerror(errno));
}

/* The head is whole: checks the status, and learns how long the body is. */
static int read_head(struct caller *caller, char *end, int status) {
  int got = 0;
  sscanf(caller->head, "HTTP/1.1 %d", &got);
  caller->refused = got == 503 && status != 503;
  if (got != status && !caller->refused) return fails("status %d in place of %d", got, status);
  *end = 0;
  char *length = strcasestr(caller->head, "\ncontent-length:");
  if (!length) return fails("an answer without Content-Length");
  caller->in_body = 1;
  caller->left = strtol(length + strlen("\ncontent-length:"), NULL, 10) -
                 (long)(caller->have - (size_t)(end + 4 - caller->head));
  return 0;
}

/* 1 when the answer is whole, 0 when more has to come. */
static int receive(struct caller *caller, int status, int flags) {
  for (;;) {
    char *into = caller->in_body ? chunk : caller->head + caller->have;
    size_t space = caller->in_body ? BODY_CHUNK : MAX_HEAD - caller->have;
    ssize_t got = recv(caller->fd, into, space, flags);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    if (got < 0) return fails("an answer cannot be read: %s", strerror(errno));
    if (got == 0) return fails("the connection was closed before the answer");
    if (caller->in_body) {
      caller->left -= got;
    } else {
      caller->have += (size_t)got;
      caller->head[caller->have] = 0;
      char *end = strstr(caller->head, "\r\n\r\n");
      if (!end && caller->have == MAX_HEAD) return fails("the head of an answer is too long");
      if (end && read_head(caller, end, status) < 0) return -1;
    }
    if (caller->in_body && caller->left < 0) return fails("an answer is longer than it says");
    if (caller->in_body && caller->left == 0) return 1;
  }
}

static int begin_request(struct caller *caller, const char *socket_path, int fresh) {
  caller->begun = now_ns();
  if (fresh) caller->fd = connect_to(socket_path);
  if (caller->fd < 0) return fails("no connection: %s", strerror(errno));
  return ask(caller);
}

static int load(const char *socket_path, int count, int fresh, long long until, int status) {
  for (int i = 0; i < count; i++) callers[i].fd = -1;
  for (int i = 0; i < count; i++) {
    if (!fresh && (callers[i].fd = connect_to(socket_path)) < 0) return fails("no connection: %s", strerror(errno));
  }
  for (int i = 0; i < count; i++) {
    if (begin_request(&callers[i], socket_path, fresh) < 0) return -1;
    polled[i] = (struct pollfd){.fd = callers[i].fd, .events = POLLIN};
  }
  /* Waits as most clients do: who waits within recv() is woken for nothing when the server takes the request. */
  for (int busy = count; busy > 0;) {
    if (poll(polled, (nfds_t)count, -1) < 0) return fails("poll: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
      if (polled[i].fd < 0 || !polled[i].revents) continue;
      struct caller *caller = &callers[i];
      int whole = receive(caller, status, MSG_DONTWAIT);
      if (whole < 0) return -1;
      if (!whole) continue;
      long long now = now_ns();
      if (caller->refused) refused++;
      else note_latency(now - caller->begun);
      int over = now >= until;
      if (fresh || over) {
        close(caller->fd);
        caller->fd = -1;
      }
      if (over) busy--;
      else if (begin_request(caller, socket_path, fresh) < 0) return -1;
      polled[i].fd = caller->fd;
    }
  }
  return 0;
}

/* --- starting */

static pid_t spawn_command(struct bytes command, int output, int errors) {
  char *arguments[MAX_ARGUMENTS + 1];
  int count = 0;
  for (char *at = command.at; at < command.at + command.length && count < MAX_ARGUMENTS; at += strlen(at) + 1)
    arguments[count++] = at;
  arguments[count] = NULL;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  if (errors >= 0) posix_spawn_file_actions_adddup2(&actions, errors, 2);
  else posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  int error = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error) return fails("%s cannot be started: %s", arguments[0], strerror(error));
  return pid;
}

static int begin_command(struct caller *caller) {
  int ends[2];
  caller->begun = now_ns();
  if (pipe2(ends, O_CLOEXEC) < 0) return fails("pipe: %s", strerror(errno));
  caller->fd = ends[0];
  caller->have = 0;
  caller->pid = spawn_command(caller->given, ends[1], -1);
  close(ends[1]);
  return caller->pid < 0 ? -1 : 0;
}

/* 1 when the command has ended well, 0 when more has to come. */
static int read_command(struct caller *caller) {
  ssize_t got = read(caller->fd, chunk, BODY_CHUNK);
  if (got < 0) return fails("the output of a command cannot be read: %s", strerror(errno));
  caller->have += (size_t)got;
  if (got > 0) return 0;
  close(caller->fd);
  caller->fd = -1;
  int status = 0;
  if (waitpid(caller->pid, &status, 0) < 0) return fails("waitpid: %s", strerror(errno));
  return status == 0 ? 1 : fails("a command has ended with status %d", status);
}

static int start(int count, long long until) {
  for (int i = 0; i < count; i++) {
    if (begin_command(&callers[i]) < 0) return -1;
    polled[i] = (struct pollfd){.fd = callers[i].fd, .events = POLLIN};
  }
  for (int busy = count; busy > 0;) {
    if (poll(polled, (nfds_t)count, -1) < 0) return fails("poll: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
      if (polled[i].fd < 0 || !polled[i].revents) continue;
      int ended = read_command(&callers[i]);
      if (ended < 0) return -1;
      if (!ended) continue;
      long long now = now_ns();
      note_latency(now - callers[i].begun);
      if (now >= until) busy--;
      else if (begin_command(&callers[i]) < 0) return -1;
      polled[i].fd = callers[i].fd;
    }
  }
  return 0;
}

/* 1 when it has answered, 0 when time was up. */
static int first(const char *socket_path, int status, long long timeout, const char *output, struct bytes command,
                 pid_t *pid) {
  int file = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return fails("%s: %s", output, strerror(errno));
  long long begun = now_ns();
  *pid = spawn_command(command, file, file);
  close(file);
  if (*pid < 0) return -1;
  struct caller *caller = &callers[0];
  while (now_ns() - begun < timeout) {
    if ((caller->fd = connect_to(socket_path)) >= 0) {
      if (ask(caller) < 0) return -1;
      int whole = receive(caller, status, 0);
      close(caller->fd);
      if (whole < 0) return -1;
      if (caller->refused) return fails("the first answer is 503");
      note_latency(now_ns() - begun);
      return 1;
    }
    if (waitpid(*pid, NULL, WNOHANG) != 0) return fails("the server has ended: see %s", output);
    usleep(200);
  }
  kill(*pid, SIGKILL);
  waitpid(*pid, NULL, 0);
  return 0;
}

/* --- orders */

static int tokens_of(char *line, char **tokens, int most) {
  int count = 0;
  for (char *token = strtok(line, " \n"); token && count < most; token = strtok(NULL, " \n")) tokens[count++] = token;
  return count;
}

/* Each caller gets one of those that are given, in turn. */
static int hand_out(int count, char **given, int kinds) {
  if (count < 1 || count > MAX_CALLERS || kinds < 1) return fails("no such number of callers");
  static struct bytes decoded[MAX_CALLERS];
  for (int i = 0; i < kinds; i++) decoded[i] = from_hex(given[i]);
  for (int i = 0; i < count; i++) callers[i].given = decoded[i % kinds];
  return 0;
}

static void obey(char *line) {
  static char *tokens[MAX_CALLERS + 8];
  int count = tokens_of(line, tokens, MAX_CALLERS + 8);
  const char *order = count > 0 ? tokens[0] : "";
  int is_load = strcmp(order, "load") == 0 && count > 6;
  measured = refused = 0;
  if (is_load || (strcmp(order, "start") == 0 && count > 3)) {
    long long begun = now_ns(), cpu = cpu_us();
    int many = atoi(tokens[is_load ? 2 : 1]);
    long long until = begun + atoll(tokens[is_load ? 4 : 2]) * 1000000LL;
    int from = is_load ? 6 : 3;
    int done = hand_out(many, tokens + from, count - from);
    if (done == 0 && is_load) done = load(from_hex(tokens[1]).at, many, atoi(tokens[3]), until, atoi(tokens[5]));
    else if (done == 0) done = start(many, until);
    if (done < 0) {
      printf("error %s\n", problem);
      exit(1); /* what is under way would spoil what comes next */
    }
    printf("ok %lld %lld %zu", now_ns() - begun, cpu_us() - cpu, refused);
    for (size_t i = 0; i < measured; i++) printf(" %lld", latencies[i]);
    printf("\n");
  } else if (strcmp(order, "first") == 0 && count == 7) {
    pid_t pid = -1;
    callers[0].given = from_hex(tokens[2]);
    int done = first(from_hex(tokens[1]).at, atoi(tokens[3]), atoll(tokens[4]) * 1000000LL, from_hex(tokens[5]).at,
                     from_hex(tokens[6]), &pid);
    if (done < 0) printf("error %s\n", problem);
    else if (done == 0) printf("late\n");
    else printf("ok %lld %d\n", latencies[0], pid);
  } else if (strcmp(order, "end") == 0 && count == 2) {
    pid_t pid = atoi(tokens[1]);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    printf("ok\n");
  } else {
    printf("error no such order\n");
  }
  fflush(stdout);
}

int main(void) {
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, stdin) > 0) obey(line);
  return 0;
}
