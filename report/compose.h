/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         compose - what a domain owner would be told about one period, and where
 * DESCRIPTION  Reads the rows of a period, asks whether there is reason to report (worth.h), finds
 *              out where the report may go (destination.h) and who takes mail there (exchanger.h),
 *              and writes it (aggregate.h). Changes nothing anywhere: a preview, a rehearsal and
 *              the real thing are made by the same call.
 * DIAGNOSTICS  0, or -1 with *error_r set (arena text, or the database's): the store can't be read,
 *              or the report would not be valid and so is not made.
 */
#ifndef ASSAY_COMPOSE_H
#define ASSAY_COMPOSE_H

#include "report/destination.h"
#include "report/outbox.h"
#include "report/store.h"
#include "report/worth.h"

/* A destination that DNS can't tell about is waited for as long, counted from the end of the
 * period; then the report goes to the others. */
#define COMPOSE_PATIENCE_S 86400

struct compose_options {	    /* borrowed */
	struct slice org_name;	    /* who reports; empty: nobody, preview only */
	struct slice email;	    /* contact */
	struct slice extra_contact; /* or empty */
	struct slice submitter;	    /* reporting domain, normal form */
	struct slice node;	    /* this host, or the fleet */
	struct slice generator;	    /* program and version */
	enum aggregate_format format;
	struct worth_rules worth;
	const struct dmarc_options *dmarc; /* how organizations are compared */
	struct lookups_limits lookups;	   /* for one report */
};

struct composer { /* all borrowed */
	struct store *store;
	struct resolver *resolver;
	const struct crypto *crypto;
	const struct compose_options *options;
	uint32_t dns_budget_ms; /* of waiting, where it is less than the options'; 0: theirs */
};

enum compose_outcome {
	COMPOSE_REPORT,
	COMPOSE_SKIP,  /* nobody is to be told: why says it */
	COMPOSE_LATER, /* DNS trouble: ask again */
};

struct compose_target { /* a URI of the record, and what becomes of it */
	struct slice uri, address;
	const char *verdict; /* text for people */
	bool good;
	bool faulty; /* for a reason that its owner can mend: the report's "error" says it */
};

struct composition { /* arena memory */
	enum compose_outcome outcome;
	const char *why;
	struct worth_counts counts;
	struct compose_target targets[LIMIT_DESTINATIONS];
	size_t target_count;
	struct outbox_destination to[LIMIT_DESTINATIONS]; /* the good ones */
	size_t to_count;
	struct outbox_report report; /* its names are always set, bytes where there is a report */
	struct slice xml;
};

/* preview: write the report also where it would not be sent. */
int compose(struct arena *a, const struct composer *c, const struct store_period *period,
    int64_t now_s, bool preview, struct composition *out, const char **error_r);

#endif
