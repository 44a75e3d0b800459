/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         wire - frames of the milter protocol
 * SYNOPSIS     while (wire_next(&reader, &input, &frame) == WIRE_FRAME) ...;
 * DESCRIPTION  A frame is its length in four bytes (network order; what follows it is counted), a
 *              command in one, and data. The reader takes bytes cut anywhere. A frame that lies
 *              whole in the input is not copied; else its data is kept until the rest has come,
 *              and no memory is taken for what a peer has only announced. Commands whose data may
 *              be long and is needed once only (the body) come piece by piece, and are never kept.
 * DIAGNOSTICS  WIRE_BAD: the stream can't be followed any more; error says why.
 */
#ifndef ASSAY_WIRE_H
#define ASSAY_WIRE_H

#include <stdint.h>

#include "policy/base/slice.h"

#define WIRE_HEAD_BYTES 5

/* clang-format off */

/* What an MTA says. */
#define WIRE_ABORT		'A'
#define WIRE_BODY		'B'	/* in pieces */
#define WIRE_CONNECT		'C'
#define WIRE_MACROS		'D'
#define WIRE_END_OF_MESSAGE	'E'	/* may bring the last of the body: in pieces */
#define WIRE_HELO		'H'
#define WIRE_QUIT_NEW		'K'	/* QUIT, another client's connection follows */
#define WIRE_HEADER		'L'
#define WIRE_MAIL		'M'
#define WIRE_END_OF_HEADERS	'N'
#define WIRE_NEGOTIATE		'O'	/* also the answer to it */
#define WIRE_QUIT		'Q'
#define WIRE_RCPT		'R'
#define WIRE_DATA		'T'
#define WIRE_UNKNOWN		'U'

/* What a filter says. */
#define WIRE_ACCEPT		'a'
#define WIRE_CONTINUE		'c'
#define WIRE_DISCARD		'd'
#define WIRE_INSERT_HEADER	'i'
#define WIRE_CHANGE_HEADER	'm'
#define WIRE_PROGRESS		'p'
#define WIRE_QUARANTINE		'q'
#define WIRE_REJECT		'r'
#define WIRE_SKIP		's'
#define WIRE_TEMPFAIL		't'
#define WIRE_REPLY		'y'

/* clang-format on */

struct wire_frame {
	char command;
	struct slice data; /* a piece of it for commands that come so */
	bool last;	   /* the frame ends here */
};

struct wire_reader { /* zeroed is ready */
	const char *error;
	uint64_t frames; /* that have come whole */
	/* The frame under way. */
	bool open; /* its head was read */
	char command;
	size_t left; /* of its data, still to come */
	unsigned char head[WIRE_HEAD_BYTES];
	size_t head_len;
	/* Data of a frame that came in parts; given back before the next frame. */
	char *kept;
	size_t kept_len, kept_size;
	bool kept_given;
};

enum wire_step { WIRE_MORE, WIRE_FRAME, WIRE_BAD };

/*
 * The next frame, or piece of one, of *input, which moves on. WIRE_MORE: *input is used up. The
 * data is valid until the next call, or until input's bytes are gone. At most
 * LIMIT_MILTER_FRAME_BYTES of data a frame.
 */
enum wire_step wire_next(struct wire_reader *r, struct slice *input, struct wire_frame *frame_r);

/* Is a frame begun that has not come whole? */
bool wire_is_inside(const struct wire_reader *r);
void wire_reader_free(struct wire_reader *r);

uint32_t wire_u32(const char bytes[4]);

/* Frames to be sent, one behind the other. Heap memory, kept between uses. */
struct wire_output { /* zeroed is ready */
	char *p;
	size_t len, size;
};

/* A frame whose data is the parts in a row. */
void wire_put(struct wire_output *o, char command, const struct slice *parts, size_t count);
/* The bytes of a number, for a part. */
struct slice wire_number(char bytes[4], uint32_t n);
/* Forget what is in it; give back the memory of an unusual answer. */
void wire_output_clear(struct wire_output *o);
void wire_output_free(struct wire_output *o);

#endif
