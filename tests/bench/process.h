/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         process - what a filter costs: its processor time and memory
 * DESCRIPTION  Of a process and all its descendants. Time is what the scheduler has counted, to the
 *              nanosecond, user and system together, threads that have ended included.
 */
#ifndef ASSAY_BENCH_PROCESS_H
#define ASSAY_BENCH_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

uint64_t process_cpu_ns(pid_t pid);
/* Sums of /proc/PID/status; 0 where a process is gone. */
size_t process_rss_kb(pid_t pid);
size_t process_peak_rss_kb(pid_t pid);

#endif
