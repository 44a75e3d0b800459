/* SPDX-License-Identifier: BSD-2-Clause */
#include "milter/native/wire.h"

#include <stdlib.h>
#include <string.h>

#include "policy/base/bug.h"
#include "policy/base/limits.h"

#define KEPT_FIRST_BYTES   1024
#define OUTPUT_FIRST_BYTES 2048
#define OUTPUT_KEPT_BYTES  32768

uint32_t
wire_u32(const char bytes[4])
{
	const unsigned char *b = (const unsigned char *)bytes;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

struct slice
wire_number(char bytes[4], uint32_t n)
{
	bytes[0] = (char)(n >> 24);
	bytes[1] = (char)(n >> 16);
	bytes[2] = (char)(n >> 8);
	bytes[3] = (char)n;
	return slice_of(bytes, 4);
}

/* At least `bytes` of room, doubling. */
static void
reserve(char **p, size_t *size, size_t bytes, size_t first)
{
	size_t more = *size == 0 ? first : *size;
	char *grown;

	if (bytes <= *size)
		return;
	while (more < bytes)
		more *= 2;
	grown = realloc(*p, more);
	if (grown == NULL)
		out_of_memory(more);
	*p = grown;
	*size = more;
}

/* ---- reading ---- */

static void
forget_kept(struct wire_reader *r)
{
	free(r->kept);
	r->kept = NULL;
	r->kept_len = r->kept_size = 0;
	r->kept_given = false;
}

static struct slice
take(struct slice *input, size_t len)
{
	struct slice taken = slice_sub(*input, 0, len);

	*input = slice_from(*input, taken.len);
	return taken;
}

static enum wire_step
open_frame(struct wire_reader *r, const unsigned char *head)
{
	uint32_t len = wire_u32((const char *)head);

	if (len == 0) {
		r->error = "a frame without a command";
		return WIRE_BAD;
	}
	if (len - 1 > LIMIT_MILTER_FRAME_BYTES) {
		r->error = "a frame that is too long";
		return WIRE_BAD;
	}
	r->open = true;
	r->command = (char)head[WIRE_HEAD_BYTES - 1];
	r->left = len - 1;
	r->head_len = 0;
	return WIRE_FRAME;
}

static enum wire_step
read_head(struct wire_reader *r, struct slice *input)
{
	struct slice part;

	if (r->head_len == 0 && input->len >= WIRE_HEAD_BYTES) {
		part = take(input, WIRE_HEAD_BYTES);
		return open_frame(r, (const unsigned char *)part.p);
	}
	part = take(input, WIRE_HEAD_BYTES - r->head_len);
	if (part.len > 0)
		memcpy(r->head + r->head_len, part.p, part.len);
	r->head_len += part.len;
	return r->head_len < WIRE_HEAD_BYTES ? WIRE_MORE : open_frame(r, r->head);
}

static bool
comes_in_pieces(char command)
{
	return command == WIRE_BODY || command == WIRE_END_OF_MESSAGE;
}

static enum wire_step
give(struct wire_reader *r, struct slice data, bool last, struct wire_frame *frame_r)
{
	r->open = !last;
	r->frames += last;
	*frame_r = (struct wire_frame){ r->command, data, last };
	return WIRE_FRAME;
}

static enum wire_step
read_piece(struct wire_reader *r, struct slice *input, struct wire_frame *frame_r)
{
	struct slice piece = take(input, r->left);

	if (piece.len == 0 && r->left > 0)
		return WIRE_MORE;
	r->left -= piece.len;
	return give(r, piece, r->left == 0, frame_r);
}

static enum wire_step
read_whole(struct wire_reader *r, struct slice *input, struct wire_frame *frame_r)
{
	struct slice part = take(input, r->left);

	if (r->kept_len == 0 && part.len == r->left)
		return give(r, part, true, frame_r);
	if (part.len > 0) {
		reserve(&r->kept, &r->kept_size, r->kept_len + part.len, KEPT_FIRST_BYTES);
		memcpy(r->kept + r->kept_len, part.p, part.len);
		r->kept_len += part.len;
		r->left -= part.len;
	}
	if (r->left > 0)
		return WIRE_MORE;
	r->kept_given = true;
	return give(r, slice_of(r->kept, r->kept_len), true, frame_r);
}

enum wire_step
wire_next(struct wire_reader *r, struct slice *input, struct wire_frame *frame_r)
{
	if (r->error != NULL)
		return WIRE_BAD;
	if (r->kept_given)
		forget_kept(r);
	if (!r->open) {
		enum wire_step step = read_head(r, input);

		if (step != WIRE_FRAME)
			return step;
	}
	return comes_in_pieces(r->command) ? read_piece(r, input, frame_r)
					   : read_whole(r, input, frame_r);
}

bool
wire_is_inside(const struct wire_reader *r)
{
	return r->open || r->head_len > 0;
}

void
wire_reader_free(struct wire_reader *r)
{
	forget_kept(r);
}

/* ---- writing ---- */

void
wire_put(struct wire_output *o, char command, const struct slice *parts, size_t count)
{
	size_t len = 1;
	char *at;

	for (size_t i = 0; i < count; i++)
		len += parts[i].len;
	reserve(&o->p, &o->size, o->len + 4 + len, OUTPUT_FIRST_BYTES);
	at = o->p + o->len;
	(void)wire_number(at, (uint32_t)len);
	at[4] = command;
	at += WIRE_HEAD_BYTES;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].len > 0)
			memcpy(at, parts[i].p, parts[i].len);
		at += parts[i].len;
	}
	o->len += 4 + len;
}

void
wire_output_clear(struct wire_output *o)
{
	if (o->size > OUTPUT_KEPT_BYTES)
		wire_output_free(o);
	o->len = 0;
}

void
wire_output_free(struct wire_output *o)
{
	free(o->p);
	*o = (struct wire_output){ .p = NULL };
}
