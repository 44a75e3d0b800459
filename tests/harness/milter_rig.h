/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         milter_rig - the real assayd with a real DNS server, and an MTA's side to talk to it
 * DESCRIPTION  A stage (folder, nsd on loopback) is made once a test program, a rig (one assayd)
 * once a test. Faults end the test. The messages are the smallest that show a verdict: 192.0.2.1
 * may send for reject.example and quarantine.example, whose DMARC policies are as their names say;
 * 198.51.100.5 may send for evil.example.
 */
#ifndef ASSAY_MILTER_RIG_H
#define ASSAY_MILTER_RIG_H

#include "tests/harness/child.h"
#include "tests/harness/milter_client.h"
#include "tests/support/support.h"

#define WAIT_MS	     10000 /* for what should take no time, on a machine that is busy */
#define SANE_STOP_MS 5000

struct stage {
	char folder[64];
	char assayd[512];
	uint16_t dns_port;
	uint16_t forwarder_port; /* that assayd asks instead; 0: none */
	struct child nsd;
	pid_t running; /* assayd of the test under way, killed should that fail */
};

struct rig {
	struct stage *stage;
	struct child assayd;
	char conf[128];
	char address[128];
};

/* Run the tests on a stage, once for each front ($ASSAY_FRONT: for that one alone); what main()
 * returns. Skipped without nsd. */
#define run_on_stage(tests) stage_run(tests, sizeof(tests) / sizeof((tests)[0]))
int stage_run(struct CMUnitTest *tests, size_t count);

/* The front under test. */
const char *front_name(void);

/* Each test: cmocka_unit_test_teardown(test, rig_teardown). */
int rig_teardown(void **state);

/* more: lines of assay.conf. inet: a TCP socket instead of a Unix one. */
void rig_open(struct rig *g, void **state, bool inet, const char *more);
/* Ask it to stop; it must end well: a sanitizer's complaint is an exit status of its own. */
void rig_close(struct rig *g);
void rig_write_conf(const struct rig *g, const char *more);
/* nth: how often it has been started with this log. */
void rig_start(struct rig *g, size_t nth);

void write_file(const char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define must(c, call)                                                                              \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, (c)->error);                                     \
	} while (0)

/* version below 6: an MTA that offers what Sendmail 8.12 did. */
void open_client(struct milter_client *c, const struct rig *g, uint32_t version, const char *ip);
/* fields: name, value, ..., NULL */
void send_envelope_and_header(struct milter_client *c, const char *from, const char *const *fields);
int finish_message(struct milter_client *c, const char *queue_id);
int send_message(struct milter_client *c, const char *from, const char *author);

void expect_good(struct milter_client *c);	      /* genuine mail from 192.0.2.1 */
void expect_forgery_refused(struct milter_client *c); /* reject.example from 198.51.100.5 */
/* One good message over a connection of its own: the daemon is alive and well. */
void expect_alive(const struct rig *g);

#endif
