/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The input is the text of a TXT record. Asserted beyond survival, when it is a DMARC record:
 *      every value is in its range, every URI and every fault points into the text;
 *      the record printed again (faults gone, defaults left out) parses to the same record.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/dmarc_text.h"

#define ARENA_BYTES (1024u * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
must_be_within(struct slice text, struct slice part)
{
	must(part.len == 0 || (part.p >= text.p && part.p + part.len <= text.p + text.len));
}

static void
check_uris(struct slice text, const struct slice *uris, size_t count)
{
	must(count <= LIMIT_DMARC_URIS);
	for (size_t i = 0; i < count; i++) {
		must_be_within(text, uris[i]);
		must(slice_find(uris[i], ':') != SLICE_NONE);
		for (size_t k = 0; k < uris[i].len; k++)
			must(uris[i].p[k] > ' ' && uris[i].p[k] < 0x7f && uris[i].p[k] != '!' &&
			    uris[i].p[k] != ',' && uris[i].p[k] != ';');
	}
}

static void
check_values(const struct dmarc_record *r)
{
	must(r->p <= DMARC_P_REJECT && r->sp <= DMARC_P_REJECT && r->np <= DMARC_P_REJECT);
	must(!r->p_invalid || r->p == DMARC_P_UNSET);
	must(r->psd <= DMARC_PSD_NO && r->pct <= 100);
	must(r->fo_all || r->fo_any || r->fo_dkim || r->fo_spf);
	must(!(r->fo_all && r->fo_any));
	check_uris(r->text, r->rua, r->rua_count);
	check_uris(r->text, r->ruf, r->ruf_count);
	must(r->fault_count <= DMARC_FAULTS_MAX);
	for (size_t i = 0; i < r->fault_count; i++) {
		must_be_within(r->text, r->faults[i].value);
		must(r->faults[i].why != NULL);
	}
	must(dmarc_record_usability(r, DMARC_TREEWALK) >= dmarc_record_usability(r, DMARC_PSL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(ARENA_BYTES);
	struct dmarc_record r, again;

	if (dmarc_record_parse(a, slice_of((const char *)data, size), &r)) {
		struct slice text = slice_str(dmarc_text(a, &r));

		check_values(&r);
		if (text.len <= LIMIT_DMARC_RECORD_BYTES) { /* "; " is wider than ";" */
			must(dmarc_record_parse(a, text, &again));
			must(slice_equal(slice_str(dmarc_text(a, &again)), text));
		}
	}
	arena_free(&a);
	return 0;
}
