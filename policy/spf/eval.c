/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How include and redirect nest without recursion: every check_host() under way is a struct frame,
 * linked to the one whose include it answers. A redirect replaces the record of its frame. Entering
 * either is a counted lookup, so there are never more frames than lookups allowed, plus one.
 */
#include "policy/base/limits.h"
#include "policy/dns/reverse.h"
#include "policy/spf/internal.h"
#include "policy/syntax/domain.h"

#define SHOWN_TERM_BYTES 100 /* of a term in a detail text */

struct frame {
	struct frame *parent; /* NULL: the identity's own evaluation */
	struct slice domain;  /* <domain> of RFC 7208 4.1 */
	const struct spf_record *record;
	size_t next;		      /* term after the one whose turn it is */
	const struct spf_term *asker; /* the parent's include */
	const char *via;	      /* how we came here, for people; "" at the start */
};

struct run {
	struct arena *arena;
	struct lookups *lookups;
	const struct spf_options *options;
	const struct spf_input *in;
	struct spf_verdict *out;
	struct frame *top;
	struct spf_macro_values macros;
	bool local_part_8bit;
	bool validated; /* names is filled */
	bool p_counted; /* %{p} has been counted as a lookup */
	struct dns_reverse names;
};

enum step {
	STEP_MISS,  /* go on with the next term of the top frame */
	STEP_MATCH, /* the top frame's current term matches */
	STEP_STOP,  /* the verdict is there */
};

const struct spf_options spf_defaults = {
	.max_lookups = LIMIT_SPF_LOOKUPS,
	.max_void_lookups = LIMIT_SPF_VOID,
};

#define SECTION_CASE(name, text, section)                                                          \
	case name:                                                                                 \
		return section;

ENUMTAB_WORDS(spf_result_word, enum spf_result, SPF_RESULTS)
ENUMTAB_WORDS(spf_scope_word, enum spf_scope, SPF_SCOPES)
ENUMTAB_WORDS(spf_reason_text, enum spf_reason, SPF_REASONS)

const char *
spf_reason_section(enum spf_reason value)
{
	switch (value) {
		SPF_REASONS(SECTION_CASE)
	}
	bug("spf_reason_section: %d", (int)value);
}

/* ---- the verdict ---- */

static const char *
show(const struct run *run, struct slice s)
{
	return arena_printable(run->arena, s, SHOWN_TERM_BYTES);
}

static const char *
show_name(const struct run *run, struct slice name)
{
	return arena_printable(run->arena, name, LIMIT_DOMAIN_BYTES);
}

/* What ends an evaluation without a match; MATCH is not asked. */
static enum spf_result
reason_result(enum spf_reason reason)
{
	switch (reason) {
	case SPF_R_NO_RECORD:
	case SPF_R_NO_DOMAIN:
	case SPF_R_NO_ADDRESS:
		return SPF_NONE;
	case SPF_R_DEFAULT:
		return SPF_NEUTRAL;
	case SPF_R_DNS:
		return SPF_TEMPERROR;
	case SPF_R_SEVERAL:
	case SPF_R_SYNTAX:
	case SPF_R_LOOKUPS:
	case SPF_R_VOID:
	case SPF_R_MX_NAMES:
	case SPF_R_SIZE:
	case SPF_R_INCLUDE_NONE:
	case SPF_R_REDIRECT_NONE:
		return SPF_PERMERROR;
	case SPF_R_NONE:
	case SPF_R_MATCH:
		break;
	}
	bug("reason_result: %d", (int)reason);
}

/* record NULL: the domain has none that could be read. written: empty when no term is to blame. */
static void
place(struct run *run, struct slice domain, const struct spf_record *record, struct slice written)
{
	run->out->record_domain = domain;
	run->out->record = record == NULL ? slice_of(NULL, 0)
					  : arena_copy(run->arena, record->text);
	run->out->mechanism = arena_copy(run->arena, written);
}

/* End here. detail is arena text. */
static enum step
stop(struct run *run, enum spf_reason reason, const char *detail)
{
	const char *via = run->top == NULL ? "" : run->top->via;

	run->out->reason = reason;
	run->out->result = reason_result(reason);
	run->out->detail = slice_str(
	    via[0] == '\0' ? detail : arena_printf(run->arena, "%s (by %s)", detail, via));
	return STEP_STOP;
}

