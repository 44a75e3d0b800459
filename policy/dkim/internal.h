/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         internal - what the files of policy/dkim share and nobody else sees
 */
#ifndef ASSAY_DKIM_INTERNAL_H
#define ASSAY_DKIM_INTERNAL_H

#include "policy/dkim/dkim.h"
#include "policy/sig/sig.h"

/* Other readings of a body: what it may have been before somebody packed it. */
enum dkim_reading_kind {
	DKIM_READ_DECODED, /* its Content-Transfer-Encoding undone */
	DKIM_READ_INNER,   /* from the body of its first part on */
	DKIM_READINGS
};

struct dkim_reading;

/* Does this header ask for such a reading? */
bool dkim_reading_applies(enum dkim_reading_kind kind, const struct header_list *header);
struct dkim_reading *dkim_reading_new(struct arena *a, const struct crypto *c,
    enum dkim_reading_kind kind, const struct header_list *header);
void dkim_reading_fini(struct dkim_reading **r);
/* The digests of the body read so; sig_bodies_add(), _watch() before the first update. */
struct sig_bodies *dkim_reading_bodies(struct dkim_reading *r);
void dkim_reading_update(struct dkim_reading *r, struct slice chunk);
/* False: the body could not be read so, or is too long. */
bool dkim_reading_end(struct dkim_reading *r);
/* DKIM_READ_INNER: header of the first part, with the CRLF of its last field. */
struct slice dkim_reading_part_header(const struct dkim_reading *r);

/* One DKIM-Signature field on its way to a verdict. */
struct dkim_signature {
	struct sig_tags tags;	    /* first: the rules of sig.h fill it */
	struct slice identity_text; /* i=, FWS and quoted-printable undone */
	bool version_known;	    /* v=1 */
	bool has_identity;
	bool below_domain;		/* the domain of i= is below d= */
	bool chosen;			/* to be verified */
	size_t closeness;		/* of d= to the author domains: see choose.c */
	bool related;			/* d= is an author domain, one above or below it */
	bool watched;			/* to be diagnosed if it fails */
	size_t readings[DKIM_READINGS]; /* watched: numbers in their bodies */
	size_t body;			/* number in the struct sig_bodies */
	struct slice key_name;
	struct dkim_signature_verdict verdict;
};

struct dkim_verifier {
	struct arena *arena;
	const struct crypto *crypto;
	struct lookups *lookups;
	const struct dkim_options *options;
	const struct header_list *header;
	struct dkim_signature *signatures;
	size_t count, ignored;
	struct sig_bodies *bodies;
	struct dkim_reading *readings[DKIM_READINGS]; /* NULL: not asked for */
	struct sig_fields *fields;
	struct digest *digest;	  /* of one header after the other */
	struct sig_header hasher; /* around it; keeps its room */
};

/* The fields that h= names (sig_fields_select()). */
const size_t *dkim_select_fields(struct dkim_verifier *v, const struct dkim_signature *s);

/*
 * Look up the key and verify the signature over these fields: RFC 6376 6.1.2, 6.1.3. header: the
 * message's, or one with the same fields and other values.
 */
void dkim_check_fields(struct dkim_verifier *v, const struct dkim_signature *s,
    const struct header_list *header, const size_t *selected, struct sig_finding *finding);

/*
 * Read value and apply the rules that need neither key nor body (RFC 6376 6.1.1). s->verdict is
 * filled in; its reason is DKIM_R_NONE when the signature can be verified.
 */
void dkim_signature_read(struct arena *a, struct slice value, const struct dkim_options *options,
    int64_t now_s, struct dkim_signature *s);

/* Fill in header_b of all: as much of b= as tells them apart (RFC 6008 4). */
void dkim_signatures_label(struct arena *a, const struct header_list *header,
    struct dkim_signature *signatures, size_t count);

/* Mark those to be verified; give the rest that could be DKIM_R_SKIPPED. */
void dkim_signatures_choose(struct dkim_signature *signatures, size_t count, uint32_t max,
    const struct slice *author_domains, size_t author_domain_count);

/* Which of the fields copied in z= differs now; empty when none does or there is no z=. */
struct slice dkim_changed_field(
    struct arena *a, struct slice copied, const struct header_list *header);

/* dkim-quoted-printable (RFC 6376 2.11): "=XX" decoded, FWS dropped. A "=" that is none stays. */
struct slice dkim_unquote(struct arena *a, struct slice text);

#endif
