/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         child - programs that a test starts
 * DESCRIPTION  A child's output goes to a file; it dies with the test. Waits end after their time.
 */
#ifndef ASSAY_CHILD_H
#define ASSAY_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	pid_t pid; /* 0: none */
	char log[256];
};

/* argv[0] is the path. log: file that both output streams are appended to. */
void child_start(struct child *c, const char *const *argv, const char *log);

/* The exit status, 128 + signal, or -1: still running. The child is gone unless -1. */
int child_wait(struct child *c, uint32_t timeout_ms);

/* SIGKILL, if it is still there. */
void child_kill(struct child *c);

/* Does text stand in the log, at least times times, before the time is over? */
bool child_logged(const struct child *c, const char *text, size_t times, uint32_t timeout_ms);

/* Print the log for a person. */
void child_show_log(const struct child *c);

/* A port that neither TCP nor UDP uses on 127.0.0.1. */
uint16_t free_port(void);
bool port_listens(uint16_t port);

void sleep_ms(uint32_t ms);

#endif