/* End here by the fault of a term of the top frame. */
static enum step
stop_at(struct run *run, struct slice written, enum spf_reason reason, const char *detail)
{
	place(run, run->top->domain, run->top->record, written);
	return stop(run, reason, arena_printf(run->arena, "%s: %s", show(run, written), detail));
}

/* ---- limits, RFC 7208 4.6.4 ---- */

static bool
count_lookup(struct run *run, struct slice written)
{
	if (run->out->lookups < run->options->max_lookups) {
		run->out->lookups++;
		return true;
	}
	(void)stop_at(run, written, SPF_R_LOOKUPS,
	    arena_printf(run->arena, "would be DNS lookup %u, the limit is %u",
		run->out->lookups + 1, run->options->max_lookups));
	return false;
}

/*
 * A term that asks DNS. %{p} asks too, and "is included in the overall limit of 10"; the client's
 * address being one and the same, it does so once.
 */
static bool
count_term(struct run *run, struct slice written, struct slice spec)
{
	if (!count_lookup(run, written))
		return false;
	if (run->p_counted || !spf_macro_uses(spec, "p"))
		return true;
	run->p_counted = true;
	return count_lookup(run, written);
}

static bool
count_void(struct run *run, struct slice written, struct slice name, enum dns_type type)
{
	/* At most one a term: the limit is on "terms", so hosts of an mx that have no address of
	 * the client's family don't count. */
	if (++run->out->void_lookups <= run->options->max_void_lookups)
		return true;
	(void)stop_at(run, written, SPF_R_VOID,
	    arena_printf(run->arena, "no %s record at %s: void lookup %u, the limit is %u",
		dns_type_word(type), show_name(run, name), run->out->void_lookups,
		run->options->max_void_lookups));
	return false;
}

/* ---- names and answers ---- */

static const struct dns_reverse *
validated_names(struct run *run)
{
	if (!run->validated)
		dns_reverse_names(
		    run->arena, run->lookups, &run->in->client, LIMIT_SPF_NAMES, &run->names);
	run->validated = true;
	return &run->names;
}

/* RFC 7208 7.3, "p": <domain> itself, else a name below it, else any; or "unknown". */
static struct slice
client_name(struct run *run)
{
	const struct dns_reverse *r = validated_names(run);
	struct slice domain = run->top->domain;

	for (size_t i = 0; i < r->count; i++)
		if (slice_equal_nocase(r->names[i], domain))
			return r->names[i];
	for (size_t i = 0; i < r->count; i++)
		if (domain_covers(domain, r->names[i]))
			return r->names[i];
	return r->count > 0 ? r->names[0] : SLICE("unknown");
}

/* Make the letters that depend on the frame true; %{p} only when it is used, for it asks DNS. */
static void
set_macros(struct run *run, struct slice text)
{
	SPF_MACRO_VALUE(&run->macros, 'd') = run->top->domain;
	if (spf_macro_uses(text, "p"))
		SPF_MACRO_VALUE(&run->macros, 'p') = client_name(run);
}

/* <target-name> of RFC 7208 4.8. False: the term can't match. */
static bool
target_name(struct run *run, struct slice spec, struct slice *name_r)
{
	/* RFC 8616 4: if the local part contains non-ASCII characters, terms that include %{s} or
	 * %{l} do not match anything */
	if (run->local_part_8bit && spf_macro_uses(spec, "ls"))
		return false;
	if (spec.len == 0) {
		*name_r = run->top->domain;
		return true;
	}
	set_macros(run, spec);
	*name_r = spf_macro_name(run->arena, &run->macros, spec);
	return true;
}

static enum step
stop_by_dns(struct run *run, struct slice written, struct slice name, enum dns_type type,
    const struct dns_answer *answer)
{
	/* RFC 7208 5: on an error the topmost check_host() returns "temperror" */
	return stop_at(run, written, SPF_R_DNS,
	    arena_printf(run->arena, "%s %s: %s", dns_type_word(type), show_name(run, name),
		dns_reason_text(answer->reason)));
}

