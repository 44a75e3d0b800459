/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/lab.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/base/bug.h"
#include "tests/harness/child.h"

#define DNS_PORT 53

void
lab_write(const char *path, const char *fmt, ...)
{
	FILE *f = fopen(path, "w");
	va_list ap;

	if (f == NULL)
		bug("can't write %s: %s", path, strerror(errno));
	va_start(ap, fmt);
	(void)vfprintf(f, fmt, ap);
	va_end(ap);
	(void)fclose(f);
}

static bool
raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

	if (fd >= 0)
		(void)close(fd);
	return ok;
}

/* False: not ours to take, or the system's resolv.conf is still seen. */
static bool
enter_own_network(const struct lab *l)
{
	char resolv[128];

	(void)snprintf(resolv, sizeof(resolv), "%s/resolv.conf", l->folder);
	lab_write(resolv, "nameserver 127.0.0.1\noptions timeout:5\n");
	if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) != 0)
		return false;
	if (!raise_loopback())
		bug("a network namespace without loopback: %s", strerror(errno));
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount(resolv, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;
}

void
lab_open(struct lab *l, const char *build)
{
	*l = (struct lab){ .folder = "/tmp/assay-bench.XXXXXX" };
	(void)snprintf(l->build, sizeof(l->build), "%s", build);
	/* Peers become users of their own and must be able to enter. */
	if (mkdtemp(l->folder) == NULL || chmod(l->folder, 0755) != 0)
		bug("can't make %s: %s", l->folder, strerror(errno));
	l->own_network = enter_own_network(l);
	l->dns_port = l->own_network ? DNS_PORT : free_port();
}

void
lab_close(struct lab *l)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", l->folder);
	if (system(command) != 0)
		(void)fprintf(stderr, "can't remove %s\n", l->folder);
}
