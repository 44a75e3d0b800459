/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/edits.h"

#include <string.h>

#include "policy/authres/authres.h"
#include "policy/base/limits.h"
#include "policy/syntax/header.h"

static const char results_name[] = "Authentication-Results";

/* What authres_must_go() may take from the arena for a value of that many bytes, generously. */
#define CLAIM_ROOM(len) (4 * (len) + 4096)

static void
edits_add(struct edits *e, struct arena *a, const char *name, int index)
{
	if (e->count == LIMIT_EDITS) {
		e->full = true;
		return;
	}
	if (e->count == e->size) {
		size_t size = e->size == 0 ? 8 : 2 * e->size;
		struct edit *list = arena_array(a, size, sizeof(*list));

		if (e->count > 0)
			memcpy(list, e->list, e->count * sizeof(*list));
		e->list = list;
		e->size = size;
	}
	e->list[e->count++] = (struct edit){ name, index };
}

/* A field that there is no room to look at goes: better one too many than a forged one. */
static bool
claims_us(struct arena *a, const struct conf *conf, struct slice value)
{
	return !arena_has_room(a, CLAIM_ROOM(value.len)) ||
	    authres_must_go(a, value, conf->authserv_ids, conf->authserv_id_count);
}

void
edits_note(struct edits *e, struct arena *a, const struct conf *conf, struct slice name,
    struct slice value)
{
	name = header_name_trim(name);
	if (slice_equal_nocase(name, slice_str(results_name))) {
		e->results_seen++;
		if (claims_us(a, conf, value))
			edits_add(e, a, results_name, e->results_seen);
	} else if (conf->quarantine == CONF_QUARANTINE_HEADER &&
	    slice_equal_nocase(name, slice_str(conf->quarantine_header))) {
		e->quarantine_seen++;
		edits_add(e, a, conf->quarantine_header, e->quarantine_seen);
	}
}

int
edits_remove(const struct edits *e, const struct mta *mta)
{
	/* Noted in order of arrival, so from the end is highest index first for either name. */
	for (size_t i = e->count; i-- > 0;)
		if (mta->calls->change_header(mta->ctx, e->list[i].name, e->list[i].index, NULL) !=
		    0)
			return -1;
	return 0;
}
