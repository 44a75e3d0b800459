/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/key_monitor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "milter/key_worker.h"

union control { /* room for one descriptor, aligned */
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static int
send_descriptor(int socket, int fd)
{
	char word = 'W';
	struct iovec data = { &word, 1 };
	union control control = { 0 };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	do
		n = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -1;
}

/* 1 with *fd_r set, 0 at the end, -1: a message without a descriptor. */
static int
receive_descriptor(int socket, int *fd_r)
{
	char word;
	struct iovec data = { &word, 1 };
	union control control = { 0 };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	const struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	c = CMSG_FIRSTHDR(&message);
	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(fd_r, CMSG_DATA(c), sizeof(int));
	return 1;
}

/* Who stops assayd may send the signal to all its processes: its messages need us to the end. */
static void
let_signals_pass(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGPIPE };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)signal(signals[i], SIG_IGN);
	(void)signal(SIGCHLD, SIG_IGN); /* workers leave nothing to wait for */
}

static void __attribute__((noreturn))
monitor_main(int socket, const char *conf_file, const struct identity *who)
{
	int fd, got;

	let_signals_pass();
	(void)prctl(PR_SET_DUMPABLE, 0);
	while ((got = receive_descriptor(socket, &fd)) != 0) {
		pid_t pid = got < 0 ? -1 : fork();

		if (pid == 0) {
			(void)close(socket);
			_exit(key_worker_main(fd, conf_file, who));
		}
		if (got > 0)
			(void)close(fd);
	}
	_exit(EXIT_SUCCESS);
}

int
key_monitor_start(struct key_monitor *m, const char *conf_file, const struct identity *who)
{
	int pair[2];

	*m = (struct key_monitor){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	m->pid = fork();
	if (m->pid == 0) {
		(void)close(pair[0]);
		monitor_main(pair[1], conf_file, who);
	}
	(void)close(pair[1]);
	if (m->pid < 0) {
		(void)close(pair[0]);
		return -1;
	}
	m->fd = pair[0];
	return 0;
}

void
key_monitor_stop(struct key_monitor *m)
{
	if (m->fd < 0)
		return;
	(void)close(m->fd);
	(void)waitpid(m->pid, NULL, 0);
	m->fd = -1;
}

int
key_monitor_ask(const struct key_monitor *m)
{
	int pair[2], sent;

	if (m->fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	sent = send_descriptor(m->fd, pair[1]);
	(void)close(pair[1]);
	if (sent == 0)
		return pair[0];
	(void)close(pair[0]);
	return -1;
}
