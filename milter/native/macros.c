/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/native/macros.h"

#include <stdlib.h>
#include <string.h>

#include "milter/native/wire.h"
#include "policy/base/bug.h"
#include "policy/base/limits.h"

static int
stage_of(char command)
{
	switch (command) {
	case WIRE_CONNECT:
		return STAGE_CONNECT;
	case WIRE_HELO:
		return STAGE_HELO;
	case WIRE_MAIL:
		return STAGE_MAIL;
	case WIRE_RCPT:
		return STAGE_RCPT;
	case WIRE_DATA:
		return STAGE_DATA;
	case WIRE_END_OF_MESSAGE:
		return STAGE_END_OF_MESSAGE;
	case WIRE_END_OF_HEADERS:
		return STAGE_END_OF_HEADERS;
	default:
		return -1;
	}
}

/* Bytes up to and with the last NUL of a whole pair. *count_r: pairs. */
static size_t
whole_pairs(struct slice list, size_t *count_r)
{
	size_t texts = 0, end = 0;

	for (size_t i = 0; i < list.len; i++)
		if (list.p[i] == '\0' && ++texts % 2 == 0)
			end = i + 1;
	*count_r = texts / 2;
	return end;
}

int
macros_set(struct macros *m, struct slice data, const char **error_r)
{
	struct slice list = slice_from(data, 1);
	int stage = data.len == 0 ? -1 : stage_of(data.p[0]);
	struct macro_list *at;
	size_t count;

	if (stage < 0)
		return 0;
	if (list.len > LIMIT_MACRO_BYTES) {
		*error_r = "too many bytes of macros";
		return -1;
	}
	list.len = whole_pairs(list, &count);
	if (count > LIMIT_MACROS) {
		*error_r = "too many macros";
		return -1;
	}
	at = &m->stages[stage];
	at->len = 0;
	if (list.len > at->size) {
		free(at->p);
		at->p = heap_alloc(1, list.len);
		at->size = list.len;
	}
	if (list.len > 0)
		memcpy(at->p, list.p, list.len);
	at->len = list.len;
	return 0;
}

void
macros_forget_after(struct macros *m, enum terms_stage stage)
{
	for (size_t i = (size_t)stage + 1; i < TERMS_STAGES; i++)
		m->stages[i].len = 0;
}

void
macros_forget_all(struct macros *m)
{
	for (size_t i = 0; i < TERMS_STAGES; i++)
		free(m->stages[i].p);
	*m = (struct macros){ { { .p = NULL } } };
}

/* Names of one letter may come in braces and without. */
static bool
is_name(const char *name, const char *wanted)
{
	if (strcmp(name, wanted) == 0)
		return true;
	if (wanted[0] != '\0' && wanted[1] == '\0')
		return name[0] == '{' && name[1] == wanted[0] && strcmp(name + 2, "}") == 0;
	return wanted[0] == '{' && name[0] != '\0' && name[0] == wanted[1] && name[1] == '\0' &&
	    strcmp(wanted + 2, "}") == 0;
}

static const char *
find(const struct macro_list *list, const char *name)
{
	const char *p = list->p, *end = p + list->len;

	while (p < end) {
		const char *value = p + strlen(p) + 1;

		if (is_name(p, name))
			return value;
		p = value + strlen(value) + 1;
	}
	return NULL;
}

const char *
macros_get(const struct macros *m, const char *name)
{
	for (size_t i = TERMS_STAGES; i-- > 0;) {
		const char *value = m->stages[i].len == 0 ? NULL : find(&m->stages[i], name);

		if (value != NULL)
			return value;
	}
	return NULL;
}
