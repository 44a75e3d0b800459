/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/harness/child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS	      10
#define LOG_BYTES_MAX (4u * 1024 * 1024)

void
sleep_ms(uint32_t ms)
{
	const struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&ts, NULL);
}

void
child_start(struct child *c, const char *const *argv, const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	(void)snprintf(c->log, sizeof(c->log), "%s", log);
	(void)fflush(NULL);
	c->pid = fork();
	if (c->pid != 0)
		goto out;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
	(void)execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
out:
	(void)close(fd);
}

int
child_wait(struct child *c, uint32_t timeout_ms)
{
	for (uint32_t ms = 0;; ms += TICK_MS) {
		int status;

		if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
			c->pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		if (ms >= timeout_ms)
			return -1;
		sleep_ms(TICK_MS);
	}
}

void
child_kill(struct child *c)
{
	if (c->pid <= 0)
		return;
	(void)kill(c->pid, SIGKILL);
	(void)waitpid(c->pid, NULL, 0);
	c->pid = 0;
}

/* NUL-terminated; the caller frees it. */
static char *
read_log(const struct child *c)
{
	FILE *f = fopen(c->log, "r");
	char *text = calloc(1, LOG_BYTES_MAX + 1);

	if (text == NULL)
		abort();
	if (f != NULL) {
		text[fread(text, 1, LOG_BYTES_MAX, f)] = '\0';
		(void)fclose(f);
	}
	return text;
}

static size_t
count_text(const char *in, const char *text)
{
	size_t n = 0;

	for (const char *p = in; (p = strstr(p, text)) != NULL; p += strlen(text))
		n++;
	return n;
}

bool
child_logged(const struct child *c, const char *text, size_t times, uint32_t timeout_ms)
{
	for (uint32_t ms = 0;; ms += TICK_MS) {
		char *log = read_log(c);
		bool found = count_text(log, text) >= times;

		free(log);
		if (found || ms >= timeout_ms)
			return found;
		sleep_ms(TICK_MS);
	}
}

void
child_show_log(const struct child *c)
{
	char *log = read_log(c);

	(void)fprintf(stderr, "---- %s\n%s----\n", c->log, log);
	free(log);
}

static int
loopback_socket(int type, uint16_t port, struct sockaddr_in *sin)
{
	*sin = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return socket(AF_INET, type | SOCK_CLOEXEC, 0);
}

static bool
can_bind(int type, uint16_t port, uint16_t *bound)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd = loopback_socket(type, port, &sin);
	bool ok = bind(fd, (const struct sockaddr *)&sin, sizeof(sin)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&sin, &len) == 0;

	*bound = ntohs(sin.sin_port);
	(void)close(fd);
	return ok;
}

uint16_t
free_port(void)
{
	uint16_t port, same;

	for (int i = 0; i < 100; i++)
		if (can_bind(SOCK_STREAM, 0, &port) && can_bind(SOCK_DGRAM, port, &same))
			return port;
	abort();
}

bool
port_listens(uint16_t port)
{
	struct sockaddr_in sin;
	int fd = loopback_socket(SOCK_STREAM, port, &sin);
	bool ok = connect(fd, (const struct sockaddr *)&sin, sizeof(sin)) == 0;

	(void)close(fd);
	return ok;
}
