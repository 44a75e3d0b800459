/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         zone_write - the message's DNS story as zone text
 * DESCRIPTION  Every question gets lines of its own, so nothing that the format implies (wildcards,
 *              names above listed ones) answers any of them. A CNAME is not seen again: its end is
 *              written under the name that was asked.
 * BUGS         The DNSSEC state is written as a comment, not read back. Running out of the
 * message's budget is written as a time-out. The empty answers of one name share a TTL.
 */
#include <string.h>

#include "policy/base/strbuf.h"
#include "policy/dns/internal.h"

#define TXT_STRING_BYTES   255
#define DETAIL_SHOWN_BYTES 300

static void
escape_byte(struct strbuf *out, char c)
{
	strbuf_printf(out, "\\%03u", (unsigned)(unsigned char)c);
}

static void
write_name(struct strbuf *out, struct slice name)
{
	if (name.len == 0) /* the root: null MX */
		strbuf_char(out, '.');
	for (size_t i = 0; i < name.len; i++) {
		/* A target that begins with ! would be taken for a special answer. */
		if (dns_name_escapes(name.p[i]) || (i == 0 && name.p[i] == '!'))
			escape_byte(out, name.p[i]);
		else
			strbuf_char(out, name.p[i]);
	}
}

static void
write_strings(struct strbuf *out, struct slice text)
{
	strbuf_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (i > 0 && i % TXT_STRING_BYTES == 0)
			strbuf_str(out, "\" \"");
		if (c < ' ' || c >= 0x7f || (unsigned char)c >= 0x80)
			escape_byte(out, c);
		else if (c == '"' || c == '\\')
			strbuf_printf(out, "\\%c", c);
		else
			strbuf_char(out, c);
	}
	strbuf_char(out, '"');
}

static void
write_address(struct strbuf *out, const struct ip_address *address, enum dns_type type)
{
	char text[IP_TEXT_BYTES];

	/* An IPv4-mapped AAAA has become an IPv4 address; it was none of type A. */
	if (type == DNS_AAAA && address->family == IP_V4)
		strbuf_str(out, "::ffff:");
	strbuf_str(out, ip_print(address, text));
}

static void
write_rdata(struct strbuf *out, const struct dns_record *record, enum dns_type type)
{
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		write_address(out, &record->address, type);
		return;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		write_name(out, record->name);
		return;
	case DNS_MX:
		strbuf_printf(out, "%u ", (unsigned)record->mx.preference);
		write_name(out, record->mx.host);
		return;
	case DNS_TXT:
		write_strings(out, record->text);
		return;
	}
	bug("zone_write: type %d", (int)type);
}

static void
write_start(struct strbuf *out, const struct lookup *l, const char *type)
{
	write_name(out, l->name);
	strbuf_printf(out, " %s %u ", type, (unsigned)l->answer->ttl_s);
}

static void
write_special(struct strbuf *out, const struct lookup *l, enum zone_special special)
{
	write_start(out, l, dns_type_word(l->type));
	strbuf_printf(out, "%s\n", zone_special_word(special));
}

static enum zone_special
tempfail_special(enum dns_reason reason)
{
	switch (reason) {
	case DNS_R_TIMEOUT:
	case DNS_R_BUDGET:
		return ZONE_TIMEOUT;
	case DNS_R_BOGUS:
		return ZONE_BOGUS;
	case DNS_R_MALFORMED:
		return ZONE_MALFORMED;
	case DNS_R_NONE:
	case DNS_R_BAD_NAME:
	case DNS_R_SERVFAIL:
	case DNS_R_RECORDS:
	case DNS_R_TOO_MANY:
	case DNS_R_BUSY:
	case DNS_R_CLOSING:
		return ZONE_SERVFAIL;
	}
	bug("tempfail_special: %d", (int)reason);
}

/*
 * A name with data of a type that is never asked has none of the others; if it was asked after all,
 * say it in our own word.
 */
static void
write_nodata(struct strbuf *out, const struct lookup *l, const struct lookup *log, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!slice_equal(log[i].name, l->name))
			continue;
		if (log[i].type == DNS_NS || log[i].type == DNS_CNAME) {
			write_special(out, l, ZONE_NODATA);
			return;
		}
	}
	strbuf_printf(out, "; nodata for %s:\n", dns_type_word(l->type));
	write_start(out, l, "NS");
	strbuf_str(out, "nodata.invalid\n");
}

static void
write_comment(struct strbuf *out, struct arena *a, const struct dns_answer *answer)
{
	if (answer->security != DNS_INSECURE)
		strbuf_printf(out, "; %s\n", dns_security_word(answer->security));
	if (answer->detail.len > 0)
		strbuf_printf(
		    out, "; %s\n", arena_printable(a, answer->detail, DETAIL_SHOWN_BYTES));
}

struct slice
dns_zone_write(struct arena *a, const struct lookup *log, size_t count)
{
	struct strbuf out;

	strbuf_init(&out, a, SIZE_MAX / 2);
	for (size_t i = 0; i < count; i++) {
		const struct lookup *l = &log[i];

		/* What was never asked, or never answered, needs no answer. */
		if (l->answer == NULL || l->answer->reason == DNS_R_BAD_NAME)
			continue;
		write_comment(&out, a, l->answer);
		switch (l->answer->status) {
		case DNS_OK:
			for (size_t n = 0; n < l->answer->count; n++) {
				write_start(&out, l, dns_type_word(l->type));
				write_rdata(&out, &l->answer->records[n], l->type);
				strbuf_char(&out, '\n');
			}
			break;
		case DNS_NODATA:
			write_nodata(&out, l, log, count);
			break;
		case DNS_NXDOMAIN:
			write_special(&out, l, ZONE_NXDOMAIN);
			break;
		case DNS_TEMPFAIL:
			write_special(&out, l, tempfail_special(l->answer->reason));
			break;
		}
	}
	return strbuf_slice(&out);
}
