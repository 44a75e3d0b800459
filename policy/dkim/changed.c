/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/dkim/internal.h"

#define SHOWN_BYTES 60 /* of each value */

/*
 * The sender writes z= and the header both: what is compared is bounded, and beyond these bounds
 * nothing is claimed.
 */
#define COPIES_MAX	64
#define INSTANCES_MAX	4
#define VALUE_BYTES_MAX 8192

/* value with its blanks as relaxed has them; without name and colon. */
static struct slice
relaxed_value(struct arena *a, struct slice value)
{
	char *out = arena_alloc(a, value.len + 1);
	size_t len = sig_canon_field(SIG_RELAXED, slice_of("", 0), value, out);

	return slice_of(out + 1, len - 1);
}

static bool
next_word(struct slice *rest, struct slice *word)
{
	size_t len = 0;

	while (rest->len > 0 && ascii_is_space(rest->p[0]))
		*rest = slice_from(*rest, 1);
	while (len < rest->len && !ascii_is_space(rest->p[len]))
		len++;
	*word = slice_sub(*rest, 0, len);
	*rest = slice_from(*rest, len);
	return len > 0;
}

/* Equal but for blanks: a signature by relaxed doesn't mind those, so they are not what broke it.
 */
static bool
same_words(struct slice a, struct slice b)
{
	struct slice x, y;
	bool more;

	do {
		more = next_word(&a, &x);
		if (next_word(&b, &y) != more || !slice_equal(x, y))
			return false;
	} while (more);
	return true;
}

/*
 * May the copy be that of a field that is still there? *now: the lowest field of that name, or
 * NULL.
 */
static bool
may_be_there(struct slice name, struct slice value, const struct header_list *header,
    const struct header_field **now)
{
	size_t instances = 0;

	*now = NULL;
	for (size_t i = header->count; i-- > 0;) {
		const struct header_field *f = &header->fields[i];

		if (!slice_equal_nocase(header_name_trim(f->name), name))
			continue;
		if (*now == NULL)
			*now = f;
		if (++instances > INSTANCES_MAX || f->value.len > VALUE_BYTES_MAX ||
		    same_words(f->value, value))
			return true;
	}
	return false;
}

static struct slice
say_changed(struct arena *a, struct slice name, struct slice value, const struct header_field *now)
{
	const char *field = arena_printable(a, name, SHOWN_BYTES);
	const char *was = arena_printable(a, value, SHOWN_BYTES);

	if (now == NULL)
		return slice_str(
		    arena_printf(a, "%s is gone; it was signed as \"%s\"", field, was));
	return slice_str(arena_printf(a, "%s was changed: it was signed as \"%s\" and is \"%s\"",
	    field, was, arena_printable(a, relaxed_value(a, now->value), SHOWN_BYTES)));
}

/*
 * RFC 6376 3.5: z= holds copies of header fields as they were when the message was signed, "|"
 * between them, for exactly this: finding out what happened on the way.
 */
struct slice
dkim_changed_field(struct arena *a, struct slice copied, const struct header_list *header)
{
	struct slice copy;

	for (size_t i = 0; i < COPIES_MAX && slice_next(&copied, '|', &copy); i++) {
		size_t colon = slice_find(copy, ':');
		struct slice name, value;
		const struct header_field *now;

		if (colon == SLICE_NONE)
			continue;
		name = slice_trim(slice_sub(copy, 0, colon));
		value = dkim_unquote(a, slice_from(copy, colon + 1));
		if (!may_be_there(name, value, header, &now))
			return say_changed(a, name, relaxed_value(a, value), now);
	}
	return slice_of(NULL, 0);
}