/* Ask for a term. NULL: the verdict is there. */
static const struct dns_answer *
ask(struct run *run, struct slice written, struct slice name, enum dns_type type)
{
	const struct dns_answer *answer = lookups_ask(run->lookups, name, type);

	switch (answer->status) {
	case DNS_OK:
		return answer;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		/* A name that can't be asked is no match (RFC 7208 4.8 leaves it open), and no
		 * lookup either. */
		if (answer->reason == DNS_R_BAD_NAME)
			return answer;
		return count_void(run, written, name, type) ? answer : NULL;
	case DNS_TEMPFAIL:
		(void)stop_by_dns(run, written, name, type, answer);
		return NULL;
	}
	bug("ask: status %d", (int)answer->status);
}

static enum dns_type
address_type(const struct run *run)
{
	return run->in->client.family == IP_V4 ? DNS_A : DNS_AAAA;
}

static bool
has_client(const struct run *run, const struct spf_term *t, const struct dns_answer *answer)
{
	uint32_t bits = run->in->client.family == IP_V4 ? t->prefix4_bits : t->prefix6_bits;

	for (size_t i = 0; i < answer->count; i++)
		if (ip_matches(&run->in->client, &answer->records[i].address, bits))
			return true;
	return false;
}

/* ---- one domain's record, RFC 7208 4.3 to 4.5 ---- */

/* SPF_R_NONE with *record_r, or why not with *detail_r; *domain_r as far as it is known. */
static enum spf_reason
fetch_record(struct run *run, struct slice name, struct slice *domain_r,
    const struct spf_record **record_r, const char **detail_r)
{
	const struct dns_answer *answer;
	enum spf_reason reason = SPF_R_NONE;
	const char *why;

	*record_r = NULL;
	*domain_r = arena_copy(run->arena, name);
	if (domain_normalize(run->arena, name, domain_r, &why) != 0) {
		*detail_r = arena_printf(run->arena, "\"%s\" %s", show_name(run, name), why);
		return SPF_R_NO_DOMAIN;
	}
	if (domain_labels(*domain_r) < 2) {
		*detail_r = arena_printf(
		    run->arena, "\"%s\" is a single label", show_name(run, *domain_r));
		return SPF_R_NO_DOMAIN;
	}
	answer = lookups_ask(run->lookups, *domain_r, DNS_TXT);
	if (answer->status == DNS_TEMPFAIL) {
		*detail_r = arena_printf(run->arena, "TXT %s: %s", show_name(run, *domain_r),
		    dns_reason_text(answer->reason));
		return SPF_R_DNS;
	}
	*record_r = spf_record_select(answer, &reason);
	if (*record_r == NULL) {
		*detail_r = arena_printf(run->arena, "%s %s", show_name(run, *domain_r),
		    reason == SPF_R_SEVERAL		 ? "has more than one SPF record"
			: answer->status == DNS_NXDOMAIN ? "does not exist"
							 : "has no SPF record");
		return reason;
	}
	if ((*record_r)->reason != SPF_R_NONE) {
		struct slice term = spf_record_text(*record_r, (*record_r)->fault_term);

		*detail_r = term.len == 0 ? (*record_r)->fault
					  : arena_printf(run->arena, "term \"%s\": %s",
						show(run, term), (*record_r)->fault);
	}
	return (*record_r)->reason;
}

/*
 * Go into another domain's record: for an include (t), or in place of the top frame's record.
 * none is what its being without a record means here.
 */
static enum step
enter(struct run *run, const struct spf_term *t, struct slice written, struct slice name,
    enum spf_reason none)
{
	struct frame *old = run->top, *f = arena_alloc(run->arena, sizeof(*f));
	const char *detail;
	enum spf_reason reason;

	f->parent = t != NULL ? old : old->parent;
	f->asker = t != NULL ? t : old->asker;
	f->via = arena_printf(run->arena, "%s%s%s at %s", old->via,
	    old->via[0] == '\0' ? "" : ", then ", show(run, written), show_name(run, old->domain));
	reason = fetch_record(run, name, &f->domain, &f->record, &detail);
	/* RFC 7208 5.2 and 6.1: "none", a malformed name included, becomes "permerror" */
	if (reason == SPF_R_NO_RECORD || reason == SPF_R_NO_DOMAIN)
		return stop_at(run, written, none, detail);
	run->top = f;
	if (reason == SPF_R_NONE)
		return STEP_MISS;
	place(run, f->domain, f->record, slice_of(NULL, 0));
	return stop(run, reason, detail);
}

