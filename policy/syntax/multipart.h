/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         multipart - the parts of a multipart body (RFC 2046 5.1.1)
 * SYNOPSIS     struct multipart m = { .body = body, .boundary = boundary };
 *              while (multipart_next(&m, &part)) ...
 * DESCRIPTION  Lines end with LF or CR LF. What stands before the first delimiter and behind the
 *              last one is passed over; a part that no delimiter ends goes to the end of the body.
 * BUGS         Parts within parts are the caller's: the same again, with their own boundary.
 */
#ifndef ASSAY_MULTIPART_H
#define ASSAY_MULTIPART_H

#include "policy/base/slice.h"

struct multipart {
	struct slice body, boundary; /* borrowed; without a boundary there are no parts */
	/* The rest is multipart_next()'s; zero at first. */
	size_t at;
	enum { MULTIPART_BEFORE, MULTIPART_INSIDE, MULTIPART_BEHIND } place;
};

/* The next part: its header, empty line and body, without the line end that belongs to the
 * delimiter behind it. False: there is no more. */
bool multipart_next(struct multipart *m, struct slice *part);

#endif
