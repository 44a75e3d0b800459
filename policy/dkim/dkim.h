/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dkim - DomainKeys Identified Mail signatures, verification
 * DESCRIPTION  RFC 6376 with RFC 8301 (no rsa-sha1, no key under 1024 bits), RFC 8463 (Ed25519) and
 *              RFC 8616 (internationalized mail). One verifier a message: made at the end of the
 *              header, fed the body, finished once.
 */
#ifndef ASSAY_DKIM_H
#define ASSAY_DKIM_H

#include "policy/base/enumtab.h"
#include "policy/crypto/crypto.h"
#include "policy/dns/dns.h"
#include "policy/syntax/header.h"

/* clang-format off */
#define DKIM_RESULTS(X) /* RFC 8601 2.7.1 */ \
	X(DKIM_NONE,      "none") \
	X(DKIM_PASS,      "pass") \
	X(DKIM_FAIL,      "fail") \
	X(DKIM_POLICY,    "policy") \
	X(DKIM_NEUTRAL,   "neutral") \
	X(DKIM_TEMPERROR, "temperror") \
	X(DKIM_PERMERROR, "permerror")

/* The module's owner adds rows. */
#define DKIM_REASONS(X) /*           result          text                                   RFC   section */ \
	X(DKIM_R_NONE,         DKIM_PASS,      "",                                        0,    "") \
	X(DKIM_R_SYNTAX,       DKIM_PERMERROR, "signature can't be read",                 6376, "6.1.1") \
	X(DKIM_R_VERSION,      DKIM_PERMERROR, "unknown version",                         6376, "6.1.1") \
	X(DKIM_R_ALGORITHM,    DKIM_PERMERROR, "unknown algorithm",                       6376, "3.3") \
	X(DKIM_R_SHA1,         DKIM_PERMERROR, "rsa-sha1 is not acceptable",              8301, "3.1") \
	X(DKIM_R_FROM,         DKIM_PERMERROR, "From is not signed",                      6376, "5.4") \
	X(DKIM_R_IDENTITY,     DKIM_PERMERROR, "i= is not within d=",                     6376, "6.1.1") \
	X(DKIM_R_EXPIRED,      DKIM_PERMERROR, "signature expired",                       6376, "3.5") \
	X(DKIM_R_FUTURE,       DKIM_PERMERROR, "signed in the future",                    6376, "3.5") \
	X(DKIM_R_LENGTH,       DKIM_PERMERROR, "l= is more than the body has",            6376, "3.5") \
	X(DKIM_R_NO_KEY,       DKIM_PERMERROR, "no key record",                           6376, "6.1.2") \
	X(DKIM_R_KEY_LOOKUP,   DKIM_TEMPERROR, "key lookup failed",                       6376, "6.1.2") \
	X(DKIM_R_KEY_SYNTAX,   DKIM_PERMERROR, "key record can't be used",                6376, "6.1.2") \
	X(DKIM_R_KEY_REVOKED,  DKIM_PERMERROR, "key revoked",                             6376, "6.1.2") \
	X(DKIM_R_KEY_SHORT,    DKIM_PERMERROR, "RSA key is too short",                    8301, "3.2") \
	X(DKIM_R_KEY_MISMATCH, DKIM_PERMERROR, "key is not for this algorithm or use",    6376, "6.1.2") \
	X(DKIM_R_BODY_HASH,    DKIM_FAIL,      "body hash did not verify",                6376, "6.1.3") \
	X(DKIM_R_SIGNATURE,    DKIM_FAIL,      "signature did not verify",                6376, "6.1.3") \
	X(DKIM_R_SKIPPED,      DKIM_POLICY,    "not verified: too many signatures",       6376, "6.1")
/* clang-format on */

enum dkim_result { DKIM_RESULTS(ENUMTAB_NAME) };
enum dkim_reason {
#define DKIM_REASON_NAME(name, ...) name,
	DKIM_REASONS(DKIM_REASON_NAME)
#undef DKIM_REASON_NAME
};

const char *dkim_result_word(enum dkim_result);
const char *dkim_reason_text(enum dkim_reason);
enum dkim_result dkim_reason_result(enum dkim_reason);

struct dkim_options {
	uint32_t min_rsa_bits;	 /* at least 1024 */
	uint32_t max_signatures; /* verified; further ones are DKIM_POLICY */
	uint32_t clock_skew_s;
};