/* ---- mechanisms, RFC 7208 section 5 ---- */

static enum step
try_include(struct run *run, const struct spf_term *t, struct slice written, struct slice name)
{
	return enter(run, t, written, name, SPF_R_INCLUDE_NONE);
}

static enum step
try_a(struct run *run, const struct spf_term *t, struct slice written, struct slice name)
{
	const struct dns_answer *answer = ask(run, written, name, address_type(run));

	if (answer == NULL)
		return STEP_STOP;
	return has_client(run, t, answer) ? STEP_MATCH : STEP_MISS;
}

static enum step
try_mx(struct run *run, const struct spf_term *t, struct slice written, struct slice name)
{
	const struct dns_answer *answer = ask(run, written, name, DNS_MX);

	if (answer == NULL)
		return STEP_STOP;
	/* Before any is asked: equal preferences come in any order, the result must not. */
	if (answer->count > LIMIT_SPF_NAMES)
		return stop_at(run, written, SPF_R_MX_NAMES,
		    arena_printf(run->arena, "%s has %zu MX records, the limit is %d",
			show_name(run, name), answer->count, LIMIT_SPF_NAMES));
	for (size_t i = 0; i < answer->count; i++) {
		struct slice host = answer->records[i].mx.host;
		const struct dns_answer *addresses;

		if (host.len == 0)
			continue; /* null MX */
		addresses = lookups_ask(run->lookups, host, address_type(run));
		if (addresses->status == DNS_TEMPFAIL)
			return stop_by_dns(run, written, host, address_type(run), addresses);
		if (has_client(run, t, addresses))
			return STEP_MATCH;
	}
	return STEP_MISS; /* 5.4: no MX, no implicit one */
}

static enum step
try_ptr(struct run *run, const struct spf_term *t, struct slice written, struct slice name)
{
	const struct dns_reverse *r = validated_names(run);

	(void)t;
	/* RFC 7208 5.5: if a DNS error occurs while doing the PTR RR lookup, this mechanism fails
	 * to match; with an address lookup, that domain name is skipped */
	if ((r->ptr->status == DNS_NODATA || r->ptr->status == DNS_NXDOMAIN) &&
	    !count_void(run, written, r->question, DNS_PTR))
		return STEP_STOP;
	for (size_t i = 0; i < r->count; i++)
		if (domain_covers(name, r->names[i]))
			return STEP_MATCH;
	return STEP_MISS;
}

static enum step
try_exists(struct run *run, const struct spf_term *t, struct slice written, struct slice name)
{
	/* RFC 7208 5.7: a DNS A RR lookup, even when the connection type is IPv6 */
	const struct dns_answer *answer = ask(run, written, name, DNS_A);

	(void)t;
	if (answer == NULL)
		return STEP_STOP;
	return answer->status == DNS_OK ? STEP_MATCH : STEP_MISS;
}

static enum step
try_network(const struct run *run, const struct spf_term *t, struct slice argument)
{
	struct ip_network n = { .prefix_bits = t->prefix4_bits };
	enum ip_family family = t->mechanism == SPF_IP4 ? IP_V4 : IP_V6;

	if (ip_parse(argument, &n.address) != 0)
		bug("try_network: \"%.*s\"", SLICE_ARG(argument));
	/* RFC 7208 5: a mapped client is an IPv4 client, and those are listed with ip4 only. So
	 * a mapped network can match nobody. */
	if (n.address.family != family)
		return STEP_MISS;
	if (family == IP_V6)
		n.prefix_bits = t->prefix6_bits;
	return ip_in_network(&run->in->client, &n) ? STEP_MATCH : STEP_MISS;
}

typedef enum step try_function(
    struct run *, const struct spf_term *, struct slice written, struct slice name);

