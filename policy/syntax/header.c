/* SPDX-License-Identifier: BSD-2-Clause */
#include "policy/syntax/header.h"

#include <string.h>

#include "policy/base/limits.h"

#define FIELDS_START 32

/* Line ends that are a LF alone. */
static size_t
bare_breaks(struct slice value)
{
	const char *p = value.p, *end = value.len == 0 ? p : p + value.len;
	size_t n = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		n += p == value.p || p[-1] != '\r';
		p++;
	}
	return n;
}

/* A copy with every line end (LF, CR LF; a CR alone is kept) as CR LF. */
static struct slice
copy_wire(struct arena *a, struct slice value)
{
	size_t breaks = bare_breaks(value), len = 0, at;
	char *p;

	if (breaks == 0)
		return arena_copy(a, value);
	p = arena_bytes(a, value.len + breaks + 1);
	while ((at = slice_find(value, '\n')) != SLICE_NONE) {
		memcpy(p + len, value.p, at);
		len += at;
		if (at == 0 || value.p[at - 1] != '\r')
			p[len++] = '\r';
		p[len++] = '\n';
		value = slice_from(value, at + 1);
	}
	if (value.len > 0)
		memcpy(p + len, value.p, value.len);
	len += value.len;
	p[len] = '\0';
	return slice_of(p, len);
}

size_t
header_field_bytes(struct slice name, struct slice value)
{
	return name.len + strlen(":") + value.len + bare_breaks(value) + strlen("\r\n");
}

const char *
header_limit(size_t fields, size_t bytes)
{
	if (fields > LIMIT_HEADER_FIELDS)
		return "more header fields than are read";
	return bytes > LIMIT_HEADER_BYTES ? "header longer than is read" : NULL;
}

const char *
header_list_limit(const struct header_list *list, struct slice name, struct slice value)
{
	return header_limit(list->count + 1, list->bytes + header_field_bytes(name, value));
}

void
header_list_add(struct header_list *list, struct arena *a, struct slice name, struct slice value)
{
	struct header_field *f;

	if (list->count == list->size) {
		size_t size = list->size == 0 ? FIELDS_START : 2 * list->size;
		struct header_field *grown = (void *)arena_bytes(a, size * sizeof(*grown));

		if (list->count > 0)
			memcpy(grown, list->fields, list->count * sizeof(*grown));
		list->fields = grown;
		list->size = size;
	}
	f = &list->fields[list->count++];
	f->name = arena_copy(a, name);
	f->value = copy_wire(a, value);
	list->bytes += f->name.len + strlen(":") + f->value.len + strlen("\r\n");
}

struct slice
header_name_trim(struct slice name)
{
	while (name.len > 0 && ascii_is_wsp(name.p[name.len - 1]))
		name.len--;
	return name;
}

/* Nearly every field is another one, told by its length or its first letter. */
static inline bool
is_named(const struct header_field *f, struct slice name)
{
	if (f->name.len != name.len &&
	    (f->name.len < name.len || !ascii_is_wsp(f->name.p[name.len])))
		return false;
	return name.len > 0 && ascii_lower(f->name.p[0]) == ascii_lower(name.p[0]) &&
	    slice_equal_nocase(header_name_trim(f->name), name);
}

const struct header_field *
header_find(const struct header_list *list, const char *name, size_t from)
{
	const struct slice wanted = slice_str(name);

	for (size_t i = from; i < list->count; i++)
		if (is_named(&list->fields[i], wanted))
			return &list->fields[i];
	return NULL;
}

size_t
header_count(const struct header_list *list, const char *name)
{
	const struct slice wanted = slice_str(name);
	size_t n = 0;

	for (size_t i = 0; i < list->count; i++)
		n += is_named(&list->fields[i], wanted);
	return n;
}

struct slice
header_unfold(struct arena *a, struct slice value)
{
	char *p = arena_alloc(a, value.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			p[len++] = value.p[i];
	return slice_trim(slice_of(p, len));
}
