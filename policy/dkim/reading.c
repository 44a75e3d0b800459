/* SPDX-License-Identifier: BSD-2-Clause */
/* A body on its way to digests of what it was before it was encoded or wrapped. */
#include <string.h>

#include "policy/base/limits.h"
#include "policy/dkim/internal.h"

#define OUT_BYTES 1024

struct dkim_reading {
	enum dkim_reading_kind kind;
	struct sig_bodies *bodies;
	uint64_t bytes; /* read */
	bool dead;	/* can't be read so */
	bool ended;
	/* decoding */
	bool base64;  /* else quoted-printable */
	char held[3]; /* quoted-printable: "=" and what stands behind it so far */
	size_t held_len;
	uint32_t bits; /* base64: not yet whole bytes */
	unsigned bit_count;
	char last; /* byte that came out */
	char out[OUT_BYTES];
	size_t out_len;
	/* the first part */
	char head[LIMIT_PART_HEADER_BYTES];
	size_t head_len;
	bool inside; /* its header is over */
	struct slice part_header;
};

/* ---- which ---- */

static bool
begins(const struct header_list *header, const char *name, struct slice word)
{
	const struct header_field *f = header_find(header, name, 0);

	return f != NULL && slice_starts_nocase(slice_trim(f->value), word);
}

static bool
is_base64(const struct header_list *header)
{
	return begins(header, "Content-Transfer-Encoding", SLICE("base64"));
}

bool
dkim_reading_applies(enum dkim_reading_kind kind, const struct header_list *header)
{
	switch (kind) {
	case DKIM_READ_DECODED:
		return is_base64(header) ||
		    begins(header, "Content-Transfer-Encoding", SLICE("quoted-printable"));
	case DKIM_READ_INNER:
		return begins(header, "Content-Type", SLICE("multipart/mixed"));
	case DKIM_READINGS:
		break;
	}
	bug("dkim_reading: kind %d", (int)kind);
}

struct dkim_reading *
dkim_reading_new(struct arena *a, const struct crypto *c, enum dkim_reading_kind kind,
    const struct header_list *header)
{
	struct dkim_reading *r = arena_alloc(a, sizeof(*r));

	r->kind = kind;
	r->base64 = is_base64(header);
	r->bodies = sig_bodies_new(a, c);
	return r;
}

void
dkim_reading_fini(struct dkim_reading **r)
{
	if (*r == NULL)
		return;
	sig_bodies_fini(&(*r)->bodies);
	*r = NULL;
}

struct sig_bodies *
dkim_reading_bodies(struct dkim_reading *r)
{
	return r->bodies;
}

struct slice
dkim_reading_part_header(const struct dkim_reading *r)
{
	return r->part_header;
}

/* ---- decoding, RFC 2045 6.7, 6.8 ---- */

static void
flush(struct dkim_reading *r)
{
	(void)sig_bodies_update(r->bodies, slice_of(r->out, r->out_len));
	r->out_len = 0;
}

