/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         sig - what all signatures in the DKIM manner share
 * DESCRIPTION  DKIM-Signature, ARC-Message-Signature and ARC-Seal are made of the same parts
 *              (RFC 6376 3.2 to 3.7, RFC 8617 4.1): tags, canonical forms, body and header digests,
 *              key records. Each part is here once; which fields a method signs in which order, and
 *              what its results are called, is the method's.
 *
 *              A verifier goes: sig_tag_* rules in its taglist -> sig_bodies_add() for each
 *              signature -> lookups_prefetch(sig_key_name()) -> sig_bodies_update() as the body
 * comes -> sig_bodies_end() -> sig_header_*() for the digest -> sig_check().
 */
#ifndef ASSAY_SIG_H
#define ASSAY_SIG_H

#include "policy/base/enumtab.h"
#include "policy/base/strbuf.h"
#include "policy/crypto/crypto.h"
#include "policy/dns/dns.h"
#include "policy/syntax/header.h"
#include "policy/syntax/taglist.h"

/* ---- canonical forms (canon.c) ---- */

enum sig_canon { SIG_SIMPLE, SIG_RELAXED };

/*
 * The canonical form of one header field without its final CRLF (RFC 6376 3.4.1, 3.4.2) into out,
 * which has room for name.len + 1 + value.len bytes; the form is never longer. Returns its length.
 */
size_t sig_canon_field(enum sig_canon canon, struct slice name, struct slice value, char *out);

/* Gets the canonical body in runs; never an empty one. */
typedef void sig_canon_sink(void *ctx, const char *bytes, size_t len);

/*
 * The canonical body of one message (RFC 6376 3.4.3, 3.4.4), streamed. Lines end in CRLF; a CR or
 * LF alone is a byte like any other, and is kept as delivered.
 */
struct sig_canon_body { /* all fields private */
	enum sig_canon canon;
	sig_canon_sink *sink;
	void *ctx;
	uint64_t held_lines; /* CRLFs not yet handed on: they may be the trailing empty lines */
	bool held_wsp;	     /* relaxed: blanks met that go if the line ends here */
	bool held_cr;	     /* the last chunk ended in CR */
	bool started;	     /* anything was handed on */
	/* Within one chunk only: where the held bytes stand, if they stand there as they will be
	 * handed on, and the run that grows while output equals input. */
	const char *held_lines_at, *held_wsp_at, *run;
	size_t run_len;
	size_t gathered_len;
	char gathered[256]; /* short runs on their way, within one call */
};

void sig_canon_body_init(
    struct sig_canon_body *b, enum sig_canon canon, sig_canon_sink *sink, void *ctx);
void sig_canon_body_update(struct sig_canon_body *b, struct slice chunk);
void sig_canon_body_end(struct sig_canon_body *b);

/* Is the canonical form of a body that goes on with this chunk the same in both forms? True is sure
 * where it was so for all chunks before; false may err. */
bool sig_canon_forms_agree(struct slice chunk);
/* b, fresh, stands from now on where `other`, of any form, does, which has met only such chunks. */
void sig_canon_body_follow(struct sig_canon_body *b, const struct sig_canon_body *other);

/* ---- body digests (body.c) ---- */

#define SIG_BODY_ALL UINT64_MAX /* no l= */

/* The digests that all signatures of a message want of its body; equal wishes share one. */
struct sig_bodies;

struct sig_bodies *sig_bodies_new(struct arena *a, const struct crypto *c);
/* Frees digests. *b becomes NULL; NULL is accepted. Before the arena is reset. */
void sig_bodies_fini(struct sig_bodies **b);
/* Returns the number by which the digest is asked for. Before the first update. */
size_t sig_bodies_add(struct sig_bodies *b, enum sig_canon canon, uint64_t limit);
/* Remember the end of that digest's body for sig_bodies_search(). Before the first update. */
void sig_bodies_watch(struct sig_bodies *b, size_t number);
/* False: every digest has reached its limit, the rest of the body makes no difference. */
bool sig_bodies_update(struct sig_bodies *b, struct slice chunk);
void sig_bodies_end(struct sig_bodies *b);

