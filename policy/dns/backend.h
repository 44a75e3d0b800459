/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         backend - where answers come from
 * DESCRIPTION  A backend is a table of two calls. The resolver starts a request and the backend
 *              completes it exactly once, by request->done(), from any thread, also from within
 *              start(). It waits request->timeout_ms at most: then the answer is a time-out.
 *
 *              An answer is built as a draft on the stack (struct dns_answer whose records may
 *              point anywhere) and made by dns_answer_make(), which copies it into one block.
 *
 *              MT: start() is called by many threads at once, with no lock of ours held. done()
 *              takes a lock of the resolver: a backend calls it with none of its own held.
 */
#ifndef ASSAY_DNS_BACKEND_H
#define ASSAY_DNS_BACKEND_H

#include "policy/dns/dns.h"

/* One question on its way. Lives until done() was called, not longer. */
struct dns_request {
	struct slice name; /* normal form: lower case, no final dot; any byte but '.' in a label;
			      NUL behind its end, not counted */
	enum dns_type type;
	uint32_t timeout_ms;
	/* Takes answer, which nobody else may hold yet. The request is gone afterwards. */
	void (*done)(struct dns_request *request, struct dns_answer *answer);
};

struct dns_backend_calls {
	void (*start)(struct dns_backend *backend, struct dns_request *request);
	/* Frees backend. Open requests may be completed meanwhile; none is once this returns. */
	void (*close)(struct dns_backend *backend);
};

/* The first member of a backend's own struct. */
struct dns_backend {
	const struct dns_backend_calls *calls;
};

/*
 * A counted answer (count 1) out of a draft; type says which member of the records holds. Of more
 * than LIMIT_DNS_RECORDS names (MX, PTR, NS) the first are kept; more A, AAAA or TXT than that are
 * a DNS_TEMPFAIL (DNS_R_RECORDS). MX are put in order of preference.
 */
struct dns_answer *dns_answer_make(const struct dns_answer *draft, enum dns_type type)
    __attribute__((returns_nonnull));

/* An answer with status DNS_TEMPFAIL. */
struct dns_answer *dns_answer_fail(enum dns_reason reason) __attribute__((returns_nonnull));

/* MT: counts are atomic. The object behind a const answer is shared all the same. */
const struct dns_answer *dns_answer_ref(const struct dns_answer *answer);
/* *answer becomes NULL; NULL is accepted. */
void dns_answer_unref(const struct dns_answer **answer);

/* What the answer occupies, decoded values not counted. */
size_t dns_answer_bytes(const struct dns_answer *answer);

#endif
