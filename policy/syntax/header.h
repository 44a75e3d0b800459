/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NAME         header - the header fields of a message, in wire form
 * DESCRIPTION  value is everything behind the colon up to but without the CRLF that ends the field,
 *              byte for byte as on the wire: leading blank kept, folds as CRLF + WSP. Signatures
 *              need exactly that. Order is that of the message, topmost first.
 */
#ifndef ASSAY_HEADER_H
#define ASSAY_HEADER_H

#include "policy/base/arena.h"

struct header_field {
	struct slice name;
	struct slice value;
};

struct header_list {
	struct header_field *fields;
	size_t count;
	size_t size;  /* fields allocated */
	size_t bytes; /* name, colon, value and CRLF of all fields */
};

/*
 * Copy one field into the arena, behind the last. value may have LF, CR or CRLF as line ends
 * inside: Sendmail and Postfix hand folded values to a milter with LF (PITFALLS 13). Bytes are
 * otherwise kept.
 */
void header_list_add(
    struct header_list *list, struct arena *a, struct slice name, struct slice value);

/* What a field takes in wire form: name, colon, value (as above) and CRLF. */
size_t header_field_bytes(struct slice name, struct slice value);

/*
 * NULL, or which limit a header of so many fields and bytes in wire form passes; static text.
 * _list_limit: once this field is added to the list. In wire form, so that the header of a message
 * is as long in a file as it is from any MTA.
 */
const char *header_limit(size_t fields, size_t bytes);
const char *header_list_limit(
    const struct header_list *list, struct slice name, struct slice value);

/*
 * A name without the blanks that RFC 5322 4.5.1 lets stand before the colon. The name functions
 * below leave them out as well: "From : x" is a From field to those who read it.
 */
struct slice header_name_trim(struct slice name);

/* The first field of that name at or behind index from (case ignored), or NULL. */
const struct header_field *header_find(
    const struct header_list *list, const char *name, size_t from);

size_t header_count(const struct header_list *list, const char *name);

/* value unfolded (RFC 5322 2.2.3: CRLF before WSP removed) and trimmed; arena memory. */
struct slice header_unfold(struct arena *a, struct slice value);

#endif