/* After sig_bodies_end(). */
const uint8_t *sig_bodies_digest(const struct sig_bodies *b, size_t number);
/* Canonical bytes that went into this digest: less than its limit when the body is shorter. */
uint64_t sig_bodies_hashed(const struct sig_bodies *b, size_t number);
/* Canonical bytes of the body under that digest's form, as far as it was fed. */
uint64_t sig_bodies_length(const struct sig_bodies *b, size_t number);

struct sig_cut {	/* what may have been added to a body */
	uint64_t bytes; /* of the canonical body */
	bool is_part;	/* a MIME part before the last delimiter; else the end of the body */
};

/*
 * Has the body, watched, this digest when something is left out of its last 16 to 32 KB (tail.h)?
 * After sig_bodies_end().
 */
bool sig_bodies_search(const struct sig_bodies *b, size_t number, const uint8_t want[SHA256_BYTES],
    struct sig_cut *out);

/* ---- header digests (fields.c) ---- */

/* The fields of a message by name, bottom-up. Made once, used for all its signatures. */
struct sig_fields;

struct sig_fields *sig_fields_new(struct arena *a, const struct header_list *header);

#define SIG_NO_FIELD SIZE_MAX

/*
 * The fields that h= names, in its order (RFC 6376 5.4.2): each name takes the lowest instance not
 * yet taken; SIG_NO_FIELD where there is none left (it counts as the empty string). own is the
 * signature's index: it is never taken, for it did not exist when h= was written.
 * Returns an arena array of name_count indexes.
 */
const size_t *sig_fields_select(
    struct sig_fields *f, const struct slice *names, size_t name_count, size_t own);

/* A header digest in the making: feed fields, end with the signature itself. */
struct sig_header {
	struct arena *arena;
	struct digest *digest; /* borrowed */
	enum sig_canon canon;  /* may be set anew between digests */
	char *room;	       /* for one canonical field; grows */
	size_t room_size;
};

void sig_header_init(
    struct sig_header *h, struct arena *a, struct digest *digest, enum sig_canon canon);
/* One signed field, CRLF behind it. */
void sig_header_add(struct sig_header *h, const struct header_field *field);
/* The signature field, its b= value deleted, without CRLF (RFC 6376 3.7); ends the digest. */
void sig_header_end(
    struct sig_header *h, const struct header_field *signature, uint8_t out[SHA256_BYTES]);

/* The fields of sig_fields_select(), one after the other. */
void sig_header_add_selected(struct sig_header *h, const struct header_list *header,
    const size_t *selected, size_t selected_count);

/*
 * All that RFC 6376 3.7 step 2 hashes, for a signature with h= (DKIM-Signature, AMS).
 * selected: from sig_fields_select().
 */
void sig_header_digest(struct sig_header *h, const struct header_list *header,
    const size_t *selected, size_t selected_count, size_t own, uint8_t out[SHA256_BYTES]);

/*
 * The raw value of the first tag of that name: all between "=" and ";" or the end, blanks included;
 * p == NULL when there is no such tag. For b=, and for showing what can be read of a broken list.
 */
struct slice sig_raw_tag(struct slice list, const char *name);

/* The same for several names, in one pass; values_r has as many as names. */
void sig_raw_tags(
    struct slice list, const char *const *names, size_t count, struct slice *values_r);

/* s without any FWS; arena memory. */
struct slice sig_squeeze(struct arena *a, struct slice s);
/* No more than its first max bytes. */
struct slice sig_squeeze_head(struct arena *a, struct slice s, size_t max);

/* ---- tags (tags.c) ---- */

enum sig_algorithm {
	SIG_RSA_SHA256,	    /* RFC 6376 3.3.2 */
	SIG_ED25519_SHA256, /* RFC 8463 3 */
	SIG_RSA_SHA1,	    /* RFC 8301 3.1: MUST NOT verify */
	SIG_OTHER,
};