static enum step
try_with_name(struct run *run, const struct spf_term *t, try_function *try)
{
	struct slice written = spf_record_text(run->top->record, t->written);
	struct slice spec = spf_record_text(run->top->record, t->argument), name;

	if (!count_term(run, written, spec))
		return STEP_STOP;
	if (!target_name(run, spec, &name))
		return STEP_MISS;
	return try(run, t, written, name);
}

static enum step
try_term(struct run *run, const struct spf_term *t)
{
	switch (t->mechanism) {
	case SPF_ALL:
		return STEP_MATCH;
	case SPF_INCLUDE:
		return try_with_name(run, t, try_include);
	case SPF_A:
		return try_with_name(run, t, try_a);
	case SPF_MX:
		return try_with_name(run, t, try_mx);
	case SPF_PTR:
		return try_with_name(run, t, try_ptr);
	case SPF_EXISTS:
		return try_with_name(run, t, try_exists);
	case SPF_IP4:
	case SPF_IP6:
		return try_network(run, t, spf_record_text(run->top->record, t->argument));
	}
	bug("try_term: %d", (int)t->mechanism);
}

/* ---- from term to term ---- */

/*
 * Term t of the top frame matched: that is the result of its record, which in an include counts as
 * a match of the include when it is "pass", else as none (RFC 7208 5.2).
 */
static enum step
apply_match(struct run *run, const struct spf_term *t)
{
	const struct frame *decided = run->top;
	const struct spf_term *term = t;
	const char *via = decided->via;

	while (run->top->parent != NULL) {
		if (t->result != SPF_PASS) {
			run->top = run->top->parent;
			return STEP_MISS;
		}
		t = run->top->asker;
		run->top = run->top->parent;
		/* The term that decided is the innermost one, unless an include around it gave the
		 * match another meaning. */
		if (t->result != SPF_PASS) {
			decided = run->top;
			term = t;
		}
	}
	place(
	    run, decided->domain, decided->record, spf_record_text(decided->record, term->written));
	run->out->result = t->result;
	run->out->reason = SPF_R_MATCH;
	run->out->detail = slice_str(via[0] == '\0' ? "" : arena_printf(run->arena, "by %s", via));
	return STEP_STOP;
}

/* No term of the top frame matched. */
static enum step
end_of_record(struct run *run)
{
	const struct spf_record *record = run->top->record;
	struct slice written = spf_record_text(record, record->redirect.written);
	struct slice spec = spf_record_text(record, record->redirect.argument), name;

	/* RFC 7208 6.1: redirect MUST be ignored if there is an "all" anywhere; here none matched,
	 * so there is none. */
	if (written.len > 0) {
		if (!count_term(run, written, spec))
			return STEP_STOP;
		/* With a local part that can't be expanded (RFC 8616 4) it is as if not there. */
		if (target_name(run, spec, &name))
			return enter(run, NULL, written, name, SPF_R_REDIRECT_NONE);
	}
	if (run->top->parent != NULL) { /* neutral: the include does not match */
		run->top = run->top->parent;
		return STEP_MISS;
	}
	place(run, run->top->domain, record, slice_of(NULL, 0));
	return stop(run, SPF_R_DEFAULT, "");
}

static void
walk_terms(struct run *run)
{
	enum step step = STEP_MISS;

	while (step != STEP_STOP) {
		struct frame *f = run->top;
		const struct spf_term *t;

		if (f->next == f->record->count) {
			step = end_of_record(run);
			continue;
		}
		t = &f->record->terms[f->next++];
		step = try_term(run, t);
		if (step == STEP_MATCH)
			step = apply_match(run, t);
	}
}

/* ---- exp=, RFC 7208 6.2 ---- */

static bool
is_printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

/* run->top is the identity's own frame again, or what a redirect made of it: whatever was included
 * has no say. Any trouble means no explanation, and no lookup here counts. */
static void
explain(struct run *run)
{
	const struct spf_record *record = run->top->record;
	struct slice spec = spf_record_text(record, record->explanation.argument), name, text;
	const struct dns_answer *answer;

	if (spec.len == 0 || !target_name(run, spec, &name))
		return;
	answer = lookups_ask(run->lookups, name, DNS_TXT);
	if (answer->status != DNS_OK || answer->count != 1)
		return;
	text = answer->records[0].text;
	if (spf_explain_string_fault(text) != NULL)
		return;
	set_macros(run, text);
	text = spf_macro_explanation(run->arena, &run->macros, text);
	/* The record is clean, but a HELO or a local part may hold anything. */
	if (is_printable(text))
		run->out->explanation = text;
}

