/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "policy/dns/internal.h"

ENUMTAB_WORDS(dns_status_word, enum dns_status, DNS_STATUSES)
ENUMTAB_WORDS(dns_reason_text, enum dns_reason, DNS_REASONS)
ENUMTAB_WORDS(dns_security_word, enum dns_security, DNS_SECURITIES)

/* One decoded value; the list only grows, at its head, so readers need no lock. */
struct decoded {
	struct decoded *next;
	const struct dns_decoder *decoder;
	void *object;
};

/* What is really behind a struct dns_answer. */
struct body {
	struct dns_answer answer;	   /* first: a pointer to it is a pointer to us */
	_Atomic(uint32_t) references;	   /* MT: atomic */
	_Atomic(struct decoded *) decoded; /* MT: pushed by compare and swap */
	size_t bytes;
	struct dns_record records[];
	/* the records' bytes follow */
};

static struct body *
body_of(const struct dns_answer *answer)
{
	return (struct body *)(uintptr_t)answer;
}

/* The text in a record of that type; NULL: none. */
static struct slice *
record_text(struct dns_record *record, enum dns_type type)
{
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		return NULL;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		return &record->name;
	case DNS_TXT:
		return &record->text;
	case DNS_MX:
		return &record->mx.host;
	}
	bug("record_text: type %d", (int)type);
}

/* Copy s to *at and move on; the copy has a NUL behind. */
static struct slice
put_text(char **at, struct slice s)
{
	char *p = *at;

	if (s.len > 0)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	*at += s.len + 1;
	return slice_of(p, s.len);
}

static size_t
draft_bytes(const struct dns_answer *draft, size_t count, enum dns_type type)
{
	size_t bytes = sizeof(struct body) + count * sizeof(struct dns_record);

	for (size_t i = 0; i < count; i++) {
		struct dns_record record = draft->records[i];
		struct slice *text = record_text(&record, type);

		bytes += text == NULL ? 0 : text->len + 1;
	}
	return bytes + draft->detail.len + 1;
}

/* Stable: hosts of one preference stay in order of arrival. */
static void
sort_mx(struct dns_record *records, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct dns_record r = records[i];
		size_t at = i;

		for (; at > 0 && records[at - 1].mx.preference > r.mx.preference; at--)
			records[at] = records[at - 1];
		records[at] = r;
	}
}

static struct dns_answer *
copy_draft(const struct dns_answer *draft, enum dns_type type)
{
	size_t count = draft->count < LIMIT_DNS_RECORDS ? draft->count : LIMIT_DNS_RECORDS;
	size_t bytes = draft_bytes(draft, count, type);
	struct body *b = heap_alloc(1, bytes);
	char *at = (char *)&b->records[count];

	b->answer = *draft;
	b->answer.count = count;
	b->answer.records = b->records;
	b->bytes = bytes;
	atomic_init(&b->references, 1);
	atomic_init(&b->decoded, NULL);
	for (size_t i = 0; i < count; i++) {
		struct slice *text;

		b->records[i] = draft->records[i];
		text = record_text(&b->records[i], type);
		if (text != NULL)
			*text = put_text(&at, *text);
	}
	b->answer.detail = put_text(&at, draft->detail);
	if (type == DNS_MX)
		sort_mx(b->records, count);
	return &b->answer;
}

/*
 * May one record decide by being there or not? An SPF record behind too many others must not
 * become "none", nor an address one that no mechanism matches. Of names only the first few count.
 */
static bool
each_record_counts(enum dns_type type)
{
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
	case DNS_TXT:
		return true;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
	case DNS_MX:
		return false;
	}
	bug("each_record_counts: type %d", (int)type);
}

struct dns_answer *
dns_answer_make(const struct dns_answer *draft, enum dns_type type)
{
	const struct dns_answer too_many = {
		.status = DNS_TEMPFAIL, .reason = DNS_R_RECORDS, .security = draft->security
	};

	if (draft->count > LIMIT_DNS_RECORDS && each_record_counts(type))
		draft = &too_many;
	return copy_draft(draft, type);
}

struct dns_answer *
dns_answer_fail(enum dns_reason reason)
{
	struct dns_answer draft = { .status = DNS_TEMPFAIL, .reason = reason };

	return dns_answer_make(&draft, DNS_A);
}

const struct dns_answer *
dns_answer_ref(const struct dns_answer *answer)
{
	atomic_fetch_add_explicit(&body_of(answer)->references, 1, memory_order_relaxed);
	return answer;
}

void
dns_answer_unref(const struct dns_answer **answer)
{
	struct body *b;
	struct decoded *d;

	if (*answer == NULL)
		return;
	b = body_of(*answer);
	*answer = NULL;
	if (atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) != 1)
		return;
	d = atomic_load(&b->decoded);
	while (d != NULL) {
		struct decoded *next = d->next;

		if (d->object != NULL)
			d->decoder->free(d->object);
		free(d);
		d = next;
	}
	free(b);
}

size_t
dns_answer_bytes(const struct dns_answer *answer)
{
	return body_of(answer)->bytes;
}

/* From head to before end (NULL: all): the value of that decoder. */
static const struct decoded *
find_decoded(
    const struct decoded *head, const struct decoded *end, const struct dns_decoder *decoder)
{
	while (head != end && head->decoder != decoder)
		head = head->next;
	return head == end ? NULL : head;
}

const void *
dns_answer_decoded(const struct dns_answer *answer, const struct dns_decoder *decoder, void *ctx)
{
	struct body *b = body_of(answer);
	struct decoded *head = atomic_load_explicit(&b->decoded, memory_order_acquire);
	const struct decoded *found = find_decoded(head, NULL, decoder);
	struct decoded *mine;

	if (found != NULL)
		return found->object;
	mine = heap_alloc(1, sizeof(*mine));
	mine->decoder = decoder;
	mine->object = decoder->decode(answer, ctx);
	mine->next = head;
	while (!atomic_compare_exchange_weak_explicit(
	    &b->decoded, &mine->next, mine, memory_order_acq_rel, memory_order_acquire)) {
		/* Somebody pushed meanwhile: look at what is new before head. */
		found = find_decoded(mine->next, head, decoder);
		if (found != NULL) {
			if (mine->object != NULL)
				decoder->free(mine->object);
			free(mine);
			return found->object;
		}
		head = mine->next;
	}
	return mine->object;
}
