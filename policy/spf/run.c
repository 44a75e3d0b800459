/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/base/limits.h"
#include "policy/spf/internal.h"
#include "policy/syntax/domain.h"

#define SHOWN_TERM_BYTES 100 /* of a term in a detail text */

/* ---- the verdict ---- */

const char *
spf_show(const struct spf_run *run, struct slice s)
{
	return arena_printable(run->arena, s, SHOWN_TERM_BYTES);
}

const char *
spf_show_name(const struct spf_run *run, struct slice name)
{
	return arena_printable(run->arena, name, LIMIT_DOMAIN_BYTES);
}

const char *
spf_show_trouble(const struct spf_run *run, struct slice name, enum dns_type type,
    const struct dns_answer *answer)
{
	const char *open = answer->detail.len > 0 ? " (" : "";
	const char *more = answer->detail.len > 0 ? spf_show(run, answer->detail) : "";

	return arena_printf(run->arena, "%s %s: %s%s%s%s", dns_type_word(type),
	    spf_show_name(run, name), dns_reason_text(answer->reason), open, more,
	    answer->detail.len > 0 ? ")" : "");
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
void
spf_place(
    struct spf_run *run, struct slice domain, const struct spf_record *record, struct slice written)
{
	run->out->record_domain = domain;
	run->out->record = record == NULL ? slice_of(NULL, 0)
					  : arena_copy(run->arena, record->text);
	run->out->mechanism = arena_copy(run->arena, written);
}

/* End here. detail is arena text. */
enum spf_step
spf_stop(struct spf_run *run, enum spf_reason reason, const char *detail)
{
	const char *via = run->top == NULL ? "" : run->top->via;

	run->out->reason = reason;
	run->out->result = reason_result(reason);
	run->out->detail = slice_str(
	    via[0] == '\0' ? detail : arena_printf(run->arena, "%s (by %s)", detail, via));
	return SPF_STEP_STOP;
}

/* End here by the fault of a term of the top frame. */
enum spf_step
spf_stop_at(struct spf_run *run, struct slice written, enum spf_reason reason, const char *detail)
{
	spf_place(run, run->top->domain, run->top->record, written);
	return spf_stop(
	    run, reason, arena_printf(run->arena, "%s: %s", spf_show(run, written), detail));
}

/* ---- limits, RFC 7208 4.6.4 ---- */

static bool
count_lookup(struct spf_run *run, struct slice written)
{
	if (run->out->lookups < run->options->max_lookups) {
		run->out->lookups++;
		return true;
	}
	(void)spf_stop_at(run, written, SPF_R_LOOKUPS,
	    arena_printf(run->arena, "would be DNS lookup %u, the limit is %u",
		run->out->lookups + 1, run->options->max_lookups));
	return false;
}

/*
 * A term that asks DNS. %{p} asks too, and "is included in the overall limit of 10"; the client's
 * address being one and the same, it does so once.
 */
static bool
count_term(struct spf_run *run, struct slice written, struct slice spec)
{
	if (!count_lookup(run, written))
		return false;
	if (run->p_counted || !spf_macro_uses(spec, "p"))
		return true;
	run->p_counted = true;
	return count_lookup(run, written);
}

bool
spf_count_void(struct spf_run *run, struct slice written, struct slice name, enum dns_type type)
{
	/* At most one a term: the limit is on "terms", so hosts of an mx that have no address of
	 * the client's family don't count. */
	if (++run->out->void_lookups <= run->options->max_void_lookups)
		return true;
	(void)spf_stop_at(run, written, SPF_R_VOID,
	    arena_printf(run->arena, "no %s record at %s: void lookup %u, the limit is %u",
		dns_type_word(type), spf_show_name(run, name), run->out->void_lookups,
		run->options->max_void_lookups));
	return false;
}

/* ---- names ---- */

const struct dns_reverse *
spf_validated_names(struct spf_run *run)
{
	if (!run->validated)
		dns_reverse_names(
		    run->arena, run->lookups, &run->in->client, LIMIT_SPF_NAMES, &run->names);
	run->validated = true;
	return &run->names;
}

/* RFC 7208 7.3, "p": <domain> itself, else a name below it, else any; or "unknown". */
static struct slice
client_name(struct spf_run *run)
{
	const struct dns_reverse *r = spf_validated_names(run);
	struct slice domain = run->top->domain;

	for (size_t i = 0; i < r->count; i++)
		if (slice_equal_nocase(r->names[i], domain))
			return r->names[i];
	for (size_t i = 0; i < r->count; i++)
		if (domain_covers(domain, r->names[i]))
			return r->names[i];
	return r->count > 0 ? r->names[0] : SLICE("unknown");
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

/* The letters that stay the same through include and redirect; most records have no macro at all.
 */
static void
set_fixed_macros(struct spf_run *run)
{
	struct spf_macro_values *v = &run->macros;
	struct slice local = slice_sub(run->out->local_part, 0, LIMIT_LOCAL_PART_BYTES);
	struct slice helo = run->in->helo;
	char text[IP_TEXT_BYTES];
	const char *why;

	/* RFC 8616 4: U-labels MUST be converted, in macros too; what is none stays as it is. */
	if (!slice_is_ascii(helo))
		(void)!domain_normalize(run->arena, helo, &helo, &why);
	SPF_MACRO_VALUE(v, 'l') = local;
	SPF_MACRO_VALUE(v, 'o') = run->origin;
	SPF_MACRO_VALUE(v, 's') = slice_str(
	    arena_printf(run->arena, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(run->origin)));
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

/* Make the letters true; %{p} only when it is used, for it asks DNS. */
void
spf_set_macros(struct spf_run *run, struct slice text)
{
	if (slice_find(text, '%') == SLICE_NONE)
		return;
	if (!run->macros_set)
		set_fixed_macros(run);
	run->macros_set = true;
	SPF_MACRO_VALUE(&run->macros, 'd') = run->top->domain;
	if (spf_macro_uses(text, "p"))
		SPF_MACRO_VALUE(&run->macros, 'p') = client_name(run);
}

/* <target-name> of RFC 7208 4.8. False: the term can't match. */
bool
spf_target_name(struct spf_run *run, struct slice spec, struct slice *name_r)
{
	/* RFC 8616 4: if the local part contains non-ASCII characters, terms that include %{s} or
	 * %{l} do not match anything */
	if (run->local_part_8bit && spf_macro_uses(spec, "ls"))
		return false;
	if (spec.len == 0) {
		*name_r = run->top->domain;
		return true;
	}
	spf_set_macros(run, spec);
	*name_r = spf_macro_name(run->arena, &run->macros, spec);
	return true;
}

enum spf_step
spf_begin_term(struct spf_run *run, struct slice written, struct slice spec, struct slice *name_r)
{
	if (!count_term(run, written, spec))
		return SPF_STEP_STOP;
	return spf_target_name(run, spec, name_r) ? SPF_STEP_ASK : SPF_STEP_MISS;
}