/* clang-format off */
#define DKIM_CHANGES(X) /* what lists and gateways do to a signed message */ \
	X(DKIM_CHANGE_FOOTER,   "footer")	/* text at the end of the body */ \
	X(DKIM_CHANGE_PART,     "part")		/* a MIME part behind the others */ \
	X(DKIM_CHANGE_WRAPPED,  "wrapped")	/* the body made the first of several parts */ \
	X(DKIM_CHANGE_ENCODING, "encoding")	/* quoted-printable or base64 where there was none */ \
	X(DKIM_CHANGE_SUBJECT,  "subject")	/* "[tag] " in it */ \
	X(DKIM_CHANGE_FIELDS,   "fields")	/* Reply-To, List-*, ... added */ \
	X(DKIM_CHANGE_FOLDING,  "folding")
/* clang-format on */

enum dkim_change { DKIM_CHANGES(ENUMTAB_NAME) };
#define DKIM_CHANGE_COUNT (DKIM_CHANGE_FOLDING + 1)
const char *dkim_change_word(enum dkim_change);

/* What was done to the message since it was signed, as far as it could be undone. Never a pass. */
struct dkim_diagnosis {
	unsigned changes; /* 1u << enum dkim_change, each */
	uint64_t bytes;	  /* FOOTER, PART: added to the canonical body */
	bool complete;	  /* with all of it undone, body hash and signature verify */
	struct slice
	    text; /* for people: "valid without the last 312 bytes"; empty: nothing is known */
};

/* One DKIM-Signature field. Text is as in the field, FWS removed; empty where it can't be read. */
struct dkim_signature_verdict {
	enum dkim_result result;
	enum dkim_reason reason;
	size_t field;	     /* index in the header_list */
	struct slice domain; /* d= in normal form */
	struct slice selector;
	struct slice identity; /* i=, or "@" d= */
	struct slice algorithm;
	struct slice canonicalization; /* "relaxed/simple" */
	struct slice header_b;	       /* enough of b= to tell signatures apart (RFC 6008) */
	uint32_t key_bits;	       /* 0: no key was read */
	bool key_testing;	  /* t=y in the key record: makes no difference to the result */
	bool body_length_limited; /* l= was there */
	uint64_t body_length;	  /* l= */
	uint64_t body_bytes;	  /* canonical body in all, as far as it was fed */
	struct slice detail; /* what exactly, for people: the tag and its fault, the header field or
				the byte range that broke it where that can be told; or empty.
				Printable ASCII */
	struct dkim_diagnosis diagnosis; /* only by dkim_verifier_diagnose() */
};

struct dkim_verdict {
	struct dkim_signature_verdict *signatures; /* topmost field first */
	size_t count;
	size_t ignored; /* fields beyond LIMIT_DKIM_FIELDS */
};

struct dkim_verifier;
struct sig_bodies; /* policy/sig/sig.h */

/*
 * Read all DKIM-Signature fields, choose the ones to verify (d= equal to an author domain first,
 * then d= that covers or lies under one, then by how many labels are common; topmost first where
 * that is the same) and prefetch their keys. author_domains: normal form. Borrows all; header and
 * lookups must outlive the verifier.
 */
struct dkim_verifier *dkim_verifier_new(struct arena *a, const struct crypto *c, struct lookups *l,
    const struct dkim_options *options, const struct header_list *header,
    const struct slice *author_domains, size_t author_domain_count, int64_t now_s);

/*
 * Remember of the body what dkim_verifier_diagnose() needs: of the first LIMIT_DIAGNOSED signatures
 * that can be verified, have no l= and are of an author domain, one above or below it; with all,
 * of any domain. Before the body. Costs a copy of the body's bytes; where the body is encoded or
 * made of parts, a second digest of its first LIMIT_DIAGNOSIS_BYTES.
 */
void dkim_verifier_watch(struct dkim_verifier *v, bool all);

/* The body's digests, for who wants some of the same body: sig_bodies_add() before it comes. The
 * verifier feeds, finishes and frees them. */
struct sig_bodies *dkim_verifier_bodies(struct dkim_verifier *v);

/* Body in chunks cut anywhere. False: no signature needs more of it (the MTA may skip the rest). */
bool dkim_verifier_body(struct dkim_verifier *v, struct slice chunk);

/* Waits for keys, decides. out->signatures is arena memory. Once. */
void dkim_verifier_finish(struct dkim_verifier *v, struct dkim_verdict *out);

/*
 * Find out what happened to the watched signatures that are DKIM_FAIL, into their diagnosis; no
 * result changes. io: from dkim_verifier_finish(). May ask for a key that was not needed before.
 */
void dkim_verifier_diagnose(struct dkim_verifier *v, struct dkim_verdict *io);

/* Frees digests. *v becomes NULL; NULL is accepted. Must come before the arena is reset. */
void dkim_verifier_fini(struct dkim_verifier **v);

#endif