/* What the tags say that DKIM-Signature, AMS and AS have in common. */
struct sig_tags {
	struct slice algorithm_text;
	enum sig_algorithm algorithm;
	struct slice signature; /* b=, decoded */
	struct slice body_hash; /* bh=, decoded */
	enum sig_canon header_canon, body_canon;
	struct slice domain;   /* d= in normal form */
	struct slice selector; /* s= in normal form (A-labels, RFC 8616 4) */
	struct slice *names;   /* h= */
	size_t name_count;
	bool length_limited;
	uint64_t length; /* l=; SIG_BODY_ALL without */
	bool has_signed_at, has_expires_at;
	int64_t signed_at, expires_at; /* t=, x=; Unix seconds; INT64_MAX: more than 12 digits */
	struct slice copied;	       /* z=, as it stands */
};

/*
 * Parsers for a tag_rule; obj is a struct sig_tags or a struct that begins with one.
 * sig_tag_text takes anything. sig_tag_c wants the fallback "simple/simple".
 */
int sig_tag_a(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_b(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_bh(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_c(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_d(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_h(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_l(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_q(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_s(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_t(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_x(struct arena *a, struct slice value, void *obj, const char **why_r);
int sig_tag_z(struct arena *a, struct slice value, void *obj, const char **why_r);

/* Is that field name in h=? */
bool sig_signs(const struct sig_tags *tags, const char *name);

/* ---- keys (key.c) and the one public-key operation (check.c) ---- */

/* Worst first: of several records the best one speaks. */
/* clang-format off */
#define SIG_REASONS(X) \
	X(SIG_KEY_LOOKUP,   "key lookup failed") \
	X(SIG_KEY_NONE,     "no key record") \
	X(SIG_KEY_SYNTAX,   "key record can't be used") \
	X(SIG_KEY_MISMATCH, "key is not for this algorithm or use") \
	X(SIG_KEY_SHORT,    "RSA key below the minimum") \
	X(SIG_KEY_REVOKED,  "key revoked") \
	X(SIG_NOT_VERIFIED,     "signature did not verify") \
	X(SIG_VERIFIED,     "signature verified")
/* clang-format on */

enum sig_reason { SIG_REASONS(ENUMTAB_NAME) };
const char *sig_reason_text(enum sig_reason);

/* One key record, RFC 6376 3.6.1. */
struct sig_key {
	enum sig_reason
	    fault; /* SIG_VERIFIED: nothing against it; or _SYNTAX, _MISMATCH, _REVOKED */
	const char *fault_text; /* what exactly; heap text, or NULL */
	struct public_key *key; /* NULL on any fault */
	bool testing;		/* t=y */
	bool strict;		/* t=s: i= must be d= itself */
};

/* What is kept decoded with a TXT answer: its first LIMIT_DKIM_KEY_RECORDS records. */
struct sig_keys {
	size_t count;
	struct sig_key keys[];
};

struct sig_key sig_key_parse(struct arena *scratch, struct slice record);
void sig_key_fini(struct sig_key *k);

/* The record that publishes such a key (RFC 6376 3.6.1, RFC 8463 4): "v=DKIM1; k=rsa; p=...".
 * public: what p= holds, decoded. Arena memory. */
struct slice sig_key_write(struct arena *a, enum key_type type, struct slice public);

/* selector "._domainkey." domain; arena memory. */
struct slice sig_key_name(struct arena *a, struct slice selector, struct slice domain);

/* What sig_check() is to verify. */
struct sig_claim {
	struct slice key_name;	      /* from sig_key_name() */
	enum sig_algorithm algorithm; /* SIG_RSA_SHA256 or SIG_ED25519_SHA256 */
	struct slice signature;	      /* b=, decoded */
	const uint8_t *digest;	      /* SHA256_BYTES, of the header */
	bool below_domain;	      /* i= names a subdomain of d=: a key with t=s is not for it */
	uint32_t min_rsa_bits;	      /* less than LIMIT_DKIM_RSA_BITS_MIN counts as that */
};

struct sig_finding {
	enum sig_reason reason;
	uint32_t key_bits; /* of the key that spoke; 0: none could be read */
	bool key_testing;
	struct slice detail; /* for people: the key's DNS name and what was wrong there; or empty.
				Printable ASCII */
};

/*
 * Look up the key (waiting as lookups_ask() does) and verify. Several records at one name are
 * undefined (RFC 6376 3.6.2.2); ours: each of the first LIMIT_DKIM_KEY_RECORDS is tried in the
 * order of arrival, the first that verifies wins; otherwise the one that came furthest speaks.
 */
void sig_check(struct arena *a, const struct crypto *c, struct lookups *l,
    const struct sig_claim *claim, struct sig_finding *out);

/* What the DNS says of a key that is to sign. */
enum sig_published {
	SIG_PUBLISHED,	       /* its record is there, and verifiers can use it */
	SIG_PUBLISHED_OTHER,   /* a record that is not this key's, or that can't be used */
	SIG_PUBLISHED_NONE,    /* no record */
	SIG_PUBLISHED_UNKNOWN, /* no answer */
};

/*
 * Look up the record (waiting as lookups_ask() does) and compare it with the key. *detail_r: for
 * people, arena or static text. Of several records one that is good is enough, as in sig_check().
 */
enum sig_published sig_key_published(struct arena *a, struct lookups *l, struct slice key_name,
    const struct public_key *ours, const char **detail_r);

/* ---- making signatures (write.c) ---- */

/*
 * A signer goes: sig_bodies_add() and the body as a verifier does -> sig_choose_fields() ->
 * sig_write_begin() and the tags -> sig_header_init(), sig_header_add() for all that is signed ->
 * sig_write_sign().
 */

/* A key to sign with: whose it is, and how the holder knows it. Text is borrowed. */
struct sig_signing_key {
	struct slice domain, selector; /* normal form */
	enum key_type type;
	uint32_t number; /* of the holder's key */
};

const char *sig_algorithm_word(enum key_type type); /* "rsa-sha256" */
const char *sig_canon_word(enum sig_canon canon);

/* Which fields are signed. Names in any case, borrowed; one in both lists is oversigned. */
struct sig_field_choice {
	const struct slice *oversign; /* once more than they are there, be it no time */
	size_t oversign_count;
	const struct slice *sign; /* as often as they are there */
	size_t sign_count;
};

/*
 * What h= names, the oversigned first (RFC 6376 5.4); arena memory. 0, or -1 with *error_r a static
 * text: LIMIT_DKIM_SIGNED_FIELDS.
 */
int sig_choose_fields(struct arena *a, const struct sig_field_choice *choice,
    const struct header_list *header, struct slice **names_r, size_t *count_r,
    const char **error_r);

/*
 * The value of a signature field in the making, in wire form: a blank, then the tags in the order
 * they are written, folded by CR LF TAB. Values are written as they are.
 */
struct sig_writer { /* private */
	struct slice field_name;
	struct strbuf text;
	size_t column;
};

/* field_name as it will stand in the message; borrowed. */
void sig_write_begin(struct sig_writer *w, struct arena *a, const char *field_name);
void sig_write_tag(struct sig_writer *w, const char *tag, struct slice value);
void sig_write_number(struct sig_writer *w, const char *tag, uint64_t value);
void sig_write_base64(struct sig_writer *w, const char *tag, struct slice bytes);
void sig_write_names(
    struct sig_writer *w, const char *tag, const struct slice *names, size_t count);
/*
 * The last tag, b=: ends the digest h, into which all signed fields went, with this field, has it
 * signed by key, and gives the whole value: arena memory, as a header_field has it (behind the
 * colon: leading blank, no CRLF at the end). 0, or -1 with *error_r a static text of the holder's.
 */
int sig_write_sign(struct sig_writer *w, struct sig_header *h, const struct key_holder *holder,
    uint32_t key, struct slice *value_r, const char **error_r);

#endif
