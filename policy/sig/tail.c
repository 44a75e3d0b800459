/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/sig/tail.h"

#include <string.h>

#include "policy/base/limits.h"

struct half {
	struct digest *before; /* as it stood before the first of the bytes */
	char *bytes;
	size_t len;
};

struct sig_tail {
	struct arena *arena;
	const struct crypto *crypto;
	struct digest *running;
	struct half halves[2]; /* the one being filled, and the one filled before it */
	size_t filling;
};

struct sig_tail *
sig_tail_new(struct arena *a, const struct crypto *c, struct digest *running)
{
	struct sig_tail *t = arena_alloc(a, sizeof(*t));

	t->arena = a;
	t->crypto = c;
	t->running = running;
	for (size_t i = 0; i < 2; i++) {
		t->halves[i].before = digest_new(c);
		t->halves[i].bytes = arena_alloc(a, LIMIT_TAIL_BYTES);
	}
	return t;
}

void
sig_tail_fini(struct sig_tail **t)
{
	if (*t == NULL)
		return;
	digest_free(&(*t)->halves[0].before);
	digest_free(&(*t)->halves[1].before);
	*t = NULL;
}

void
sig_tail_update(struct sig_tail *t, const char *bytes, size_t len)
{
	while (len > 0) {
		struct half *h = &t->halves[t->filling];
		size_t n = LIMIT_TAIL_BYTES - h->len;

		if (n == 0) {
			t->filling = 1 - t->filling;
			h = &t->halves[t->filling];
			digest_copy(h->before, t->running);
			h->len = 0;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(h->bytes + h->len, bytes, n);
		digest_update(t->running, bytes, n);
		h->len += n;
		bytes += n;
		len -= n;
	}
}

/* ---- the search ---- */

struct search {
	const uint8_t *want;
	struct slice text;	/* all that is remembered, in order */
	struct digest *working; /* stands before text.p + at */
	size_t at;
	struct digest *probe;
	size_t parts_left;
};

/* The line at that byte, without its CRLF. */
static struct slice
line_at(struct slice text, size_t at)
{
	struct slice rest = slice_from(text, at);
	const char *p = rest.p, *end = rest.len == 0 ? p : p + rest.len;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (p > rest.p && p[-1] == '\r')
			return slice_of(rest.p, (size_t)(p - 1 - rest.p));
		p++;
	}
	return rest;
}

/* Where the line behind that byte's begins. */
static size_t
next_line(struct slice text, size_t at)
{
	size_t next = at + line_at(text, at).len + 2;

	return next < text.len ? next : text.len;
}

/*
 * May the text have ended before this line? RFC 6376 3.4.3, 3.4.4: a canonical body does not end in
 * an empty line, and one that is nothing but that is not worth finding.
 */
static bool
may_begin(struct slice text, size_t at)
{
	return at > 2 && at < text.len && (at < 4 || memcmp(text.p + at - 4, "\r\n", 2) != 0);
}

/* Is the digest of all before at, and then of rest, the one that is wanted? */
static bool
matches(struct search *s, size_t at, struct slice rest)
{
	uint8_t got[SHA256_BYTES];

	digest_update(s->working, s->text.p + s->at, at - s->at);
	s->at = at;
	digest_copy(s->probe, s->working);
	if (rest.len > 0)
		digest_update(s->probe, rest.p, rest.len);
	digest_final(s->probe, got);
	return memcmp(got, s->want, SHA256_BYTES) == 0;
}

/* RFC 2046 5.1.1: "--boundary" without the blanks that may stand behind; empty: no such line. */
static struct slice
delimiter_at(struct slice text, size_t at)
{
	struct slice line = line_at(text, at);

	while (line.len > 0 && ascii_is_wsp(line.p[line.len - 1]))
		line.len--;
	return line.len > 2 && slice_starts(line, SLICE("--")) ? line : slice_of(NULL, 0);
}

/* The last "--boundary--" behind that line, or SLICE_NONE. */
static size_t
closing_delimiter(struct slice text, size_t at, struct slice open)
{
	size_t found = SLICE_NONE;

	for (size_t i = next_line(text, at); i < text.len; i = next_line(text, i)) {
		struct slice line = line_at(text, i);

		if (slice_starts(line, open) &&
		    slice_equal(slice_trim(slice_from(line, open.len)), SLICE("--")))
			found = i;
	}
	return found;
}

/* A footer that begins here, or a part that does. */
static bool
try_line(struct search *s, size_t at, struct sig_cut *out)
{
	struct slice delimiter = delimiter_at(s->text, at);
	size_t close;

	*out = (struct sig_cut){ .bytes = s->text.len - at };
	if (matches(s, at, slice_of(NULL, 0)))
		return true;
	if (delimiter.len == 0 || s->parts_left == 0)
		return false;
	s->parts_left--;
	close = closing_delimiter(s->text, at, delimiter);
	if (close == SLICE_NONE)
		return false;
	*out = (struct sig_cut){ .bytes = close - at, .is_part = true };
	return matches(s, at, slice_from(s->text, close));
}

static struct slice
remembered(struct sig_tail *t, const struct half *older, const struct half *newer)
{
	char *all = arena_alloc(t->arena, older->len + newer->len + 1);

	if (older->len > 0)
		memcpy(all, older->bytes, older->len);
	if (newer->len > 0)
		memcpy(all + older->len, newer->bytes, newer->len);
	return slice_of(all, older->len + newer->len);
}

bool
sig_tail_search(struct sig_tail *t, const uint8_t want[SHA256_BYTES], struct sig_cut *out)
{
	const struct half *newer = &t->halves[t->filling], *older = &t->halves[1 - t->filling];
	struct search s = { .want = want,
		.text = remembered(t, older, newer),
		.working = digest_new(t->crypto),
		.probe = digest_new(t->crypto),
		.parts_left = LIMIT_TAIL_PARTS };
	size_t lines = 0, skip;
	bool found = false;

	digest_copy(s.working, older->len > 0 ? older->before : newer->before);
	for (size_t at = 0; at < s.text.len; at = next_line(s.text, at))
		lines += may_begin(s.text, at);
	skip = lines > LIMIT_TAIL_LINES ? lines - LIMIT_TAIL_LINES : 0;
	for (size_t at = 0; !found && at < s.text.len; at = next_line(s.text, at)) {
		if (!may_begin(s.text, at))
			continue;
		if (skip > 0)
			skip--;
		else
			found = try_line(&s, at, out);
	}
	digest_free(&s.working);
	digest_free(&s.probe);
	return found;
}