/* ---- the start ---- */

static bool
is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* RFC 7208 7.3: %{i} of an IPv6 address is its 32 nibbles, with dots. Upper case as in the RFC 7208
 * test suite, which looks at it in an explanation; to DNS it is the same. */
static struct slice
dotted_address(struct arena *a, const struct ip_address *address)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[IP_TEXT_BYTES], nibbles[64];

	if (address->family == IP_V4)
		return arena_copy(a, slice_str(ip_print(address, text)));
	for (size_t i = 0; i < 16; i++) {
		nibbles[4 * i] = digits[address->bytes[i] >> 4];
		nibbles[4 * i + 1] = '.';
		nibbles[4 * i + 2] = digits[address->bytes[i] & 15];
		nibbles[4 * i + 3] = '.';
	}
	return arena_copy(a, slice_of(nibbles, sizeof(nibbles) - 1));
}

/* The letters that stay the same through include and redirect. */
static void
set_fixed_macros(struct run *run, struct slice domain)
{
	struct spf_macro_values *v = &run->macros;
	struct slice local = slice_sub(run->out->local_part, 0, LIMIT_LOCAL_PART_BYTES);
	struct slice helo = run->in->helo;
	char text[IP_TEXT_BYTES];
	const char *why;

	/* RFC 8616 4: U-labels MUST be converted, in macros too; what is none stays as it is. */
	if (!is_ascii(helo))
		(void)!domain_normalize(run->arena, helo, &helo, &why);
	run->local_part_8bit = !is_ascii(local);
	SPF_MACRO_VALUE(v, 'l') = local;
	SPF_MACRO_VALUE(v, 'o') = domain;
	SPF_MACRO_VALUE(v, 's') = slice_str(
	    arena_printf(run->arena, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(domain)));
	SPF_MACRO_VALUE(v, 'i') = dotted_address(run->arena, &run->in->client);
	SPF_MACRO_VALUE(v, 'c') = arena_copy(
	    run->arena, slice_str(ip_print(&run->in->client, text)));
	SPF_MACRO_VALUE(v, 'v') = run->in->client.family == IP_V4 ? SLICE("in-addr") : SLICE("ip6");
	SPF_MACRO_VALUE(v, 'h') = helo;
	SPF_MACRO_VALUE(v, 'r') = run->options->receiver.len > 0 ? run->options->receiver
								 : SLICE("unknown");
	SPF_MACRO_VALUE(v, 't') = slice_str(
	    arena_printf(run->arena, "%lld", (long long)run->in->now_s));
}

/* The identity's own record. False: the verdict is there. */
static bool
begin(struct run *run, struct frame *first)
{
	const char *detail;
	enum spf_reason reason;

	first->via = "";
	reason = fetch_record(run, run->in->domain, &first->domain, &first->record, &detail);
	run->out->domain = first->domain;
	if (reason == SPF_R_NONE)
		return true;
	place(run, first->domain, first->record, slice_of(NULL, 0));
	(void)stop(run, reason, detail);
	return false;
}

void
spf_evaluate(struct arena *a, struct lookups *l, const struct spf_options *options,
    const struct spf_input *in, struct spf_verdict *out)
{
	struct run run = { .arena = a, .lookups = l, .options = options, .in = in, .out = out };
	struct frame first = { .parent = NULL };

	*out = (struct spf_verdict){ .scope = in->scope };
	/* RFC 7208 4.3: no local-part becomes "postmaster" */
	out->local_part = in->local_part.len > 0 ? arena_copy(a, in->local_part)
						 : SLICE("postmaster");
	out->domain = arena_copy(a, in->domain);
	if (in->client.family == IP_NONE) {
		(void)stop(&run, SPF_R_NO_ADDRESS, "");
		return;
	}
	if (!begin(&run, &first))
		return;
	run.top = &first;
	set_fixed_macros(&run, first.domain);
	walk_terms(&run);
	if (out->result == SPF_FAIL)
		explain(&run);
}
