/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         dmarc_text - a parsed DMARC record as text again
 * DESCRIPTION  What is at its default is left out, so that a row of a table says what matters.
 *              Parsing the text gives the same record, faults aside.
 */
#ifndef ASSAY_TEST_DMARC_TEXT_H
#define ASSAY_TEST_DMARC_TEXT_H

#include "policy/base/strbuf.h"
#include "policy/dmarc/dmarc.h"

static inline void
dmarc_text_uris(struct strbuf *b, const char *tag, const struct slice *uris, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		strbuf_printf(b, "%s", i == 0 ? tag : ",");
		strbuf_add(b, uris[i]);
	}
}

static inline void
dmarc_text_policy(struct strbuf *b, const char *tag, enum dmarc_policy policy, bool invalid)
{
	if (policy != DMARC_P_UNSET || invalid)
		strbuf_printf(b, "; %s=%s", tag, invalid ? "bad" : dmarc_policy_word(policy));
}

static inline const char *
dmarc_text(struct arena *a, const struct dmarc_record *r)
{
	static const char *const options[] = { "0", "1", "d", "s" };
	const bool fo[] = { r->fo_all, r->fo_any, r->fo_dkim, r->fo_spf };
	const char *separator = "; fo=";
	struct strbuf b;

	strbuf_init(&b, a, 4 * LIMIT_DMARC_RECORD_BYTES);
	strbuf_str(&b, "v=DMARC1");
	dmarc_text_policy(&b, "p", r->p, r->p_invalid);
	dmarc_text_policy(&b, "sp", r->sp, r->sp_invalid);
	dmarc_text_policy(&b, "np", r->np, r->np_invalid);
	if (r->psd != DMARC_PSD_UNKNOWN)
		strbuf_printf(&b, "; psd=%s", dmarc_psd_word(r->psd));
	if (r->testing)
		strbuf_str(&b, "; t=y");
	if (r->strict_dkim)
		strbuf_str(&b, "; adkim=s");
	if (r->strict_spf)
		strbuf_str(&b, "; aspf=s");
	dmarc_text_uris(&b, "; rua=", r->rua, r->rua_count);
	dmarc_text_uris(&b, "; ruf=", r->ruf, r->ruf_count);
	for (size_t i = 0; i < 4; i++)
		if (fo[i] && !(r->fo_all && !r->fo_any && !r->fo_dkim && !r->fo_spf)) {
			strbuf_printf(&b, "%s%s", separator, options[i]);
			separator = ":";
		}
	if (r->pct != 100)
		strbuf_printf(&b, "; pct=%u", r->pct);
	return arena_str(a, strbuf_slice(&b));
}

#endif
