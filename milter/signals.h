/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         signals - one thread hears them all
 * DESCRIPTION  SIGHUP, SIGTERM, SIGINT and SIGUSR1 are blocked everywhere and taken one by one by
 *              the thread that calls signals_next(). Nothing runs in a signal handler.
 */
#ifndef ASSAY_SIGNALS_H
#define ASSAY_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* Before any thread exists; SIGPIPE is ignored from here on. */
void signals_block(void);

/* The next signal. timeout_ms: 0 when none came in that time; SIGNALS_WAIT waits for ever. */
#define SIGNALS_WAIT UINT32_MAX
int signals_next(uint32_t timeout_ms);

/* Is libmilter's own signal thread where it hears nothing? Waits for it as long. */
bool signals_libmilter_is_deaf(uint32_t timeout_ms);

#endif
