/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         engine - the whole engine over a zone, and a mail to feed it with
 * DESCRIPTION  good.example has an Ed25519 key, whose record is added to the zone. A fault ends the
 *              test.
 */
#ifndef ASSAY_TEST_ENGINE_H
#define ASSAY_TEST_ENGINE_H

#include "policy/evaluation.h"
#include "tests/support/dkim_signer.h"
#include "tests/support/support.h"

#define ENGINE_NOW_S 1790000000

struct engine {
	struct world world;
	struct test_key *key;
	struct evaluator *evaluator; /* its name is mx.rcpt.example */
};

void engine_open(struct engine *e, const char *zone);
void engine_close(struct engine *e);

/* One message: envelope, header fields as "Name: value" lines, and a body. */
struct engine_mail {
	const char *client, *helo, *reverse_path; /* client NULL: unknown */
	const char *fields[6];
	const char *body;      /* NULL: "Hello" */
	bool sign;	       /* by good.example */
	const char *recipient; /* NULL: nobody wants to know; the engine does not */
};

/* All of it but evaluation_finish(). footer: comes after the body that was signed; NULL: none. */
struct evaluation *engine_feed(
    const struct engine *e, struct arena *a, const struct engine_mail *m, const char *footer);

#endif