/* Some encode lines that end in LF alone: on the wire they ended in CRLF. */
static void
put(struct dkim_reading *r, char c)
{
	if (r->out_len + 2 > OUT_BYTES)
		flush(r);
	if (c == '\n' && r->last != '\r')
		r->out[r->out_len++] = '\r';
	r->out[r->out_len++] = r->last = c;
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void
take_base64(struct dkim_reading *r, char c)
{
	int value = base64_value(c);

	if (c == '=')
		r->bit_count = 0; /* the rest of the last quantum is padding */
	if (value < 0)
		return;
	r->bits = (r->bits << 6 | (uint32_t)value) & 0xffff;
	r->bit_count += 6;
	if (r->bit_count >= 8) {
		r->bit_count -= 8;
		put(r, (char)(r->bits >> r->bit_count & 0xff));
	}
}

/* What was held was no code after all. */
static void
release(struct dkim_reading *r)
{
	for (size_t i = 0; i < r->held_len; i++)
		put(r, r->held[i]);
	r->held_len = 0;
}

static void
take_quoted(struct dkim_reading *r, char c)
{
	if (r->held_len == 0 && c != '=') {
		put(r, c);
		return;
	}
	r->held[r->held_len++] = c;
	if (r->held_len < 3)
		return;
	if (r->held[1] == '\r' && r->held[2] == '\n') {
		r->held_len = 0; /* a soft line break */
	} else if (ascii_hex(r->held[1]) >= 0 && ascii_hex(r->held[2]) >= 0) {
		r->held_len = 0;
		put(r, (char)(ascii_hex(r->held[1]) << 4 | ascii_hex(r->held[2])));
	} else {
		release(r);
	}
}

static void
decode(struct dkim_reading *r, struct slice chunk)
{
	for (size_t i = 0; i < chunk.len; i++) {
		if (r->base64)
			take_base64(r, chunk.p[i]);
		else
			take_quoted(r, chunk.p[i]);
	}
	flush(r);
}

/* ---- the first part, RFC 2046 5.1.1 ---- */

static const char *
find(struct slice text, const char *what)
{
	return text.len == 0 ? NULL : memmem(text.p, text.len, what, strlen(what));
}

/* Behind the first delimiter and its line; 0: not there yet. */
static size_t
first_part(struct slice head)
{
	const char *at = slice_starts(head, SLICE("--")) ? head.p : find(head, "\r\n--");
	const char *end;

	if (at == NULL)
		return 0;
	at += *at == '\r' ? 2 : 0;
	end = find(slice_from(head, (size_t)(at - head.p)), "\r\n");
	return end == NULL ? 0 : (size_t)(end - head.p);
}

/* Is the header of the first part whole? A part may have none at all. */
static bool
enter_part(struct dkim_reading *r, size_t *body)
{
	struct slice head = slice_of(r->head, r->head_len);
	size_t start = first_part(head);
	const char *end = start == 0 ? NULL : find(slice_from(head, start), "\r\n\r\n");

	if (end == NULL)
		return false;
	if (end > head.p + start)
		r->part_header = slice_of(
		    head.p + start + 2, (size_t)(end + 2 - (head.p + start + 2)));
	*body = (size_t)(end - head.p) + 4;
	return true;
}

static void
unwrap(struct dkim_reading *r, struct slice chunk)
{
	size_t n = LIMIT_PART_HEADER_BYTES - r->head_len, body;

	if (r->inside) {
		(void)sig_bodies_update(r->bodies, chunk);
		return;
	}
	if (n > chunk.len)
		n = chunk.len;
	if (n > 0)
		memcpy(r->head + r->head_len, chunk.p, n);
	r->head_len += n;
	if (enter_part(r, &body)) {
		r->inside = true;
		(void)sig_bodies_update(r->bodies, slice_of(r->head + body, r->head_len - body));
		(void)sig_bodies_update(r->bodies, slice_from(chunk, n));
	} else if (r->head_len == LIMIT_PART_HEADER_BYTES) {
		r->dead = true;
	}
}

void
dkim_reading_update(struct dkim_reading *r, struct slice chunk)
{
	r->bytes += chunk.len;
	if (r->bytes > LIMIT_DIAGNOSIS_BYTES)
		r->dead = true;
	if (r->dead || chunk.len == 0)
		return;
	switch (r->kind) {
	case DKIM_READ_DECODED:
		decode(r, chunk);
		return;
	case DKIM_READ_INNER:
		unwrap(r, chunk);
		return;
	case DKIM_READINGS:
		break;
	}
	bug("dkim_reading: kind %d", (int)r->kind);
}

bool
dkim_reading_end(struct dkim_reading *r)
{
	if (r->ended)
		return !r->dead;
	r->ended = true;
	if (r->kind == DKIM_READ_INNER && !r->inside)
		r->dead = true;
	release(r);
	flush(r);
	sig_bodies_end(r->bodies);
	return !r->dead;
}
