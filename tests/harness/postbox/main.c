/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         postbox - a mail server for tests
 * DESCRIPTION  SMTP, POP3 and IMAP for the users named on the command line, with a milter asked
 *              about what comes in. postbox --help tells how.
 * DIAGNOSTICS  0 after SIGTERM or SIGINT, 1 when it can't start, 2 for a wrong command line.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness/postbox/options.h"

#define CONFIGURATION_MEMORY ((size_t)4 << 20)

/* Waits for the signal that ends the program; a thread of its own may take locks, a handler not. */
static void *
wait_for_signal(void *argument)
{
	sigset_t set;
	int signal_number;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigwait(&set, &signal_number);
	server_stop(argument);
	return NULL;
}

/* Before any thread is made: all of them inherit the mask. */
static void
block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
}

static void
print_ports(const struct server *server)
{
	for (size_t i = 0; i < server->options.listen_count; i++)
		printf("%s%s=%u", i == 0 ? "" : " ", server->options.listen[i].protocol->name,
		    server->options.listen[i].port);
	printf("\n");
	(void)fflush(stdout);
}

static void
print_counters(const struct server_counters *n)
{
	(void)fprintf(stderr,
	    "postbox: %llu connections, %llu refused; mail: %llu delivered, %llu relayed, "
	    "%llu rejected\n",
	    (unsigned long long)n->connections, (unsigned long long)n->refused,
	    (unsigned long long)n->delivered, (unsigned long long)n->relayed,
	    (unsigned long long)n->rejected);
}

static int
serve(struct arena *a, const struct server_options *options)
{
	const char *error = "";
	struct server *server;
	pthread_t signals;

	block_signals();
	server = server_new(a, options, &error);
	if (server == NULL) {
		(void)fprintf(stderr, "postbox: %s\n", error);
		return 1;
	}
	if (pthread_create(&signals, NULL, wait_for_signal, server) != 0) {
		(void)fprintf(stderr, "postbox: no thread to be had\n");
		server_free(&server);
		return 1;
	}
	if (options->print_ports)
		print_ports(server);
	if (!server_run(server)) {
		(void)fprintf(stderr, "postbox: a connection won't end: leaving without it\n");
		_exit(0);
	}
	(void)pthread_join(signals, NULL);
	if (options->verbose)
		print_counters(&server->counters);
	server_free(&server);
	return 0;
}

int
main(int argc, char **argv)
{
	struct arena *a = arena_new(CONFIGURATION_MEMORY);
	struct server_options *options = arena_alloc(a, sizeof(*options));
	const char *error = "";
	struct slice help;
	int result = 0;

	switch (options_read(a, argc, argv, options, &error)) {
	case OPTIONS_RUN:
		result = serve(a, options);
		break;
	case OPTIONS_HELP:
		help = options_help(a);
		(void)fwrite(help.p, 1, help.len, stdout);
		break;
	case OPTIONS_WRONG:
		(void)fprintf(stderr, "postbox: %s\nTry postbox --help.\n", error);
		result = 2;
		break;
	}
	arena_free(&a);
	return result;
}
