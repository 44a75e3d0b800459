/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         lab - where it is measured: a folder, a name server, and, for root, a network
 * DESCRIPTION  As root the program moves into a network namespace that has nothing but loopback, so
 *              that its name server may have port 53, and puts a resolv.conf that names it over the
 *              system's, for this process and its children only. Otherwise the name server takes
 *              any port, and peers that can't be told one are left out.
 */
#ifndef ASSAY_BENCH_LAB_H
#define ASSAY_BENCH_LAB_H

#include <stdbool.h>
#include <stdint.h>

struct lab {
	char folder[64];
	char build[256]; /* folder of the programs of this project */
	bool own_network;
	uint16_t dns_port;
};

/* Before any thread exists. build: where assayd is. Ends the program on trouble. */
void lab_open(struct lab *l, const char *build);
void lab_close(struct lab *l); /* removes the folder */

void lab_write(const char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
